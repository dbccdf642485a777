package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
)

// stateQueries are asked of storages in every state.
var stateQueries = []string{
	`m_total`,
	`rate(m_total[5m])`,
	`sum(increase(m_total[4m]))`,
	`count_over_time(m_total[10m])`,
	`max_over_time(m_total[3m]) - min_over_time(m_total[3m])`,
	`last_over_time(m_total[6m] offset 1m)`,
	`m_total @ end()`,
}

// floatSeries is a counter of n samples, one every interval ms from start on.
func floatSeries(name string, id int, start, interval int64, n int) storage.Series {
	samples := make([]chunks.Sample, n)
	for i := range samples {
		t := start + int64(i)*interval
		samples[i] = floatSample{t, float64(t/1000%977) * float64(id+1)}
	}
	return storage.NewListSeries(labels.FromStrings("__name__", name, "s", fmt.Sprint(id)), samples)
}

// openBlocks opens a TSDB of blocks, one for each list of series.
func openBlocks(t *testing.T, blocks ...[]storage.Series) *tsdb.DB {
	t.Helper()
	dir := t.TempDir()
	for _, series := range blocks {
		_, err := tsdb.CreateBlock(series, dir, (30 * 24 * time.Hour).Milliseconds(), promslog.NewNopLogger())
		require.NoError(t, err)
	}
	return openDB(t, dir)
}

func openDB(t *testing.T, dir string) *tsdb.DB {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.RetentionDuration = 0
	o.EnableOverlappingCompaction = false
	db, err := tsdb.Open(dir, nil, nil, o, tsdb.NewDBStats())
	require.NoError(t, err)
	db.DisableCompactions()
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

const stateStart = int64(1_700_000_000_000)

func TestOverlappingBlocks(t *testing.T) {
	var first, second, third []storage.Series
	for id := range 5 {
		first = append(first, floatSeries("m_total", id, stateStart, 15_000, 240))
		second = append(second, floatSeries("m_total", id, stateStart+1_200_000+7_000, 15_000, 240)) // between the first's
		third = append(third, floatSeries("m_total", id+2, stateStart+600_000, 15_000, 240))         // the same samples
	}
	db := openBlocks(t, first, second, third)
	require.Len(t, db.Blocks(), 3)
	requireAllSame(t, db, stateQueries,
		instantAt(stateStart+2_000_000), instantAt(stateStart+4_500_000), rangeOf(stateStart, stateStart+6_000_000, 60_000), rangeOf(stateStart+1_000_000, stateStart+2_000_000, 5_000))
}

// lateStorage holds a block and a head, and samples that came late for both.
func lateStorage(t *testing.T) *teststorage.TestStorage {
	st := teststorage.New(t, func(o *tsdb.Options) { o.OutOfOrderTimeWindow = (24 * time.Hour).Milliseconds() })
	r := rand.New(rand.NewPCG(1, 2))
	type point struct {
		id int
		t  int64
	}
	var late []point
	app := st.AppenderV2(t.Context())
	add := func(app storage.AppenderV2, p point) {
		l := labels.FromStrings("__name__", "m_total", "s", fmt.Sprint(p.id))
		_, err := app.Append(0, l, 0, p.t, float64(p.t/1000%977)*float64(p.id+1), nil, nil, storage.AppendV2Options{})
		require.NoError(t, err)
	}
	for id := range 6 {
		for i := range int64(480) {
			p := point{id, stateStart + i*15_000}
			if id != 5 && i != 479 && r.IntN(5) == 0 || id == 4 && i > 300 && i < 340 {
				late = append(late, p)
				continue
			}
			add(app, p)
		}
	}
	require.NoError(t, app.Commit())
	require.NoError(t, st.CompactHead(tsdb.NewRangeHead(st.Head(), stateStart, stateStart+240*15_000-1)))
	app = st.AppenderV2(t.Context())
	for _, i := range r.Perm(len(late)) {
		add(app, late[i])
	}
	require.NoError(t, app.Commit())
	return st
}

func lateTimes() []difftest.Times {
	return []difftest.Times{
		instantAt(stateStart + 1_800_000), instantAt(stateStart + 4_800_000), instantAt(stateStart + 7_185_000),
		rangeOf(stateStart, stateStart+7_500_000, 60_000), rangeOf(stateStart+3_000_000, stateStart+4_000_000, 5_000),
	}
}

func TestOutOfOrderHead(t *testing.T) {
	st := lateStorage(t)
	require.Len(t, st.Blocks(), 1)
	requireAllSame(t, st, stateQueries, lateTimes()...)
	require.NoError(t, st.CompactOOOHead(t.Context()))
	require.Greater(t, len(st.Blocks()), 1)
	requireAllSame(t, st, stateQueries, lateTimes()...)
}

// untrimmed is a storage that leaves samples outside of the hints' times in, as the query sees to it anyway.
// Prometheus' TSDB panics in tombstones.Intervals.Add when it trims a series that has a deletion beyond
// the end of the query.
type untrimmed struct{ storage.Queryable }

func (u untrimmed) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := u.Queryable.Querier(mint, maxt)
	return untrimmedQuerier{q}, err
}

