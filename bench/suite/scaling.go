package suite

import "slices"

// mediumScaling halves what others ask for: their steps, or by one of two clusters their series.
func mediumScaling() []Query {
	coarse := span{start: panel.start, step: 2 * panel.step}
	return slices.Concat(
		medium(Selectors, coarse).of(Query{Name: "gauge_60s", Expr: `memory_usage_bytes`}),
		medium(Rates, coarse).of(Query{Name: "rate_sum_by_pod_60s", Expr: `sum by (pod) (rate(http_requests_total[5m]))`}),
		medium(OverTime, coarse).of(Query{Name: "sum_over_time_60s", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes[1h]))`}),
		medium(Joins, coarse).of(Query{Name: "one_to_one_60s", Expr: `memory_usage_bytes - memory_usage_bytes offset 1h`}),
		medium(Classic, coarse).of(Query{Name: "p90_by_namespace_60s", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`}),
		medium(Ranking, coarse).of(Query{Name: "topk_rate_by_pod_60s", Expr: `topk(5, sum by (pod) (rate(http_requests_total[5m])))`}),

		medium(Selectors, panel).of(Query{Name: "gauge_one_cluster", Expr: `memory_usage_bytes{cluster="eu-west-1"}`}),
		medium(Rates, panel).of(Query{Name: "rate_sum_by_pod_one_cluster", Expr: `sum by (pod) (rate(http_requests_total{cluster="eu-west-1"}[5m]))`}),
		medium(OverTime, panel).of(Query{Name: "sum_over_time_one_cluster", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes{cluster="eu-west-1"}[1h]))`}),
		medium(Joins, panel).of(Query{Name: "one_to_one_one_cluster", Expr: `memory_usage_bytes{cluster="eu-west-1"} - memory_usage_bytes{cluster="eu-west-1"} offset 1h`}),
		medium(Classic, panel).of(Query{Name: "p90_by_namespace_one_cluster", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket{cluster="eu-west-1"}[5m])))`}),
		medium(Ranking, panel).of(Query{Name: "topk_rate_by_pod_one_cluster", Expr: `topk(5, sum by (pod) (rate(http_requests_total{cluster="eu-west-1"}[5m])))`}),
	)
}
