package logicalplan

import (
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// Passthrough gives the whole query to an engine if no other one has data for it.
//
//	before:                                     after:
//	-                                           -
//	  topk(5)                                     remote a: topk(5, m{cluster="a"})
//	    m{cluster="a"}
//
// Queries whose result is no instant vector, and those that select nothing, stay here.
type Passthrough struct {
	Endpoints remote.RemoteEndpoints
	Conditions

	topologies *topologies
}

// Name is "passthrough".
func (*Passthrough) Name() string { return "passthrough" }

// PassthroughWithEngines is a Passthrough for one query, for which the endpoints' engines were asked already. It shares what
// o knows of them.
func (o *DistributedExecutionOptimizer) PassthroughWithEngines(engines []remote.RemoteEngine, c Conditions) *Passthrough {
	return &Passthrough{Endpoints: remote.StaticEndpoints(engines), Conditions: c, topologies: o.topologies}
}

// Optimize hands the plan on.
func (o *Passthrough) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	if p.Root.Type() != parser.ValueTypeVector || selectors(p.Root) == 0 || distributed(p.Root) || p.steps() == 0 {
		return p, nil
	}
	engines := o.Endpoints.Engines()
	if len(engines) == 0 {
		return p, nil // the next pass says so
	}
	known := o.topologies
	if known == nil {
		known = &topologies{}
	}
	t := known.of(engines)
	if len(t.unheard) > 0 {
		return p, nil // they may have data of it
	}
	only := -1
	for i := range t.engines {
		if t.values[i].anyOf(p.Root) {
			if only >= 0 {
				return p, nil
			}
			only = i
		}
	}
	if only < 0 {
		return p, nil
	}
	level, transferable := remote.Level(t.engines[only].Capabilities().LanguageLevel), true
	Walk(p.Root, func(n Node) bool {
		if _, ok := n.(Extension); ok || needsLevel(n) > level {
			transferable = false
		}
		if c, ok := n.(*Call); ok && c.Func.Name == "info" && len(t.engines) > 1 {
			transferable = false // info series may be anywhere
		}
		return transferable
	})
	if !transferable || !limitsOf(&topology{engines: t.engines[only : only+1]}, p.Lookback, o.Conditions, p.Root).allow(p.Root, p.Times) {
		return p, nil
	}
	p.Root = &Remote{Engine: t.engines[only], Query: newRemoteQuery(p.Root, p.Times, p.Lookback), Times: p.Times, Steps: p.all()}
	return p, t.notAsked()
}

// anyOf tells whether any selector of n may select series of the engine.
func (v *labelValues) anyOf(n Node) bool {
	found := false
	Walk(n, func(n Node) bool {
		if s, ok := n.(*VectorSelector); ok {
			found = found || v.mayMatch(s.Matchers)
		}
		return !found
	})
	return found
}
