package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/stat"
	"github.com/stride-promql/stride/bench/suite"
)

// target is one that the project has set itself.
type target struct {
	what  string
	limit float64
	least bool // the limit is a least one
	value float64
	floor float64 // what the floor would have, where the target is about wall time; else 0
	note  string
}

// met tells whether the target was reached; unknown if it was not measured.
func (t target) met() string {
	switch {
	case math.IsNaN(t.value):
		return "not measured"
	case t.least && t.value >= t.limit, !t.least && t.value <= t.limit:
		return "yes"
	}
	return "**no**"
}

const mainDataset = "medium"

// targets are all targets with what was measured.
func (m *model) targets() []target {
	all := m.counted()
	ratioOf := func(x measure) func(*query) (stat.Estimate, bool) {
		return func(q *query) (stat.Estimate, bool) { return q.ratio(x) }
	}
	tagged := func(tag string) []*query {
		var out []*query
		for _, q := range all {
			if q.has(tag) {
				out = append(out, q)
			}
		}
		return out
	}
	inGroup := func(g string) []*query {
		var out []*query
		for _, q := range all {
			if q.Group == g {
				out = append(out, q)
			}
		}
		return out
	}
	floorOf := func(q *query) (stat.Estimate, bool) {
		floor, ok1 := q.of(run.Floor, wall)
		theirs, _, ok2 := q.best(wall)
		return stat.Ratio(floor, theirs), ok1 && ok2
	}
	withFloor := func(t target, queries []*query) target {
		t.floor, _ = mean(queries, floorOf)
		return t
	}
	var out []target
	out = append(out,
		target{what: "wall, geometric mean of the groups' geometric means, medium data", limit: 0.20, value: m.meanOfGroups(mainDataset, ratioOf(wall)), floor: m.meanOfGroups(mainDataset, floorOf)},
		worstWithFloor(worstOf("wall, any single query", 0.60, all, ratioOf(wall)), all, floorOf),
		target{what: "CPU, geometric mean as above", limit: 0.35, value: m.meanOfGroups(mainDataset, ratioOf(cpu))},
		withFloor(meanAndWorst("wall, windows of 240 samples or more that slide or are indexed, geometric mean", 0.08, tagged(suite.LongWindow), ratioOf(wall)), tagged(suite.LongWindow)),
		m.windows(),
		meanAndWorst("multiple of the floor's wall, single-pass queries, geometric mean", 1.5, tagged(suite.SinglePass), func(q *query) (stat.Estimate, bool) {
			return q.ratioTo(run.Stride, run.Floor, wall)
		}),
		withFloor(meanAndWorst("wall, native histograms, geometric mean", 0.5, inGroup(suite.Native), ratioOf(wall)), inGroup(suite.Native)),
		withFloor(meanAndWorst("wall, instant queries, geometric mean", 0.6, tagged(suite.Instant), ratioOf(wall)), tagged(suite.Instant)),
		worstOf("peak resident memory over idle, any query", 1, all, ratioOf(memory)),
		m.growth("CPU when series double (least of the executions)", suite.DoubleSeries),
		m.growth("CPU when steps double", suite.DoubleSteps),
		m.speedup(),
	)
	for _, q := range all {
		if limit, ok := q.tagged(suite.Bar); ok {
			l, err := strconv.ParseFloat(limit, 64)
			if err != nil {
				continue
			}
			t := target{what: fmt.Sprintf("wall against Prometheus, `%s`", q.Expr), limit: l, value: math.NaN()}
			if r, ok := q.ratioTo(run.Stride, run.Prometheus, wall); ok {
				t.value = r.Median
			}
			if r, ok := q.ratioTo(run.Floor, run.Prometheus, wall); ok {
				t.floor = r.Median
			}
			out = append(out, t)
		}
	}
	return out
}

func worstOf(what string, limit float64, queries []*query, ratio func(*query) (stat.Estimate, bool)) target {
	v, q := worst(queries, ratio)
	over := 0
	for _, q := range queries {
		if r, ok := ratio(q); ok && r.Median > limit {
			over++
		}
	}
	note := "worst: " + q.full()
	if over > 1 {
		note += fmt.Sprintf("; %d of %d queries are over", over, len(queries))
	}
	return target{what: what, limit: limit, value: v, note: note}
}

// worstWithFloor adds what the floor has of the same query, and how many queries the floor itself misses the target on.
func worstWithFloor(t target, queries []*query, floor func(*query) (stat.Estimate, bool)) target {
	var over []*query
	for _, q := range queries {
		if r, ok := floor(q); ok && r.Median > t.limit {
			over = append(over, q)
		}
	}
	t.floor, _ = worst(queries, floor)
	if len(over) > 0 {
		t.note += fmt.Sprintf("; the floor is over on %d", len(over))
	}
	return t
}

