// Package aggregate holds PromQL's aggregation operators: blocking operators that fold series into
// groups and are then the source of the groups (or, for topk and its kin, of the series picked).
//
// The group of a series is resolved once, when the series becomes known. State is kept as columns
// of steps, group by group, so that a row of a batch is folded with one tight loop. Samples of a
// step are always folded in series order, which makes sums equal Prometheus' bit for bit.
package aggregate
