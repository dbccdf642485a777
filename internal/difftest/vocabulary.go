package difftest

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// metric is what a generator knows about one metric name of a data set.
type metric struct {
	name   string
	kind   Kind
	labels []string // sorted, without the name
	values map[string][]string
}

// family identifies metrics with the same label names, between which
// operations find matches.
func (m *metric) family() string {
	return strings.Join(slices.DeleteFunc(slices.Clone(m.labels), func(l string) bool {
		return strings.HasPrefix(l, "__")
	}), ",")
}

// vocabulary holds the metrics of a data set in name order.
type vocabulary struct {
	metrics []*metric
}

func newVocabulary(d *Dataset) *vocabulary {
	byName := map[string]*metric{}
	v := &vocabulary{}
	for _, name := range d.MetricNames() {
		m := &metric{name: name, kind: d.Kinds[name], values: map[string][]string{}}
		byName[name] = m
		v.metrics = append(v.metrics, m)
	}
	for _, s := range d.Series {
		m := byName[s.Labels.Get(model.MetricNameLabel)]
		s.Labels.Range(func(l labels.Label) {
			if l.Name == model.MetricNameLabel {
				return
			}
			if !slices.Contains(m.values[l.Name], l.Value) {
				m.values[l.Name] = append(m.values[l.Name], l.Value)
			}
			if !slices.Contains(m.labels, l.Name) {
				m.labels = append(m.labels, l.Name)
			}
		})
	}
	for _, m := range v.metrics {
		slices.Sort(m.labels)
	}
	return v
}

// ofKind returns the metrics of any of the kinds, or all where there are none.
func (v *vocabulary) ofKind(kinds ...Kind) []*metric {
	out := slices.DeleteFunc(slices.Clone(v.metrics), func(m *metric) bool { return !slices.Contains(kinds, m.kind) })
	if len(out) == 0 {
		return v.metrics
	}
	return out
}

// has says whether the data set has metrics of the kind.
func (v *vocabulary) has(kind Kind) bool {
	return slices.ContainsFunc(v.metrics, func(m *metric) bool { return m.kind == kind })
}

// sibling returns a metric of the same family as m, possibly m itself.
func (v *vocabulary) sibling(c *Choices, m *metric) *metric {
	out := slices.DeleteFunc(slices.Clone(v.metrics), func(o *metric) bool { return o.family() != m.family() })
	return out[c.N(len(out))]
}
