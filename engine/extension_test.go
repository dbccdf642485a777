package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/physicalplan"
)

// optimizer is a pass made of a function.
type optimizer func(*logicalplan.Plan) *logicalplan.Plan

func (optimizer) Name() string { return "test" }

func (o optimizer) Optimize(p *logicalplan.Plan) (*logicalplan.Plan, annotations.Annotations) {
	return o(p), nil
}

// annotating is a pass that only warns.
type annotating struct{}

func (annotating) Name() string { return "annotating" }

func (annotating) Optimize(p *logicalplan.Plan) (*logicalplan.Plan, annotations.Annotations) {
	var a annotations.Annotations
	a.Add(errors.New("changed the plan"))
	return p, a
}

// builder is a physicalplan.Builder made of a function.
type builder func(logicalplan.Extension, []*operators.Schema) (operators.Operator, error)

func (b builder) Build(n logicalplan.Extension, in []*operators.Schema) (operators.Operator, error) {
	return b(n, in)
}

// double is an extension: twice the value of its child.
type double struct{ child logicalplan.Node }

func (*double) Extension()                           {}
func (d *double) Children() []logicalplan.Node       { return []logicalplan.Node{d.child} }
func (d *double) SetChild(_ int, n logicalplan.Node) { d.child = n }
func (*double) Type() parser.ValueType               { return parser.ValueTypeVector }
func (d *double) Pos() posrange.PositionRange        { return d.child.Pos() }
func (*double) Describe() string                     { return "double" }

// doubling is the operator of double.
type doubling struct{ schema *operators.Schema }

func (*doubling) Describe() string               { return "double" }
func (d *doubling) Schema() *operators.Schema    { return d.schema }
func (*doubling) Takes(int) operators.Edge       { return operators.Stream }
func (*doubling) Bind(context.Context) error     { return nil }
func (*doubling) Extend() error                  { return nil }
func (*doubling) Open(operators.StepRange) error { return nil }
func (*doubling) Close()                         {}

func (*doubling) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	b = w.Own(b)
	for i := range b.F {
		b.F[i] *= 2
	}
	return b, nil
}

func buildDoubling(n logicalplan.Extension, in []*operators.Schema) (operators.Operator, error) {
	if _, ok := n.(*double); !ok {
		return nil, nil
	}
	return &doubling{operators.DeriveSchema(in[0], nil, false)}, nil
}

// doubleSelectors puts a double over each instant selector.
func doubleSelectors(p *logicalplan.Plan) *logicalplan.Plan {
	p.Root = logicalplan.Transform(p.Root, func(n logicalplan.Node) logicalplan.Node {
		if v, ok := n.(*logicalplan.VectorSelector); ok && v.Name != "three" {
			return &double{v}
		}
		return n
	})
	return p
}

func doublingOpts(builders ...physicalplan.Builder) engine.Opts {
	o := baseOpts()
	o.Optimizers = append([]logicalplan.Optimizer{optimizer(doubleSelectors)}, logicalplan.DefaultOptimizers()...)
	o.Builders = builders
	return o
}

// TestExtension: an extension works from the optimizer that makes it to the result, with the passes of this project around it.
func TestExtension(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	reference := engine.New(baseOpts())
	o := doublingOpts(
		builder(func(logicalplan.Extension, []*operators.Schema) (operators.Operator, error) { return nil, nil }), // knows none
		builder(buildDoubling),
	)
	for query, same := range map[string]string{
		`one`:       `last_over_time(one[5m]) * 2 or one`, // replaced below
		`one + one`: `(one * 2) + (one * 2)`,
		`sum(one)`:  `sum(one * 2)`,
		`sum by (b) (one + on() group_right three)`: `sum by (b) (one * 2 + on() group_right three)`,
		`max_over_time(one[1m:10s])`:                `max_over_time((one * 2)[1m:10s])`,
		`abs(-one)`:                                 `abs(-(one * 2))`,
		`one and one`:                               `(one * 2) and one`,
		`three`:                                     `three`,
		`nope`:                                      `nope`,
	} {
		for _, tm := range []times{at(300), {200, 500, 10}} {
			for _, s := range shapes {
				if s.name == "optimizers=off" {
					continue
				}
				got := answer(t, engine.New(s.applied(o)), st, query, tm)
				want := answer(t, reference, st, same, tm)
				if query == `one` || query == `one and one` {
					// The names stay: an extension's schema is the builder's business.
					want = answer(t, reference, st, `label_replace(`+`one * 2`+`, "__name__", "one", "", "")`, tm)
				}
				require.Equal(t, want.String(), got.String(), "%s %s", query, s.name)
			}
		}
	}
}

// TestExtensionWithoutBuilder: an extension that nobody knows is an error that names it.
func TestExtensionWithoutBuilder(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	none := builder(func(logicalplan.Extension, []*operators.Schema) (operators.Operator, error) { return nil, nil })
	for _, o := range []engine.Opts{doublingOpts(), doublingOpts(none)} {
		for kind, s := range hooked(st, func() *hooks { return &hooks{} }) {
			res, _ := execute(t, engine.New(o), s, nil, `one`, at(300))
			require.ErrorContains(t, res.Err, `no builder knows the node "double"`, kind)
			require.Equal(t, s.of().queriers.Load(), s.of().closed.Load())
		}
	}
}

// TestFailingBuilder: a builder's error is the query's.
func TestFailingBuilder(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	failed := errors.New("cannot build")
	o := doublingOpts(builder(func(logicalplan.Extension, []*operators.Schema) (operators.Operator, error) { return nil, failed }))
	res, _ := execute(t, engine.New(o), st, nil, `one`, at(300))
	require.ErrorIs(t, res.Err, failed)
}

// TestExtensionErrors: errors and panics of an extension's operator are the query's.
func TestExtensionErrors(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	failed := errors.New("cannot double")
	for _, workers := range []int{1, 4} {
		for _, f := range []func() error{func() error { return failed }, func() error { panic(failed) }} {
			o := doublingOpts(builder(func(_ logicalplan.Extension, in []*operators.Schema) (operators.Operator, error) {
				return &failing{doubling{operators.DeriveSchema(in[0], nil, false)}, f}, nil
			}))
			o.Workers = workers
			res, _ := execute(t, engine.New(o), st, nil, `sum(one)`, times{200, 500, 10})
			require.ErrorIs(t, res.Err, failed)
		}
	}
}

type failing struct {
	doubling
	f func() error
}

func (f *failing) Process(*operators.Worker, *operators.Batch) (*operators.Batch, error) {
	return nil, f.f()
}

var _ promql.QueryEngine = (*engine.Engine)(nil)
