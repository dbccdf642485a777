package logicalplan

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// topology is a query's engines and what is known of their data.
type topology struct {
	engines []remote.RemoteEngine // sorted by name
	unheard []remote.RemoteEngine // those that have said nothing yet, which are not among the others
	*index
}

// index is what planning needs to know of the data of a list of engines: which partition label sets are held by whom. It is made once
// for each change of coverage, not for each query, because there may be a million label sets. Engines are numbers here, so that it
// outlives the ones that it was made for.
type index struct {
	announced []announcement
	partition []string      // sorted names of partition labels, of all engines
	values    []labelValues // by engine
	patterns  []pattern
	shapes    []shape // those with the most labels first
	sources   []int   // by engine; see relate
	// Whether labels do not tell some data sets apart; see relate.
	ambiguous, copied, entangled bool
}

// announcement is what an engine says of its data.
type announcement struct {
	labels   []string
	coverage []remote.Coverage
}

// pattern is what the partition label sets have in common that the same engines hold at the same times.
type pattern struct {
	members []member
	sets    []labels.Labels // some of the external label sets: as many as are worth looking at
}

// member is an engine and when it has data of a partition label set.
type member struct {
	engine    int
	intervals remote.Intervals
	grows     bool // see remote.Coverage
}

// reach is when it may have data.
func (m member) reach() remote.Intervals {
	if !m.grows {
		return m.intervals
	}
	return m.intervals.Union(remote.Intervals{{Start: m.intervals.End(), End: math.MaxInt64}})
}

// shape is which of the partition labels a partition label set has. The series of such a set may have the others among their own labels.
type shape struct {
	names     []string       // sorted
	patternOf map[string]int // bytes of a partition label set -> index in patterns
}

// partitionSet is a partition label set while an index is being made.
type partitionSet struct {
	pattern
	labels labels.Labels
	key    string
	is     int // index of its pattern
}

// maxPatternSets is how many label sets of a pattern are kept to see whether selectors match any.
const maxPatternSets = 256

// newIndex makes the index of what engines announced. It takes what stayed the same from the one before, which may be nil.
func newIndex(announced []announcement, before *index) *index {
	x := &index{announced: announced}
	for _, a := range announced {
		x.partition = sortedUnion(x.partition, a.labels)
		x.values = append(x.values, before.valuesOf(a.coverage))
	}
	byShape := x.collect()
	x.classify(byShape)
	x.relate(byShape)
	slices.SortStableFunc(x.shapes, func(a, b shape) int {
		return cmp.Or(cmp.Compare(len(b.names), len(a.names)), slices.Compare(a.names, b.names))
	})
	return x
}

// collect finds the partition label sets of each shape, and who holds them.
func (x *index) collect() [][]*partitionSet {
	var (
		byShape [][]*partitionSet
		known   []map[string]*partitionSet // by shape
		shapeOf = map[string]int{}         // by whether it has each of the labels
		has     = make([]byte, len(x.partition))
		buf     []byte
	)
	for engine, a := range x.announced {
		for _, c := range a.coverage {
			if len(c.Intervals) == 0 {
				continue
			}
			for i, name := range x.partition {
				has[i] = 0
				if c.Labels.Get(name) != "" {
					has[i] = 1
				}
			}
			at, ok := shapeOf[string(has)]
			if !ok {
				at = len(x.shapes)
				shapeOf[string(has)] = at
				s := shape{patternOf: map[string]int{}}
				for i, name := range x.partition {
					if has[i] == 1 {
						s.names = append(s.names, name)
					}
				}
				x.shapes, byShape, known = append(x.shapes, s), append(byShape, nil), append(known, map[string]*partitionSet{})
			}
			buf = c.Labels.BytesWithLabels(buf, x.shapes[at].names...)
			p, ok := known[at][string(buf)]
			if !ok {
				p = &partitionSet{key: string(buf), labels: c.Labels}
				known[at][p.key] = p
				byShape[at] = append(byShape[at], p)
			}
			p.add(engine, c)
		}
	}
	return byShape
}

// add notes that an engine has data.
func (p *pattern) add(engine int, c remote.Coverage) {
	if n := len(p.members); n > 0 && p.members[n-1].engine == engine {
		m := &p.members[n-1]
		m.intervals, m.grows = m.intervals.Union(c.Intervals), m.grows || c.Grows
	} else {
		p.members = append(p.members, member{engine, c.Intervals, c.Grows})
	}
	if len(p.sets) <= maxPatternSets && !slices.ContainsFunc(p.sets, func(l labels.Labels) bool { return labels.Equal(l, c.Labels) }) {
		p.sets = append(p.sets, c.Labels)
	}
}

// classify makes one pattern of all sets that have the same members.
func (x *index) classify(byShape [][]*partitionSet) {
	known := map[string]int{}
	var buf []byte
	for i, sets := range byShape {
		for _, p := range sets {
			buf = p.appendKey(buf[:0])
			at, ok := known[string(buf)]
			if !ok {
				at = len(x.patterns)
				known[string(buf)] = at
				x.patterns = append(x.patterns, pattern{members: p.members})
			}
			p.is = at
			x.shapes[i].patternOf[p.key] = at
			if q := &x.patterns[at]; len(q.sets) <= maxPatternSets {
				q.sets = append(q.sets, p.sets...)
			}
		}
	}
}

// appendKey appends bytes that are equal for patterns with the same members.
func (p *pattern) appendKey(b []byte) []byte {
	for _, m := range p.members {
		b = binary.AppendUvarint(b, uint64(m.engine))
		growing := uint64(0)
		if m.grows {
			growing = 1
		}
		b = binary.AppendUvarint(b, uint64(len(m.intervals))<<1|growing)
		for _, i := range m.intervals {
			b = binary.AppendVarint(b, i.Start)
			b = binary.AppendVarint(b, i.End)
		}
	}
	return b
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

// byName are engines in the order of their names, those that have said nothing yet apart.
func byName(engines []remote.RemoteEngine) (heard, unheard []remote.RemoteEngine) {
	for _, e := range slices.SortedStableFunc(slices.Values(engines), func(a, b remote.RemoteEngine) int { return strings.Compare(a.Name(), b.Name()) }) {
		if e.Capabilities().Unheard {
			unheard = append(unheard, e)
		} else {
			heard = append(heard, e)
		}
	}
	return heard, unheard
}
