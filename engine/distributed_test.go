package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/difftest/smith"
	"github.com/stride-promql/stride/operators"
)

// around are cut points near the times of a query: windows reach back from its start.
func around(c cut, start, end int64) cut {
	c.from, c.to = start-2*3_600_000, end+60_000
	return c
}

func cutByTime(query string, start, end int64) cut {
	return around(cut{seed: seedOf(query, start), byTime: true}, start, end)
}

func cutByLabel(query string, start, end int64) cut {
	seed := seedOf(query, start)
	return around(cut{seed: seed, label: "shard", parts: 1 + int(seed%4)}, start, end)
}

func cutByBoth(query string, start, end int64) cut {
	c := cutByLabel(query, start, end)
	c.byTime = true
	return c
}

// inRegions has a second external label, of one kind or another.
func inRegions(of func(string, int64, int64) cut) func(string, int64, int64) cut {
	return func(query string, start, end int64) cut {
		c := of(query, start, end)
		c.regions = regions(c.seed / 4 % int64(kindsOfRegions))
		return c
	}
}

// sometimesBare has a root that has to read from its engines in half of the cases.
func sometimesBare(of func(string, int64, int64) cut) func(string, int64, int64) cut {
	return func(query string, start, end int64) cut {
		c := of(query, start, end)
		c.bare = c.seed/16%2 == 0
		return c
	}
}

var cuts = []struct {
	name string
	of   func(query string, start, end int64) cut
}{
	{"time", sometimesBare(cutByTime)},
	{"label", sometimesBare(inRegions(cutByLabel))},
	{"both", sometimesBare(inRegions(cutByBoth))},
	{"text", func(query string, start, end int64) cut {
		c := inRegions(cutByBoth)(query, start, end)
		c.text = true
		return c
	}},
}

// Prometheus' test suite holds when its data is spread over engines by time.
func TestBuiltinSuiteCutByTime(t *testing.T) {
	o := suiteOpts()
	o.Workers = 2
	t.Run("apart", func(t *testing.T) {
		apart := func(query string, start, end int64) cut {
			c := cutByTime(query, start, end)
			c.apart = true
			return c
		}
		runSuiteOn(t, newCutEngine(o, apart), omission{}, nil)
	})
	t.Run("overlapping", func(t *testing.T) {
		runSuiteOn(t, newCutEngine(o, cutByTime), omission{
			file:    "testdata/start_timestamps.test",
			queries: 237,
			reason:  "engines that overlap both count how often an annotation occurred",
		}, nil)
	})
}

var annotationCounts = regexp.MustCompile(`( \(\d+ occurrences\)|, over \d+ samples from| \(\d+:\d+\)$)`)

// masked are annotations without places and counts.
func masked(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, annotationCounts.ReplaceAllString(t, ""))
	}
	slices.Sort(out)
	return out
}

// distributedExplanations are what differs by nature.
func distributedExplanations() []difftest.Explanation {
	return append(apartExplanations(), difftest.Explanation{
		Reason: "an engine that is asked for steps at which it does not count for some of its data annotates these, too",
		Most:   5,
		Matches: func(m *difftest.Mismatch) bool {
			want := m.Runs[0]
			return m.Diff.Part == difftest.PartAnnotations && within(masked(want.Warnings), masked(m.Got.Warnings)) && within(masked(want.Infos), masked(m.Got.Infos))
		},
	})
}

