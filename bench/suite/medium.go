package suite

import (
	"slices"
	"time"
)

// Most queries on medium data draw a panel of 5h with a point for each 30s.
var panel = span{start: 5 * time.Hour, step: 30 * time.Second}

// medium begins a batch of queries on medium data that are part of full runs, unless they say that they are of quick ones.
func medium(group string, at span, tags ...string) batch {
	return batch{dataset: "medium", group: group, tier: Full, span: at, tags: tags}
}

func mediumQueries() []Query {
	return slices.Concat(
		mediumSelectors(), mediumRates(), mediumOverTime(), mediumWindows(), mediumAggregations(), mediumJoins(), mediumFunctions(),
		mediumClassic(), mediumRanking(), mediumSubqueries(), mediumModifiers(), mediumInstants(), mediumDashboards(),
		mediumPathological(), mediumScaling(),
	)
}

func mediumSelectors() []Query {
	return medium(Selectors, panel).of(
		Query{Name: "gauge", Expr: `memory_usage_bytes`, Tier: Quick, Tags: tags(SinglePass, DoubleSteps+"gauge_60s", DoubleSeries+"gauge_one_cluster")},
		Query{Name: "counter_equal", Expr: `http_requests_total{handler="/",method="GET",status="200"}`, Tags: tags(SinglePass)},
		Query{Name: "counter_regexps", Expr: `http_requests_total{status=~"[45]..",namespace!~"shop|payments-.*"}`, Tags: tags(SinglePass)},
		Query{Name: "names_regexp", Expr: `{__name__=~"temperature_.+|queue_length|cpu_.*_ratio"}`, Tags: tags(SinglePass)},
		Query{Name: "counter_coarse", Expr: `http_requests_total`, Step: 5 * time.Minute, Tags: tags(SinglePass)},
	)
}

func mediumRates() []Query {
	return medium(Rates, panel).of(
		Query{Name: "rate_sum_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tier: Quick,
			Tags: tags(Bar+"0.18", SinglePass, DoubleSteps+"rate_sum_by_pod_60s", DoubleSeries+"rate_sum_by_pod_one_cluster")},
		Query{Name: "rate_1m", Expr: `rate(http_requests_total{status="200"}[1m])`, Tags: tags(SinglePass)},
		Query{Name: "rate_10m_bytes", Expr: `rate(network_receive_bytes_total[10m])`, Tags: tags(SinglePass)},
		Query{Name: "irate", Expr: `irate(http_requests_total{status="200"}[1m])`},
		Query{Name: "idelta", Expr: `idelta(memory_usage_bytes{container=~"container-[0-3]"}[5m])`},
		Query{Name: "rate_smoothed", Expr: `rate(http_requests_total{status="200"}[1m] smoothed)`},
		Query{Name: "increase_anchored", Expr: `increase(http_requests_total{status="200"}[30m] anchored)`},
		Query{Name: "increase_sum", Expr: `sum by (namespace, status) (increase(http_requests_total{method!="GET"}[5m]))`},
		Query{Name: "deriv", Expr: `deriv(memory_usage_bytes{container=~"container-[0-3]"}[5m])`},
		Query{Name: "predict_linear", Expr: `predict_linear(memory_usage_bytes{container="container-0"}[30m], 3600)`},
	)
}