type untrimmedQuerier struct{ storage.Querier }

func (q untrimmedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	h := *hints
	h.DisableTrimming = true
	return q.Querier.Select(ctx, sorted, &h, ms...)
}

func TestTombstones(t *testing.T) {
	const m = 60_000
	matcher := func(re string) *labels.Matcher { return labels.MustNewMatcher(labels.MatchRegexp, "s", re) }
	for name, deleted := range map[string][][2]int64{
		"within":           {{20 * m, 24 * m}, {80 * m, 84 * m}},
		"several":          {{5 * m, 6 * m}, {10 * m, 11*m + 7}, {12 * m, 13 * m}, {70 * m, 71 * m}, {90 * m, 95 * m}},
		"across":           {{50 * m, 70 * m}},
		"start and end":    {{0, 3 * m}, {115 * m, 200 * m}},
		"behind the range": {{110 * m, 112 * m}},
		"everything":       {{-m, 300 * m}},
	} {
		t.Run(name, func(t *testing.T) {
			st := lateStorage(t)
			for _, d := range deleted {
				require.NoError(t, st.Delete(t.Context(), stateStart+d[0], stateStart+d[1], matcher("1|3|5")))
			}
			for _, query := range stateQueries {
				for _, tm := range append(lateTimes(), rangeOf(stateStart+30*m, stateStart+60*m, m), rangeOf(stateStart+60*m, stateStart+105*m, m)) {
					requireUntrimmed(t, st, query, tm)
				}
			}
		})
	}
}

// requireUntrimmed compares with Prometheus on an untrimmed storage.
func requireUntrimmed(t *testing.T, st storage.SampleAndChunkQueryable, query string, tm difftest.Times) {
	t.Helper()
	want := ask(t, promql.NewEngine(storageOpts()), untrimmed{st}, query, tm)
	require.Empty(t, want.Panic)
	require.NoError(t, want.Err)
	for i, m := range storageModes {
		q := storage.Queryable(st)
		if m.samples {
			q = untrimmed{st}
		}
		if d := difference(t, want, ask(t, storageEngine(i), q, query, tm), query, tm); d != nil {
			t.Errorf("%s\n%s, %s:\n%s", query, tm, m.name, d)
		}
	}
}

