package suite

import (
	"slices"
	"time"
)

// The groups of queries, in the order in which they are shown.
const (
	Selectors    = "selectors"
	Rates        = "rate"
	OverTime     = "over_time"
	Aggregations = "aggregations"
	Joins        = "joins"
	Functions    = "functions"
	Classic      = "classic histograms"
	Native       = "native histograms"
	Ranking      = "topk and quantile"
	Subqueries   = "subqueries"
	Modifiers    = "offset and @"
	Instants     = "instant"
	Dashboards   = "dashboards"
	Pathological = "pathological"
)

// Groups returns all groups in the order in which they are shown.
func Groups() []string {
	return []string{
		Selectors, Rates, OverTime, Aggregations, Joins, Functions, Classic, Native, Ranking, Subqueries, Modifiers,
		Instants, Dashboards, Pathological,
	}
}

// Queries returns all queries, data set by data set in the order of Datasets.
func Queries() []Query {
	return slices.Concat(
		smallQueries(), mediumQueries(), wideQueries(), longQueries(), churnQueries(), nativeQueries(), sparseQueries(),
		xor2Queries(), headQueries(),
	)
}

// span is a time range that counts back from the end of the data.
type span struct{ start, end, step time.Duration }

// now is the time of an instant query.
var now = span{}

// batch is what queries in a row have in common.
type batch struct {
	dataset, group string
	tier           Tier
	span           span
	tags           []string
}

// of returns the queries with what the batch says where they say nothing themselves.
func (b batch) of(queries ...Query) []Query {
	for i := range queries {
		q := &queries[i]
		q.Dataset, q.Group = b.dataset, b.group
		if q.Tier == Smoke {
			q.Tier = b.tier
		}
		if q.Start == 0 && q.End == 0 {
			q.Start, q.End = b.span.start, b.span.end
		}
		if q.Step == 0 {
			q.Step = b.span.step
		}
		if q.Step == 0 {
			q.Tags = append(q.Tags, Instant)
		}
		q.Tags = append(q.Tags, b.tags...)
	}
	return queries
}

// tags makes the list of a query's tags legible.
func tags(all ...string) []string { return all }
