// Package physicalplan turns a logical plan into operators, arranges them in pipelines and runs those.
package physicalplan

import (
	"sync/atomic"
	"time"

	"github.com/stride-promql/stride/operators"
)

// node is an operator and its place in the plan's graph.
type node struct {
	id   int
	op   operators.Operator
	grid operators.Grid

	inputs    []*node
	consumers []edge
	// evaluated are the inputs in the order in which Prometheus evaluates them, where that is not theirs.
	evaluated []*node

	open     operators.StepRange // of the node's own grid
	finished []bool              // inputs whose pipelines are through, in the open range
	stats    nodeStats
	account  *operators.Query // what the operator holds; nil if it holds nothing
}

// edge leads from a node to an input of another.
type edge struct {
	to    *node
	input int
}

// nodeStats is what Analyze shows of a node. Workers add to it once a batch.
type nodeStats struct {
	self    atomic.Int64 // ns in the operator's own methods, summed over workers
	batches atomic.Int64
	samples atomic.Int64 // samples in the batches put out
	bytes   atomic.Int64 // of the batches put out
	largest atomic.Int64 // bytes of the largest one
}

func (s *nodeStats) add(d time.Duration, b *operators.Batch) {
	s.self.Add(int64(d))
	if b == nil {
		return
	}
	s.batches.Add(1)
	s.samples.Add(countPositions(b))
	n := b.Bytes()
	s.bytes.Add(n)
	for old := s.largest.Load(); n > old && !s.largest.CompareAndSwap(old, n); old = s.largest.Load() {
	}
}

// countPositions is the number of positions with a sample.
func countPositions(b *operators.Batch) int64 {
	n := b.Rows * b.Steps
	c := b.Valid.Count(0, n)
	if b.HValid != nil {
		c += b.HValid.Count(0, n)
	}
	return int64(c)
}

// streamed is the index of the input that n takes as a stream right now, -1 if there is none.
func (n *node) streamed() int {
	for i := range n.inputs {
		if n.op.Takes(i) == operators.Stream {
			return i
		}
	}
	return -1
}

// source is the node's operator as a Source, if it acts as one: it has no streamed input.
func (n *node) source() (operators.Source, bool) {
	s, ok := n.op.(operators.Source)
	return s, ok && n.streamed() < 0
}