// apartExplanations are what differs where no data is held twice.
func apartExplanations() []difftest.Explanation {
	aggregates := func(ops ...parser.ItemType) func(parser.Expr) bool {
		return func(expr parser.Expr) bool {
			found := false
			parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
				if a, ok := n.(*parser.AggregateExpr); ok && slices.Contains(ops, a.Op) {
					found = true
				}
				return nil
			})
			return found
		}
	}
	incompatible := func(texts []string) []string {
		return slices.DeleteFunc(masked(texts), func(t string) bool {
			return strings.Contains(t, "incompatible") || strings.Contains(t, "mismatched custom buckets") || strings.Contains(t, "conflicting counter resets")
		})
	}
	return []difftest.Explanation{
		{
			Reason: "limitk takes the first series that it meets",
			Most:   2,
			Matches: func(m *difftest.Mismatch) bool {
				if m.Diff.Part != difftest.PartValue || !aggregates(parser.LIMITK)(m.Expr) || !m.ByOrder() {
					return false
				}
				a, ok := outermost(m.Expr).(*parser.AggregateExpr)
				return !ok || a.Op != parser.LIMITK || slices.Equal(timesOf(m.Runs[0].Value), timesOf(m.Got.Value))
			},
		},
		{
			Reason: "topk and bottomk of a part of the series choose otherwise among equals",
			Most:   3,
			Matches: func(m *difftest.Mismatch) bool {
				if m.Diff.Part != difftest.PartValue || !aggregates(parser.TOPK, parser.BOTTOMK)(m.Expr) || !m.ByOrder() {
					return false
				}
				a, ok := outermost(m.Expr).(*parser.AggregateExpr)
				return !ok || a.Op != parser.TOPK && a.Op != parser.BOTTOMK || slices.Equal(valuesOf(m.Runs[0].Value), valuesOf(m.Got.Value))
			},
		},
		{
			Reason: "the first histogram that an engine holds does not say whether its counter was reset",
			Most:   10,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartValue && m.SameButHints()
			},
		},
		{
			Reason: "groups of topk and bottomk come in the order of what was picked",
			Most:   5,
			Matches: func(m *difftest.Mismatch) bool {
				want, ok1 := m.Runs[0].Value.(promql.Vector)
				got, ok2 := m.Got.Value.(promql.Vector)
				if m.Diff.Part != difftest.PartValue || !ok1 || !ok2 || !aggregates(parser.TOPK, parser.BOTTOMK)(m.Expr) || len(want) != len(got) {
					return false
				}
				inOrder := func(v promql.Vector) promql.Vector {
					v = slices.Clone(v)
					slices.SortFunc(v, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
					return v
				}
				want, got = inOrder(want), inOrder(got)
				for i := range want {
					if !labels.Equal(want[i].Metric, got[i].Metric) || want[i].F != got[i].F && !(math.IsNaN(want[i].F) && math.IsNaN(got[i].F)) {
						return false
					}
				}
				return true
			},
		},
		{
			Reason: "engines that overlap both count how often an annotation occurred, and of equal ones each names the last place that it knows of",
			Most:   10,
			Matches: func(m *difftest.Mismatch) bool {
				want := m.Runs[0]
				return m.Diff.Part == difftest.PartAnnotations && slices.Equal(masked(want.Warnings), masked(m.Got.Warnings)) && slices.Equal(masked(want.Infos), masked(m.Got.Infos))
			},
		},
		{
			Reason: "of several operands of a step that do not go together, Prometheus names the last: here there is a last one of each partition",
			Most:   8,
			Matches: func(m *difftest.Mismatch) bool {
				want := m.Runs[0]
				return m.Diff.Part == difftest.PartAnnotations && slices.Equal(incompatible(want.Warnings), incompatible(m.Got.Warnings)) && slices.Equal(incompatible(want.Infos), incompatible(m.Got.Infos))
			},
		},
		{
			Reason: "of what does not go together in a group, that is named which is met first",
			Most:   2,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartAnnotations && m.Got.Err == nil && m.AnnotatesByOrder(func(want *difftest.Outcome) bool {
					return slices.Equal(masked(want.Warnings), masked(m.Got.Warnings)) && slices.Equal(masked(want.Infos), masked(m.Got.Infos))
				})
			},
		},
		{
			Reason: "Prometheus looks for duplicates on the one side of an operation if there is anything at all on the other: here, in the same partition",
			Most:   5,
			Matches: func(m *difftest.Mismatch) bool {
				want := m.Runs[0].Err
				return m.Diff.Part == difftest.PartError && m.Got.Err == nil && want != nil && strings.HasPrefix(want.Error(), "found duplicate series for the match group")
			},
		},
		{
			// A zero bucket becomes as wide as the populated bucket of another histogram that it cuts into.
			Reason: "histograms with zero buckets of different widths add up to other buckets in another order",
			Most:   4,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartValue && aggregates(parser.SUM, parser.AVG)(m.Expr) && m.SameTimes() && m.ByOrder()
			},
		},
		{
			Reason: "sums are added up in another order, which shows in the last digits, and some operations make much of these",
			Most:   4,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartValue && m.ByRounding()
			},
		},
	}
}

