package logicalplan

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/stride-promql/stride/remote"
)

// topologies keeps the index of the last engines' announcements, and makes another one when they say something else.
type topologies struct {
	mu   sync.Mutex // over last
	last *index
	make sync.Mutex // over making one, so that queries that meet make one between them
}

// of is the topology of a query's engines.
func (t *topologies) of(engines []remote.RemoteEngine) *topology {
	engines, unheard := byName(engines)
	announced := make([]announcement, len(engines))
	for i, e := range engines {
		announced[i] = announcement{e.Labels(), e.Coverage()}
	}
	if x := t.known(announced); x != nil {
		return &topology{engines, unheard, x}
	}
	t.make.Lock()
	defer t.make.Unlock()
	x := t.known(announced)
	if x == nil {
		x = newIndex(announced, t.get())
		t.set(x)
	}
	return &topology{engines, unheard, x}
}

// known is the last index, if it is that of what was announced.
func (t *topologies) known(announced []announcement) *index {
	if x := t.get(); x != nil && slices.EqualFunc(x.announced, announced, announcement.same) {
		return x
	}
	return nil
}

func (t *topologies) get() *index {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *topologies) set(x *index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = x
}

// same tells whether two announcements say the same. Those of engines that make their lists once are not looked into: the lists
// are kept, so that no others can get their addresses.
func (a announcement) same(o announcement) bool {
	return slices.Equal(a.labels, o.labels) && (sameSlice(a.coverage, o.coverage) || slices.EqualFunc(a.coverage, o.coverage, remote.Coverage.Equal))
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}