func mediumOverTime() []Query {
	return medium(OverTime, panel).of(
		Query{Name: "sum_over_time_1h_by_namespace", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes[1h]))`, Tier: Quick,
			Tags: tags(Bar+"0.09", LongWindow, DoubleSteps+"sum_over_time_60s", DoubleSeries+"sum_over_time_one_cluster")},
		Query{Name: "max_over_time_1h_by_namespace", Expr: `sum by (namespace) (max_over_time(memory_usage_bytes[1h]))`, Tier: Quick,
			Tags: tags(Bar+"0.07", LongWindow)},
		Query{Name: "avg_over_time_1m", Expr: `avg_over_time(memory_usage_bytes[1m])`},
		Query{Name: "stddev_over_time", Expr: `stddev_over_time(cpu_utilization_ratio[5m])`},
		Query{Name: "stddev_over_time_1h", Expr: `stddev_over_time(cpu_utilization_ratio[1h])`},
		Query{Name: "stdvar_over_time", Expr: `avg by (cluster) (stdvar_over_time(queue_length[10m]))`},
		Query{Name: "quantile_over_time", Expr: `quantile_over_time(0.3, memory_usage_bytes{container=~"container-[0-3]"}[5m])`, Tier: Quick},
		Query{Name: "quantile_over_time_1h", Expr: `quantile_over_time(0.95, queue_length[1h])`, Step: 5 * time.Minute},
		Query{Name: "holt", Expr: `double_exponential_smoothing(cpu_utilization_ratio[10m], 0.3, 0.3)`},
		Query{Name: "absent_over_time", Expr: `absent_over_time(up{namespace="nowhere"}[5m])`},
		Query{Name: "max_by_name", Expr: `max by (__name__) (max_over_time({__name__=~"temperature_celsius|queue_length|cpu_utilization_ratio",namespace=~"shop.*|search.*"}[1m]))`},
		Query{Name: "avg_by_name_1h", Expr: `avg by (__name__, instance) (avg_over_time({__name__=~"temperature_celsius|queue_length|cpu_utilization_ratio"}[1h]))`, Tags: tags(LongWindow)},
	)
}

func mediumAggregations() []Query {
	return medium(Aggregations, panel).of(
		Query{Name: "sum", Expr: `sum(http_requests_total)`, Tier: Quick, Tags: tags(SinglePass)},
		Query{Name: "sum_by_cluster", Expr: `sum by (cluster) (http_requests_total{status="200"})`, Tags: tags(SinglePass)},
		Query{Name: "avg_by_namespace", Expr: `avg by (namespace) (memory_usage_bytes)`, Tags: tags(SinglePass)},
		Query{Name: "max_by_namespace_handler", Expr: `max by (namespace, handler) (http_requests_total{method="GET"})`, Tags: tags(SinglePass)},
		Query{Name: "min_without", Expr: `min without (pod, instance, container) (memory_usage_bytes)`, Tags: tags(SinglePass)},
		Query{Name: "sum_by_pod_status", Expr: `sum by (pod, status) (http_requests_total)`, Tier: Quick, Tags: tags(SinglePass)},
		Query{Name: "sum_each_series", Expr: `sum by (pod, instance, namespace, cluster, job, container) (memory_usage_bytes)`, Tags: tags(SinglePass)},
		Query{Name: "avg_without_nothing", Expr: `avg without () (http_requests_total{status="200"})`, Tags: tags(SinglePass)},
		Query{Name: "count_by_pod", Expr: `count by (pod) (memory_usage_bytes)`},
		Query{Name: "stddev_by_namespace", Expr: `stddev by (namespace) (cpu_utilization_ratio)`},
		Query{Name: "group_by_version", Expr: `group by (version) (build_info)`},
		Query{Name: "sum_rate_all", Expr: `sum(rate(http_requests_total{status="200"}[1m]))`, Tags: tags(SinglePass)},
		Query{Name: "sum_rate_without", Expr: `sum without (handler, status, method) (rate(http_requests_total{handler="/"}[5m]))`, Tags: tags(SinglePass)},
	)
}

func mediumJoins() []Query {
	return medium(Joins, panel).of(
		Query{Name: "one_to_one", Expr: `memory_usage_bytes - memory_usage_bytes offset 1h`, Tags: tags(DoubleSteps+"one_to_one_60s", DoubleSeries+"one_to_one_one_cluster")},
		Query{Name: "one_to_one_rates", Expr: `rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])`, Tier: Quick},
		Query{Name: "ignoring", Expr: `http_requests_total{status="404"} / ignoring (status) http_requests_total{status="200"}`},
		Query{Name: "compare", Expr: `memory_usage_bytes > memory_usage_bytes offset 10m`},
		Query{Name: "equal", Expr: `http_requests_total{status="500"} == http_requests_total{status="500"} offset 1m`},
		Query{Name: "group_left_info", Expr: `rate(http_requests_total{status="200"}[5m]) * on (instance, job) group_left (version) build_info`, Tier: Quick},
		Query{Name: "group_left_total", Expr: `http_requests_total{handler="/"} / on (pod) group_left () sum by (pod) (http_requests_total{handler="/"})`},
		Query{Name: "group_left_buckets", Expr: `request_duration_seconds_bucket / on (pod, handler) group_left () request_duration_seconds_count`},
		Query{Name: "group_right", Expr: `build_info * on (pod) group_right (version) memory_usage_bytes{container=~"container-[0-3]"}`},
		Query{Name: "sum_by_version", Expr: `sum by (version) (rate(http_requests_total{status="200"}[5m]) * on (instance, job) group_left (version) build_info)`},
		Query{Name: "lopsided", Expr: `http_requests_total{instance="10.0.0.1:8080"} - http_requests_total`},
		Query{Name: "and", Expr: `memory_usage_bytes and on (pod) (queue_length > 20)`, Tier: Quick},
		Query{Name: "and_same_labels", Expr: `http_requests_total and http_requests_total{instance=~".*[0-4]:8080"}`},
		Query{Name: "and_nothing", Expr: `memory_usage_bytes and memory_usage_bytes{namespace="nowhere"}`},
		Query{Name: "or", Expr: `http_requests_total{status=~"4.."} or http_requests_total{handler="/",status!~"5.."}`},
		Query{Name: "unless", Expr: `memory_usage_bytes unless memory_usage_bytes{instance=~".*[0-4]:8080"}`},
		Query{Name: "info", Expr: `info(rate(http_requests_total{status="200",handler="/"}[5m]), {k8s_node_name=~"node-1.*"})`},
	)
}

func mediumFunctions() []Query {
	return medium(Functions, panel).of(
		Query{Name: "negate", Expr: `-memory_usage_bytes`},
		Query{Name: "scale", Expr: `memory_usage_bytes / 1024 / 1024`, Tier: Quick},
		Query{Name: "filter", Expr: `memory_usage_bytes > 1e9`},
		Query{Name: "bool", Expr: `2 * (queue_length >= bool 10)`},
		Query{Name: "clamp", Expr: `clamp(1 - cpu_utilization_ratio, 10 / 50, 1 - 0.2)`},
		Query{Name: "clamp_rate", Expr: `clamp_max(clamp_min(rate(http_requests_total{status="200"}[5m]) * 60, 10), 1000)`},
		Query{Name: "chain", Expr: `round(ln(sqrt(abs(temperature_celsius - 5)) + 1), 0.01)`, Tier: Quick},
		Query{Name: "label_replace", Expr: `label_replace(memory_usage_bytes, "host", "$1", "instance", "(.*):.*")`},
		Query{Name: "label_join", Expr: `label_join(http_requests_total{status="200"}, "route", " ", "method", "handler")`},
		Query{Name: "timestamp", Expr: `time() - timestamp(memory_usage_bytes)`},
		Query{Name: "hour", Expr: `hour(timestamp(queue_length)) * 60 + minute(timestamp(queue_length))`},
		Query{Name: "scalar", Expr: `memory_usage_bytes{container="container-0"} / scalar(sum(memory_usage_bytes{container="container-0"}))`},
		Query{Name: "absent", Expr: `absent(up > Inf)`},
		Query{Name: "absent_metric", Expr: `absent(nothing_of_that_name)`},
	)
}

func mediumClassic() []Query {
	return medium(Classic, panel).of(
		Query{Name: "p90_by_namespace", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`, Tier: Quick,
			Tags: tags(Bar+"0.10", DoubleSteps+"p90_by_namespace_60s", DoubleSeries+"p90_by_namespace_one_cluster")},
		Query{Name: "p90_each", Expr: `histogram_quantile(0.9, rate(request_duration_seconds_bucket[5m]))`, Tier: Quick},
		Query{Name: "p90_of_totals", Expr: `histogram_quantile(0.9, request_duration_seconds_bucket)`},
		Query{Name: "p99_by_job_handler", Expr: `histogram_quantile(0.99, sum by (job, handler, le) (rate(request_duration_seconds_bucket[5m])))`},
		Query{Name: "heatmap", Expr: `sum by (le) (rate(request_duration_seconds_bucket[1m]))`},
		Query{Name: "buckets_without", Expr: `avg without (le, pod, instance) (request_duration_seconds_bucket)`},
		Query{Name: "p50_1h", Expr: `histogram_quantile(0.5, sum by (le, cluster) (increase(request_duration_seconds_bucket[1h])))`},
	)
}