// outermost is an expression without parentheses around it.
func outermost(expr parser.Expr) parser.Expr {
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			return expr
		}
		expr = p.Expr
	}
}

// textExplanations are what differs besides where engines evaluate text.
func textExplanations() []difftest.Explanation {
	return []difftest.Explanation{
		{
			Reason: "errors of an engine that evaluates text name the engine: they may be its own",
			Most:   10,
			Matches: func(m *difftest.Mismatch) bool {
				want, got := m.Runs[0].Err, m.Got.Err
				return m.Diff.Part == difftest.PartError && want != nil && got != nil && strings.HasPrefix(got.Error(), "remote engine engine-") && strings.HasSuffix(got.Error(), ": "+want.Error())
			},
		},
		{
			Reason: "of annotations of an engine that evaluates text the text arrives, without places, metric names and numbers",
			Most:   350,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartAnnotations && slices.ContainsFunc(m.Runs, func(want *difftest.Outcome) bool {
					return slices.Equal(kinds(want.Warnings), kinds(m.Got.Warnings)) && slices.Equal(kinds(want.Infos), kinds(m.Got.Infos))
				})
			},
		},
		{
			Reason: "an engine that evaluates text drops names and metadata labels at once, by which series can become one",
			Most:   5,
			Matches: func(m *difftest.Mismatch) bool {
				return m.Diff.Part == difftest.PartError && m.Runs[0].Err == nil && m.Got.Err != nil && strings.HasSuffix(m.Got.Err.Error(), "same labelset")
			},
		},
	}
}

// kinds are annotations without what follows their kind.
func kinds(texts []string) []string {
	var out []string
	for _, t := range texts {
		for _, end := range []string{" for metric", " (", ", over", " for aggregation", `: "`} {
			t, _, _ = strings.Cut(t, end)
		}
		out = append(out, t)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within tells whether all of some texts are among others.
func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(t string) bool { return !slices.Contains(all, t) })
}

// valuesOf are the times and values of all samples, in order.
func valuesOf(v parser.Value) []string {
	var out []string
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, fmt.Sprint(s.F, s.H))
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				out = append(out, fmt.Sprint(p.T, p.F))
			}
			for _, p := range s.Histograms {
				out = append(out, fmt.Sprint(p.T, p.H))
			}
		}
	}
	slices.Sort(out)
	return out
}

// timesOf are the times of all samples, in order.
func timesOf(v parser.Value) []int64 {
	var out []int64
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, s.T)
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				out = append(out, p.T)
			}
			for _, p := range s.Histograms {
				out = append(out, p.T)
			}
		}
	}
	slices.Sort(out)
	return out
}

// spreadData are generated data sets; generators know of the labels that cuts add to them.
func spreadData(seed uint64) []*difftest.Dataset {
	sets := difftest.Datasets(seed)
	for _, d := range sets {
		d.Announce("shard", "0", "1", "2", "3")
		d.Announce("region", "0", "1")
	}
	return sets
}

