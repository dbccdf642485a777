package logicalplan

import (
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/remote"
)

// StepRange is the run of steps [From, To) of the times that a node is evaluated at.
type StepRange struct{ From, To int }

// Remote is a part of the query that another engine evaluates. It is a leaf: passes behind it do not see the part.
type Remote struct {
	Engine remote.RemoteEngine
	Query  *RemoteQuery
	// Times are those of the place where the node stands, and Steps the ones that the engine is asked for.
	Times Times
	Steps StepRange
	// Unmixed says that the fragment is a sum, average, deviation or variance of a part of the series, which is of no use if floats
	// and histograms met in one of its groups: what the other parts have of the group would have to be dropped, too.
	Unmixed bool
	// Unheard says that nothing was known of the engine when the query was planned. The part fails, and counts nowhere: what the engine would
	// make of it may be something else than what was planned for.
	Unheard bool
}

// RemoteQuery is a part of a query as other engines get it. It is made when the plan is cut, so that what passes do to the same
// nodes later, for the one engine at the root, does not reach it.
type RemoteQuery struct {
	Text string
	// Pinned is the text for an engine that knows whole seconds only, where the part is evaluated at one time that is none: it means the
	// same at any time. "" otherwise.
	Pinned string
	// Version and Root are the part as encoded nodes.
	Version int
	Root    []byte

	typ   parser.ValueType
	pos   posrange.PositionRange
	needs []need
}

func newRemoteQuery(n Node, at Times, lookback int64) *RemoteQuery {
	q := &RemoteQuery{Text: textElsewhere(n), typ: n.Type(), pos: n.Pos(), needs: needs(n, lookback)}
	if at.Start == at.End && at.Start%1000 != 0 {
		q.Pinned = pinnedText(n, at.Start)
	}
	var err error
	if q.Root, q.Version, err = encodeTree(n); err != nil {
		panic(err) // classify lets nothing through that cannot be encoded
	}
	return q
}

// Encode gives the part as the bytes of a Fragment with the given steps of the given times.
func (q *RemoteQuery) Encode(times Times, lookback int64, steps StepRange, opts FragmentOptions) (version int, encoded []byte, err error) {
	f := Fragment{Plan: &Plan{Times: times, Lookback: lookback}, Steps: steps, Options: opts}
	return f.encode(q.Root, q.Version)
}

// Needs are the times of all samples that the given steps of the given times look at. Of each selector that is all from the first
// step's to the last one's.
func (q *RemoteQuery) Needs(times Times, steps StepRange) remote.Intervals {
	var all []remote.Interval
	for _, n := range q.needs {
		first, _ := n.at(times.Start + int64(steps.From)*times.Interval)
		_, last := n.at(times.Start + int64(steps.To-1)*times.Interval)
		all = append(all, remote.Interval{Start: first, End: last})
	}
	return remote.Union(all...)
}

// Dedup is the union of its inputs, in which samples that several of them computed from the same data count once:
// dedup(coalesce(remote(...), remote(...), ...)). Inputs are Remotes and, behind them, at most one node that is evaluated here,
// for steps for which no engine has all the data.
type Dedup struct {
	Inputs []Node
	// Partition are the sorted names of the partition labels.
	Partition []string
	// Ranking says for each partition label set which input counts at which step.
	Ranking Ranking
	// Of is what the union stands for, or what an aggregation aggregates whose parts are united: its place is that of the union.
	Of Node
}

// Section is a node that is evaluated at some steps only, and has no samples at others.
type Section struct {
	Expr    Node
	Steps   StepRange
	Unmixed bool // as of a Remote
}

// Ranking is which inputs count for a partition label set. Where a set has none, the first input with a sample counts.
type Ranking interface {
	// Runs are the steps of a set, which is a series' labels reduced to the partition labels, in order and without gaps; nil if every
	// input may count at every step.
	Runs(set labels.Labels) []Run
}

// Run are steps at which the same inputs count: the first of them that has a sample.
type Run struct {
	StepRange
	Inputs []int
}