func mediumRanking() []Query {
	return medium(Ranking, panel).of(
		Query{Name: "topk_rate_by_pod", Expr: `topk(5, sum by (pod) (rate(http_requests_total[5m])))`, Tier: Quick,
			Tags: tags(Bar+"0.13", DoubleSteps+"topk_rate_by_pod_60s", DoubleSeries+"topk_rate_by_pod_one_cluster")},
		Query{Name: "topk_each", Expr: `topk(10, memory_usage_bytes)`},
		Query{Name: "topk_by_namespace", Expr: `topk by (namespace) (2, memory_usage_bytes)`},
		Query{Name: "bottomk_by_handler", Expr: `bottomk by (handler) (2, rate(http_requests_total{status="200"}[5m]))`, Tags: tags(Ties)},
		Query{Name: "topk_histogram", Expr: `topk by (le) (5, rate(request_duration_seconds_bucket[5m]))`, Tags: tags(Ties)},
		Query{Name: "quantile", Expr: `quantile(0.9, memory_usage_bytes)`, Tier: Quick},
		Query{Name: "quantile_by_namespace", Expr: `quantile by (namespace) (0.1, rate(http_requests_total{status="200"}[5m]))`},
		Query{Name: "quantile_scalar", Expr: `quantile by (cluster) (scalar(min(cpu_utilization_ratio)), cpu_utilization_ratio)`},
		Query{Name: "count_values", Expr: `count_values("length", queue_length)`, Tier: Quick},
		Query{Name: "count_values_by", Expr: `count_values by (cluster) ("zero", memory_usage_bytes * 0)`},
		Query{Name: "limitk", Expr: `limitk by (namespace) (2, memory_usage_bytes)`, Tags: tags(Ties)},
		Query{Name: "limit_ratio", Expr: `limit_ratio(0.1, memory_usage_bytes)`},
	)
}