// TestDistributedDifferential compares generated queries over spread data with Prometheus over all of it.
func TestDistributedDifferential(t *testing.T) {
	queries := *differentialQueries
	if testing.Short() {
		queries = min(queries, 500)
	}
	for _, c := range cuts {
		t.Run(c.name, func(t *testing.T) {
			explained := append(difftest.Explanations(), distributedExplanations()...)
			if c.name == "label" {
				explained = append(difftest.Explanations(), apartExplanations()...)
			}
			if c.name == "text" {
				explained = append(textExplanations(), explained...)
			}
			report := difftest.Run(t, difftest.Config{
				Seed:    *differentialSeed,
				First:   *differentialFirst,
				Queries: queries,
				Candidate: func(o promql.EngineOpts) promql.QueryEngine {
					return newCutEngine(engine.Opts{EngineOpts: o, Workers: 2, PoisonBatches: true}, c.of)
				},
				Reference: func(o promql.EngineOpts) promql.QueryEngine {
					return wholeEngine{difftest.Prometheus(o), c.of}
				},
				Datasets:      spreadData(*differentialSeed),
				Generators:    []difftest.Generator{difftest.Grammar(3), difftest.Grammar(4), smith.Generator(3)},
				Inexact:       true,
				Explained:     explained,
				MaxMismatches: *differentialMax,
			})
			t.Log(report)
		})
	}
}

// shortEngine evaluates each query in ranges of steps: cut by BatchSteps, or because of a budget, or a limit for all queries, that is the
// smallest with which the query succeeds, or nearly. Every fourth counts what queries cost.
type shortEngine struct {
	*cutEngine
	opts engine.Opts
}

func (e shortEngine) query(seed int64, make func(*cutEngine) (promql.Query, error)) (promql.Query, error) {
	o := e.opts
	with := func() (promql.Query, error) { return make(&cutEngine{o, e.leaf, e.cutFor}) }
	switch seed / 64 % 4 {
	case 0:
		o.BatchSteps = 1 + int(seed/256%7)
		return with()
	case 1:
		o.EnableQueryCost = true
		return with()
	}
	limited := func(bytes int64) (promql.Query, error) {
		if o.MemoryBudget = bytes; seed/64%4 == 3 {
			o.MemoryBudget, o.Limiter = 0, engine.NewLimiter(bytes)
		}
		return with()
	}
	q, err := limited(1 << 40)
	return &shortQuery{q, limited}, err
}

// shortQuery is a query with ever more memory.
type shortQuery struct {
	promql.Query
	limited func(bytes int64) (promql.Query, error)
}

func (q *shortQuery) Exec(ctx context.Context) *promql.Result {
	for bytes := int64(8 << 10); ; bytes *= 2 {
		q.Query.Close()
		var err error
		if q.Query, err = q.limited(bytes); err != nil {
			return &promql.Result{Err: err}
		}
		if res := q.Query.Exec(ctx); !errors.Is(res.Err, operators.ErrShortOfMemory) || bytes > 1<<40 {
			return res
		}
	}
}

func (e shortEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return e.query(seedOf(qs, ts.UnixMilli()), func(c *cutEngine) (promql.Query, error) { return c.NewInstantQuery(ctx, q, opts, qs, ts) })
}

func (e shortEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return e.query(seedOf(qs, start.UnixMilli()), func(c *cutEngine) (promql.Query, error) {
		return c.NewRangeQuery(ctx, q, opts, qs, start, end, interval)
	})
}

// TestDistributedDifferentialShortOfMemory compares generated queries over spread data that are evaluated in ranges of steps.
func TestDistributedDifferentialShortOfMemory(t *testing.T) {
	queries := *differentialQueries
	if testing.Short() {
		queries = min(queries, 500)
	}
	of := sometimesBare(inRegions(cutByBoth))
	failing := difftest.Explanation{
		Reason:  "an error ends the query before later ranges annotate",
		Most:    10,
		Matches: func(m *difftest.Mismatch) bool { return m.Diff.Part == difftest.PartAnnotations && m.Got.Err != nil },
	}
	report := difftest.Run(t, difftest.Config{
		Seed:    *differentialSeed,
		First:   *differentialFirst,
		Queries: queries,
		Candidate: func(o promql.EngineOpts) promql.QueryEngine {
			opts := engine.Opts{EngineOpts: o, Workers: 2, PoisonBatches: true}
			return shortEngine{newCutEngine(opts, of), opts}
		},
		Reference:     func(o promql.EngineOpts) promql.QueryEngine { return wholeEngine{difftest.Prometheus(o), of} },
		Datasets:      spreadData(*differentialSeed),
		Generators:    []difftest.Generator{difftest.Grammar(3), difftest.Grammar(4), smith.Generator(3)},
		Inexact:       true,
		Explained:     append(difftest.Explanations(), append(distributedExplanations(), failing)...),
		MaxMismatches: *differentialMax,
	})
	t.Log(report)
}

