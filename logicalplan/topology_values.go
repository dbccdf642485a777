package logicalplan

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// labelValues are the values that the external label sets of one engine have of each label.
type labelValues struct {
	values map[string]map[string]struct{} // by name
	sets   map[string]int                 // number of sets that have the label, by name
	count  int
}

// valuesOf are the values of some coverage, which the index may have had before.
func (x *index) valuesOf(coverage []remote.Coverage) labelValues {
	if x != nil {
		for i, a := range x.announced {
			if sameSlice(a.coverage, coverage) {
				return x.values[i]
			}
		}
	}
	v := labelValues{values: map[string]map[string]struct{}{}, sets: map[string]int{}}
	for _, c := range coverage {
		if len(c.Intervals) > 0 {
			v.add(c.Labels)
		}
	}
	return v
}

func (v *labelValues) add(l labels.Labels) {
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
	if v.count == 0 {
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
