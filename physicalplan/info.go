package physicalplan

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators/function"
	"github.com/stride-promql/stride/operators/scan"
)

func (b *builder) info(n *logicalplan.Call, c place) (*node, error) {
	in, err := b.build(n.Args[0], c)
	if err != nil {
		return nil, err
	}
	config := function.InfoConfig{
		At:       n.Info.Timestamp,
		Offset:   n.Info.Offset,
		Start:    c.start,
		End:      c.end,
		Interval: c.grid.Interval,
	}
	if len(n.Args) > 1 {
		config.Matchers = infoMatchers(n.Args[1])
	}
	lookup := &scan.Lookup{Query: b.q, Storage: b.opts.Storage, Scope: c.scope.scope}
	return b.add(function.NewInfo(b.account(), in.op.Schema(), c.grid, config, lookup), c.grid, in), nil
}

func infoMatchers(n logicalplan.Node) []*labels.Matcher {
	if s, ok := n.(*logicalplan.VectorSelector); ok {
		return s.Matchers
	}
	return nil
}