func meanAndWorst(what string, limit float64, queries []*query, ratio func(*query) (stat.Estimate, bool)) target {
	v, n := mean(queries, ratio)
	w, q := worst(queries, ratio)
	t := target{what: what, limit: limit, value: v}
	if n > 0 {
		t.note = fmt.Sprintf("%d queries; worst %.2f: %s", n, w, q.full())
	}
	return t
}

// perSample is Stride's time for each sample decoded.
func (q *query) perSample() (float64, bool) {
	f := q.engines[run.Floor]
	w, ok := q.of(run.Stride, wall)
	if !ok || f == nil || f.Decoded == 0 {
		return 0, false
	}
	return w.Median / float64(f.Decoded), true
}

// families are the queries that differ in the length of their windows alone.
func (m *model) families() (names []string, by map[string][]*query) {
	by = map[string][]*query{}
	for _, q := range m.counted() {
		if f, ok := q.tagged(suite.WindowOf); ok {
			if by[f] == nil {
				names = append(names, f)
			}
			by[f] = append(by[f], q)
		}
	}
	return names, by
}

// windows is by how much the time for a sample depends on the length of windows.
func (m *model) windows() target {
	t := target{what: "time for a decoded sample, longest window against shortest, 5m to 6h (largest over smallest)", limit: 1.5, value: math.NaN()}
	names, by := m.families()
	for _, f := range names {
		var each []float64
		for _, q := range by[f] {
			if v, ok := q.perSample(); ok {
				each = append(each, v)
			}
		}
		if len(each) < 2 {
			continue
		}
		if spread := stat.Max(each) / stat.Min(each); !(spread <= t.value) {
			t.value, t.note = spread, "worst: "+f
		}
	}
	return t
}

// growth is how the cost grows when the work is doubled.
func (m *model) growth(what, tag string) target {
	t := target{what: what, limit: 2.3, value: math.NaN()}
	for _, q := range m.counted() {
		half, ok := q.tagged(tag)
		if !ok {
			continue
		}
		h := m.find(q.Dataset, half)
		if h == nil {
			continue
		}
		a, ok1 := q.least(run.Stride, cpu)
		b, ok2 := h.least(run.Stride, cpu)
		if ok1 && ok2 && !(a/b <= t.value) {
			t.value, t.note = a/b, "worst: "+q.full()
		}
	}
	return t
}

// leastForSpeedup leaves out queries that are over before a second core could help.
const leastForSpeedup = 5 * time.Millisecond

// speedup is how much of the speed-up that the floor reaches with all cores Stride reaches.
func (m *model) speedup() target {
	t := target{what: "speed-up with all cores, as a share of the floor's, geometric mean", limit: 0.9, least: true, value: math.NaN()}
	var all []float64
	for _, q := range m.counted() {
		if s, ok := q.speedup(); ok {
			all = append(all, s)
		}
	}
	if len(all) > 0 {
		t.value, t.note = stat.GeometricMean(all), fmt.Sprintf("%d queries of %s or more on one core", len(all), leastForSpeedup)
	}
	return t
}

func (q *query) speedup() (float64, bool) {
	ours, ok1 := q.ratioTo(run.Stride1, run.Stride, wall)
	floor, ok2 := q.ratioTo(run.Floor1, run.Floor, wall)
	one, ok3 := q.of(run.Stride1, wall)
	if !ok1 || !ok2 || !ok3 || one.Median < leastForSpeedup.Seconds() {
		return 0, false
	}
	return ours.Median / floor.Median, true
}

// headline are the means that the report begins with: of each measure, Stride's share of what each peer took on medium data.
func (m *model) headline() (rows [][]string) {
	for _, x := range []measure{wall, cpu, memory} {
		row := []string{x.name}
		row = append(row, ratioText(m.meanOfGroups(mainDataset, func(q *query) (stat.Estimate, bool) { return q.ratio(x) })))
		for _, p := range peers {
			row = append(row, ratioText(m.meanOfGroups(mainDataset, func(q *query) (stat.Estimate, bool) { return q.ratioTo(run.Stride, p, x) })))
		}
		rows = append(rows, row)
	}
	return rows
}

func ratioText(v float64) string {
	if math.IsNaN(v) {
		return "not measured"
	}
	return fmt.Sprintf("%.3fx", v)
}

// reason is why a cell has no numbers, in one line.
func reason(c *record.Cell) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(c.Reason, "|", "\\|")), " ")
}