func mediumSubqueries() []Query {
	return medium(Subqueries, panel).of(
		Query{Name: "max_of_rates", Expr: `max_over_time(sum by (job) (rate(http_requests_total{status="200"}[5m]))[30m:1m])`, Tier: Quick},
		Query{Name: "sum_of_rates", Expr: `sum_over_time(rate(http_requests_total{status="200"}[1m])[10m:1m])`},
		Query{Name: "resampled", Expr: `sum_over_time(memory_usage_bytes{container=~"container-[0-3]"}[10m:3m])`},
		Query{Name: "count_10s", Expr: `sum_over_time(count(queue_length)[1h:10s])`},
		Query{Name: "quantile_of_ratio", Expr: `quantile_over_time(0.95, (sum by (namespace) (rate(request_duration_seconds_sum[5m])) / sum by (namespace) (rate(request_duration_seconds_count[5m])))[1h:1m])`, Tier: Quick},
		Query{Name: "deriv_of_rate", Expr: `deriv(rate(network_receive_bytes_total[5m])[15m:1m])`},
		Query{Name: "nested", Expr: `max_over_time(avg_over_time(rate(process_cpu_seconds_total[2m])[5m:1m])[15m:5m])`},
	)
}

func mediumModifiers() []Query {
	return medium(Modifiers, panel).of(
		Query{Name: "offset", Expr: `memory_usage_bytes offset 5m`},
		Query{Name: "offset_negative", Expr: `sum by (namespace) (memory_usage_bytes offset -5m)`},
		Query{Name: "at_end", Expr: `memory_usage_bytes @ end()`},
		Query{Name: "at_time", Expr: `sum by (namespace) (memory_usage_bytes @ 1700000000 offset 5m)`},
		Query{Name: "rate_at_end", Expr: `sum by (pod) (rate(http_requests_total[5m] @ end()))`},
		Query{Name: "growth_since_start", Expr: `memory_usage_bytes - memory_usage_bytes @ start()`, Tier: Quick},
		Query{Name: "rate_then_and_now", Expr: `sum by (namespace) (rate(http_requests_total[5m])) / sum by (namespace) (rate(http_requests_total[5m] offset 1h))`},
		Query{Name: "only_the_final_top", Expr: `sum by (pod) (rate(http_requests_total[5m])) and topk(5, sum by (pod) (rate(http_requests_total[1h] @ end())))`},
		Query{Name: "subquery_offset", Expr: `max_over_time(sum by (cluster) (queue_length)[10m:1m] offset 1h)`},
	)
}

func mediumInstants() []Query {
	return medium(Instants, now).of(
		Query{Name: "now_up", Expr: `up == 1`},
		Query{Name: "now_gauge", Expr: `memory_usage_bytes`, Tier: Quick},
		Query{Name: "now_one_series", Expr: `http_requests_total{instance="10.0.0.1:8080",handler="/",method="GET",status="200"}`},
		Query{Name: "now_rate_by_pod", Expr: `sum by (pod) (rate(http_requests_total[5m]))`, Tier: Quick},
		Query{Name: "now_rate_1h", Expr: `rate(http_requests_total[1h])`},
		Query{Name: "now_max_6h", Expr: `max_over_time(memory_usage_bytes[6h])`},
		Query{Name: "now_p90", Expr: `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`},
		Query{Name: "now_topk", Expr: `topk(10, sum by (pod) (rate(http_requests_total[5m])))`},
		Query{Name: "now_join", Expr: `rate(http_requests_total[5m]) * on (instance, job) group_left (version) build_info`},
		Query{Name: "now_raw", Expr: `http_requests_total{status="200"}[5m]`},
		Query{Name: "now_sorted", Expr: `sort_desc(sum by (namespace, handler) (rate(http_requests_total[5m])))`},
		Query{Name: "now_without_label", Expr: `count({__name__!="",container=""})`},
		Query{Name: "now_count_names", Expr: `count by (__name__) ({__name__!=""})`, Tier: Quick},
	)
}