// TestGrowingHead asks for the past while the head grows, is compacted and truncated.
func TestGrowingHead(t *testing.T) {
	const (
		interval = 15_000
		batch    = 40
		queries  = 1000
	)
	st := teststorage.New(t)
	grow := func(from, n int) {
		app := st.AppenderV2(context.Background())
		for id := range 8 {
			for i := from; i < from+n; i++ {
				l := labels.FromStrings("__name__", "m_total", "s", fmt.Sprint(id))
				if _, err := app.Append(0, l, 0, stateStart+int64(i)*interval, float64(i*(id+1)), nil, nil, storage.AppendV2Options{}); err != nil {
					t.Error(err)
				}
			}
		}
		if err := app.Commit(); err != nil {
			t.Error(err)
		}
	}
	grow(0, 600)
	times := []difftest.Times{
		instantAt(stateStart + 100*interval), instantAt(stateStart + 599*interval),
		rangeOf(stateStart, stateStart+599*interval, 45_000), rangeOf(stateStart+200*interval, stateStart+400*interval, 15_000),
	}
	want := map[string]*difftest.Outcome{}
	key := func(query string, tm difftest.Times) string { return query + tm.String() }
	for _, query := range stateQueries {
		for _, tm := range times {
			want[key(query, tm)] = ask(t, promql.NewEngine(storageOpts()), st, query, tm)
		}
	}

	stop := make(chan struct{})
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for from := 600; ; from += batch {
			select {
			case <-stop:
				return
			default:
			}
			grow(from, batch)
			st.ForceHeadMMap()
			if from%(5*batch) == 0 {
				h := st.Head()
				if err := st.CompactHead(tsdb.NewRangeHead(h, h.MinTime(), min(h.MinTime()+100*interval, h.MaxTime()))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var next atomic.Int64
	o := engine.Opts{EngineOpts: storageOpts(), Workers: 4, PoisonBatches: true}
	o.BatchSeries = 1
	engines := []*engine.Engine{engine.New(o), engine.New(o), storageEngine(2)}
	for range 4 {
		readers.Go(func() {
			for i := int(next.Add(1)); i <= queries; i = int(next.Add(1)) {
				query, tm := stateQueries[i%len(stateQueries)], times[i/len(stateQueries)%len(times)]
				if d := difference(t, want[key(query, tm)], ask(t, engines[i%3], st, query, tm), query, tm); d != nil {
					t.Errorf("%s\n%s:\n%s", query, tm, d)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writer.Wait()
	require.NotEmpty(t, st.Blocks(), "nothing was compacted meanwhile")
}

// interrupted is a storage that calls a function once, when the first chunks of a series are asked for.
type interrupted struct {
	storage.Queryable
	chunked storage.ChunkQueryable
	once    sync.Once
	f       func()
}

func (i *interrupted) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := i.chunked.ChunkQuerier(mint, maxt)
	return &interruptedQuerier{q, i}, err
}

type interruptedQuerier struct {
	storage.ChunkQuerier
	i *interrupted
}

func (q *interruptedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	return &interruptedSet{q.ChunkQuerier.Select(ctx, sorted, hints, ms...), q.i}
}

type interruptedSet struct {
	storage.ChunkSeriesSet
	i *interrupted
}

func (s *interruptedSet) At() storage.ChunkSeries {
	return &interruptedSeries{s.ChunkSeriesSet.At(), s.i}
}

type interruptedSeries struct {
	storage.ChunkSeries
	i *interrupted
}

func (s *interruptedSeries) Iterator(it chunks.Iterator) chunks.Iterator {
	s.i.once.Do(s.i.f)
	return s.ChunkSeries.Iterator(it)
}

func TestBlockDeletedUnderQuery(t *testing.T) {
	all := labels.MustNewMatcher(labels.MatchEqual, "__name__", "m_total")
	for name, remove := range map[string]func(*tsdb.DB) error{
		"files": func(db *tsdb.DB) error { return os.RemoveAll(db.Blocks()[0].Dir()) },
		"rewritten": func(db *tsdb.DB) error {
			if err := db.Delete(context.Background(), stateStart, stateStart+600_000, all); err != nil {
				return err
			}
			return db.CleanTombstones()
		},
		"empty": func(db *tsdb.DB) error {
			if err := db.Delete(context.Background(), 0, 2*stateStart, all); err != nil {
				return err
			}
			return db.CleanTombstones()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, query := range stateQueries {
				series := make([]storage.Series, 6)
				for id := range series {
					series[id] = floatSeries("m_total", id, stateStart, 15_000, 400)
				}
				db := openBlocks(t, series)
				tm := rangeOf(stateStart, stateStart+6_000_000, 60_000)
				want := ask(t, promql.NewEngine(storageOpts()), db, query, tm)
				require.False(t, want.Empty())
				removed := make(chan error, 1)
				started := make(chan struct{})
				st := &interrupted{Queryable: db, chunked: db, f: func() {
					go func() {
						close(started)
						removed <- remove(db) // waits for the querier where it closes the block
					}()
					<-started
				}}
				if d := difference(t, want, ask(t, storageEngine(1), st, query, tm), query, tm); d != nil {
					t.Errorf("%s\n%s:\n%s", query, tm, d)
				}
				require.NoError(t, <-removed)
			}
		})
	}
}

func TestCorruptChunk(t *testing.T) {
	dir := t.TempDir()
	series := make([]storage.Series, 8)
	for id := range series {
		series[id] = floatSeries("m_total", id, stateStart, 15_000, 400)
	}
	block, err := tsdb.CreateBlock(series, dir, (30 * 24 * time.Hour).Milliseconds(), promslog.NewNopLogger())
	require.NoError(t, err)
	file := filepath.Join(block, "chunks", "000001")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	// The chunks stand in series order: flip bytes in the third and the sixth eighth.
	for _, eighth := range []int{2, 5} {
		data[len(data)*eighth/8+len(data)/16] ^= 0x5a
	}
	require.NoError(t, os.WriteFile(file, data, 0o600))

	db := openDB(t, dir)
	blockOf := func(samples bool) string {
		if samples {
			return ulid.ULID{}.String()
		}
		return filepath.Base(block)
	}
	tm := rangeOf(stateStart, stateStart+6_000_000, 30_000)
	for _, query := range stateQueries {
		if query == `m_total @ end()` {
			continue // does not come near the damage
		}
		want := ask(t, promql.NewEngine(storageOpts()), db, query, tm)
		require.ErrorContains(t, want.Err, "checksum mismatch")
		for range 10 {
			for i, m := range storageModes {
				got := ask(t, storageEngine(i), db, query, tm)
				require.Empty(t, got.Panic)
				// The sample path says that all blocks are 00000000000000000000000000.
				require.EqualError(t, got.Err, strings.Replace(want.Err.Error(), ulid.ULID{}.String(), blockOf(m.samples), 1))
				require.Nil(t, got.Value)
			}
		}
	}
	good := 0
	for id := range series {
		query := fmt.Sprintf(`rate(m_total{s="%d"}[5m])`, id)
		if ask(t, storageEngine(0), db, query, tm).Err != nil {
			continue
		}
		if requireSame(t, db, query, tm) {
			good++
		}
	}
	require.Equal(t, len(series)-2, good)
}

// TestIsolation demands that a query does not see what was committed after its querier was opened.
func TestIsolation(t *testing.T) {
	for _, samples := range []int{1, 50, 119, 120, 121, 300} {
		t.Run(fmt.Sprint(samples), func(t *testing.T) {
			for _, query := range append([]string{`m_total[1h]`}, stateQueries...) {
				st := teststorage.New(t)
				grow := func(app storage.AppenderV2, from, n int) {
					for id := range 8 {
						for i := from; i < from+n; i++ {
							l := labels.FromStrings("__name__", "m_total", "s", fmt.Sprint(id))
							_, err := app.Append(0, l, 0, stateStart+int64(i)*15_000, float64(i*(id+1)), nil, nil, storage.AppendV2Options{})
							require.NoError(t, err)
						}
					}
				}
				app := st.AppenderV2(t.Context())
				grow(app, 0, samples)
				require.NoError(t, app.Commit())
				tm := instantAt(stateStart + int64(samples+9)*15_000)
				want := ask(t, promql.NewEngine(storageOpts()), st, query, tm)

				early := st.AppenderV2(t.Context()) // opened before the query, committed during it
				grow(early, samples, 5)
				is := &interrupted{Queryable: st, chunked: st, f: func() {
					require.NoError(t, early.Commit())
					late := st.AppenderV2(t.Context())
					grow(late, samples+5, 5)
					require.NoError(t, late.Commit())
				}}
				if d := difference(t, want, ask(t, storageEngine(1), is, query, tm), query, tm); d != nil {
					t.Errorf("%s\n%s:\n%s", query, tm, d)
				}
				after := ask(t, storageEngine(1), st, query, tm)
				require.NotNil(t, difference(t, want, after, query, tm), "%s: the samples committed make no difference", query)
				requireSame(t, st, query, tm)
			}
		})
	}
}
