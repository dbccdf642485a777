package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
)

var errPanic = errors.New("an error")

// panics are the ways to panic and the text of the error that each becomes.
var panics = map[string]struct {
	panic func()
	text  string
}{
	"runtime error": {func() {
		var m map[string]int
		//lint:ignore SA5000 the panic is what the test is about
		m["a"]++
	}, "unexpected error: assignment to entry in nil map"},
	"index": {func() {
		var s []int
		_ = s[len(s)]
	}, "unexpected error: runtime error: index out of range [0] with length 0"},
	"error": {func() { panic(errPanic) }, "an error"},
	"text":  {func() { panic("plain text") }, "plain text"},
	"value": {func() { panic(42) }, "42"},
}

// TestPanickingStorage: wherever a storage panics, on whichever worker, the query fails with Prometheus' error, and the engine goes on.
func TestPanickingStorage(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for name, p := range panics {
		t.Run(name, func(t *testing.T) {
			for where, h := range map[string]func() *hooks{
				"Select": func() *hooks {
					return &hooks{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error {
						p.panic()
						return nil
					}}
				},
				"Next": func() *hooks {
					return &hooks{next: func(_, n int) error {
						if n == 1 {
							p.panic()
						}
						return nil
					}}
				},
				"Iterator": func() *hooks {
					return &hooks{iterator: func(l labels.Labels) {
						if l.Get("a") == "2" {
							p.panic()
						}
					}}
				},
				"Iterator.Next": func() *hooks {
					return &hooks{sample: func(l labels.Labels, n int) error {
						if l.Get("a") >= "2" {
							p.panic()
						}
						return nil
					}}
				},
				"Iterator.At": func() *hooks { return &hooks{at: func(labels.Labels) { p.panic() }} },
			} {
				for _, query := range []string{`three`, `sum(rate(three[1m]))`, `three + three offset 1m`, `max_over_time(three[1m:10s])`} {
					for _, workers := range []int{1, 2, 4} {
						for kind, s := range hooked(st, h) {
							log := &bytes.Buffer{}
							o := baseOpts()
							o.Workers, o.BatchSeries = workers, 1
							o.Logger = slog.New(slog.NewTextHandler(log, nil))
							e := engine.New(o)
							for _, tm := range []times{at(300), {200, 500, 10}} {
								log.Reset()
								res, _ := execute(t, e, s, nil, query, tm)
								require.EqualError(t, res.Err, p.text, "%s %s %s", where, kind, query)
								require.Nil(t, res.Value)
								if name == "error" {
									require.ErrorIs(t, res.Err, errPanic)
								}
								if strings.HasPrefix(p.text, "unexpected error") {
									require.Contains(t, log.String(), "runtime panic during query evaluation")
									require.Contains(t, log.String(), "stacktrace=")
									require.Contains(t, log.String(), "panic_test.go")
								}
							}
							require.Len(t, answer(t, e, st, `three`, at(300)), 3)
						}
					}
				}
			}
		})
	}
}

// TestPanickingQuerier: what panics before there is anything to close.
func TestPanickingQuerier(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, p := range panics {
		for kind, s := range hooked(st, func() *hooks {
			return &hooks{querier: func(int64, int64) error {
				p.panic()
				return nil
			}}
		}) {
			res, _ := execute(t, engine.New(baseOpts()), s, nil, `three`, at(300))
			require.EqualError(t, res.Err, p.text, kind)
		}
	}
}

// TestErrorsDoNotDependOnWorkers: of several errors, the one of the first series is reported, at any number of workers; the same as
// Prometheus reports.
func TestErrorsDoNotDependOnWorkers(t *testing.T) {
	st := promqltest.LoadedStorage(t, orderLoad)
	failing := func() *hooks {
		return &hooks{sample: func(l labels.Labels, n int) error {
			if i := l.Get("i"); i == "1" || i == "2" || i == "0" {
				return fmt.Errorf("series %s is broken", i)
			}
			return nil
		}}
	}
	for _, query := range []string{`m`, `sum by (g) (m)`, `rate(m[1m])`, `m + on(i) n`, `topk(1, m)`, `m[1m]`, `max_over_time(m[1m:10s])`} {
		for _, tm := range []times{at(60), {20, 100, 20}} {
			if _, err := newQuery(context.Background(), engine.New(baseOpts()), st, nil, query, tm); err != nil {
				continue
			}
			want, _ := execute(t, prometheusEngine(t, baseOpts()), hookedSamples{st, failing()}, nil, query, tm)
			require.ErrorContains(t, want.Err, "is broken")
			for _, workers := range []int{1, 2, 4} {
				for range 3 {
					o := baseOpts()
					o.Workers, o.BatchSeries = workers, 1
					for kind, s := range hooked(st, failing) {
						got, _ := execute(t, engine.New(o), s, nil, query, tm)
						require.Equal(t, want.Err, got.Err, "%s %s %d", kind, query, workers)
					}
				}
			}
		}
	}
}

