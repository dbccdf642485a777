package physicalplan

import (
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/result"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/remote"
)

// Options are what Build needs besides the logical plan.
type Options struct {
	// Query is what the plan's operators share.
	Query *operators.Query
	// Storage is where selectors select; nil for a plan that is only explained.
	Storage *scan.Storage
	// Instant says that the query is an instant query: its result is no range of steps.
	Instant bool
	// PerStepStats keeps the sample statistics of every step.
	PerStepStats bool
	// Builders make the operators of extensions, asked in order.
	Builders []Builder
	// StepsPerRange is the most steps that are run at once; 0 is all.
	StepsPerRange int
	// Emit takes the result of a plan that is a part of a query: columns as they are computed, one call at a time. nil: the
	// result is kept for Value.
	Emit func(*remote.Columns) error
	// Steps are those of the plan that are run; nil: all.
	Steps *operators.StepRange
	// Remote says how parts of the query reach other engines; it may be nil for a plan that is only explained.
	Remote *Remote
	// Poison overwrites batches that were given back. For tests.
	Poison bool
}

// Builder makes the operator of a node that is not one of logicalplan's own. inputs are the
// schemas of the node's children in order, and the operator's inputs are numbered like them. A
// builder answers nil, nil for a node that is not its.
type Builder interface {
	Build(node logicalplan.Extension, inputs []*operators.Schema) (operators.Operator, error)
}

// Plan is a graph of operators, each behind its inputs in nodes.
type Plan struct {
	opts   Options
	query  *operators.Query
	nodes  []*node
	scopes []*scopeInfo

	root      *node
	cleanup   *node // the merge behind delayed name removal, if there is one
	collector *result.Collector
	raw       *scan.Raw // a matrix selector as the whole query; then there is no other operator
	text      *string   // a string literal as the whole query
	start     int64
	elapsed   time.Duration
	bound     int64 // bytes held when Run began
	granted   int64 // bytes of those that queries share, 0: no limit
	aheadRan  bool  // something may have been read while binding
	ranges    int   // step ranges that were run
	halved    int   // and that did not fit into memory
	// vector and scalar are set for instant queries with such a result.
	vector, scalar bool
}

// Value is the query's result, after Run. A Matrix of a range query is not sorted yet.
func (p *Plan) Value() parser.Value {
	switch {
	case p.text != nil:
		return promql.String{T: p.start, V: *p.text}
	case p.raw != nil:
		return p.raw.Matrix()
	case p.scalar:
		return p.collector.Scalar()
	case p.vector:
		return p.collector.Vector()
	}
	return p.collector.Matrix()
}

// Elapsed is how long Run took.
func (p *Plan) Elapsed() time.Duration { return p.elapsed }

// Workers is the most goroutines that the plan may run on.
func (p *Plan) Workers() int { return max(1, p.query.Workers) }

// Steps is the number of steps of the result.
func (p *Plan) Steps() int {
	if p.root == nil {
		return 1
	}
	return p.root.grid.Steps
}

// Ranges is the number of step ranges that Run cut the steps into, and of those that it had to begin again, with half
// the steps, because they did not fit into memory.
func (p *Plan) Ranges() (run, halved int) { return p.ranges, p.halved }

// Fixed are the bytes that do not become fewer when steps are run in ranges: of the labels of all series, and of the result.
func (p *Plan) Fixed() (series, result int64) {
	if p.collector != nil {
		result = p.root.account.PeakBytes()
	}
	return p.bound, result
}

// Peak is the most samples and bytes that operators held at once.
func (p *Plan) Peak() (samples, bytes int64) { return p.query.PeakSamples(), p.query.PeakBytes() }
