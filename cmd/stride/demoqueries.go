package main

import (
	"fmt"
	"time"
)

// demoQuery is one query that the demo shows.
type demoQuery struct {
	title, expr string
	times       schedule
}

var (
	atNewest  = schedule{instant: true, end: moment{anchor: atLast}}
	lastHours = schedule{
		start: moment{anchor: atLast, offset: -3 * time.Hour}, hasStart: true,
		end:  moment{anchor: atLast},
		step: time.Minute,
	}
)

var demoQueries = []demoQuery{
	{
		"Requests per second by job, across restarts of the counters and replaced pods",
		`sum by (job) (rate(http_requests_total[5m]))`, lastHours,
	},
	{
		"99th percentile of the request duration, from classic histograms",
		`histogram_quantile(0.99, sum by (job, le) (rate(request_duration_seconds_bucket[5m])))`, lastHours,
	},
	{
		"The same of remote procedure calls, from native histograms",
		`histogram_quantile(0.99, sum by (job) (rate(rpc_duration_seconds[5m])))`, lastHours,
	},
	{
		"Share of requests that failed",
		`sum by (job) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m]))`, lastHours,
	},
	{
		"Requests per second by the version that serves them, joined from another metric, while a new one is rolled out",
		`sum by (version) (sum by (instance) (rate(http_requests_total[5m])) * on (instance) group_left (version) build_info)`, lastHours,
	},
	{
		"The five pods that use the most CPU",
		`topk(5, sum by (namespace, pod) (rate(process_cpu_seconds_total[5m])))`, atNewest,
	},
	{
		"How much of the last three hours the targets of each job were up, the least first",
		`sort(avg by (job) (avg_over_time(up[3h])))`, atNewest,
	},
	{
		"Call durations of the last hour as one native histogram for each cluster",
		`sum by (cluster) (increase(rpc_duration_seconds[1h]))`, atNewest,
	},
}

// nextSteps is what to try after the demo.
func nextSteps(program, dir string) string {
	return fmt.Sprintf(`
Try next:

  %[1]s query --tsdb.path '%[2]s' 'topk(3, memory_usage_bytes)'
  %[1]s query --tsdb.path '%[2]s' --start last-2h --step 1m --format chart 'sum by (namespace) (rate(http_requests_total[5m]))'
  %[1]s query --tsdb.path '%[2]s' --format json 'rpc_duration_seconds{cluster="eu-west-1"}'
  %[1]s explain --tsdb.path '%[2]s' --analyze --start last-2h 'sum by (job) (rate(http_requests_total[5m]))'
  %[1]s generate --out more-data --series 100000 --duration 2h

and with --tsdb.path the data directory of your own Prometheus server, which is only read.
`, program, dir)
}
