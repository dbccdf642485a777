package tsdbdir

import (
	"math/rand"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

func TestBridge(t *testing.T) {
	const second = minute / 60
	block := func(from, to int64) Interval { return Interval{from, to - 1} }
	for name, c := range map[string]struct{ ranges, want []Interval }{
		"none":                         {},
		"one":                          {[]Interval{block(0, 2*hour)}, []Interval{block(0, 2*hour)}},
		"blocks that touch":            {[]Interval{block(0, 2*hour), block(2*hour, 4*hour)}, []Interval{block(0, 4*hour)}},
		"the first sample of a block":  {[]Interval{block(0, 2*hour), block(2*hour+59*second, 4*hour)}, []Interval{block(0, 4*hour)}},
		"one is missing":               {[]Interval{block(0, 2*hour), block(4*hour, 6*hour)}, []Interval{block(0, 2*hour), block(4*hour, 6*hour)}},
		"two are missing, not one":     {[]Interval{block(0, 2*hour), block(4*hour, 6*hour), block(10*hour, 12*hour)}, []Interval{block(0, 2*hour), block(4*hour, 6*hour), block(10*hour, 12*hour)}},
		"one between compacted blocks": {[]Interval{block(0, 18*hour), block(20*hour, 36*hour)}, []Interval{block(0, 18*hour), block(20*hour, 36*hour)}},
		"one of short blocks":          {[]Interval{block(0, 30*minute), block(hour, 90*minute)}, []Interval{block(0, 30*minute), block(hour, 90*minute)}},
		"a short block that is missing behind long ones": {[]Interval{block(0, 2*hour), block(150*minute, 3*hour)}, []Interval{block(0, 2*hour), block(150*minute, 3*hour)}},
		"a sample each hour, as promtool makes blocks":   {[]Interval{block(0, hour+1), block(2*hour, 3*hour+1), block(4*hour, 5*hour+1)}, []Interval{block(0, 5*hour+1)}},
		"a head of one sample, a scrape later":           {[]Interval{block(0, 2*hour), {2*hour + 15*second, 2*hour + 15*second}}, []Interval{{0, 2*hour + 15*second}}},
		"a server that was down":                         {[]Interval{block(0, 2*hour), {3*hour + 30*minute, 3*hour + 40*minute}}, []Interval{block(0, 2*hour), {3*hour + 30*minute, 3*hour + 40*minute}}},
		"a block within another":                         {[]Interval{block(0, 6*hour), block(2*hour, 2*hour+1), block(6*hour+6*minute, 8*hour)}, []Interval{block(0, 8*hour)}},
		"what overlaps, over a gap":                      {[]Interval{block(0, 2*hour), block(4*hour, 6*hour), block(hour, 5*hour)}, []Interval{block(0, 6*hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			rand.Shuffle(len(c.ranges), func(i, j int) { c.ranges[i], c.ranges[j] = c.ranges[j], c.ranges[i] })
			require.Equal(t, c.want, bridge(c.ranges))
		})
	}
}

// A running server's blocks and head are one interval, wherever the blocks begin.
func TestIntervalsOfServer(t *testing.T) {
	server := newServer(t, variants()[0])
	db := openTest(t, server.Dir())
	require.Equal(t, []Interval{{start, start + 420*minute}}, db.Intervals())
	require.Equal(t, []Interval{{db.MinTime(), db.MaxTime()}}, db.Intervals())
}

// Blocks that are not there leave a gap.
func TestIntervalsWithGaps(t *testing.T) {
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	server, err := tsdb.Open(t.TempDir(), nil, nil, opts, nil)
	require.NoError(t, err)
	server.DisableCompactions()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	for i := range int64(600) {
		appendMinute(t, server, variants()[0], start+i*minute, i)
	}
	for at := int64(start); at < start+8*hour; at += 2 * hour {
		require.NoError(t, server.CompactHead(tsdb.NewRangeHead(server.Head(), at, at+2*hour-1)))
	}
	blocks := server.Blocks()
	require.Len(t, blocks, 4)
	with := func(names ...string) []Interval {
		dir := t.TempDir()
		for _, n := range names {
			require.NoError(t, copyFiles(server.Dir(), dir, n))
		}
		return openTest(t, dir).Intervals()
	}
	name := func(i int) string { return filepath.Base(blocks[i].Dir()) }

	require.Equal(t, []Interval{{start, start + 4*hour - 1}, {start + 6*hour, start + 8*hour - minute}}, with(name(0), name(1), name(3)))
	require.Equal(t, []Interval{{start, start + 8*hour - minute}}, with(name(0), name(1), name(2), name(3)))
	// All of the server's log that is left is of after the blocks.
	require.Equal(t, []Interval{{start, start + 599*minute}}, with(name(0), name(1), name(2), name(3), walDir, headChunksDir))
}
