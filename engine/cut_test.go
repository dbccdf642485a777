package engine_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/remote"
)

// view is a part of a storage: the series that keep chooses, with the external label that label gives, and their samples
// in some intervals.
type view struct {
	storage.Queryable
	name      string                       // of the external label; "" for none
	label     func(l labels.Labels) string // its value for a series
	keep      func(value string) bool
	intervals remote.Intervals
}

func (v *view) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := v.Queryable.Querier(mint, maxt)
	return &viewQuerier{q, v}, err
}

type viewQuerier struct {
	storage.Querier
	view *view
}

func (q *viewQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	v := q.view
	var own, inner []*labels.Matcher
	for _, m := range matchers {
		if v.name != "" && m.Name == v.name {
			own = append(own, m)
		} else {
			inner = append(inner, m)
		}
	}
	if len(inner) == 0 {
		inner = append(inner, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	}
	whole := storage.SelectHints{}
	if hints != nil {
		whole = *hints
	}
	whole.DisableTrimming = true // trimming makes Prometheus panic on some deleted ranges
	set := q.Querier.Select(ctx, true, &whole, inner...)
	var all []storage.Series
	for set.Next() {
		s := set.At()
		l := s.Labels()
		if v.name != "" {
			value := v.label(l)
			if !v.keep(value) || slices.ContainsFunc(own, func(m *labels.Matcher) bool { return !m.Matches(value) }) {
				continue
			}
			b := labels.NewBuilder(l)
			b.Set(v.name, value)
			l = b.Labels()
		}
		all = append(all, &viewSeries{s, l, v})
	}
	sort.SliceStable(all, func(i, j int) bool { return labels.Compare(all[i].Labels(), all[j].Labels()) < 0 })
	if _, order := difftest.InPlaceOf(ctx, ""); order != 0 {
		rand.New(rand.NewSource(order)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return &viewSet{series: all, warnings: set.Warnings(), err: set.Err()}
}

type viewSet struct {
	series   []storage.Series
	at       storage.Series
	warnings annotations.Annotations
	err      error
}

func (s *viewSet) Next() bool {
	if len(s.series) == 0 || s.err != nil {
		return false
	}
	s.at, s.series = s.series[0], s.series[1:]
	return true
}
func (s *viewSet) At() storage.Series                { return s.at }
func (s *viewSet) Err() error                        { return s.err }
func (s *viewSet) Warnings() annotations.Annotations { return s.warnings }

type viewSeries struct {
	storage.Series
	labels labels.Labels
	view   *view
}

func (s *viewSeries) Labels() labels.Labels { return s.labels }
func (s *viewSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	it := s.Series.Iterator(nil)
	if s.view.intervals == nil {
		return it
	}
	return &viewIterator{Iterator: it, intervals: s.view.intervals}
}

// viewIterator leaves out samples. A histogram behind such a one does not know of a counter reset, as in a chunk of its own.
type viewIterator struct {
	chunkenc.Iterator
	intervals remote.Intervals
	skipped   bool
}

func (it *viewIterator) settle(vt chunkenc.ValueType) chunkenc.ValueType {
	it.skipped = false
	for ; vt != chunkenc.ValNone; vt = it.Iterator.Next() {
		t := it.Iterator.AtT()
		if it.intervals.Meets(remote.Interval{Start: t, End: t}) {
			return vt
		}
		it.skipped = true
	}
	return vt
}
func (it *viewIterator) Next() chunkenc.ValueType { return it.settle(it.Iterator.Next()) }

type millis = int64

func (it *viewIterator) Seek(t millis) chunkenc.ValueType { return it.settle(it.Iterator.Seek(t)) }

func (it *viewIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	t, h := it.Iterator.AtHistogram(h)
	if it.skipped && h.CounterResetHint != histogram.GaugeType {
		h = h.Copy()
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	return t, h
}

func (it *viewIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, h := it.Iterator.AtFloatHistogram(h)
	if it.skipped && h.CounterResetHint != histogram.GaugeType {
		h = h.Copy()
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	return t, h
}

// views are several views, of different series.
type views []*view

func (v views) Querier(mint, maxt int64) (storage.Querier, error) {
	if len(v) == 1 {
		return v[0].Querier(mint, maxt)
	}
	var queriers []storage.Querier
	for _, x := range v {
		q, err := x.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		queriers = append(queriers, q)
	}
	return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
}

// cut is how data is spread over engines.
type cut struct {
	seed    int64
	byTime  bool
	apart   bool    // engines of one data set do not overlap
	text    bool    // engines evaluate text, at whole seconds, and drop names at once
	label   string  // external label to add; "" for none
	parts   int     // values of the label
	regions regions // a second one
	bare    bool    // the root has no storage of its own
	// bounds are where the data of the times that matter begins and ends, ms.
	from, to int64
}

func (c cut) String() string {
	return fmt.Sprintf("cut{seed: %d, byTime: %v, label: %q, parts: %d, regions: %d}", c.seed, c.byTime, c.label, c.parts, c.regions)
}

// regions says what a second external label, region, is.
type regions uint8

const (
	noRegions        regions = iota
	regionsPartition         // it is a partition label, too
	regionsAnnounced         // it is an external label and no partition label: who holds a part holds all regions of it
	regionsNotByAll          // it is a partition label, but not in what some engines announce
	kindsOfRegions   = iota
)

// region is the value of the second external label of a series.
func (c cut) region(l labels.Labels) string {
	return strconv.Itoa(int((l.Hash()>>8 ^ uint64(c.seed)) % 2))
}

// inRegions is a storage whose series have a region.
func (c cut) inRegions(q storage.Queryable, keep func(string) bool) storage.Queryable {
	if c.regions == noRegions {
		return q
	}
	return &view{Queryable: q, name: "region", label: c.region, keep: keep}
}

func anyValue(string) bool { return true }

// part is the value of the external label of a series.
func (c cut) part(l labels.Labels) string {
	h := fnv.New32a()
	fmt.Fprint(h, c.seed, l.DropReserved(func(n string) bool { return n == "__name__" }).Get("instance"), l.Get("job"), l.Hash()%3)
	return strconv.Itoa(int(h.Sum32()) % c.parts)
}

// whole is all data as one engine would see it.
func (c cut) whole(q storage.Queryable) storage.Queryable {
	if c.label == "" {
		return &view{Queryable: q} // in the order of labels, which engines' results are in
	}
	return &view{Queryable: c.inRegions(q, anyValue), name: c.label, label: c.part, keep: anyValue}
}

// dataSet is the data of a partition label set, and the external label sets of its series.
type dataSet struct {
	name string
	view view
	sets []labels.Labels
}

func (c cut) dataSets(q storage.Queryable) []dataSet {
	if c.label == "" {
		return []dataSet{{view: view{Queryable: q}, sets: []labels.Labels{labels.EmptyLabels()}}}
	}
	var out []dataSet
	for i := range c.parts {
		value := strconv.Itoa(i)
		part := func(name string, keep func(string) bool, sets ...labels.Labels) {
			v := view{Queryable: c.inRegions(q, keep), name: c.label, label: c.part, keep: func(p string) bool { return p == value }}
			out = append(out, dataSet{name, v, sets})
		}
		of := func(region string) labels.Labels { return labels.FromStrings(c.label, value, "region", region) }
		switch c.regions {
		case noRegions:
			part(value, anyValue, labels.FromStrings(c.label, value))
		case regionsAnnounced:
			part(value, anyValue, of("0"), of("1"))
		default:
			for _, region := range []string{"0", "1"} {
				part(value+region, func(r string) bool { return r == region }, of(region))
			}
		}
	}
	return out
}

// engines hold the data of q between them.
func (c cut) engines(q storage.Queryable, e *engine.Engine) []remote.RemoteEngine {
	rng := rand.New(rand.NewSource(c.seed))
	// An engine holds one part of each of some data sets.
	type holding struct {
		views views
		opts  engine.RemoteOpts
		sets  map[string]bool
	}
	var holdings []*holding
	for _, d := range c.dataSets(q) {
		value := d.name
		for i, intervals := range c.intervals(rng) {
			v := d.view
			v.intervals = intervals
			if intervals == nil {
				intervals = remote.Intervals{remote.Always}
			}
			var h *holding
			for _, x := range holdings {
				if !x.sets[value] && rng.Intn(2) == 0 {
					h = x
				}
			}
			if h == nil {
				h = &holding{opts: engine.RemoteOpts{Name: fmt.Sprintf("engine-%s-%d", value, i)}, sets: map[string]bool{}}
				if c.label != "" {
					h.opts.PartitionLabels = []string{c.label}
				}
				if c.regions == regionsPartition || c.regions == regionsNotByAll && (len(holdings) == 0 || rng.Intn(2) == 0) {
					h.opts.PartitionLabels = append(h.opts.PartitionLabels, "region")
				}
				holdings = append(holdings, h)
			}
			h.sets[value] = true
			h.views = append(h.views, &v)
			for _, set := range d.sets {
				h.opts.Coverage = append(h.opts.Coverage, remote.Coverage{Labels: set, Intervals: intervals})
			}
		}
	}
	var out []remote.RemoteEngine
	for _, h := range holdings {
		r := engine.NewRemoteEngine(e, h.views, h.opts)
		if c.text {
			r = textEngine{r}
		}
		out = append(out, r)
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// textEngine evaluates PromQL, knows nothing of plans, and refuses what is not at whole seconds.
type textEngine struct{ remote.RemoteEngine }

func (textEngine) Capabilities() remote.Capabilities {
	return remote.Capabilities{LanguageLevel: "3.16", WholeSeconds: true}
}

func (e textEngine) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	if ts.UnixMilli()%1000 != 0 {
		return nil, fmt.Errorf("asked at %s, which is no whole second", ts)
	}
	return e.RemoteEngine.NewInstantQuery(ctx, opts, &remote.Text{Query: q.String()}, ts)
}

func (e textEngine) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	if start.UnixMilli()%1000 != 0 || end.UnixMilli()%1000 != 0 || interval%time.Second != 0 {
		return nil, fmt.Errorf("asked from %s to %s by %s, which are no whole seconds", start, end, interval)
	}
	return e.RemoteEngine.NewRangeQuery(ctx, opts, &remote.Text{Query: q.String()}, start, end, interval)
}

// intervals are those of the engines that hold one data set between them; nil is always.
func (c cut) intervals(rng *rand.Rand) []remote.Intervals {
	if !c.byTime {
		return []remote.Intervals{nil}
	}
	n := 1 + rng.Intn(4)
	span := max(1, c.to-c.from)
	points := []int64{}
	for range n - 1 {
		points = append(points, c.from+rng.Int63n(span))
	}
	slices.Sort(points)
	overlaps := []int64{0, 0, 1, 15_000, 60_000, 300_000, 600_000, 3_600_000}
	var out []remote.Intervals
	start := remote.Always.Start
	for i := range n {
		end := remote.Always.End
		if i < n-1 {
			end = points[i]
		}
		from := start
		if from != remote.Always.Start && !c.apart {
			from -= overlaps[rng.Intn(len(overlaps))]
		}
		out = append(out, remote.Intervals{{Start: from, End: end}})
		start = end + 1
	}
	choice := rng.Intn(4)
	if c.apart {
		choice = -1
	}
	switch choice {
	case 0: // an engine with a gap that it announces, which another one fills
		gap := remote.Interval{Start: c.from + rng.Int63n(span), End: c.from + span}
		gap.End = gap.Start + rng.Int63n(span)
		i := rng.Intn(len(out))
		filled := out[i].Without(out[i].Without(remote.Intervals{gap}))
		out[i] = out[i].Without(remote.Intervals{gap})
		if len(filled) > 0 {
			out = append(out, filled)
		}
	case 1: // all of it again
		out = append(out, remote.Intervals{remote.Always})
	}
	return out
}

// cutEngine is a distributed engine over the storage of each query, cut in one of several ways.
type cutEngine struct {
	opts   engine.Opts
	leaf   *engine.Engine
	cutFor func(query string, start, end int64) cut
}

func newCutEngine(o engine.Opts, cutFor func(string, int64, int64) cut) *cutEngine {
	leaf := o
	// What a part of a plan needs, the plan and the query's options say.
	leaf.EnableDelayedNameRemoval = false
	leaf.LookbackDelta = 3 * time.Minute
	leaf.NoStepSubqueryIntervalFn = func(int64) int64 { return 17_000 }
	leaf.BatchSteps, leaf.MemoryBudget, leaf.Limiter = 0, 0, nil
	return &cutEngine{o, engine.New(leaf), cutFor}
}

// prepare gives the engine and the storage for a query.
func (e *cutEngine) prepare(q storage.Queryable, query string, start, end time.Time) (*engine.Engine, storage.Queryable) {
	c := e.cutFor(query, start.UnixMilli(), end.UnixMilli())
	d := engine.NewDistributed(e.opts, remote.StaticEndpoints(c.engines(q, e.leaf)))
	if c.bare {
		return d, nil
	}
	return d, c.whole(q)
}

func (e *cutEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	d, whole := e.prepare(q, qs, ts, ts)
	return d.NewInstantQuery(ctx, whole, opts, qs, ts)
}

func (e *cutEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	d, whole := e.prepare(q, qs, start, end)
	return d.NewRangeQuery(ctx, whole, opts, qs, start, end, interval)
}

// wholeEngine is another engine over all data with the external label.
type wholeEngine struct {
	promql.QueryEngine
	cutFor func(query string, start, end int64) cut
}

func (e wholeEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	original, _ := difftest.InPlaceOf(ctx, qs)
	return e.QueryEngine.NewInstantQuery(ctx, e.cutFor(original, ts.UnixMilli(), ts.UnixMilli()).whole(q), opts, qs, ts)
}

func (e wholeEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	original, _ := difftest.InPlaceOf(ctx, qs)
	return e.QueryEngine.NewRangeQuery(ctx, e.cutFor(original, start.UnixMilli(), end.UnixMilli()).whole(q), opts, qs, start, end, interval)
}

// seedOf makes a query's cut the same each time it is run.
func seedOf(query string, start int64) int64 {
	h := fnv.New64a()
	fmt.Fprint(h, query, start)
	return int64(h.Sum64() >> 1)
}
