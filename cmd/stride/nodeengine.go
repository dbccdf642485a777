package main

import (
	"slices"
	"sync"

	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
)

// nodeEngine is an engine over a storage as other engines see it, with what it announces as it is at the time.
type nodeEngine struct {
	remote.RemoteEngine
	storage.Queryable
	announce func() ([]string, []remote.Coverage)

	mu        sync.Mutex
	announced []remote.Coverage // last
	names     []string
	coverage  []remote.Coverage
}

var _ remote.Selector = (*nodeEngine)(nil)

// chunkedNodeEngine is a nodeEngine over a storage that gives chunks, too.
type chunkedNodeEngine struct {
	*nodeEngine
	storage.ChunkQueryable
}

// newNodeEngine announces what announce gives whenever it is asked.
func newNodeEngine(name string, e *engine.Engine, q storage.Queryable, group string, peer remote.PeerType, announce func() ([]string, []remote.Coverage)) remote.RemoteEngine {
	return asNode(engine.NewRemoteEngine(e, q, engine.RemoteOpts{Name: name, GroupID: group, PeerType: peer}), q, announce)
}

// newInnerEngine is one of several that a node asks in the same process. It announces what announce gives whenever it is asked.
func newInnerEngine(name string, e *engine.Engine, q storage.Queryable, announce func() ([]string, []remote.Coverage)) remote.RemoteEngine {
	return asNode(engine.NewRemoteEngine(e, q, engine.RemoteOpts{Name: name, PeerType: remote.PeerSource, Inner: true}), q, announce)
}

// asNode is an engine over q that announces what announce gives whenever it is asked.
func asNode(e remote.RemoteEngine, q storage.Queryable, announce func() ([]string, []remote.Coverage)) remote.RemoteEngine {
	n := &nodeEngine{RemoteEngine: e, Queryable: q, announce: announce}
	if chunked, ok := q.(storage.ChunkQueryable); ok {
		return &chunkedNodeEngine{n, chunked}
	}
	return n
}

// Labels implements remote.RemoteEngine.
func (n *nodeEngine) Labels() []string {
	names, _ := n.refresh()
	return names
}

// Coverage implements remote.RemoteEngine.
func (n *nodeEngine) Coverage() []remote.Coverage {
	_, coverage := n.refresh()
	return coverage
}

// refresh gives the same slices as before where nothing has changed: who plans queries knows them by that.
func (n *nodeEngine) refresh() ([]string, []remote.Coverage) {
	names, coverage := n.announce()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(names, n.names) {
		n.names = names
	}
	if !sameList(coverage, n.announced) {
		n.announced = coverage
		if !slices.EqualFunc(coverage, n.coverage, remote.Coverage.Equal) {
			n.coverage = coverage
		}
	}
	return n.names, n.coverage
}
