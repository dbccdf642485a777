package suite

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
)

// reduced makes less of a data set: the same for fewer pods, scraped half as often.
func (s spec) reduced() spec {
	pods := map[string]int{SmokeDataset: 10, "long": 2, "churn": 9}[s.name]
	if pods == 0 {
		pods = 12 // so many that there are two namespaces
	}
	s.profile.Series = pods * s.profile.SeriesPerTarget
	if s.profile.Interval == 15*time.Second && s.name != SmokeDataset {
		s.profile.Interval *= 2
	}
	return s
}

// open builds a reduced data set and opens it as a server would.
func (s spec) open(t *testing.T) (Dataset, *tsdb.DB) {
	t.Helper()
	dir, d := t.TempDir(), s.reduced().dataset()
	var done, total int64
	require.NoError(t, d.Build(context.Background(), dir, func(d, n int64) { done, total = d, n }))
	require.Positive(t, total)
	require.Equal(t, total, done)

	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	require.NoError(t, err)
	db.DisableCompactions()
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return d, db
}

// nothing lists the queries that are meant to have no answer.
var nothing = map[string]bool{"medium/and_nothing": true}

// All queries have an answer on both engines, and the same.
func TestAnswers(t *testing.T) {
	opts := promql.EngineOpts{
		MaxSamples: 1e9, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: queryParser,
	}
	reference, stride := promql.NewEngine(opts), engine.New(engine.Opts{EngineOpts: opts})
	for _, s := range specs {
		t.Run(s.name, func(t *testing.T) {
			d, db := s.open(t)
			for _, q := range Queries() {
				if q.Dataset != s.name {
					continue
				}
				expr, err := queryParser.ParseExpr(q.Expr)
				require.NoError(t, err)
				times := difftest.Times{
					Start: d.End - q.Start.Milliseconds(), End: d.End - q.End.Milliseconds(), Step: q.Step.Milliseconds(),
					Instant: q.Step == 0,
				}
				c := difftest.Case{Query: q.Expr, Times: times}
				want := c.Run(context.Background(), reference, db)
				require.NoError(t, want.Err, q.at())
				require.Equal(t, nothing[q.at()], want.Empty(), "answer of %s is empty", q.at())
				got := c.Run(context.Background(), stride, db)
				require.Nil(t, difftest.NewComparer(expr, times, difftest.DefaultTolerance, false).Compare(want, got), q.at())
				want.Close()
				got.Close()
			}
		})
	}
}

// Samples are where and how the data set says.
func TestStorage(t *testing.T) {
	for _, s := range specs {
		t.Run(s.name, func(t *testing.T) {
			d, db := s.open(t)
			require.Equal(t, d.Head, len(db.Blocks()) == 0)
			require.Equal(t, d.Head, db.Head().NumSeries() > 0)
			found := encodings(t, db)
			require.Equal(t, d.Encoding == "xor", found[chunkenc.EncXOR])
			require.Equal(t, d.Encoding == "xor2", found[chunkenc.EncXOR2])
			require.Equal(t, d.Encoding == "xor2", found[chunkenc.EncHistogramST])
		})
	}
}

func encodings(t *testing.T, db *tsdb.DB) map[chunkenc.Encoding]bool {
	t.Helper()
	q, err := db.ChunkQuerier(0, time.Now().UnixMilli())
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	found := map[chunkenc.Encoding]bool{}
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() {
			found[it.At().Chunk.Encoding()] = true
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return found
}

func TestDatasets(t *testing.T) {
	names, versions := map[string]bool{}, map[string]bool{}
	for i, d := range Datasets() {
		require.False(t, names[d.Name])
		require.False(t, versions[d.Version])
		names[d.Name], versions[d.Version] = true, true
		require.Equal(t, end.UnixMilli(), d.End)
		require.NotEmpty(t, d.Description)
		require.NoError(t, specs[i].profile.Validate())
		require.Equal(t, d.Version, specs[i].version())

		changed := specs[i]
		changed.profile.Seed++
		require.NotEqual(t, d.Version, changed.version())
		changed = specs[i]
		changed.head = !changed.head
		require.NotEqual(t, d.Version, changed.version())
	}
}
