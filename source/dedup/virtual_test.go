package dedup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

// Chunks of all replicas follow each other where they can, whose they ever are. What came twice is there once.
func TestVirtual(t *testing.T) {
	of := func(spans ...string) (out replica) {
		var all [][]chunks.Sample
		for _, s := range spans {
			var from, to, value int64
			_, err := fmt.Sscanf(s, "%d..%d %d", &from, &to, &value)
			require.NoError(t, err)
			var samples []chunks.Sample
			for at := from; at <= to; at += 10 {
				samples = append(samples, sample{t: at * 1000, f: float64(value)})
			}
			all = append(all, samples)
		}
		return replica{chunks: storage.NewListChunkSeriesFromSamples(labels.EmptyLabels(), all...)}
	}
	for name, c := range map[string]struct {
		replicas []replica
		want     []string
	}{
		"side by side":      {[]replica{of("0..100 1", "110..200 1"), of("7..107 2", "117..207 2")}, []string{"0..100 110..200", "7..107 117..207"}},
		"the other goes on": {[]replica{of("0..100 1", "310..400 1"), of("7..107 2", "117..207 2", "317..407 2")}, []string{"0..100 117..207 310..400", "7..107 317..407"}},
		"copies":            {[]replica{of("0..100 1", "110..200 1"), of("0..100 1", "110..200 2")}, []string{"0..100 110..200", "110..200"}},
		"one is empty":      {[]replica{of(), of("0..100 1")}, []string{"0..100"}},
		"none":              {[]replica{of(), of()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			split, ok, err := virtual(c.replicas)
			require.NoError(t, err)
			require.True(t, ok)
			var got []string
			for _, v := range split {
				var spans []string
				for _, m := range v {
					spans = append(spans, fmt.Sprintf("%d..%d", m.MinTime/1000, m.MaxTime/1000))
				}
				got = append(got, strings.Join(spans, " "))
			}
			require.Equal(t, c.want, got)
		})
	}

	// Where one replica ends and the other begins, nothing has to wait.
	var got []int64
	it := (&series{replicas: []replica{of("0..100 1"), of("112..152 2")}, algorithm: Penalty}).Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		got = append(got, it.AtT()/1000)
	}
	require.NoError(t, it.Err())
	require.Equal(t, []int64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 112, 122, 132, 142, 152}, got)

	_, ok, err := virtual([]replica{of("0..100 1"), {series: storage.NewListSeries(labels.EmptyLabels(), nil)}})
	require.NoError(t, err)
	require.False(t, ok)
}
