// Package suite is what the benchmark harness runs: data sets, and queries on them.
//
// A data set is a profile of internal/gendata in specs, a query a line in the list of its data set. The tests run all
// queries on data sets of the same kind that are small.
package suite

import (
	"context"
	"time"
)

// Dataset is a data set that can be made anew at any time.
type Dataset struct {
	Name        string
	Description string
	// Version is part of the cache's name: it changes whenever the data does, also where that is because the
	// generator or its arithmetic on another processor is another.
	Version string
	// Encoding of float chunks: "xor" or "xor2". Engines that cannot read xor2 are not asked.
	Encoding string
	// Head is set where samples are in a head (WAL and chunks_head), at least in part.
	Head bool
	// End is the time (ms) of the end of the data.
	End int64
	// Build writes the data set into dir, which is there and empty. progress may be nil.
	Build func(ctx context.Context, dir string, progress func(done, total int64)) error
}

// Tier says in which runs a query takes part; each includes the ones before.
type Tier int

// The tiers.
const (
	Smoke Tier = iota // tiny data, seconds: for tests
	Quick             // make bench: minutes
	Full              // make bench-full
)

// Tags of queries that targets are about.
const (
	SinglePass = "single-pass" // one pass over the samples and little else: held against the floor
	LongWindow = "long-window" // windows of 240 samples or more, of a function that slides or indexes
	Instant    = "instant"
	// Scaling groups: the tag's part behind the colon names the query that is half as large, e.g. "double-series:rate_half".
	DoubleSeries = "double-series:"
	DoubleSteps  = "double-steps:"
	// WindowOf joins queries that have as many steps and differ in the window's length, e.g. "window:rate".
	WindowOf = "window:"
	// Bar goes before the ratio to Prometheus' wall time that a query has to reach, e.g. "bar:0.18".
	Bar = "bar:"
	// Ties may be broken by picking any of several series: engines need not agree which.
	Ties = "ties"
)

// SmokeDataset is for tests of the harness: what its queries take tells nothing, and no target is about them.
const SmokeDataset = "small"

// Query is one query on one data set.
type Query struct {
	Dataset string
	Group   string
	Name    string // unique in the data set
	// Expr may use experimental functions.
	Expr string
	Tier Tier
	Tags []string

	// Start and End count back from the data set's end; an instant query has Step 0 and is evaluated at End.
	Start, End time.Duration
	Step       time.Duration
}
