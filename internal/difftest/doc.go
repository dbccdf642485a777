// Package difftest compares two PromQL engines on generated queries.
//
// It brings varied, seeded data sets, a type-correct query generator, a
// comparer that demands Prometheus' exactness (values, order, histograms,
// annotations, error texts, sample statistics), checks that need no second
// engine, and a shrinker that turns a mismatch into a small reproduction.
//
// Everything is written against promql.QueryEngine. [Run] is the entry for
// tests, [FuzzQuery] the one for go test -fuzz.
package difftest
