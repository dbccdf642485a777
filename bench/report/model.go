// Package report makes BENCHMARKS.md and its charts from results of the harness. Every number in them is computed from the
// results; where one is missing the report says so.
package report

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/stat"
	"github.com/stride-promql/stride/bench/suite"
)

// query is all that is known of one query.
type query struct {
	record.Cell // of any engine: what they have in common
	engines     map[string]*record.Cell
}

// model is the results, by query.
type model struct {
	run     record.Run
	queries []*query
}

// peers are the engines that Stride is compared with.
var peers = []string{run.Prometheus, run.Thanos}

func newModel(r *run.Results) *model {
	m := &model{run: r.Run}
	at := map[[2]string]*query{}
	for i := range r.Cells {
		c := &r.Cells[i]
		id := [2]string{c.Dataset, c.Query}
		q := at[id]
		if q == nil {
			q = &query{Cell: *c, engines: map[string]*record.Cell{}}
			at[id] = q
			m.queries = append(m.queries, q)
		}
		q.engines[c.Engine] = c
	}
	return m
}

// measure is something that was measured, of which less is better.
type measure struct {
	name   string
	values func(*record.Cell) []float64
}

func warm(value func(record.Sample) float64) func(*record.Cell) []float64 {
	return func(c *record.Cell) []float64 {
		var out []float64
		for _, s := range c.Warm {
			out = append(out, value(s))
		}
		return out
	}
}

var (
	wall = measure{"wall", warm(func(s record.Sample) float64 { return s.Wall.Seconds() })}
	cpu  = measure{"CPU", warm(func(s record.Sample) float64 { return s.CPU().Seconds() })}
	// memory is the growth of resident memory. Less than leastMemory cannot be told from noise.
	memory = measure{"peak memory", func(c *record.Cell) []float64 {
		var out []float64
		for _, s := range c.Memory {
			out = append(out, max(float64(s.PeakGrowth), leastMemory))
		}
		return out
	}}
)

const leastMemory = 1 << 20

// of is what an engine took for a query; false if there is no such number.
func (q *query) of(engine string, m measure) (stat.Estimate, bool) {
	c := q.engines[engine]
	if c == nil || c.Status != record.OK {
		return stat.Estimate{}, false
	}
	v := m.values(c)
	return stat.Of(v), len(v) > 0
}

// best is the least that a peer took whose answer is right.
func (q *query) best(m measure) (e stat.Estimate, engine string, ok bool) {
	for _, p := range peers {
		if x, found := q.of(p, m); found && (!ok || x.Median < e.Median) {
			e, engine, ok = x, p, true
		}
	}
	return e, engine, ok
}

// ratio is Stride's share of what the best peer took.
func (q *query) ratio(m measure) (stat.Estimate, bool) {
	ours, ok1 := q.of(run.Stride, m)
	theirs, _, ok2 := q.best(m)
	return stat.Ratio(ours, theirs), ok1 && ok2
}

// ratioTo is an engine's share of what another one took.
func (q *query) ratioTo(engine, other string, m measure) (stat.Estimate, bool) {
	a, ok1 := q.of(engine, m)
	b, ok2 := q.of(other, m)
	return stat.Ratio(a, b), ok1 && ok2
}

// tagged gives what stands behind a tag that begins like this.
func (q *query) tagged(prefix string) (string, bool) {
	for _, t := range q.Tags {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			return rest, true
		}
	}
	return "", false
}

func (q *query) has(tag string) bool { return slices.Contains(q.Tags, tag) }

// find is the query of a data set by its name.
func (m *model) find(dataset, name string) *query {
	for _, q := range m.queries {
		if q.Dataset == dataset && q.Query == name {
			return q
		}
	}
	return nil
}

// counted are the queries that targets are about: all but those on tiny data, which are for tests.
func (m *model) counted() []*query {
	var out []*query
	for _, q := range m.queries {
		if q.Dataset != suite.SmokeDataset {
			out = append(out, q)
		}
	}
	return out
}

// groups are the groups of queries in the suite's order, and then those that the suite does not have any more, with the queries
// that keep wants.
func (m *model) groups(keep func(*query) bool) (names []string, by map[string][]*query) {
	by = map[string][]*query{}
	for _, q := range m.queries {
		if keep(q) {
			by[q.Group] = append(by[q.Group], q)
		}
	}
	for _, g := range suite.Groups() {
		if len(by[g]) > 0 {
			names = append(names, g)
		}
	}
	for _, g := range slices.Sorted(maps.Keys(by)) {
		if !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	return names, by
}

func onDataset(name string) func(*query) bool {
	return func(q *query) bool { return q.Dataset == name }
}

// mean is the geometric mean of a ratio over queries, and of how many.
func mean(queries []*query, ratio func(*query) (stat.Estimate, bool)) (float64, int) {
	var all []float64
	for _, q := range queries {
		if r, ok := ratio(q); ok {
			all = append(all, r.Median)
		}
	}
	return stat.GeometricMean(all), len(all)
}

// meanOfGroups is the geometric mean of the groups' geometric means.
func (m *model) meanOfGroups(dataset string, ratio func(*query) (stat.Estimate, bool)) float64 {
	names, by := m.groups(onDataset(dataset))
	var means []float64
	for _, g := range names {
		if x, n := mean(by[g], ratio); n > 0 {
			means = append(means, x)
		}
	}
	return stat.GeometricMean(means)
}

// worst is the query with the largest ratio.
func worst(queries []*query, ratio func(*query) (stat.Estimate, bool)) (value float64, of *query) {
	value = math.NaN()
	for _, q := range queries {
		if r, ok := ratio(q); ok && !(r.Median <= value) {
			value, of = r.Median, q
		}
	}
	return value, of
}

// full is a query's name with its data set's.
func (q *query) full() string {
	if q == nil {
		return ""
	}
	return q.Dataset + "/" + q.Query
}

// least is the least that any execution took.
func (q *query) least(engine string, m measure) (float64, bool) {
	c := q.engines[engine]
	if c == nil || c.Status != record.OK {
		return 0, false
	}
	v := stat.Min(m.values(c))
	return v, !math.IsNaN(v)
}

// seconds as a duration that people can read.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
