package promqlpeer

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/peer"
)

// write makes a data directory with a block and a head.
func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	require.NoError(t, err)
	add := func(at int64) {
		app := db.Appender(context.Background())
		for _, i := range []string{"b", "a"} {
			_, err := app.Append(0, labels.FromStrings("__name__", "f", "i", i), at, float64(at))
			require.NoError(t, err)
		}
		h := &histogram.Histogram{
			Count: 3, Sum: 2.5, PositiveSpans: []histogram.Span{{Length: 1}, {Offset: 1, Length: 1}}, PositiveBuckets: []int64{1, 1},
		}
		_, err := app.AppendHistogram(0, labels.FromStrings("__name__", "h"), at, h, nil)
		require.NoError(t, err)
		require.NoError(t, app.Commit())
	}
	add(1000)
	require.NoError(t, db.CompactHead(tsdb.NewRangeHead(db.Head(), 0, 1000)))
	require.Len(t, db.Blocks(), 1)
	add(2000)
	require.NoError(t, db.Close())
	return dir
}

func TestEngine(t *testing.T) {
	dir := write(t)
	files := func() (names []string) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			names = append(names, path)
			return err
		}))
		return names
	}
	before := files()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	e := &Engine{New: func(int) promql.QueryEngine { return promql.NewEngine(Options()) }}
	require.NoError(t, e.Open(dir, 1))

	const h = "count:3 sum:2.5 (0.5,1]:1 (2,4]:2"
	for _, c := range []struct {
		query peer.Query
		want  []peer.Series
	}{
		{peer.Query{Expr: "f", Start: 1000, End: 2000, Step: 1000}, []peer.Series{
			{Labels: `{__name__="f", i="a"}`, T: []int64{1000, 2000}, F: []float64{1000, 2000}},
			{Labels: `{__name__="f", i="b"}`, T: []int64{1000, 2000}, F: []float64{1000, 2000}},
		}},
		{peer.Query{Expr: "max_over_time(f[30s*2:])", Start: 60_000}, []peer.Series{
			{Labels: `{i="a"}`, T: []int64{60_000}, F: []float64{2000}},
			{Labels: `{i="b"}`, T: []int64{60_000}, F: []float64{2000}},
		}},
		{peer.Query{Expr: "h", Start: 1000, End: 2000, Step: 1000}, []peer.Series{
			{Labels: `{__name__="h"}`, HT: []int64{1000, 2000}, H: []string{h, h}},
		}},
		{peer.Query{Expr: `{__name__=~".+",i!="b"}`, Start: 2000}, []peer.Series{
			{Labels: `{__name__="f", i="a"}`, T: []int64{2000}, F: []float64{2000}},
			{Labels: `{__name__="h"}`, HT: []int64{2000}, H: []string{h}},
		}},
		{peer.Query{Expr: "1 + 1", Start: 2000}, []peer.Series{{Labels: "{}", T: []int64{2000}, F: []float64{2}}}},
		{peer.Query{Expr: "nothing", Start: 2000}, nil},
	} {
		r, err := e.Execute(context.Background(), c.query)
		require.NoError(t, err, c.query.Expr)
		a, err := r.Answer()
		require.NoError(t, err, c.query.Expr)
		require.Equal(t, c.want, a.Series, c.query.Expr)
		r.Close()
	}
	_, err := e.Execute(context.Background(), peer.Query{Expr: "f +"})
	require.ErrorContains(t, err, "parse error")

	require.NoError(t, e.Close())
	require.Equal(t, before, files(), "the data set is not written to")
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