// TestEvaluationErrorsEqualPrometheus: errors of the data, in all shapes.
func TestEvaluationErrorsEqualPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, orderLoad)
	for _, query := range []string{
		`m + on(g) n`, `m + on(g) m`, `m * on(g) group_left m`, `m + on(g) group_right m`, `sum by (g) (m) + on(g) m`, `m + on() sum by (g) (m)`, `topk(NaN, m)`, `topk(1e30, m)`, `limitk(NaN, m)`, `limit_ratio(NaN, m)`,
		`quantile_over_time(scalar(m), m[1m])`, `label_replace(m, "a", "b", "c", "(")`, `label_replace(m, "\xff", "b", "c", "d")`, `label_join(m, "\xff", "b", "c")`, `label_replace({i="1"}, "i", "x", "", "") * 1`,
		`count_values("\xff", m)`, `label_replace(m, "i", "x", "", "")`, `rate({i=~".+"}[1m])`, `-{i=~".+"}`, `{i=~".+"} * 2`, `label_replace(m, "i", "x", "", "") + m`, `histogram_quantiles(h, "q")`,
		`double_exponential_smoothing(m[1m], 2, 0.5)`, `max_over_time((m + on(g) m)[1m:10s])`, `(m + on(g) m) or (n + on(i) group_left n)`, `bottomk(-1e30, m)`, `sort_by_label(m, "\xff")`,
	} {
		for _, delayed := range []bool{false, true} {
			for _, tm := range []times{at(60), {20, 100, 20}} {
				o := baseOpts()
				o.EnableDelayedNameRemoval = delayed
				oracle := prometheusEngine(t, o)
				if _, err := newQuery(context.Background(), oracle, st, nil, query, tm); err != nil {
					_, got := newQuery(context.Background(), engine.New(o), st, nil, query, tm)
					require.EqualError(t, got, err.Error(), query)
					continue
				}
				want, _ := execute(t, oracle, st, nil, query, tm)
				for _, s := range shapes {
					got, _ := execute(t, engine.New(s.applied(o)), st, nil, query, tm)
					sameResult(t, want, got, query, fmt.Sprint(query, " ", tm, " ", s.name))
				}
			}
		}
	}
}

// TestCorruptChunks: a chunk that cannot be decoded fails the query.
func TestCorruptChunks(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for name, corrupt := range map[string]func(m chunks.Meta) chunks.Meta{
		"cut": func(m chunks.Meta) chunks.Meta {
			b := m.Chunk.Bytes()
			c, err := chunkenc.FromData(m.Chunk.Encoding(), append([]byte(nil), b[:len(b)/2]...))
			require.NoError(t, err)
			m.Chunk = c
			return m
		},
		"more samples than there are": func(m chunks.Meta) chunks.Meta {
			b := append([]byte(nil), m.Chunk.Bytes()...)
			b[0], b[1] = 0x7f, 0xff
			c, err := chunkenc.FromData(m.Chunk.Encoding(), b)
			require.NoError(t, err)
			m.Chunk = c
			return m
		},
	} {
		for _, query := range []string{`one`, `sum(rate(one[5m]))`, `hist`, `histogram_count(hist)`, `rate(hist[5m])`} {
			for _, workers := range []int{1, 4} {
				o := baseOpts()
				o.Workers = workers
				h := &hooks{chunk: func(_ labels.Labels, m chunks.Meta) chunks.Meta { return corrupt(m) }}
				res, _ := execute(t, engine.New(o), hookedChunks{hookedSamples{st, h}, st}, nil, query, at(1100))
				require.Error(t, res.Err, "%s %s", name, query)
				require.Nil(t, res.Value)
				require.Equal(t, int64(1), h.closed.Load())
			}
		}
	}
}

// TestPanickingOptimizer: a pass that panics, or gives no plan, fails the query where it is made.
func TestPanickingOptimizer(t *testing.T) {
	for name, p := range panics {
		o := baseOpts()
		o.ActiveQueryTracker = &tracker{}
		o.Optimizers = append(logicalplan.DefaultOptimizers(), optimizer(func(*logicalplan.Plan) *logicalplan.Plan {
			p.panic()
			return nil
		}))
		e := engine.New(o)
		qry, err := newQuery(context.Background(), e, nil, nil, `one`, at(300))
		require.EqualError(t, err, p.text, name)
		require.Nil(t, qry)
		require.Equal(t, []string{"insert 0 one", "delete 0"}, o.ActiveQueryTracker.(*tracker).calls)
	}
	o := baseOpts()
	o.Optimizers = []logicalplan.Optimizer{optimizer(func(*logicalplan.Plan) *logicalplan.Plan { return nil })}
	_, err := newQuery(context.Background(), engine.New(o), nil, nil, `one`, at(300))
	require.ErrorContains(t, err, "optimizer test gave no plan")
}