// Prometheus' test suite as a corpus: every query of it, on its data with an external label added and spread over engines by that
// label, gives what Prometheus gives on the same labelled data.
func TestBuiltinSuiteCutByLabel(t *testing.T) {
	o := suiteOpts()
	o.Workers = 2
	plain := engine.New(o)
	o.MaxSamples = 1 << 40 // what engines send is held, too
	c := &comparingEngine{
		QueryEngine: plain, t: t,
		candidate: newCutEngine(o, cutByBoth),
		reference: wholeEngine{prometheusEngine(t, o), cutByBoth},
		explained: map[string]int{},
	}
	t.Run("both", func(t *testing.T) { runSuiteOn(t, c, omission{}, nil) })
	t.Logf("%d of %d answers have samples; differences explained: %v", c.answered, c.compared, c.explained)
	require.Greater(t, c.answered, c.compared/3)
}

// comparingEngine answers the suite, and compares two other engines on each of its queries.
type comparingEngine struct {
	promql.QueryEngine
	t                    *testing.T
	candidate, reference promql.QueryEngine
	compared, answered   int
	explained            map[string]int
}

func (e *comparingEngine) compare(q storage.Queryable, query string, at difftest.Times) {
	expr, err := difftest.Parser().ParseExpr(query)
	if err != nil {
		return
	}
	c := difftest.Case{Query: query, Times: at, Dataset: &difftest.Dataset{Name: "suite"}}
	want, got := c.Run(e.t.Context(), e.reference, q), c.Run(e.t.Context(), e.candidate, q)
	defer want.Close()
	defer got.Close()
	e.compared++
	if !want.Empty() {
		e.answered++
	}
	cmp := difftest.NewComparer(expr, at, 1e-11, false)
	cmp.Tolerance = 1e-11
	diff := cmp.Compare(want, got)
	if diff == nil {
		return
	}
	m := &difftest.Mismatch{Case: c, Expr: expr, Runs: []*difftest.Outcome{want}, Got: got, Diff: diff, Comparer: cmp}
	m.Rerun = difftest.Rerunning(e.t.Context(), c, func(ctx context.Context, c difftest.Case) *difftest.Outcome { return c.Run(ctx, e.reference, q) })
	cancels := difftest.Explanation{
		Reason:  "1e100 and -1e100 in one part leave nothing of what is added to them, though the sum of all is compensated for it",
		Matches: func(*difftest.Mismatch) bool { return strings.Contains(query, `data{test="ten"}`) },
	}
	for _, x := range append(difftest.Explanations(), append(distributedExplanations(), cancels)...) {
		if x.Matches(m) {
			e.explained[x.Reason]++
			return
		}
	}
	e.t.Errorf("%s, %s: %s", query, at, diff)
}

func (e *comparingEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	e.compare(q, qs, difftest.Times{Instant: true, Start: ts.UnixMilli(), End: ts.UnixMilli()})
	return e.QueryEngine.NewInstantQuery(ctx, q, opts, qs, ts)
}

func (e *comparingEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	e.compare(q, qs, difftest.Times{Start: start.UnixMilli(), End: end.UnixMilli(), Step: interval.Milliseconds()})
	return e.QueryEngine.NewRangeQuery(ctx, q, opts, qs, start, end, interval)
}
