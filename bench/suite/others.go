package suite

import (
	"slices"
	"time"
)

// wideQueries are about many series at few steps.
func wideQueries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "wide", group: group, tier: Full, span: at}.of(queries...)
	}
	few := span{start: 5 * time.Minute, step: time.Minute}
	return slices.Concat(
		in(Pathological, now,
			Query{Name: "now_1m_series", Expr: `count({__name__!=""})`},
			Query{Name: "now_1m_series_by_name", Expr: `sum by (__name__) ({__name__!=""})`},
			Query{Name: "now_100k_groups", Expr: `sum by (pod, status) (http_requests_total)`}),
		in(Pathological, few,
			Query{Name: "1m_series_by_namespace", Expr: `sum by (namespace) ({__name__!=""})`, Step: 30 * time.Second, Tags: tags(SinglePass)},
			Query{Name: "100k_groups", Expr: `sum by (pod, status) (http_requests_total)`, Tags: tags(SinglePass)}),
		in(Instants, now,
			Query{Name: "now_rate_by_namespace", Expr: `sum by (namespace) (rate(http_requests_total[5m]))`},
			Query{Name: "now_gauge_each", Expr: `memory_usage_bytes`},
			Query{Name: "now_topk", Expr: `topk(10, memory_usage_bytes)`},
			Query{Name: "now_one_pod", Expr: `http_requests_total{instance="10.0.0.1:8080"}`}),
		in(Aggregations, few,
			Query{Name: "avg_by_namespace", Expr: `avg by (namespace) (memory_usage_bytes)`, Tags: tags(SinglePass)}),
		in(Joins, few,
			Query{Name: "group_left_info", Expr: `sum by (version) (http_requests_total{status="200",handler="/"} * on (instance, job) group_left (version) build_info)`}),
		in(Classic, few,
			Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`}),
	)
}

// longQueries look back a month.
func longQueries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "long", group: group, tier: Full, span: at}.of(queries...)
	}
	month := span{start: 29 * 24 * time.Hour, step: time.Hour}
	week := span{start: 7 * 24 * time.Hour, step: 10 * time.Minute}
	return slices.Concat(
		in(Selectors, month, Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)}),
		in(Rates, month,
			Query{Name: "rate_sum_by_namespace", Expr: `sum by (namespace) (rate(http_requests_total[1h]))`},
			Query{Name: "increase_1d", Expr: `sum by (pod) (increase(http_requests_total[1d]))`, Tags: tags(LongWindow)}),
		in(OverTime, month,
			Query{Name: "max_over_time_1d", Expr: `max by (pod) (max_over_time(memory_usage_bytes[1d]))`, Tags: tags(LongWindow)},
			Query{Name: "avg_over_time_6h", Expr: `avg_over_time(queue_length[6h])`, Tags: tags(LongWindow)}),
		in(OverTime, week,
			Query{Name: "changes_1d", Expr: `changes(queue_length[1d])`, Tags: tags(LongWindow)}),
		in(Aggregations, week, Query{Name: "sum", Expr: `sum by (namespace) (memory_usage_bytes)`, Tags: tags(SinglePass)}),
		in(Classic, month, Query{Name: "p90", Expr: `histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[1h])))`}),
		in(Subqueries, week, Query{Name: "daily_peak", Expr: `max_over_time(sum(rate(http_requests_total{status="200"}[5m]))[1d:5m])`}),
		in(Modifiers, week, Query{Name: "week_over_week", Expr: `sum(rate(http_requests_total[1h])) / sum(rate(http_requests_total[1h] offset 1w))`}),
		in(Instants, now, Query{Name: "now_increase_30d", Expr: `sum by (pod) (increase(http_requests_total[30d]))`}),
		in(Pathological, span{start: 11_000 * time.Minute, step: time.Minute},
			Query{Name: "11000_steps", Expr: `sum by (pod) (http_requests_total)`, Tags: tags(SinglePass)}),
	)
}

// churnQueries meet many more series than are there at a time.
func churnQueries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "churn", group: group, tier: Full, span: at}.of(queries...)
	}
	half := span{start: 11 * time.Hour, step: time.Minute}
	return slices.Concat(
		in(Selectors, half, Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)}),
		in(Rates, half, Query{Name: "rate_sum_by_namespace", Expr: `sum by (namespace) (rate(http_requests_total[5m]))`, Tier: Quick, Tags: tags(SinglePass)}),
		in(OverTime, half,
			Query{Name: "max_over_time_1h", Expr: `sum by (namespace) (max_over_time(memory_usage_bytes[1h]))`}),
		in(Aggregations, half,
			Query{Name: "sum_by_pod", Expr: `sum by (pod) (http_requests_total)`, Tier: Quick, Tags: tags(SinglePass)},
			Query{Name: "count_by_name", Expr: `count by (__name__) ({__name__!=""})`, Step: 10 * time.Minute},
			Query{Name: "sum_each", Expr: `sum without () (http_requests_total)`, Tags: tags(SinglePass)}),
		in(Joins, half,
			Query{Name: "group_left_info", Expr: `sum by (version) (rate(http_requests_total[5m]) * on (instance, job) group_left (version) build_info)`},
			Query{Name: "unless_before", Expr: `up unless up offset 30m`}),
		in(Classic, half,
			Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`}),
		in(Ranking, half, Query{Name: "topk_rate_by_pod", Expr: `topk(5, sum by (pod) (rate(http_requests_total[5m])))`}),
		in(Subqueries, half, Query{Name: "pods_in_an_hour", Expr: `count by (namespace) (max_over_time(up[1h:5m]))`}),
		in(Instants, now, Query{Name: "now_increase_12h", Expr: `sum by (namespace) (increase(http_requests_total[12h]))`}),
	)
}

