package logicalplan

import "github.com/prometheus/prometheus/util/annotations"

// SimplifyInvariants drops step-invariant marks that do nothing: around literals, and around
// others of their kind.
//
//	before:                after:
//	+                      +
//	  foo                    foo
//	  step-invariant         3
//	    3
//
// It adds none: samples below such a mark count once for every step around it, so a mark that
// Prometheus does not set would change the statistics.
type SimplifyInvariants struct{}

// Name is "simplify-invariants".
func (SimplifyInvariants) Name() string { return "simplify-invariants" }

// Optimize drops marks from the leaves up.
func (SimplifyInvariants) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	p.Root = Transform(p.Root, func(n Node) Node {
		if s, ok := n.(*StepInvariant); ok {
			switch s.Expr.(type) {
			case *NumberLiteral, *StepInvariant:
				return s.Expr
			}
		}
		return n
	})
	return p, nil
}
