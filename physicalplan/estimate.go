package physicalplan

import (
	"sort"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/result"
)

// Need is about how many bytes the plan will hold at once, with what it holds since it was bound, if all steps are run
// in one range. Data that is not there yet, such as the size of histograms, is not in it.
func (p *Plan) Need() int64 {
	if p.root == nil {
		return p.query.Bytes()
	}
	return p.query.Bytes() + p.resultBytes() + p.stateBytes(max(1, p.root.grid.Steps))
}

// Grant says, before Run, how many of the bytes that queries share this one may count on.
func (p *Plan) Grant(bytes int64) { p.granted = bytes }

// fit is the most steps, of at most steps, whose range fits into the memory there is.
func (p *Plan) fit(steps int) int {
	free := p.free()
	if free < 0 {
		return steps
	}
	free -= p.resultBytes()
	fits := sort.Search(steps, func(i int) bool { return p.stateBytes(i+1) > free })
	// An estimate that is too high must not make thousands of ranges, each of which reads its samples anew, where halving one that does
	// not fit costs little.
	return max(fits, (steps+mostRanges-1)/mostRanges)
}

// mostRanges is the most ranges that an estimate cuts the steps into. Halving may make more.
const mostRanges = 16

// free is how many bytes the plan may still take, less than 0 if there is no limit.
func (p *Plan) free() int64 {
	free := int64(-1)
	for _, limit := range [...]int64{p.query.MemoryBudget, p.granted} {
		if limit <= 0 {
			continue
		}
		if more := max(0, limit-p.query.Bytes()); free < 0 || more < free {
			free = more
		}
	}
	return free
}

// resultBytes is about what the result takes.
func (p *Plan) resultBytes() int64 {
	const pointBytes = 16
	return int64(p.root.inputs[0].outputSeries()) * int64(max(1, p.root.grid.Steps)) * pointBytes
}

// stateBytes is about what all operators hold for a range of so many steps of the root's grid.
func (p *Plan) stateBytes(steps int) int64 {
	opened := p.opened()
	defer p.reopen(opened)
	p.spread(operators.StepRange{To: min(steps, p.root.grid.Steps)})
	total := int64(0)
	for _, n := range p.nodes {
		total += n.stateBytes()
	}
	return total
}

// stateBytes is what the node holds for its open range.
func (n *node) stateBytes() int64 {
	if s, ok := n.op.(operators.Sized); ok {
		return s.StateBytes(n.open.Len())
	}
	if _, ok := n.op.(*result.Collector); ok || n.adapts() {
		return 0 // the result is counted apart, and mostly no labels collide
	}
	total := int64(0)
	for i, in := range n.inputs {
		if n.op.Takes(i) == operators.FoldRows {
			total += int64(in.outputSeries()) * rowBytes(in.open.Len())
		}
	}
	return total
}

// rowBytes is what a row of floats takes in a batch.
func rowBytes(steps int) int64 { return int64(8*steps + 8*bitmap.Words(steps)) }

// outputSeries is about how many series the node puts out.
func (n *node) outputSeries() int {
	if s, ok := n.op.(operators.Sized); ok {
		return s.OutputSeries()
	}
	if known := n.op.Schema().Len(); known > 0 || len(n.inputs) == 0 {
		return known
	}
	return n.inputs[0].outputSeries()
}