// nativeQueries are about native histograms.
func nativeQueries() []Query {
	in := func(at span, queries ...Query) []Query {
		return batch{dataset: "native", group: Native, tier: Full, span: at}.of(queries...)
	}
	return slices.Concat(
		in(span{start: 2 * time.Hour, step: 30 * time.Second},
			Query{Name: "each", Expr: `rpc_duration_seconds`, Tags: tags(SinglePass)},
			Query{Name: "sum", Expr: `sum(rpc_duration_seconds)`, Tier: Quick},
			Query{Name: "avg_by_namespace", Expr: `avg by (namespace) (rpc_queue_seconds)`},
			Query{Name: "rate_each", Expr: `rate(rpc_duration_seconds{method=~".*[0-3]"}[5m])`},
			Query{Name: "sum_rate_1m", Expr: `sum(rate(rpc_duration_seconds[1m]))`},
			Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (namespace) (rate(rpc_duration_seconds[5m])))`, Tier: Quick},
			Query{Name: "p90_each", Expr: `histogram_quantile(0.9, rpc_duration_seconds)`},
			Query{Name: "p90_custom_buckets", Expr: `histogram_quantile(0.9, sum by (namespace) (rate(rpc_handling_seconds[5m])))`, Tier: Quick},
			Query{Name: "count_rate_20m", Expr: `histogram_count(sum(rate(rpc_duration_seconds[20m])))`},
			Query{Name: "count_and_sum", Expr: `histogram_sum(sum by (namespace) (rate(rpc_handling_seconds[2m]))) / histogram_count(sum by (namespace) (rate(rpc_handling_seconds[2m])))`},
			Query{Name: "stddev", Expr: `histogram_stddev(rpc_queue_seconds)`},
			Query{Name: "fraction", Expr: `histogram_fraction(0, 0.1, sum by (namespace) (rate(rpc_duration_seconds[5m])))`},
			Query{Name: "scaled_sum", Expr: `sum(rpc_duration_seconds * 60)`},
			Query{Name: "sum_over_time_10m", Expr: `sum by (namespace) (sum_over_time(rpc_queue_seconds[10m]))`},
			Query{Name: "join", Expr: `rpc_queue_seconds + on (pod, method) group_left () rpc_queue_seconds offset 5m`}),
		in(span{start: 2 * time.Hour, step: 30 * time.Second},
			Query{Name: "average", Expr: `histogram_avg(rate(rpc_handling_seconds[5m]))`},
			Query{Name: "divided", Expr: `rpc_queue_seconds / on (pod) group_left () up`},
			Query{Name: "resampled", Expr: `sum(sum_over_time(rpc_queue_seconds[10m:3m]))`}),
		in(now,
			Query{Name: "now_p99", Expr: `histogram_quantile(0.99, sum by (method) (rate(rpc_duration_seconds[5m])))`}),
	)
}

// sparseQueries meet gaps of all lengths.
func sparseQueries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "sparse", group: group, tier: Full, span: at}.of(queries...)
	}
	return slices.Concat(
		in(Selectors, panel, Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)}),
		in(Rates, panel,
			Query{Name: "rate_1m", Expr: `rate(http_requests_total[1m])`, Tags: tags(SinglePass)},
			Query{Name: "rate_sum_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tier: Quick, Tags: tags(SinglePass)}),
		in(OverTime, panel,
			Query{Name: "max_over_time_1h", Expr: `max_over_time(memory_usage_bytes[1h])`},
			Query{Name: "absent_over_time", Expr: `absent_over_time(http_requests_total{instance="10.0.0.1:8080",status="200",handler="/"}[1m])`}),
		in(Aggregations, panel, Query{Name: "count", Expr: `count by (namespace) (memory_usage_bytes)`}),
		in(Joins, panel, Query{Name: "one_to_one", Expr: `memory_usage_bytes - memory_usage_bytes offset 1h`}),
		in(Joins, panel, Query{Name: "unless", Expr: `memory_usage_bytes unless on (pod) queue_length`}),
	)
}

// xor2Queries read the chunks that start timestamps are kept in.
func xor2Queries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "medium-xor2", group: group, tier: Full, span: at}.of(queries...)
	}
	return slices.Concat(
		in(Selectors, panel, Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)}),
		in(Rates, panel, Query{Name: "rate_sum_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tier: Quick, Tags: tags(SinglePass)}),
		in(OverTime, panel, Query{Name: "sum_over_time_1h", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes[1h]))`, Tags: tags(LongWindow)}),
		in(Aggregations, panel, Query{Name: "sum_by_namespace", Expr: `sum by (namespace) (http_requests_total)`, Tags: tags(SinglePass)}),
		in(Joins, panel, Query{Name: "one_to_one", Expr: `rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])`}),
		in(Classic, panel, Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`}),
		in(Native, panel, Query{Name: "native_p90", Expr: `histogram_quantile(0.9, sum by (namespace) (rate(rpc_duration_seconds[5m])))`, Tier: Quick}),
		in(Instants, now, Query{Name: "now_rate_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`}),
	)
}

