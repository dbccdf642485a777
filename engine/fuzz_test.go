package engine_test

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/difftest/smith"
	"github.com/stride-promql/stride/logicalplan"
)

var (
	differentialQueries = flag.Int("queries", 3000, "how many generated queries TestDifferential compares with Prometheus")
	differentialSeed    = flag.Uint64("seed", 1, "the seed of TestDifferential's queries and data")
	differentialFirst   = flag.Int("first", 0, "the number of TestDifferential's first query, to run a reported one again")
	differentialMax     = flag.Int("mismatches", 10, "after how many differences TestDifferential ends")
)

// fuzzShapes are the ways to run a query among which a generated one is run in one: they must not make a difference,
// and odd ones are where mistakes would hide.
var fuzzShapes = []func(*engine.Opts){
	func(o *engine.Opts) { o.Workers = 1 },
	func(o *engine.Opts) { o.Workers = 2 },
	func(o *engine.Opts) { o.Workers, o.BatchSeries = 4, 1 },
	func(o *engine.Opts) { o.Workers, o.BatchSeries = 3, 2 },
	func(o *engine.Opts) {
		// Without this pass histograms count with their buckets.
		o.Workers, o.Optimizers = 2, []logicalplan.Optimizer{logicalplan.HistogramStats{}}
	},
	func(o *engine.Opts) { o.Workers, o.BatchSeries, o.DisableChunkAccess = 2, 4, true },
	func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 2, 3, 2 },
	func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 4, 1, 1 },
	func(o *engine.Opts) { o.Workers, o.BatchSteps = 2, 7 },
}

// wholeGrids is the number of shapes at the front that do not cut the grid.
const wholeGrids = 6

// shaped runs every query in one of several shapes, the same one each time.
type shaped []*engine.Engine

func candidate(o promql.EngineOpts) promql.QueryEngine {
	var s shaped
	for _, set := range fuzzShapes {
		opts := engine.Opts{EngineOpts: o, PoisonBatches: true}
		set(&opts)
		s = append(s, engine.New(opts))
	}
	return s
}

func (s shaped) pick(query string, start time.Time) *engine.Engine { return s[shapeOf(query, start)] }

// shapeOf is the number of the shape that a query is run in.
func shapeOf(query string, start time.Time) int {
	h := fnv.New64a()
	fmt.Fprint(h, query, start.UnixMilli())
	if strings.Contains(query, "info(") {
		// With the grid cut, info() looks up info series only where the range has series to enrich, so that
		// it reads less.
		return int(h.Sum64() % wholeGrids)
	}
	return int(h.Sum64() % uint64(len(fuzzShapes)))
}

func (s shaped) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return s.pick(qs, ts).NewInstantQuery(ctx, q, opts, qs, ts)
}

func (s shaped) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return s.pick(qs, start).NewRangeQuery(ctx, q, opts, qs, start, end, interval)
}

// cutGrids explains what differs where BatchSteps cuts the grid: a range cannot know what comes after it.
func cutGrids() difftest.Explanation {
	counts := regexp.MustCompile(` \(\d+ occurrences\)`)
	masked := func(texts []string) []string {
		var out []string
		for _, t := range texts {
			out = append(out, counts.ReplaceAllString(t, ""))
		}
		slices.Sort(out)
		return out
	}
	picks := func(n parser.Node) bool {
		a, ok := n.(*parser.AggregateExpr)
		return ok && (a.Op == parser.TOPK || a.Op == parser.BOTTOMK || a.Op == parser.LIMITK)
	}
	return difftest.Explanation{
		Reason: "BatchSteps cuts the grid: steps of inner parts count twice in annotations, an error ends the query before later ranges annotate, " +
			"and groups come in the order in which ranges first see them, by which topk and limitk choose among equals",
		Matches: func(m *difftest.Mismatch) bool {
			if shapeOf(m.Case.Query, timestamp.Time(m.Case.Times.Start)) < wholeGrids {
				return false
			}
			switch m.Diff.Part {
			case difftest.PartAnnotations:
				want := m.Runs[0]
				return m.Got.Err != nil || slices.Equal(masked(want.Warnings), masked(m.Got.Warnings)) && slices.Equal(masked(want.Infos), masked(m.Got.Infos))
			case difftest.PartValue:
				found := false
				parser.Inspect(m.Expr, func(n parser.Node, _ []parser.Node) error {
					found = found || n != nil && picks(n)
					return nil
				})
				return found
			}
			return false
		},
	}
}

// TestDifferential compares generated queries with Prometheus: values, labels, order, annotations, error texts and
// sample statistics.
func TestDifferential(t *testing.T) {
	queries := *differentialQueries
	if testing.Short() {
		queries = min(queries, 500)
	}
	report := difftest.Run(t, difftest.Config{
		Seed:          *differentialSeed,
		First:         *differentialFirst,
		Queries:       queries,
		Candidate:     candidate,
		Generators:    []difftest.Generator{difftest.Grammar(3), difftest.Grammar(4), smith.Generator(3)},
		Stats:         true,
		SelfChecks:    16,
		Explained:     append(difftest.Explanations(), cutGrids()),
		MaxMismatches: *differentialMax,
	})
	t.Log(report)
}

// FuzzQuery lets the fuzzer's bytes choose data, options, times and query.
func FuzzQuery(f *testing.F) {
	difftest.FuzzQuery(f, candidate)
}
