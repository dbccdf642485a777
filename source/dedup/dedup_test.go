package dedup

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// sample is a float, or a histogram with a sum.
type sample struct {
	t int64
	f float64
	h *histogram.Histogram
}

func (s sample) T() int64                      { return s.t }
func (sample) ST() int64                       { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return s.h }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValHistogram
	}
	return chunkenc.ValFloat
}
func (s sample) Copy() chunks.Sample { return s }

// list is a storage of series.
type list []storage.Series

func (l list) Querier(int64, int64) (storage.Querier, error) { return listQuerier{l}, nil }

type listQuerier struct{ all list }

func (q listQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	s := &listSet{at: -1}
next:
	for _, x := range q.all {
		for _, m := range matchers {
			if !m.Matches(x.Labels().Get(m.Name)) {
				continue next
			}
		}
		s.all = append(s.all, x)
	}
	return s
}
func (listQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (listQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return []string{"a", "replica"}, nil, nil
}
func (listQuerier) Close() error { return nil }

type listSet struct {
	all []storage.Series
	at  int
}

func (s *listSet) Next() bool                        { s.at++; return s.at < len(s.all) }
func (s *listSet) At() storage.Series                { return s.all[s.at] }
func (s *listSet) Err() error                        { return nil }
func (s *listSet) Warnings() annotations.Annotations { return nil }

func newSeries(l labels.Labels, samples ...chunks.Sample) storage.Series {
	return storage.NewListSeries(l, samples)
}

// scraped are samples every interval from start on, with their number as a value; those in missing are left out.
func scraped(start, interval int64, n int, value func(i int) float64, missing ...int) []chunks.Sample {
	var out []chunks.Sample
next:
	for i := range n {
		for _, m := range missing {
			if i == m {
				continue next
			}
		}
		out = append(out, sample{t: start + int64(i)*interval, f: value(i)})
	}
	return out
}

// merged is the outcome of deduplicating replicas, as time:value.
func merged(t testing.TB, a Algorithm, function string, replicas ...[]chunks.Sample) string {
	var all list
	for i, r := range replicas {
		all = append(all, newSeries(labels.FromStrings("a", "1", "replica", fmt.Sprint(i)), r...))
	}
	q, err := Queryable(all, []string{"replica"}, a).Querier(0, math.MaxInt64)
	require.NoError(t, err)
	set := q.Select(context.Background(), true, &storage.SelectHints{Func: function})
	require.True(t, set.Next())
	require.Equal(t, labels.FromStrings("a", "1"), set.At().Labels())
	var out []string
	it := set.At().Iterator(nil)
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		switch vt {
		case chunkenc.ValFloat:
			ts, v := it.At()
			out = append(out, fmt.Sprintf("%d:%g", ts, v))
		case chunkenc.ValHistogram:
			ts, h := it.AtHistogram(nil)
			out = append(out, fmt.Sprintf("%d:h%g", ts, h.Sum))
		}
	}
	require.NoError(t, it.Err())
	require.False(t, set.Next())
	return strings.Join(out, " ")
}

func times10(i int) float64 { return float64(10 * i) }

// The traces that Thanos' algorithm leaves.
func TestPenalty(t *testing.T) {
	plus5 := func(i int) float64 { return float64(10*i + 5) }
	a := scraped(0, 15000, 6, times10)
	require.Equal(t, "0:0 7000:5 22000:15 37000:25 52000:35 67000:45 82000:55", merged(t, Penalty, "", a, scraped(7000, 15000, 6, plus5)), "7 s is more than the first penalty")
	require.Equal(t, "0:0 15000:10 30000:20 45000:30 60000:40 75000:50", merged(t, Penalty, "", a, scraped(3000, 15000, 5, plus5)))
	b := scraped(3000, 15000, 9, plus5)
	require.Equal(t, "0:0 15000:10 30000:20 45000:30 75000:50 90000:60 105000:70 120000:80", merged(t, Penalty, "", scraped(0, 15000, 9, times10, 4), b), "one missed scrape stays a gap")
	require.Equal(t, "0:0 15000:10 30000:20 45000:30 78000:55 93000:65 108000:75 123000:85", merged(t, Penalty, "", scraped(0, 15000, 9, times10, 4, 5, 6), b), "after three it changes for good")
	require.Equal(t, "0:0 15000:10 45000:30", merged(t, Penalty, "", scraped(0, 15000, 4, times10, 2), scraped(0, 15000, 4, times10)), "with equal times, too")
}