// headQueries read what no block holds yet.
func headQueries() []Query {
	in := func(group string, at span, queries ...Query) []Query {
		return batch{dataset: "head", group: group, tier: Full, span: at}.of(queries...)
	}
	recent := span{start: 2 * time.Hour, step: 15 * time.Second}
	return slices.Concat(
		in(Selectors, recent, Query{Name: "gauge", Expr: `memory_usage_bytes`, Tags: tags(SinglePass)}),
		in(Rates, recent,
			Query{Name: "rate_each", Expr: `rate(http_requests_total[5m])`, Tags: tags(SinglePass)},
			Query{Name: "rate_sum_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tier: Quick, Tags: tags(SinglePass)}),
		in(OverTime, recent, Query{Name: "max_over_time_1h", Expr: `sum by (namespace) (max_over_time(memory_usage_bytes[1h]))`, Tags: tags(LongWindow)}),
		in(Aggregations, recent, Query{Name: "avg_by_namespace", Expr: `avg by (namespace) (memory_usage_bytes)`, Tags: tags(SinglePass)}),
		in(Joins, recent, Query{Name: "one_to_one", Expr: `memory_usage_bytes - memory_usage_bytes offset 30m`}),
		in(Classic, recent, Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`}),
		in(Instants, now, Query{Name: "now_rate_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`}),
	)
}
