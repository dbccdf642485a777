package difftest

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// external is a label that series get where the data set is queried, and the values that it may have there.
type external struct {
	name   string
	values []string
}

// Announce makes generators know of a label that the data set's series get where it is queried, besides their own ones, and of the
// values that it may have there. All of its metrics have it.
func (d *Dataset) Announce(name string, values ...string) {
	d.external = append(d.external, external{name, values})
	for _, m := range d.words.metrics {
		m.values[name] = values
		m.labels = append(m.labels, name)
		slices.Sort(m.labels)
	}
}

// Labels are the label sets of the series as generators know them: each with one value of the labels that were announced.
func (d *Dataset) Labels() []labels.Labels {
	out := make([]labels.Labels, len(d.Series))
	for i, s := range d.Series {
		b := labels.NewBuilder(s.Labels)
		for _, e := range d.external {
			b.Set(e.name, e.values[i%len(e.values)])
		}
		out[i] = b.Labels()
	}
	return out
}
