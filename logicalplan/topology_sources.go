package logicalplan

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// SourceLabel tells apart what several sources made of their parts of the same series, where partition labels do not. The first
// source has none.
const SourceLabel = "__source__"

// maxShapes is how many shapes of partition label sets are compared with each other.
const maxShapes = 32

// relate finds out which engines hold data in common, and whether labels tell all data sets apart.
//
// A source is an engine, or several that hold data sets in common.
//
// A data set that lacks a partition label may have series that have it all the same: {cluster="a"} and {} may both have series with
// cluster="a". Such sets are confusable; data sets are ambiguous if there are any that matter: that a result keeps the partition labels does not
// say then that it comes from one data set, so that nothing may be matched within partitions.
//
// Of two sources, one whose sets have fewer labels may hold copies of the other's series, as a server does that federates: copied says that only who sees
// the series can aggregate them. Otherwise each would have to have the other's label in its own data, which nobody has: aggregations
// are put together from what each source makes of them.
//
// Of one source, the sets are entangled if not the same of its engines hold them: an engine's part of an aggregation is of both, and may count
// for one only.
func (x *index) relate(byShape [][]*partitionSet) {
	x.findSources()
	if len(byShape) > maxShapes {
		x.ambiguous, x.copied, x.entangled = true, true, true
		return
	}
	for i, a := range byShape {
		for j, b := range byShape[i+1:] {
			x.confuse(a, b, x.shapes[i].names, x.shapes[i+1+j].names)
		}
	}
}

// findSources numbers the sources in the order of their first engines.
func (x *index) findSources() {
	first := make([]int, len(x.announced)) // an engine of the same source that comes before, or itself
	for i := range first {
		first[i] = i
	}
	find := func(e int) int {
		for first[e] != e {
			e = first[e]
		}
		return e
	}
	for _, p := range x.patterns {
		for _, m := range p.members[1:] {
			a, b := find(p.members[0].engine), find(m.engine)
			first[max(a, b)] = min(a, b)
		}
	}
	x.sources = make([]int, len(first))
	n := 0
	for e := range first {
		if f := find(e); f != e {
			x.sources[e] = x.sources[f]
			continue
		}
		x.sources[e] = n
		n++
	}
}

func (x *index) sourceOf(pattern int) int { return x.sources[x.patterns[pattern].members[0].engine] }

// confuse looks for confusable sets of two shapes: those which agree on the labels that both have.
func (x *index) confuse(a, b []*partitionSet, ofA, ofB []string) {
	names := slices.DeleteFunc(slices.Clone(ofA), func(n string) bool { return !slices.Contains(ofB, n) })
	nested := len(names) == len(ofA) || len(names) == len(ofB)
	type place struct {
		source int
		set    string
	}
	type seen struct {
		first   int
		several bool
	}
	sources, patterns := map[string]seen{}, map[place]seen{}
	var buf []byte
	for _, s := range a {
		buf = s.labels.BytesWithLabels(buf, names...)
		source, set := x.sourceOf(s.is), string(buf)
		if k, ok := sources[set]; !ok {
			sources[set] = seen{first: source}
		} else if k.first != source {
			sources[set] = seen{k.first, true}
		}
		at := place{source, set}
		if k, ok := patterns[at]; !ok {
			patterns[at] = seen{first: s.is}
		} else if k.first != s.is {
			patterns[at] = seen{k.first, true}
		}
	}
	for _, s := range b {
		buf = s.labels.BytesWithLabels(buf, names...)
		source := x.sourceOf(s.is)
		if k, ok := sources[string(buf)]; ok && (k.several || k.first != source) {
			x.ambiguous, x.copied = true, x.copied || nested
		}
		if k, ok := patterns[place{source, string(buf)}]; ok && (k.several || k.first != s.is) && x.shared(source) {
			x.ambiguous, x.entangled = true, true
		}
	}
}

// shared tells whether a source is several engines.
func (x *index) shared(source int) bool {
	n := 0
	for _, s := range x.sources {
		if s == source {
			n++
		}
	}
	return n > 1
}

// patternsOf are the patterns of the data sets that a series with the given partition labels may be of, those first that have most
// of the labels.
func (x *index) patternsOf(set labels.Labels) []int {
	var (
		out []int
		buf []byte
	)
	for _, s := range x.shapes {
		buf = set.BytesWithLabels(buf, s.names...)
		if p, ok := s.patternOf[string(buf)]; ok && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