func mediumDashboards() []Query {
	return medium(Dashboards, panel).of(
		Query{Name: "error_ratio", Expr: `sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))`, Tier: Quick},
		Query{Name: "error_ratio_by_namespace", Expr: `sum by (namespace) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (namespace) (rate(http_requests_total[5m])) > 0.01`},
		Query{Name: "share", Expr: `http_requests_total{status="404"} / ignoring (status) (http_requests_total{status="404"} + ignoring (status) http_requests_total{status="200"})`},
		Query{Name: "share_of_sums", Expr: `sum by (job) (memory_usage_bytes{container="container-0"}) / (sum by (job) (memory_usage_bytes{container="container-0"}) + sum by (job) (memory_usage_bytes{container="container-1"}))`},
		Query{Name: "min_max_ratio", Expr: `min(memory_usage_bytes{container="container-0"}) / (max(memory_usage_bytes{container="container-0"}) + max(memory_usage_bytes{container="container-1"}))`},
		Query{Name: "twice", Expr: `memory_usage_bytes + memory_usage_bytes`},
		Query{Name: "twice_sums", Expr: `sum(memory_usage_bytes) + sum(memory_usage_bytes)`},
		Query{Name: "average_by_hand", Expr: `sum by (namespace) (sum_over_time(memory_usage_bytes{container=~"container-[0-3]"}[30m])) / sum by (namespace) (count_over_time(memory_usage_bytes{container=~"container-[0-3]"}[30m]))`, Tier: Quick},
		Query{Name: "apdex", Expr: `(sum by (job) (rate(request_duration_seconds_bucket{le="0.25"}[5m])) + sum by (job) (rate(request_duration_seconds_bucket{le="1.0"}[5m]))) / 2 / sum by (job) (rate(request_duration_seconds_count[5m]))`},
		Query{Name: "three_quantiles", Expr: `label_replace(histogram_quantile(0.5, sum by (le) (rate(request_duration_seconds_bucket[5m]))), "q", "0.5", "", "") or label_replace(histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m]))), "q", "0.9", "", "") or label_replace(histogram_quantile(0.99, sum by (le) (rate(request_duration_seconds_bucket[5m]))), "q", "0.99", "", "")`, Tier: Quick},
		Query{Name: "band", Expr: `avg by (namespace) (cpu_utilization_ratio) + 2 * stddev by (namespace) (cpu_utilization_ratio)`},
		Query{Name: "min_avg_max", Expr: `label_replace(min(rate(process_cpu_seconds_total[5m])), "is", "min", "", "") or label_replace(avg(rate(process_cpu_seconds_total[5m])), "is", "avg", "", "") or label_replace(max(rate(process_cpu_seconds_total[5m])), "is", "max", "", "")`},
		Query{Name: "burn_rate", Expr: `(sum by (job) (rate(http_requests_total{status="500"}[1h])) / sum by (job) (rate(http_requests_total[1h])) > 0.02) and (sum by (job) (rate(http_requests_total{status="500"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.02)`},
	)
}

func mediumPathological() []Query {
	return medium(Pathological, panel).of(
		Query{Name: "11000_steps", Expr: `sum by (namespace) (rate(http_requests_total{handler="/",status="200"}[5m]))`, Start: 19_800 * time.Second, Step: 1800 * time.Millisecond},
		Query{Name: "11000_steps_each", Expr: `up`, Start: 19_800 * time.Second, Step: 1800 * time.Millisecond},
		Query{Name: "regexps_that_scan", Expr: `sum({pod=~".*-.*[a-f]$",instance!~".*[13579]:.*"})`, Step: 5 * time.Minute},
		Query{Name: "everything", Expr: `count by (__name__, namespace) ({__name__!=""})`, Step: 5 * time.Minute},
		Query{Name: "deep", Expr: `abs(-(((((((queue_length + 1) * 2) - 3) / 4) + 5) * 6) - 7))`},
	)
}
