package suite

import (
	"slices"
	"time"
)

// smallQueries has something of every group, for tests of the harness.
func smallQueries() []Query {
	in := func(group string, queries ...Query) []Query {
		return batch{dataset: SmokeDataset, group: group, tier: Smoke, span: span{start: 45 * time.Minute, step: 30 * time.Second}}.of(queries...)
	}
	return slices.Concat(
		in(Selectors,
			Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)},
			Query{Name: "native", Expr: `rpc_duration_seconds`, Tags: tags(SinglePass)}),
		in(Rates,
			Query{Name: "rate_sum_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tags: tags(Bar+"0.18", SinglePass, DoubleSteps+"rate_sum_by_pod_60s")},
			Query{Name: "rate_sum_by_pod_60s", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Step: time.Minute},
			Query{Name: "window_rate_5m", Expr: `rate(http_requests_total[5m])`, Tags: tags(WindowOf + "rate")},
			Query{Name: "window_rate_1h", Expr: `rate(http_requests_total[1h])`, Tags: tags(WindowOf+"rate", LongWindow)}),
		in(OverTime,
			Query{Name: "sum_over_time_1h", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes[1h]))`, Tags: tags(Bar+"0.09", LongWindow)},
			Query{Name: "quantile_over_time", Expr: `quantile_over_time(0.3, memory_usage_bytes[5m])`}),
		in(Aggregations,
			Query{Name: "sum_by_namespace", Expr: `sum by (namespace) (memory_usage_bytes)`, Tags: tags(SinglePass, DoubleSeries+"sum_by_namespace_half")},
			Query{Name: "sum_by_namespace_half", Expr: `sum by (namespace) (memory_usage_bytes{container=~"container-[01]"})`, Tags: tags(SinglePass)}),
		in(Joins,
			Query{Name: "one_to_one", Expr: `rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])`},
			Query{Name: "group_left_info", Expr: `http_requests_total * on (instance, job) group_left (version) build_info`},
			Query{Name: "unless", Expr: `memory_usage_bytes unless on (pod) (queue_length > 20)`}),
		in(Functions,
			Query{Name: "chain", Expr: `round(ln(sqrt(abs(temperature_celsius - 5)) + 1), 0.01)`},
			Query{Name: "label_replace", Expr: `label_replace(memory_usage_bytes, "host", "$1", "instance", "(.*):.*")`}),
		in(Classic,
			Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`, Tags: tags(Bar + "0.10")}),
		in(Native,
			Query{Name: "native_p90", Expr: `histogram_quantile(0.9, sum by (namespace) (rate(rpc_duration_seconds[5m])))`},
			Query{Name: "native_sum", Expr: `sum(rpc_handling_seconds)`}),
		in(Ranking,
			Query{Name: "topk", Expr: `topk(3, sum by (pod) (rate(http_requests_total[5m])))`, Tags: tags(Bar + "0.13")},
			Query{Name: "count_values", Expr: `count_values("length", queue_length)`},
			Query{Name: "limitk", Expr: `limitk(2, memory_usage_bytes)`, Tags: tags(Ties)}),
		in(Subqueries,
			Query{Name: "max_of_rates", Expr: `max_over_time(sum by (job) (rate(http_requests_total[5m]))[30m:1m])`}),
		in(Modifiers,
			Query{Name: "growth_since_start", Expr: `memory_usage_bytes - memory_usage_bytes @ start()`}),
		batch{dataset: SmokeDataset, group: Instants, tier: Smoke, span: now}.of(
			Query{Name: "now_rate_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`},
			Query{Name: "now_raw", Expr: `http_requests_total{status="200"}[5m]`}),
		in(Dashboards,
			Query{Name: "error_ratio", Expr: `sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))`}),
		in(Pathological,
			Query{Name: "11000_steps", Expr: `sum(rate(http_requests_total{handler="/",status="200"}[5m]))`, Start: 2750 * time.Second, Step: 250 * time.Millisecond}),
	)
}
