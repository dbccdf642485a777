package compare

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/record"
)

func cellOf(engine, query string, walls ...int) record.Cell {
	c := record.Cell{Engine: engine, Dataset: "d", Query: query, Status: record.OK}
	for _, w := range walls {
		c.Warm = append(c.Warm, record.Sample{Wall: time.Duration(w) * time.Millisecond, User: time.Second, Allocs: 10})
	}
	return c
}

func TestCompare(t *testing.T) {
	before := []record.Cell{
		cellOf("stride", "slower", 100, 101, 102, 103, 104, 105),
		cellOf("stride", "faster", 100, 101, 102, 103, 104, 105),
		cellOf("stride", "noise", 100, 140, 90, 120, 80, 110),
		cellOf("stride", "little", 100, 101, 102, 103, 104, 105),
		cellOf("stride", "broken", 100),
		cellOf("thanos", "slower", 1, 1, 1, 1, 1, 1),
	}
	broken := cellOf("stride", "broken")
	broken.Status, broken.Reason = record.Differs, "2 series instead of 1"
	after := []record.Cell{
		cellOf("stride", "slower", 200, 201, 202, 203, 204, 205),
		cellOf("stride", "faster", 50, 51, 52, 53, 54, 55),
		cellOf("stride", "noise", 130, 100, 95, 125, 85, 115),
		cellOf("stride", "little", 106, 107, 108, 109, 110, 111),
		broken,
		cellOf("thanos", "slower", 9, 9, 9, 9, 9, 9),
		cellOf("stride", "new", 1),
	}
	r := Compare(before, after, Options{Engines: []string{"stride"}, Threshold: 0.1})
	require.Len(t, r.Changes, 2)
	require.Equal(t, "slower", r.Changes[0].Query)
	require.True(t, r.Changes[0].Worse())
	require.Equal(t, "faster", r.Changes[1].Query)
	require.False(t, r.Changes[1].Worse())
	require.Equal(t, []string{"d/broken on stride: differs: 2 series instead of 1"}, r.Broken)
	require.True(t, r.Bad())
	var b bytes.Buffer
	require.NoError(t, r.Print(&b))
	require.Contains(t, b.String(), "WORSE   stride  d/slower  wall  +97.6%")

	r = Compare(before[1:2], after[1:2], Options{Threshold: 0.1})
	require.False(t, r.Bad(), "only faster")
}
