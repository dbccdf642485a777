package operators

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewGrid(t *testing.T) {
	for _, c := range []struct {
		start, end, interval int64
		times                []int64
	}{
		{0, 0, 0, []int64{0}},
		{5, 5, 10, []int64{5}},
		{5, 14, 10, []int64{5}},
		{5, 15, 10, []int64{5, 15}},
		{-20, 5, 10, []int64{-20, -10, 0}},
		{5, 4, 10, nil},
	} {
		g := NewGrid(c.start, c.end, c.interval)
		require.Equal(t, len(c.times), g.Steps)
		require.Equal(t, StepRange{To: g.Steps}, g.All())
		require.Equal(t, len(c.times), g.All().Len())
		for i, want := range c.times {
			require.Equal(t, want, g.Time(i))
			require.Equal(t, c.times[len(c.times)-1], g.End())
		}
	}
}
