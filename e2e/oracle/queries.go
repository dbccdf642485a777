package oracle

import "fmt"

// Queries are ones that Prometheus 3.16 and the 3.9 that Thanos v0.42 speaks answer alike. Left out is what cannot be equal: the pick of limitk
// and limit_ratio depends on how a build hashes labels, and topk's on ties.
func Queries() []string {
	all := []string{
		`up`, `http_requests_total`, `rpc_duration_seconds`, `up{region="eu"}`, `up{region=~"eu|us"}`, `up{region!="eu"}`, `nothing`, `{__name__=~"up|build_info"}`,
		`up offset 10m`, `sum(up @ end())`, `sum(up @ start())`, `up == 0`, `up > bool 0`, `-up`, `1 + 1`, `time()`, `vector(1)`, `scalar(sum(up))`, `vector(scalar(count(up)))`,
		`up * on (region, job, instance) group_left () up`, `sum by (job) (up) / count by (job) (up)`, `sum by (region) (up) / on (region) count by (region) (up)`,
		`up and on (instance) http_requests_total`, `up unless up{region="eu"}`, `up{region="eu"} or up`, `sum(up) or vector(0)`, `sum(nothing) or vector(0)`,
		`absent(up)`, `absent(nothing)`, `absent(nothing{region="eu"})`, `absent_over_time(nothing[5m])`,
		`label_replace(up, "zone", "$1", "region", "(.*)")`, `label_replace(up, "region", "all", "job", ".*")`, `label_join(up, "x", "-", "region", "job")`,
		`sort(sum by (region, job) (up))`, `sort_desc(sum by (region, job) (up))`,
		`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m])))`, `histogram_quantile(0.99, sum by (region, le) (rate(request_duration_seconds_bucket[5m])))`,
		`histogram_quantile(0.5, rate(request_duration_seconds_bucket[5m]))`, `histogram_quantile(0.9, sum(rate(rpc_duration_seconds[5m])))`,
		`histogram_quantile(0.9, sum by (region) (rate(rpc_duration_seconds[5m])))`, `histogram_count(sum(rate(rpc_duration_seconds[5m])))`, `histogram_sum(rate(rpc_duration_seconds[5m]))`,
		`histogram_avg(sum by (job) (rate(rpc_duration_seconds[5m])))`, `max_over_time(sum(up)[10m:1m])`, `avg_over_time(sum by (region) (rate(http_requests_total[5m]))[20m:2m])`,
		`sum(rate(http_requests_total[5m])) by (job) > 1`, `sum(rate(http_requests_total[1m] offset 5m))`, `sum by (job) (increase(http_requests_total[30m]))`,
		`sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))`, `count_values("v", up)`, `count_values by (region) ("v", up)`,
		`quantile(0.5, memory_usage_bytes)`, `quantile by (region) (0.9, memory_usage_bytes)`, `quantile by (job) (0.1, memory_usage_bytes)`,
		`topk(3, sum by (region, job) (memory_usage_bytes))`, `bottomk(2, sum by (region, job) (memory_usage_bytes))`, `topk by (region) (1, sum by (region, job) (memory_usage_bytes))`,
		`clamp_max(memory_usage_bytes, 100)`, `abs(delta(memory_usage_bytes[10m]))`, `deriv(memory_usage_bytes[10m])`, `predict_linear(memory_usage_bytes[10m], 60)`, `round(memory_usage_bytes, 1000)`,
		`sum without (instance) (up)`, `sum without (region) (up)`, `avg without (instance, pod) (memory_usage_bytes)`, `day_of_week()`, `minute(timestamp(up))`, `sgn(up - 1)`,
		`quantile_over_time(0.9, memory_usage_bytes[10m])`, `sum by (region) (quantile_over_time(0.5, memory_usage_bytes[10m]))`, `idelta(memory_usage_bytes[5m])`, `ceil(memory_usage_bytes / 1000)`,
		`sum by (region) (clamp_min(memory_usage_bytes, 1000))`, `max(memory_usage_bytes) - min(memory_usage_bytes)`,
	}
	for _, agg := range []string{"sum", "min", "max", "count", "avg", "group", "stddev", "stdvar"} {
		for _, by := range []string{"", " by (job)", " by (region)", " by (region, job)"} {
			for _, of := range []string{"memory_usage_bytes", "rate(http_requests_total[5m])"} {
				all = append(all, fmt.Sprintf("%s%s (%s)", agg, by, of))
			}
		}
	}
	for _, f := range []string{"rate", "increase", "irate", "resets", "changes", "sum_over_time", "count_over_time", "avg_over_time", "min_over_time", "max_over_time", "last_over_time", "present_over_time", "stddev_over_time"} {
		for _, of := range []string{"%s(http_requests_total[5m])", "sum by (job) (%s(http_requests_total[10m]))", "max(%s(http_requests_total[20m] offset 3m))", "%s(process_cpu_seconds_total[5m])", "count by (region) (%s(process_cpu_seconds_total[2m]))"} {
			all = append(all, fmt.Sprintf(of, f))
		}
	}
	return all
}
