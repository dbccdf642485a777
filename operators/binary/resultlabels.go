package binary

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// resultLabels makes the labels of a result from those of the "many" and the "one" side. With
// one-to-one matching these are the left and the right side.
type resultLabels struct {
	matching     *parser.VectorMatching
	dropMetadata bool
	lb           *labels.Builder
}

func (r *resultLabels) of(many, one labels.Labels) labels.Labels {
	oneToOne := r.matching.Card == parser.CardOneToOne
	reduces := oneToOne && (r.matching.On || len(r.matching.MatchingLabels) > 0)
	if !reduces && len(r.matching.Include) == 0 {
		if r.dropMetadata {
			return dropMetadata(many)
		}
		return many
	}
	if r.lb == nil {
		r.lb = labels.NewBuilder(many)
	} else {
		r.lb.Reset(many)
	}
	if r.dropMetadata {
		r.lb.Del(model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	if oneToOne {
		if r.matching.On {
			r.lb.Keep(r.matching.MatchingLabels...)
		} else {
			r.lb.Del(r.matching.MatchingLabels...)
		}
	}
	for _, name := range r.matching.Include {
		r.lb.Set(name, one.Get(name)) // an empty value removes the label
	}
	return r.lb.Labels()
}

// matchLabels are the labels that a series shares with its match group: those of a side that is
// filled in, and of error texts.
func matchLabels(l labels.Labels, m *parser.VectorMatching) labels.Labels {
	if m.On {
		return l.MatchLabels(true, m.MatchingLabels...)
	}
	names := append([]string{model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel}, m.MatchingLabels...)
	return l.MatchLabels(false, names...)
}
