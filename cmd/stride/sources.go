package main

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/discovery"
	"github.com/stride-promql/stride/source/dedup"
)

// sources are where the data of a node is: in other nodes, which evaluate queries or give samples only, and in itself.
//
//	distributed:  engine -> evaluators -> nodes that evaluate
//	                     -> stores: an engine here -> nodes that give samples only, deduplicated
//	                     -> own: an engine here -> own data
//	local:        engine -> samples of all of them, deduplicated
type sources struct {
	set      *discovery.Set
	own      remote.RemoteEngine // nil without data of its own
	stores   remote.RemoteEngine // all that give samples only
	replicas []string
	dedup    dedup.Algorithm
}

// Engines implements remote.RemoteEndpoints.
func (s *sources) Engines() []remote.RemoteEngine {
	all := s.set.Engines()
	evaluators := slices.DeleteFunc(slices.Clone(all), samplesOnly)
	if len(evaluators) < len(all) {
		evaluators = append(evaluators, s.stores)
	}
	return s.withOwn(evaluators)
}

// samplesOnly tells engines that are to be read through another one. One that has said nothing yet stands for itself: what it may have is
// not to be mixed up with what others have.
func samplesOnly(e remote.RemoteEngine) bool {
	c := e.Capabilities()
	return c.SamplesOnly && !c.Unheard
}

// storesAlone are the engines that give samples only.
func (s *sources) storesAlone() []remote.RemoteEngine {
	return slices.DeleteFunc(slices.Clone(s.set.Engines()), func(e remote.RemoteEngine) bool { return !samplesOnly(e) })
}

// all are the engines that have samples.
func (s *sources) all() []remote.RemoteEngine { return s.withOwn(slices.Clone(s.set.Engines())) }

func (s *sources) withOwn(engines []remote.RemoteEngine) []remote.RemoteEngine {
	if s.own != nil {
		engines = append(engines, s.own)
	}
	return engines
}

// matching are those of all that have data, of a label set and an address, which one of the sets of matchers matches. Matchers of what an
// engine does not have are those of its series.
func (s *sources) matching(sets [][]*labels.Matcher) func() []remote.RemoteEngine {
	return func() []remote.RemoteEngine {
		return slices.DeleteFunc(s.all(), func(e remote.RemoteEngine) bool {
			return !slices.ContainsFunc(sets, func(set []*labels.Matcher) bool { return matchesEngine(e, set) })
		})
	}
}

// addressLabel stands for the address of an engine, as in Thanos.
const addressLabel = "__address__"

func matchesEngine(e remote.RemoteEngine, set []*labels.Matcher) bool {
	return slices.ContainsFunc(e.Coverage(), func(c remote.Coverage) bool {
		return !slices.ContainsFunc(set, func(m *labels.Matcher) bool {
			if m.Name == addressLabel {
				return !m.Matches(e.Name())
			}
			return c.Labels.Has(m.Name) && !m.Matches(c.Labels.Get(m.Name))
		})
	})
}

// samples are those of engines, one series for all of its copies.
func (s *sources) samples(of func() []remote.RemoteEngine, replicas []string) storage.Queryable {
	if len(replicas) == 0 {
		return sourceStorage{of}
	}
	return dedup.Queryable(sourceStorage{of}, replicas, s.dedup)
}
