package suite

import (
	"fmt"
	"time"
)

// mediumWindows asks for the same of windows of 5m, 1h and 6h: an engine that slides or indexes pays for samples and
// steps, not for windows. There is no more data than 6h, so that the longest windows are those of a panel of the last
// hour. It has as many points as the others and reads about as many samples, so that times can be held against each other.
func mediumWindows() []Query {
	const (
		counters = `http_requests_total{status="200"}`
		gauges   = `memory_usage_bytes{container=~"container-[0-3]"}`
		// Of what takes Prometheus seconds there are fewer.
		fewerCounters = `http_requests_total{status="200",handler=~"/|/login"}`
		fewerGauges   = `memory_usage_bytes{container=~"container-[01]"}`
	)
	lastHour := span{start: time.Hour, step: panel.step / 5}
	var res []Query
	for _, f := range []struct{ group, function, of string }{
		{Rates, "rate", counters},
		{Rates, "increase", counters},
		{Rates, "delta", gauges},
		{Rates, "resets", fewerCounters},
		{Rates, "changes", fewerGauges},
		{OverTime, "sum_over_time", gauges},
		{OverTime, "avg_over_time", gauges},
		{OverTime, "min_over_time", gauges},
		{OverTime, "max_over_time", gauges},
		{OverTime, "count_over_time", gauges},
		{OverTime, "last_over_time", gauges},
		{OverTime, "first_over_time", gauges},
		{OverTime, "present_over_time", gauges},
	} {
		for _, window := range []struct {
			length string
			at     span
			tags   []string
		}{
			{"5m", panel, nil},
			{"1h", panel, tags(LongWindow)},
			{"6h", lastHour, tags(LongWindow)},
		} {
			q := Query{
				Name: fmt.Sprintf("window_%s_%s", f.function, window.length),
				Expr: fmt.Sprintf("%s(%s[%s])", f.function, f.of, window.length),
				Tags: append(tags(WindowOf+f.function), window.tags...),
			}
			switch {
			case f.function == "rate":
				q.Tier = Quick
				if window.length == "5m" {
					q.Tags = append(q.Tags, SinglePass)
				}
			case f.function == "max_over_time" && window.length == "6h":
				q.Tier = Quick
			}
			res = append(res, medium(f.group, window.at).of(q)...)
		}
	}
	return res
}