// Parts are an average, standard deviation or variance of a part of the series, in a form that can be put together: for each group
// the average, the number of samples and, but for avg, the variance, told apart by the label PartLabel.
type Parts struct {
	Op       parser.ItemType // AVG, STDDEV or STDVAR
	Expr     Node
	Grouping []string // sorted
	Without  bool
	PosRange posrange.PositionRange
}

// PartLabel tells the parts of Parts apart: its values are avg, count and stdvar.
const PartLabel = "__part__"

// Combine puts Parts together: it is the aggregation Op of all that they were made of.
type Combine struct {
	Op       parser.ItemType
	Expr     Node
	Grouping []string // sorted
	Without  bool
	PosRange posrange.PositionRange
}

func (*Remote) Children() []Node    { return nil }
func (n *Dedup) Children() []Node   { return n.Inputs }
func (n *Parts) Children() []Node   { return []Node{n.Expr} }
func (n *Section) Children() []Node { return []Node{n.Expr} }
func (n *Combine) Children() []Node { return []Node{n.Expr} }

func (*Remote) SetChild(int, Node)             {}
func (n *Dedup) SetChild(i int, c Node)        { n.Inputs[i] = c }
func (n *Section) SetChild(_ int, c Node)      { n.Expr = c }
func (n *Section) Type() parser.ValueType      { return n.Expr.Type() }
func (n *Section) Pos() posrange.PositionRange { return n.Expr.Pos() }
func (n *Parts) SetChild(_ int, c Node)        { n.Expr = c }
func (n *Combine) SetChild(_ int, c Node)      { n.Expr = c }
func (n *Remote) Type() parser.ValueType       { return n.Query.typ }
func (n *Dedup) Type() parser.ValueType        { return n.Of.Type() }
func (*Parts) Type() parser.ValueType          { return parser.ValueTypeVector }
func (*Combine) Type() parser.ValueType        { return parser.ValueTypeVector }
func (n *Remote) Pos() posrange.PositionRange  { return n.Query.pos }
func (n *Dedup) Pos() posrange.PositionRange   { return n.Of.Pos() }
func (n *Parts) Pos() posrange.PositionRange   { return n.PosRange }
func (n *Combine) Pos() posrange.PositionRange { return n.PosRange }

// Describe is the engine, the fragment, and its steps where they are not all.
func (n *Remote) Describe() string {
	if n.Unheard {
		return fmt.Sprintf("remote %s: nothing was heard of it", n.Engine.Name())
	}
	s := fmt.Sprintf("remote %s: %s", n.Engine.Name(), n.Query.Text)
	if n.Steps != n.Times.all() {
		s += fmt.Sprintf(" steps %d..%d", n.Steps.From, n.Steps.To-1)
	}
	return s
}

// Describe names the partition labels.
func (n *Dedup) Describe() string {
	return "dedup coalesce by " + labelList(n.Partition)
}

// Describe is the steps.
func (n *Section) Describe() string {
	return fmt.Sprintf("here, at steps %d..%d", n.Steps.From, n.Steps.To-1)
}

// Describe is the aggregation and the grouping.
func (n *Parts) Describe() string { return "parts of " + n.head() }

// Describe is the aggregation and the grouping.
func (n *Combine) Describe() string {
	return "combine " + strings.TrimSpace(aggregateHead(&Aggregate{Op: n.Op, Grouping: n.Grouping, Without: n.Without}))
}

func (n *Parts) head() string {
	return strings.TrimSpace(aggregateHead(&Aggregate{Op: n.Op, Grouping: n.Grouping, Without: n.Without}))
}

// Ops are the aggregations that the parts come from; their names are the values of PartLabel.
func (n *Parts) Ops() []parser.ItemType {
	if n.Op == parser.AVG {
		return []parser.ItemType{parser.AVG, parser.COUNT}
	}
	return []parser.ItemType{parser.AVG, parser.COUNT, parser.STDVAR}
}

// all are all steps.
func (t Times) all() StepRange { return StepRange{To: t.steps()} }

// steps is the number of steps.
func (t Times) steps() int {
	if t.End < t.Start {
		return 0
	}
	return int((t.End-t.Start)/max(1, t.Interval)) + 1
}
