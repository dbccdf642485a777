package difftest

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// Stepwise says whether every step of a range query depends on its time
// alone, so that it can be checked against other queries of the same engine.
// It does not where the query asks for its own range or step, where the order
// of series decides (limitk, ties of topk), and, under delayed name removal,
// where `or` mixes series that lose their name with others that keep it.
func Stepwise(expr parser.Expr, opts promql.EngineOpts) bool {
	return !contains(expr, func(n parser.Node) bool {
		switch n := n.(type) {
		case *parser.Call:
			switch n.Func.Name {
			case "start", "end", "range", "step":
				return true
			case "label_replace", "label_join":
				// May give the name back, or take it, at some steps only.
				return opts.EnableDelayedNameRemoval
			}
		case *parser.AggregateExpr:
			return n.Op == parser.LIMITK || n.Op == parser.TOPK || n.Op == parser.BOTTOMK
		case *parser.BinaryExpr:
			return n.Op == parser.LOR && opts.EnableDelayedNameRemoval
		case *parser.VectorSelector:
			return n.StartOrEnd != 0 || ownDuration(n.OriginalOffsetExpr)
		case *parser.MatrixSelector:
			return ownDuration(n.RangeExpr)
		case *parser.SubqueryExpr:
			return n.StartOrEnd != 0 || ownDuration(n.OriginalOffsetExpr) || ownDuration(n.RangeExpr) || ownDuration(n.StepExpr)
		}
		return false
	})
}

// ownDuration says whether a duration depends on the query's range or step.
func ownDuration(d *parser.DurationExpr) bool {
	if d == nil {
		return false
	}
	if d.Op == parser.STEP || d.Op == parser.RANGE {
		return true
	}
	for _, side := range []parser.Expr{d.LHS, d.RHS} {
		if sub, ok := side.(*parser.DurationExpr); ok && ownDuration(sub) {
			return true
		}
	}
	return false
}

// CheckInstants compares a range query with the instant queries at its steps,
// on one engine. It returns nil if they agree, or if the query fails.
func CheckInstants(ctx context.Context, c Case, engine promql.QueryEngine, st storage.Queryable) *Difference {
	var parts []Times
	for _, ts := range c.Times.Steps() {
		parts = append(parts, Times{Instant: true, Start: ts, End: ts})
	}
	return checkParts(ctx, c, engine, st, parts)
}

// CheckHalves compares a range query with two queries over its first and its
// remaining steps, on one engine.
func CheckHalves(ctx context.Context, c Case, engine promql.QueryEngine, st storage.Queryable) *Difference {
	steps := c.Times.Steps()
	if len(steps) < 2 {
		return nil
	}
	m := steps[(len(steps)-1)/2]
	return checkParts(ctx, c, engine, st, []Times{
		{Start: c.Times.Start, End: m, Step: c.Times.Step},
		{Start: m + c.Times.Step, End: c.Times.End, Step: c.Times.Step},
	})
}

// checkParts compares a range query with the queries over its parts, joined.
func checkParts(ctx context.Context, c Case, engine promql.QueryEngine, st storage.Queryable, parts []Times) *Difference {
	whole := c.Run(ctx, engine, st)
	defer whole.Close()
	if whole.Err != nil || whole.Panic != "" {
		return nil
	}
	joined := &Outcome{}
	matrix := newJoin()
	for _, t := range parts {
		part := c
		part.Times = t
		o := part.Run(ctx, engine, st)
		defer o.Close()
		if panicked(o) {
			return nil // a storage that panics answers no question about steps
		}
		if o.Err != nil || o.Panic != "" {
			return &Difference{Part: PartError, Text: fmt.Sprintf("the whole range has an answer, %s fails: %v %s", t, o.Err, o.Panic)}
		}
		matrix.add(o.Value)
	}
	joined.Value = matrix.result()
	// Whether a sample is known not to be a reset depends on the chunks and
	// blocks that the query's time range touches.
	cmp := Comparer{Tolerance: DefaultTolerance, ignoreHints: true}
	text := cmp.compare(PartValue, whole, joined)
	if text == "" {
		return nil
	}
	runs := []*Outcome{whole}
	for len(runs) < runBatch {
		o := c.Run(ctx, engine, st)
		defer o.Close()
		runs = append(runs, o)
	}
	if cmp.compareSpread(runs, joined) == "" {
		return nil
	}
	return &Difference{Part: PartValue, Text: text}
}

// join collects values of several queries in one matrix.
type join struct {
	series map[string]*promql.Series
}

func newJoin() join { return join{series: map[string]*promql.Series{}} }

func (j join) at(l labels.Labels) *promql.Series {
	key := l.String()
	s, ok := j.series[key]
	if !ok {
		s = &promql.Series{Metric: l}
		j.series[key] = s
	}
	return s
}

func (j join) add(v parser.Value) {
	switch v := v.(type) {
	case promql.Scalar:
		s := j.at(labels.EmptyLabels())
		s.Floats = append(s.Floats, promql.FPoint{T: v.T, F: v.V})
	case promql.Vector:
		for _, p := range v {
			s := j.at(p.Metric)
			if p.H != nil {
				s.Histograms = append(s.Histograms, promql.HPoint{T: p.T, H: p.H})
			} else {
				s.Floats = append(s.Floats, promql.FPoint{T: p.T, F: p.F})
			}
		}
	case promql.Matrix:
		for _, p := range v {
			s := j.at(p.Metric)
			s.Floats = append(s.Floats, p.Floats...)
			s.Histograms = append(s.Histograms, p.Histograms...)
		}
	}
}

func (j join) result() promql.Matrix {
	m := make(promql.Matrix, 0, len(j.series))
	for _, s := range j.series {
		m = append(m, *s)
	}
	slices.SortFunc(m, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return m
}
