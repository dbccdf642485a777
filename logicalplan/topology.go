package logicalplan

import (
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// topology is what planning needs to know of a set of engines: which partition label sets are held by whom. It is made
// once for each change of membership or coverage, not for each query, because there may be a million label sets.
type topology struct {
	engines   []remote.RemoteEngine // sorted by name
	partition []string              // sorted names of partition labels, of all engines
	values    []labelValues         // by engine
	patterns  []pattern
	patternOf map[string]int // bytes of a partition label set -> index in patterns
}

// pattern is what the partition label sets have in common that the same engines hold at the same times.
type pattern struct {
	members []member
	sets    []labels.Labels // some of the sets: as many as are worth looking at
}

// member is an engine and when it has data of a partition label set.
type member struct {
	engine    int
	intervals remote.Intervals
}

// labelValues are the values that the external label sets of one engine have of each label.
type labelValues struct {
	any    bool                           // the engine announces some label set
	values map[string]map[string]struct{} // by name
	sets   map[string]int                 // number of sets that have the label, by name
	count  int
}

// maxPatternSets is how many label sets of a pattern are kept to see whether selectors match any.
const maxPatternSets = 256

func newTopology(engines []remote.RemoteEngine) *topology {
	t := &topology{engines: slices.Clone(engines), patternOf: map[string]int{}}
	slices.SortStableFunc(t.engines, func(a, b remote.RemoteEngine) int { return strings.Compare(a.Name(), b.Name()) })
	names := map[string]struct{}{}
	for _, e := range t.engines {
		for _, n := range e.Labels() {
			names[n] = struct{}{}
		}
	}
	for n := range names {
		t.partition = append(t.partition, n)
	}
	slices.Sort(t.partition)

	bySet := map[string]*pattern{}
	var order []string
	var buf []byte
	for i, e := range t.engines {
		lv := labelValues{values: map[string]map[string]struct{}{}, sets: map[string]int{}}
		for _, c := range e.Coverage() {
			if len(c.Intervals) == 0 {
				continue
			}
			lv.add(c.Labels)
			buf = c.Labels.BytesWithLabels(buf, t.partition...)
			p, ok := bySet[string(buf)]
			if !ok {
				p = &pattern{sets: []labels.Labels{c.Labels}}
				bySet[string(buf)] = p
				order = append(order, string(buf))
			}
			if n := len(p.members); n > 0 && p.members[n-1].engine == i {
				p.members[n-1].intervals = p.members[n-1].intervals.Union(c.Intervals)
			} else {
				p.members = append(p.members, member{i, c.Intervals})
			}
		}
		t.values = append(t.values, lv)
	}
	known := map[string]int{}
	for _, set := range order {
		p := bySet[set]
		key := p.key()
		at, ok := known[key]
		if !ok {
			at = len(t.patterns)
			known[key] = at
			t.patterns = append(t.patterns, pattern{members: p.members})
		}
		t.patternOf[set] = at
		if q := &t.patterns[at]; len(q.sets) <= maxPatternSets {
			q.sets = append(q.sets, p.sets...)
		}
	}
	return t
}

// key is equal for patterns with the same members.
func (p *pattern) key() string {
	var b strings.Builder
	put := func(v int64) { b.Write((*[8]byte)(unsafe.Pointer(&v))[:]) }
	for _, m := range p.members {
		put(int64(m.engine))
		put(int64(len(m.intervals)))
		for _, i := range m.intervals {
			put(i.Start)
			put(i.End)
		}
	}
	return b.String()
}

func (v *labelValues) add(l labels.Labels) {
	v.any = true
	v.count++
	l.Range(func(l labels.Label) {
		m := v.values[l.Name]
		if m == nil {
			m = map[string]struct{}{}
			v.values[l.Name] = m
		}
		m[l.Value] = struct{}{}
		v.sets[l.Name]++
	})
}

// maxTried bounds the values of one label that a matcher is tried on before it is taken to match.
const maxTried = 10_000

// mayMatch tells whether series of the engine may be selected. Labels that are not external may have any value.
func (v *labelValues) mayMatch(matchers []*labels.Matcher) bool {
	if !v.any {
		return false
	}
	for _, m := range matchers {
		if v.sets[m.Name] < v.count {
			continue // some set has not the label: its series may have it all the same
		}
		if !v.anyValue(m) {
			return false
		}
	}
	return true
}

func (v *labelValues) anyValue(m *labels.Matcher) bool {
	values := v.values[m.Name]
	if m.Type == labels.MatchEqual {
		_, ok := values[m.Value]
		return ok
	}
	tried := 0
	for value := range values {
		if m.Matches(value) {
			return true
		}
		if tried++; tried == maxTried {
			return true
		}
	}
	return false
}

// mayMatch tells whether any of the selectors may select series of a set of the pattern.
func (p *pattern) mayMatch(selectors [][]*labels.Matcher) bool {
	if len(p.sets) > maxPatternSets {
		return true
	}
	return slices.ContainsFunc(p.sets, func(set labels.Labels) bool {
		return slices.ContainsFunc(selectors, func(matchers []*labels.Matcher) bool {
			return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return set.Has(m.Name) && !m.Matches(set.Get(m.Name)) })
		})
	})
}

// topologies keeps the last topology, and makes another one when engines, their labels or their coverage are not the same slices.
type topologies struct {
	mu   sync.Mutex
	last *topology
	seen []snapshot
}

// snapshot identifies what an engine announced. The slices are kept, so that no others can get their addresses.
type snapshot struct {
	engine   remote.RemoteEngine
	labels   []string
	coverage []remote.Coverage
}

func (t *topologies) of(engines []remote.RemoteEngine) *topology {
	seen := make([]snapshot, len(engines))
	for i, e := range engines {
		seen[i] = snapshot{e, e.Labels(), e.Coverage()}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || !slices.EqualFunc(seen, t.seen, snapshot.same) {
		t.last, t.seen = newTopology(engines), seen
	}
	return t.last
}

func (s snapshot) same(o snapshot) bool {
	return s.engine.Name() == o.engine.Name() && sameSlice(s.labels, o.labels) && sameSlice(s.coverage, o.coverage)
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}
