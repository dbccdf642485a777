package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

const orderLoad = `
load 10s
  m{i="5",g="b"} 1+0x60
  m{i="3",g="a"} 1+0x60
  m{i="4",g="b"} 2+0x60
  m{i="1",g="a"} 1+0x60
  m{i="2",g="a"} 2+0x60
  m{i="0",g="b"} 1+0x60
  n{i="9"} NaN+0x60
  n{i="1"} 4-1x60
  n{i="7"} 0+1x60
  n{i="2"} 30 _ _ 40 50 60
  h{i="2"} {{schema:0 count:3 sum:4 buckets:[1 2]}}x60
  h{i="1"} {{schema:0 count:4 sum:4 buckets:[2 2]}}x60
  c_bucket{i="2",le="1"} 1+1x60
  c_bucket{i="2",le="+Inf"} 2+2x60
`

var orderQueries = []string{
	`m`, `n`, `{i=~".+"}`, `-m`, `rate(m[1m])`, `topk(1, m)`, `topk(2, m)`, `topk(3, m)`, `topk(4, m)`, `bottomk(2, m)`, `bottomk(4, m)`, `topk(9, m)`, `topk by (g) (2, m)`, `bottomk by (g) (1, m)`,
	`topk(3, n)`, `bottomk(3, n)`, `topk(2, {i=~".+"})`, `limitk(2, m)`, `limitk by (g) (1, m)`, `limit_ratio(0.5, m)`, `limit_ratio(-0.5, m)`, `sort(m)`, `sort_desc(m)`, `sort(n)`, `sort_desc(n)`, `sort({i=~".+"})`,
	`sort_by_label(m, "i")`, `sort_by_label_desc(m, "g", "i")`, `sum by (g) (m)`, `count by (i) ({i=~".+"})`, `max by (g, i) (m)`, `m or n`, `n or m`, `m and on(i) n`, `m unless on(i) n`, `n + on(i) m`,
	`m + on(i) group_left n`, `n - on(i) group_right m`, `m > 1`, `m > bool 1`, `abs(n)`, `label_replace(m, "x", "$1", "i", "(.)")`, `h`, `h + h`, `histogram_count(h)`, `sum by (i) (h)`, `quantile by (g) (0.5, m)`,
	`max_over_time(n[1m:10s])`, `m @ 30`, `(m or n) * 2`, `stddev by (i) ({i=~"[1-5]"})`, `avg by (i) (rate(m[1m]))`, `sort(topk(3, m))`, `topk(2, sort(m))`, `m[30s]`, `m[30s:10s]`, `topk(2, m)[30s:10s]`,
}

// TestOrderEqualsPrometheus: instant queries answer in Prometheus' order, range queries sorted by labels.
func TestOrderEqualsPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, orderLoad)
	for _, delayed := range []bool{false, true} {
		o := baseOpts()
		o.EnableDelayedNameRemoval = delayed
		oracle := prometheusEngine(t, o)
		for _, query := range orderQueries {
			for _, tm := range []times{at(60), at(95), {20, 100, 20}, {60, 60, 1}} {
				if _, err := newQuery(context.Background(), oracle, st, nil, query, tm); err != nil {
					continue // a range vector, in a range query
				}
				want, _ := execute(t, oracle, st, nil, query, tm)
				for _, s := range shapes {
					got, _ := execute(t, engine.New(s.applied(o)), st, nil, query, tm)
					require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), "%s %v %s", query, tm, s.name)
					if m, ok := got.Value.(promql.Matrix); ok {
						require.True(t, slices.IsSortedFunc(m, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) }), query)
					}
				}
			}
		}
	}
}

// TestResultsLiveOn: a result is the caller's. Closing the query, other queries and new samples do not change it.
func TestResultsLiveOn(t *testing.T) {
	inShapes(t, baseOpts(), func(t *testing.T, o engine.Opts) {
		o.EnableDelayedNameRemoval = true
		st := promqltest.LoadedStorage(t, orderLoad)
		e := engine.New(o)
		type kept struct {
			res  *promql.Result
			text string
		}
		var results []kept
		for _, query := range orderQueries {
			for _, tm := range []times{at(60), {20, 100, 20}} {
				qry, err := newQuery(context.Background(), e, st, nil, query, tm)
				if err != nil {
					continue
				}
				res := qry.Exec(context.Background())
				require.NoError(t, res.Err, query)
				results = append(results, kept{res, res.Value.String()})
				qry.Close()
			}
		}
		a := st.Appender(context.Background())
		for i := range 500 {
			_, err := a.Append(0, labels.FromStrings("__name__", "m", "i", "5", "g", "b"), time.Unix(700+int64(i), 0).UnixMilli(), float64(i))
			require.NoError(t, err)
		}
		require.NoError(t, a.Commit())
		answer(t, e, st, `sum_over_time(m[20m]) + on(i, g) m`, times{20, 1200, 1})
		for _, k := range results {
			require.Equal(t, k.text, k.res.Value.String())
		}
		require.NoError(t, st.Close())
		for _, k := range results {
			require.Equal(t, k.text, k.res.Value.String())
		}
	})
}

// TestHistogramsOfResults: no two histograms of a result share memory, and none belongs to the engine: who writes to
// one changes nothing else.
func TestHistogramsOfResults(t *testing.T) {
	st := promqltest.LoadedStorage(t, orderLoad)
	inShapes(t, baseOpts(), func(t *testing.T, o engine.Opts) {
		e := engine.New(o)
		for _, query := range []string{
			`h`, `h @ 30`, `-h`, `h or label_replace(h, "j", "1", "", "")`, `last_over_time(h[1m])`, `first_over_time(h[1m] @ 60)`, `h and h`, `sum(h)`, `sum by (i) (h)`, `topk(2, h)`, `limitk(1, h)`, `rate(h[1m])`,
			`last_over_time(h[1m:10s])`, `last_over_time((h @ 30)[1m:10s])`, `h * on() group_left vector(1)`, `label_replace(h, "j", "1", "", "")`, `h[30s]`, `h[30s:10s]`, `(h @ 30)[30s:10s]`, `avg(h)`, `sort_by_label(h, "i")`, `+h`, `h > h`, `h == h`,
		} {
			for _, tm := range []times{at(60), {20, 100, 20}} {
				if _, err := newQuery(context.Background(), e, st, nil, query, tm); err != nil {
					continue
				}
				value := answer(t, e, st, query, tm)
				before := value.String()
				seen := map[any]bool{}
				visit := func(h promql.HPoint) {
					if h.H == nil {
						return
					}
					require.False(t, seen[h.H], "%s %v: one histogram twice", query, tm)
					seen[h.H] = true
					for _, b := range [][]float64{h.H.PositiveBuckets, h.H.NegativeBuckets} {
						if len(b) > 0 {
							require.False(t, seen[&b[0]], "%s %v: buckets shared", query, tm)
							seen[&b[0]] = true
							b[0] = -99
						}
					}
					if len(h.H.PositiveSpans) > 0 {
						h.H.PositiveSpans[0].Offset = 77
					}
					h.H.Count = -1
				}
				switch v := value.(type) {
				case promql.Vector:
					for _, s := range v {
						visit(promql.HPoint{H: s.H})
					}
				case promql.Matrix:
					for _, s := range v {
						for _, p := range s.Histograms {
							visit(p)
						}
					}
				}
				require.Equal(t, before, answer(t, e, st, query, tm).String(), query)
			}
		}
	})
}