func TestChain(t *testing.T) {
	require.Equal(t, "0:0 15000:10 30000:20 45000:30", merged(t, Chain, "", scraped(0, 15000, 4, times10, 2), scraped(0, 15000, 4, times10)))
}

// One missed scrape is filled, and nothing else is added, whatever the offset of the replicas.
func TestInterval(t *testing.T) {
	for _, interval := range []int64{1000, 15000, 60000} {
		for tenths := range int64(10) {
			offset := interval * tenths / 10
			got := strings.Fields(merged(t, Interval, "", scraped(0, interval, 20, times10, 8, 14), scraped(offset, interval, 20, times10, 3, 11)))
			require.True(t, 19 <= len(got) && len(got) <= 22, "%d %d: %s", interval, offset, got)
			last := int64(-1)
			for _, s := range got {
				var at int64
				fmt.Sscan(strings.Split(s, ":")[0], &at)
				require.True(t, last < 0 || at-last <= interval*17/10, "%d %d: a gap at %d in %v", interval, offset, at, got)
				require.True(t, last < 0 || at-last >= interval/2, "%d %d: one too many at %d in %v", interval, offset, at, got)
				last = at
			}
		}
	}
	b := scraped(7000, 15000, 9, func(i int) float64 { return float64(10*i + 5) })
	for name, c := range map[string]struct {
		a, b []chunks.Sample
		want string
	}{
		"nothing is missed":           {scraped(0, 15000, 5, times10), b[:5], "0:0 15000:10 30000:20 45000:30 60000:40"},
		"one is missed":               {scraped(0, 15000, 7, times10, 2), b, "0:0 15000:10 37000:25 52000:35 67000:45 82000:55 97000:65 112000:75 127000:85"},
		"with equal times":            {scraped(0, 15000, 5, times10, 2), scraped(0, 15000, 5, func(i int) float64 { return float64(10*i + 5) }), "0:0 15000:10 30000:25 45000:35 60000:45"},
		"one replica ends":            {scraped(0, 15000, 3, times10), b[:5], "0:0 15000:10 30000:20 52000:35 67000:45"},
		"both miss one":               {scraped(0, 15000, 5, times10, 2), scraped(7000, 15000, 4, times10, 1, 2), "0:0 15000:10 45000:30 60000:40"},
		"one is scraped less often":   {scraped(0, 60000, 3, times10), scraped(5000, 15000, 7, times10), "0:0 60000:10 80000:50 95000:60 120000:20"},
		"a scrape too many is no new": {append(scraped(0, 15000, 4, times10), append([]chunks.Sample{sample{t: 45001, f: 31}}, scraped(60000, 15000, 3, times10)...)...), b[:6], "0:0 15000:10 30000:20 45000:30 45001:31 60000:0 75000:10 90000:20"},
	} {
		require.Equal(t, c.want, merged(t, Interval, "", c.a, c.b), name)
	}
}

// A counter does not fall because replicas were changed; anything else is left as it is.
func TestCounters(t *testing.T) {
	behind := func(i int) float64 { return float64(10*i - 25) }
	a, b := scraped(0, 15000, 9, times10, 4, 5, 6), scraped(3000, 15000, 9, behind)
	require.Equal(t, "0:0 15000:10 30000:20 45000:30 78000:25 93000:35 108000:45 123000:55", merged(t, Penalty, "sum_over_time", a, b))
	slow := func(i int) float64 { return float64(3 * i) }
	require.Equal(t, "0:0 15000:10 30000:20 45000:30 78000:30 93000:33 108000:36 123000:39", merged(t, Penalty, "rate", a, scraped(3000, 15000, 9, slow)))
}

