package physicalplan

import (
	"context"
	"errors"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/scan"
)

// runRanges runs the plan over all its steps: at once where that fits into the memory there is, else range by range. A
// range that turns out not to fit is dropped, with its annotations and statistics, and run again: when another query has
// given back memory, or as two halves.
func (d *driver) runRanges(ctx context.Context) error {
	p := d.plan
	start, steps := 0, p.root.grid.Steps
	if r := p.opts.Steps; r != nil {
		start, steps = r.From, r.To
	}
	width := p.opts.StepsPerRange
	if width <= 0 {
		width = p.fit(max(1, steps-start))
		if width < steps-start {
			p.forgetAhead()
		}
	}
	for from := start; from < max(start+1, steps); {
		r := operators.StepRange{From: from, To: min(from+width, steps)}
		var m marks
		if p.query.MemoryLimited() {
			m = p.mark()
		}
		err := d.runRange(ctx, r, from == start)
		if errors.Is(err, operators.ErrShortOfMemory) {
			if err := p.rewind(m, r); err != nil {
				return err
			}
			var own *operators.BudgetError
			if !errors.As(err, &own) && p.query.Shared.Wait(ctx) {
				continue
			}
			if ended := p.query.Err(); ended != nil {
				return ended // while it waited
			}
			if r.Len() > 1 {
				p.halved++
				width = (r.Len() + 1) / 2
				continue
			}
		}
		if err != nil {
			return err
		}
		// Not before the range is through: what is rewound would be forgotten.
		if err := p.consumeRemote(); err != nil {
			return err
		}
		if p.query.MemoryLimited() {
			p.query.Commit(m.query)
		}
		p.ranges++
		from += width
	}
	return nil
}

// forgetAhead drops what was read ahead for all steps, with its statistics: it is read again, for fewer.
func (p *Plan) forgetAhead() {
	if !p.aheadRan {
		return
	}
	for _, n := range p.nodes {
		if leaf, ok := n.op.(scan.Ahead); ok {
			leaf.ForgetAhead()
		}
	}
	p.query.ForgetSamples()
	for _, s := range p.scopes {
		s.scope.Forget()
	}
}

// marks are the state of a plan between two ranges.
type marks struct {
	query  operators.Mark
	scopes []operators.ScopeMark
	opened []operators.StepRange
}

func (p *Plan) mark() marks {
	m := marks{query: p.query.Mark(), opened: p.opened()}
	for _, s := range p.scopes {
		m.scopes = append(m.scopes, s.scope.Mark())
	}
	return m
}

// rewind drops what a range has left behind. Operators are opened for no step at all, which makes them give back what they hold:
// else those that are opened for the next range first could find no memory.
func (p *Plan) rewind(m marks, r operators.StepRange) error {
	p.query.Rewind(m.query)
	for i, s := range p.scopes {
		s.scope.Rewind(m.scopes[i])
	}
	if r.From == 0 {
		p.forgetAhead()
	}
	if p.collector != nil {
		p.collector.Rewind(r.From)
	}
	p.spread(operators.StepRange{From: r.From, To: r.From})
	for _, n := range p.nodes {
		if err := n.op.Open(n.open); err != nil {
			return err
		}
	}
	p.reopen(m.opened)
	return nil
}
