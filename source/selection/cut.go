package selection

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// cut is what rules select of the data sets of a source.
type cut struct {
	coverage []remote.Coverage // of those kept, without replica labels
	names    []string          // of labels in coverage
	kept     []labels.Labels   // with replica labels
	dropped  []labels.Labels

	// matchers pass all series of those kept, nil without rules. shapes are there if matchers may pass other ones, too, and tell them apart.
	matchers []*labels.Matcher
	shapes   []*shape
}

// newCut applies rules to what a source announces, replica labels included.
func newCut(rules *Rules, announced []remote.Coverage, replicas []string) *cut {
	c := &cut{}
	index := map[string]int{}
	names := map[string]struct{}{}
	strip := labels.NewBuilder(labels.EmptyLabels())
	for _, a := range announced {
		if !rules.Keeps(a.Labels) {
			c.dropped = append(c.dropped, a.Labels)
			continue
		}
		c.kept = append(c.kept, a.Labels)
		strip.Reset(a.Labels)
		l := strip.Del(replicas...).Labels()
		key := string(l.Bytes(nil))
		if i, ok := index[key]; ok {
			c.coverage[i].Add(a)
			continue
		}
		index[key] = len(c.coverage)
		c.coverage = append(c.coverage, remote.Coverage{Labels: l, Intervals: a.Intervals, Grows: a.Grows})
		l.Range(func(l labels.Label) { names[l.Name] = struct{}{} })
	}
	c.names = slices.Sorted(maps.Keys(names))
	if !rules.none() && len(c.kept) > 0 {
		exact := false
		if c.matchers, exact = separate(c.kept, c.dropped); !exact {
			c.shapes = newShapes(c.kept, c.dropped)
		}
	}
	return c
}

// partial tells whether some data sets of the source are selected, and others are not.
func (c *cut) partial() bool { return len(c.kept) > 0 && len(c.dropped) > 0 }

// separate gives matchers that all label sets in kept pass, and tells whether no other sets do: neither one in dropped, nor one that the
// source has got since it announced these. So there is a matcher for each label that all of them have, also where it leaves out nothing that is
// known. Together matchers pass all combinations of values that are in kept, which may be more than are there. Only labels count that a label
// set has: series may have others of their own.
func separate(kept, dropped []labels.Labels) (out []*labels.Matcher, exact bool) {
	in := map[string]map[string]struct{}{} // values by name
	sets := map[string]struct{}{}
	for _, k := range kept {
		k.Range(func(l labels.Label) {
			if in[l.Name] == nil {
				in[l.Name] = map[string]struct{}{}
			}
			in[l.Name][l.Value] = struct{}{}
		})
		sets[string(k.Bytes(nil))] = struct{}{}
	}
	// Every combination is in kept if there are as many sets as combinations, and all of them have all of the labels.
	exact = true
	combinations := 1
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !slices.ContainsFunc(kept, func(k labels.Labels) bool { return !k.Has(name) }) {
			out = append(out, anyOf(name, in[name]))
		} else {
			exact = false
		}
		combinations = min(combinations*len(in[name]), len(sets)+1)
	}
	passes := func(d labels.Labels) bool {
		return !slices.ContainsFunc(out, func(m *labels.Matcher) bool { return d.Has(m.Name) && !m.Matches(d.Get(m.Name)) })
	}
	return out, exact && combinations == len(sets) && !slices.ContainsFunc(dropped, passes)
}

// anyOf is a matcher of some values.
func anyOf(name string, values map[string]struct{}) *labels.Matcher {
	sorted := slices.Sorted(maps.Keys(values))
	if len(sorted) == 1 {
		return labels.MustNewMatcher(labels.MatchEqual, name, sorted[0])
	}
	for i, v := range sorted {
		sorted[i] = regexp.QuoteMeta(v)
	}
	return labels.MustNewMatcher(labels.MatchRegexp, name, strings.Join(sorted, "|"))
}

// shape are all label sets with the same names.
type shape struct {
	names []string
	keeps map[string]bool // by values
}

// newShapes gives the shapes of label sets, those with more names first.
func newShapes(kept, dropped []labels.Labels) []*shape {
	byNames := map[string]*shape{}
	for i, l := range slices.Concat(kept, dropped) {
		var names []string
		l.Range(func(l labels.Label) { names = append(names, l.Name) })
		key := strings.Join(names, "\xff")
		s := byNames[key]
		if s == nil {
			s = &shape{names, map[string]bool{}}
			byNames[key] = s
		}
		s.keeps[s.values(l)] = i < len(kept)
	}
	return slices.SortedFunc(maps.Values(byNames), func(a, b *shape) int {
		return cmp.Or(-cmp.Compare(len(a.names), len(b.names)), slices.Compare(a.names, b.names))
	})
}

// values are those that a series has of the shape's labels.
func (s *shape) values(l labels.Labels) string {
	var b []byte
	for _, n := range s.names {
		b = append(append(b, l.Get(n)...), 0xff)
	}
	return string(b)
}

// holds tells whether a series is of a data set that is selected: of that with the most labels, of those whose external labels it
// has. Of several with as many labels, which no source should have, nobody knows which one it is of.
func (c *cut) holds(l labels.Labels) (bool, error) {
	known, holds, of := false, false, 0
	for _, s := range c.shapes {
		if known && len(s.names) < of {
			break
		}
		keeps, ok := s.keeps[s.values(l)]
		if ok && known && keeps != holds {
			return false, fmt.Errorf("the series %s may be of a data set that is selected, and of one that is not: their external labels have to have the same names", l)
		}
		if ok {
			known, holds, of = true, keeps, len(s.names)
		}
	}
	return holds, nil
}

// passes tells whether series of the selected data sets may pass matchers.
func (c *cut) passes(matchers []*labels.Matcher) bool {
	return slices.ContainsFunc(c.kept, func(k labels.Labels) bool {
		return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return k.Has(m.Name) && !m.Matches(k.Get(m.Name)) })
	})
}