func TestHistogramsAndThreeReplicas(t *testing.T) {
	h := func(start int64, sum float64) (out []chunks.Sample) {
		for i := range int64(4) {
			out = append(out, sample{t: start + i*15000, h: &histogram.Histogram{Sum: sum + float64(i)}})
		}
		return out
	}
	require.Equal(t, "0:h1 15000:h2 30000:h3 45000:h4", merged(t, Penalty, "rate", h(0, 1), h(2000, 100), h(4000, 200)))
	require.Equal(t, "100000:7", merged(t, Penalty, "", nil, nil, []chunks.Sample{sample{t: 100000, f: 7}}))
}

// Markers of staleness stay what they are, and series keep their names.
func TestStaleMarkersAndNames(t *testing.T) {
	all := list{
		newSeries(labels.FromStrings("__name__", "x", "replica", "a"), sample{t: 1, f: 5}, sample{t: 15_000, f: math.Float64frombits(value.StaleNaN)}),
		newSeries(labels.FromStrings("__name__", "x", "replica", "b"), sample{t: 2, f: 5}, sample{t: 15_001, f: math.Float64frombits(value.StaleNaN)}),
	}
	for _, function := range []string{"", "rate"} {
		q, err := Queryable(all, []string{"replica"}, Penalty).Querier(0, 20_000)
		require.NoError(t, err)
		set := q.Select(t.Context(), true, &storage.SelectHints{Func: function})
		require.True(t, set.Next())
		require.Equal(t, labels.FromStrings("__name__", "x"), set.At().Labels())
		it := set.At().Iterator(nil)
		require.Equal(t, chunkenc.ValFloat, it.Next())
		require.Equal(t, chunkenc.ValFloat, it.Next())
		_, v := it.At()
		require.True(t, value.IsStaleNaN(v))
	}
}

// Series are grouped without their replica labels, in the order of what is left.
func TestOrder(t *testing.T) {
	var all list
	for _, l := range []labels.Labels{
		labels.FromStrings("a", "1", "replica", "x", "z", "2"), labels.FromStrings("a", "1", "replica", "y", "z", "1"),
		labels.FromStrings("a", "1", "replica", "y", "z", "2"), labels.FromStrings("a", "2"),
	} {
		all = append(all, newSeries(l, sample{t: 1, f: 1}))
	}
	q, err := Queryable(all, []string{"replica"}, Penalty).Querier(0, 10)
	require.NoError(t, err)
	var got []string
	for set := q.Select(context.Background(), false, nil); set.Next(); {
		got = append(got, set.At().Labels().String())
	}
	require.Equal(t, []string{`{a="1", z="1"}`, `{a="1", z="2"}`, `{a="2"}`}, got)
	names, _, err := q.LabelNames(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
}

func TestParse(t *testing.T) {
	a, err := Parse("interval")
	require.NoError(t, err)
	require.Equal(t, Interval, a)
	_, err = Parse("quorum")
	require.ErrorContains(t, err, `unknown deduplication algorithm "quorum"`)
}

// chunked is list, with chunks.
type chunked struct{ list }

func (c chunked) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := c.Querier(mint, maxt)
	return chunkedQuerier{q}, err
}

type chunkedQuerier struct{ storage.Querier }

func (q chunkedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(q.Querier.Select(ctx, sorted, hints, matchers...))
}

