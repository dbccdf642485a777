package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
)

// asked is one Select and the times of the querier that it came to.
type asked struct {
	mint, maxt int64
	hints      storage.SelectHints
	matchers   string
	read       bool
}

// recorder records what storages are asked for.
type recorder struct {
	mint, maxt int64
	asked      []asked
}

func (r *recorder) hooks() *hooks {
	return &hooks{
		querier: func(mint, maxt int64) error {
			r.mint, r.maxt = mint, maxt
			return nil
		},
		selected: func(_ context.Context, hints *storage.SelectHints, ms []*labels.Matcher) error {
			a := asked{mint: r.mint, maxt: r.maxt, hints: *hints}
			for _, m := range ms {
				a.matchers += m.String() + " "
			}
			if len(a.hints.Grouping) == 0 {
				a.hints.Grouping = nil
			}
			r.asked = append(r.asked, a)
			return nil
		},
		next: func(selector, _ int) error {
			r.asked[selector].read = true
			return nil
		},
	}
}

// A storage that gives other samples for other functions is asked for each by itself.
func TestSeparateSelectors(t *testing.T) {
	s := promqltest.LoadedStorage(t, "load 1m\n  c 0+1x20\n")
	for separate, want := range map[bool][]string{false: {""}, true: {"max", "min"}} {
		r := &recorder{}
		e := engine.New(engine.Opts{SeparateSelectors: separate})
		q, err := e.NewInstantQuery(t.Context(), hookedSamples{s, r.hooks()}, nil, "max(c) + on () min(c)", time.UnixMilli(600_000))
		require.NoError(t, err)
		require.NoError(t, q.Exec(t.Context()).Err)
		q.Close()
		require.NoError(t, e.Close())
		var functions []string
		for _, a := range r.readFrom() {
			functions = append(functions, a.hints.Func)
		}
		slices.Sort(functions)
		require.Equal(t, want, functions)
	}
}

// readFrom is what was asked for and read. Prometheus asks for the matchers of info() as if they were a selector, and never
// looks at the answer.
func (r *recorder) readFrom() []asked {
	return slices.DeleteFunc(slices.Clone(r.asked), func(a asked) bool { return !a.read })
}

var hintsQueries = append([]string{
	`foo @ 1`, `foo[2m] @ 300`, `rate(foo[2m] @ 60)`, `foo[2m] offset 2m`, `foo[2m] @ 200 offset 2m`, `foo[2m:1s]`, `count_over_time(foo[2m:1s] @ 300)`,
	`count_over_time(foo[2m:1s] offset 10s)`, `count_over_time((foo offset 10s)[2m:1s] offset 10s)`, `count_over_time((foo @ 200 offset 10s)[2m:1s] @ 100 offset 10s)`,
	`count_over_time((foo offset 10s)[2m:1s] @ 100 offset 10s)`, `sum by (dim1) (foo)`, `sum without (dim1) (foo)`, `sum by (dim1) (avg_over_time(foo[1s]))`,
	`sum by (dim1) (max by (dim2) (foo))`, `(max by (dim1) (foo))[5s:1s]`, `(sum(foo{g=~"p.*"})+max(bar{g=~"c.*"}))[20s:5s]`, `foo @ 50 + bar @ 250 + baz @ 900`,
	`rate(foo[2s] @ 50) + bar @ 250 + baz @ 900`, `rate(foo[2s:1s] @ 50) + bar + rate(baz[2m:1s] @ 900 offset 2m)`, `foo smoothed`, `foo anchored`,
	`rate(foo[1m] smoothed)`, `rate(foo[1m] anchored)`, `rate(foo[1m] smoothed offset 1m)`, `sum_over_time(rate(foo[1m] smoothed)[5m:30s])`,
	`sum_over_time(sum_over_time(metric{job="1"}[100s])[100s:25s] @ 50)[3s:1s] @ 3000`, `-sum by (a) (-foo)`, `sum by (a) ((foo))`, `topk(scalar(one), foo)`,
	`label_replace(foo, "a", "b", "c", "d")`, `foo{a="b",c!="d",e=~"f",g!~"h"}`, `foo{z="1",a="2"}`, `max_over_time(foo[10m:])`, `foo[0s]`, `rate(foo[step()+1m])`,
	`info(three)`, `info(up, {version="2"})`, `info(up, {__name__=~".+_info"})`, `sum(info(rate(up[2m])))`, `info(up offset 1m)`, `info(up @ 100)`, `max_over_time(info(up)[1m:20s])`,
}, statsQueries...)

var hintsTimes = []times{at(300), {200, 500, 1}, {201, 500, 17}, {300, 300, 5}}

// TestHintsEqualPrometheus: without optimizers a storage is asked for the same as by Prometheus. The order may differ: Prometheus
// asks in the order of the text and reads in that of evaluation.
func TestHintsEqualPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	o := baseOpts()
	o.Optimizers = []logicalplan.Optimizer{}
	oracle, e := prometheusEngine(t, o), engine.New(o)
	for _, query := range hintsQueries {
		for _, tm := range hintsTimes {
			want := recorder{}
			qry, err := newQuery(context.Background(), oracle, hookedSamples{st, want.hooks()}, nil, query, tm)
			if err != nil {
				continue // a range of a range vector
			}
			res := qry.Exec(context.Background())
			qry.Close()
			require.NoError(t, res.Err, query)

			expected := want.readFrom()
			got := recorder{}
			res, _ = execute(t, e, hookedSamples{st, got.hooks()}, nil, query, tm)
			require.NoError(t, res.Err, query)
			require.Equal(t, slices.Concat(expected), slices.Concat(got.asked), "%s %v", query, tm)
			require.Equal(t, want.mint, got.mint, query)
			require.Equal(t, want.maxt, got.maxt, query)

			inChunks := recorder{}
			res, _ = execute(t, e, hookedChunks{hookedSamples{st, inChunks.hooks()}, st}, nil, query, tm)
			require.NoError(t, res.Err, query)
			for i := range expected {
				expected[i].hints.DisableTrimming = true
			}
			require.Equal(t, slices.Concat(expected), slices.Concat(inChunks.asked), "%s %v", query, tm)
		}
	}
}