// TestPanickingBuilder: a builder that panics fails the query.
func TestPanickingBuilder(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for name, p := range panics {
		o := doublingOpts(builder(func(logicalplan.Extension, []*operators.Schema) (operators.Operator, error) {
			p.panic()
			return nil, nil
		}))
		for kind, s := range hooked(st, func() *hooks { return &hooks{} }) {
			res, _ := execute(t, engine.New(o), s, nil, `one`, at(300))
			require.EqualError(t, res.Err, p.text, "%s %s", name, kind)
			require.Equal(t, s.of().queriers.Load(), s.of().closed.Load())
		}
	}
}

// TestDeepAndLargeExpressions: expressions beyond the limits are refused with an error, whatever they are made of.
func TestDeepAndLargeExpressions(t *testing.T) {
	const deep = 100_000
	for name, query := range map[string]string{
		"parentheses": strings.Repeat("(", deep) + "one" + strings.Repeat(")", deep),
		"unary minus": strings.Repeat("-", deep) + "one",
		"additions":   strings.Repeat("one + ", deep) + "one",
		"powers":      strings.Repeat("one ^ ", deep) + "one",
		"calls":       strings.Repeat("abs(", deep) + "one" + strings.Repeat(")", deep),
		"aggregates":  strings.Repeat("sum(", deep) + "one" + strings.Repeat(")", deep),
		"subqueries":  strings.Repeat("max_over_time(", deep) + "one" + strings.Repeat("[1m:10s])", deep),
		"unclosed":    strings.Repeat("(", deep),
	} {
		for _, tm := range []times{at(300), {200, 500, 10}} {
			_, err := newQuery(context.Background(), engine.New(baseOpts()), nil, nil, query, tm)
			require.Error(t, err, name)
			require.Regexp(t, `expression (is nested|has) more than \d+ .*which is the limit`, err.Error(), name)
		}
	}
	// The parser's own errors stay, and what is long without being deep passes.
	_, err := newQuery(context.Background(), engine.New(baseOpts()), nil, nil, `one + "`+strings.Repeat("(", deep), at(300))
	require.ErrorContains(t, err, "unterminated quoted string")
	for _, query := range []string{
		`sum({a="` + strings.Repeat("(-", deep) + `"})`,
		`one # ` + strings.Repeat("(-", deep),
		`label_join(one, "a"` + strings.Repeat(`, "b"`, 10_000) + `)`,
		`{a=""` + strings.Repeat(`, b=~"c+"`, 10_000) + `, d="e"}`,
	} {
		_, err := newQuery(context.Background(), engine.New(baseOpts()), nil, nil, query, at(300))
		require.NoError(t, err)
	}
}

// TestExpressionLimits: the limits are the engine's options.
func TestExpressionLimits(t *testing.T) {
	o := baseOpts()
	o.MaxExpressionDepth = 3
	e := engine.New(o)
	_, err := newQuery(context.Background(), e, nil, nil, `abs(abs(one))`, at(300))
	require.NoError(t, err)
	_, err = newQuery(context.Background(), e, nil, nil, `abs(abs(abs(one)))`, at(300))
	require.EqualError(t, err, "expression is nested 4 deep, the limit is 3")

	o = baseOpts()
	o.MaxExpressionNodes = 3
	e = engine.New(o)
	_, err = newQuery(context.Background(), e, nil, nil, `one + two`, at(300))
	require.NoError(t, err)
	_, err = newQuery(context.Background(), e, nil, nil, `one + two + three`, at(300))
	require.EqualError(t, err, "expression has more than 3 nodes, which is the limit")
}

// TestDeepExpressionsAnswer: what is within the limits can be evaluated.
func TestDeepExpressionsAnswer(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	const deep = 2000
	for _, query := range []string{
		strings.Repeat("(", deep) + "one" + strings.Repeat(")", deep),
		strings.Repeat("-", deep) + "one",
		strings.Repeat("one or ", deep) + "one",
		strings.Repeat("abs(", deep) + "one" + strings.Repeat(")", deep),
	} {
		require.Equal(t, promql.FPoint{T: 300_000, F: 31}, promql.FPoint{T: 300_000, F: answer(t, engine.New(baseOpts()), st, query, at(300)).(promql.Vector)[0].F})
	}
}