// Where a sample does not follow the one before in its replica, its histogram says nothing of a reset; where it does, it says what it said.
func TestResetHints(t *testing.T) {
	h := func(t, count int64) sample {
		return sample{t: t, h: &histogram.Histogram{Count: uint64(count), Sum: float64(count), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{count}}}
	}
	a := []chunks.Sample{h(0, 1), h(15_000, 2), h(30_000, 3)}
	b := []chunks.Sample{h(7000, 1), h(22_000, 2), h(37_000, 3), h(52_000, 4), h(67_000, 5), h(82_000, 6)}
	for _, algorithm := range []Algorithm{Penalty, Interval, Chain} {
		all := chunked{list{newSeries(labels.FromStrings("replica", "a"), a...), newSeries(labels.FromStrings("replica", "b"), b...)}}
		q, err := Queryable(all, []string{"replica"}, algorithm).Querier(0, math.MaxInt64)
		require.NoError(t, err)
		set := q.Select(t.Context(), true, nil)
		require.True(t, set.Next())
		it := set.At().Iterator(nil)
		before, known := int64(-1), 0
		for it.Next() != chunkenc.ValNone {
			at, h := it.AtHistogram(nil)
			neighbour := slices.ContainsFunc([][]chunks.Sample{a, b}, func(of []chunks.Sample) bool {
				i := slices.IndexFunc(of, func(s chunks.Sample) bool { return s.T() == at })
				return i > 0 && of[i-1].T() == before
			})
			if neighbour {
				require.Equal(t, histogram.NotCounterReset, h.CounterResetHint, "%s at %d", algorithm, at)
				known++
			} else {
				require.Equal(t, histogram.UnknownCounterReset, h.CounterResetHint, "%s at %d", algorithm, at)
			}
			before = at
		}
		require.NotZero(t, known, algorithm)
	}
}

// Chunks and samples come to the same.
func TestChunks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var all list
		for i := range 1 + r.IntN(3) {
			var samples []chunks.Sample
			at := r.Int64N(20_000)
			for range r.IntN(400) {
				s := sample{t: at, f: float64(r.IntN(100))}
				if r.IntN(40) == 0 {
					s.h = &histogram.Histogram{Count: 3, Sum: float64(r.IntN(9)), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{3}}
				}
				samples = append(samples, s)
				if at += 15_000 + r.Int64N(100); r.IntN(20) == 0 {
					at += r.Int64N(60_000)
				}
			}
			all = append(all, newSeries(labels.FromStrings("a", "1", "replica", fmt.Sprint(i)), samples...))
		}
		for _, algorithm := range []Algorithm{Interval, Chain} { // for penalty it matters what chunks there are: see TestVirtual
			for _, function := range []string{"", "rate"} {
				read := func(from storage.Queryable) (out []string) {
					q, err := Queryable(from, []string{"replica"}, algorithm).Querier(0, math.MaxInt64)
					require.NoError(t, err)
					set := q.Select(t.Context(), true, &storage.SelectHints{Func: function})
					for set.Next() {
						it := set.At().Iterator(nil)
						for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
							if typ == chunkenc.ValFloat {
								at, v := it.At()
								out = append(out, fmt.Sprintf("%d:%g", at, v))
							} else {
								at, h := it.AtFloatHistogram(nil)
								out = append(out, fmt.Sprintf("%d:%s", at, h))
							}
						}
						require.NoError(t, it.Err())
					}
					require.NoError(t, set.Err())
					return out
				}
				require.Equal(t, read(all), read(chunked{all}))
			}
		}
	}
}

// BenchmarkDedup compares merging two replicas with reading both, which are chunks.
func BenchmarkDedup(b *testing.B) {
	encoded := func(samples []chunks.Sample) replica {
		return replica{chunks: storage.NewListChunkSeriesFromSamples(labels.EmptyLabels(), slices.Collect(slices.Chunk(samples, 120))...)}
	}
	two := []replica{encoded(scraped(0, 15000, 5000, times10)), encoded(scraped(3000, 15000, 5000, times10))}
	read := func(it chunkenc.Iterator) chunkenc.Iterator {
		sum := 0.0
		for it.Next() != chunkenc.ValNone {
			_, v := it.At()
			sum += v
		}
		return it
	}
	run := func(name string, of ...*series) {
		b.Run(name, func(b *testing.B) {
			var it chunkenc.Iterator
			for b.Loop() {
				for _, s := range of {
					it = read(s.Iterator(it))
				}
			}
		})
	}
	run("both", &series{replicas: two[:1]}, &series{replicas: two[1:]})
	for _, a := range []Algorithm{Penalty, Interval, Chain} {
		run(string(a), &series{replicas: two, algorithm: a})
	}
}