// TestQuerierLifecycle: one querier for a query (and one for a lookup of info series, which comes after others were
// read), closed before Exec returns, on every path.
func TestQuerierLifecycle(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		hooks  *hooks
		query  string
		fails  bool
		opened int64
	}{
		"success":             {query: `three + one`, opened: 1},
		"no selector":         {query: `1`, opened: 1},
		"text":                {query: `"text"`, opened: 1},
		"info":                {query: `info(up)`, opened: 2}, // its lookups have one of their own
		"querier fails":       {query: `three`, fails: true, hooks: &hooks{querier: func(int64, int64) error { return broken }}},
		"select fails":        {query: `three`, fails: true, opened: 1, hooks: &hooks{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error { return broken }}},
		"next fails":          {query: `three`, fails: true, opened: 1, hooks: &hooks{next: func(_, n int) error { return map[int]error{2: broken}[n] }}},
		"sample fails":        {query: `three`, fails: true, opened: 1, hooks: &hooks{sample: func(labels.Labels, int) error { return broken }}},
		"select panics":       {query: `three`, fails: true, opened: 1, hooks: &hooks{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error { panic("p") }}},
		"next panics":         {query: `three`, fails: true, opened: 1, hooks: &hooks{next: func(int, int) error { panic("p") }}},
		"iterator panics":     {query: `three`, fails: true, opened: 1, hooks: &hooks{iterator: func(labels.Labels) { panic("p") }}},
		"sample panics":       {query: `three`, fails: true, opened: 1, hooks: &hooks{sample: func(labels.Labels, int) error { panic("p") }}},
		"evaluation fails":    {query: `three + on(b) three`, fails: true, opened: 1},
		"unknown aggregation": {query: `topk(NaN, three)`, fails: true, opened: 1},
		"closing fails":       {query: `three`, opened: 1, hooks: &hooks{closing: func() error { return broken }}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, workers := range []int{1, 4} {
				fresh := func() *hooks {
					if c.hooks == nil {
						return &hooks{}
					}
					return &hooks{querier: c.hooks.querier, selected: c.hooks.selected, next: c.hooks.next, iterator: c.hooks.iterator, sample: c.hooks.sample, closing: c.hooks.closing}
				}
				o := baseOpts()
				o.Workers, o.BatchSeries = workers, 1
				e := engine.New(o)
				for kind, s := range hooked(st, fresh) {
					for _, tm := range []times{at(300), {200, 500, 10}} {
						if tm.step > 0 && name == "text" {
							continue
						}
						h := s.of()
						h.queriers.Store(0)
						h.closed.Store(0)
						res, _ := execute(t, e, s, nil, c.query, tm)
						require.Equal(t, c.fails, res.Err != nil, "%s: %v", kind, res.Err)
						require.Equal(t, c.opened, h.queriers.Load(), kind)
						require.Equal(t, c.opened, h.closed.Load(), kind)
					}
				}
			}
		})
	}
}

// TestStorageIsOpenedByExec: making a query touches no storage.
func TestStorageIsOpenedByExec(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	h := &hooks{}
	qry, err := newQuery(context.Background(), engine.New(baseOpts()), hookedSamples{st, h}, nil, `three`, at(300))
	require.NoError(t, err)
	require.Zero(t, h.queriers.Load())
	qry.Close()
	require.Zero(t, h.queriers.Load())
}

// TestFirstFailingSelector: of several selectors that fail, the error is that of the one that Prometheus reads first.
func TestFirstFailingSelector(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 10s\n  bad1 0+1x10\n  bad2 0+1x10\n")
	failing := func() *hooks {
		return &hooks{selected: func(_ context.Context, _ *storage.SelectHints, ms []*labels.Matcher) error {
			return errors.New("broken " + ms[len(ms)-1].Value)
		}}
	}
	for _, query := range []string{
		`bad1 + bad2`, `bad1 and bad2`, `bad1 unless bad2`, `bad1 or bad2`, `bad1 > scalar(bad2)`, `scalar(bad1) > bad2`,
		`clamp(bad1, scalar(bad2), 3)`, `histogram_quantile(scalar(bad1), bad2)`,
	} {
		for _, tm := range []times{at(100), {60, 200, 20}} {
			want, _ := execute(t, prometheusEngine(t, baseOpts()), hookedSamples{st, failing()}, nil, query, tm)
			require.ErrorContains(t, want.Err, "broken bad1")
			for kind, s := range hooked(st, failing) {
				got, _ := execute(t, engine.New(baseOpts()), s, nil, query, tm)
				require.EqualError(t, got.Err, want.Err.Error(), "%s: %s", kind, query)
			}
		}
	}
}
