package operators

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConstantScalar(t *testing.T) {
	s := ConstantScalar(2.5)
	s.Open(StepRange{From: 3, To: 5})
	v, ok := s.Constant()
	require.True(t, ok)
	require.Equal(t, 2.5, v)
	require.Equal(t, 2.5, s.At(4))
	require.Equal(t, 2.5, s.At(100))
}

func TestFoldedScalar(t *testing.T) {
	s := FoldedScalar()
	_, ok := s.Constant()
	require.False(t, ok)
	for _, r := range []StepRange{{From: 0, To: 4}, {From: 4, To: 9}, {From: 2, To: 3}} {
		s.Open(r)
		b := NewBatch(0, 1, r.From, r.Len())
		for i := range b.F {
			b.SetFloat(i, float64(10*(r.From+i)))
		}
		// Segments may come in any order.
		half := r.Len() / 2
		s.Fold(b, StepRange{From: half, To: r.Len()})
		s.Fold(b, StepRange{From: 0, To: half})
		b.poison()
		for step := r.From; step < r.To; step++ {
			require.Equal(t, float64(10*step), s.At(step))
		}
	}
}
