package operators

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"
)

// Schema lists the series of an operator's output by index. It only grows: an index once given
// keeps its labels. A schema is either a list of its own or derived from its input's, index by
// index; derived labels are made when they are asked for, so that a query that never looks at them
// never pays for them.
//
// DropName is Prometheus' delayed name removal: the metadata labels (name, type, unit) of such a
// series are removed at the end of the query. It may depend on the data and is settled only when
// the operator has finished.
type Schema struct {
	series   []labels.Labels
	dropName []bool
	complete bool

	parent  *Schema
	relabel func(labels.Labels) labels.Labels
	drop    bool
	keeps   func(i int) bool
}

// NewSchema is an empty schema that Append fills.
func NewSchema() *Schema { return &Schema{} }

// ConstantSchema is a complete schema of the given series.
func ConstantSchema(series ...labels.Labels) *Schema {
	return &Schema{series: series, dropName: make([]bool, len(series)), complete: true}
}

// DeriveSchema is a schema with the series of parent in the same order. relabel, where it is not
// nil, makes a series' labels from its parent's; drop says that DropName is set for all, else it
// is the parent's.
func DeriveSchema(parent *Schema, relabel func(labels.Labels) labels.Labels, drop bool) *Schema {
	return &Schema{parent: parent, relabel: relabel, drop: drop}
}

// FilteredSchema has all series of parent, of which those that keeps turns down have no samples.
func FilteredSchema(parent *Schema, keeps func(i int) bool) *Schema {
	return &Schema{parent: parent, keeps: keeps}
}

// NamelessSchema has the series of in without their metadata labels (name, type, unit): they go at once or, under
// delayed name removal, at the end of the query.
func NamelessSchema(q *Query, in *Schema) *Schema {
	if q.DelayedNameRemoval {
		return DeriveSchema(in, nil, true)
	}
	return DeriveSchema(in, func(l labels.Labels) labels.Labels { return l.DropReserved(schema.IsMetadataLabel) }, true)
}

// Len is the number of series known so far.
func (s *Schema) Len() int {
	if s.parent != nil {
		return s.parent.Len()
	}
	return len(s.series)
}

// Complete says that no series will be added.
func (s *Schema) Complete() bool {
	if s.parent != nil {
		return s.parent.Complete()
	}
	return s.complete
}

// Labels are the labels of series i, the metadata labels of a series with DropName included.
func (s *Schema) Labels(i int) labels.Labels {
	if s.parent == nil {
		return s.series[i]
	}
	l := s.parent.Labels(i)
	if s.relabel != nil {
		l = s.relabel(l)
	}
	return l
}

// DropName says whether the metadata labels of series i go at the end of the query.
func (s *Schema) DropName(i int) bool {
	if s.parent == nil {
		return s.dropName[i]
	}
	return s.drop || s.parent.DropName(i)
}

// Absent tells that series i is known to have no sample at any step.
func (s *Schema) Absent(i int) bool {
	if s.parent == nil {
		return false
	}
	return s.keeps != nil && !s.keeps(i) || s.parent.Absent(i)
}

// Series are the labels of all series of a schema of its own, known so far. They must not be written to.
func (s *Schema) Series() []labels.Labels { return s.series[:len(s.series):len(s.series)] }

// Append adds a series to a schema of its own and returns its index.
func (s *Schema) Append(l labels.Labels, dropName bool) int {
	s.series = append(s.series, l)
	s.dropName = append(s.dropName, dropName)
	return len(s.series) - 1
}

// SetDropName settles DropName of series i of a schema of its own.
func (s *Schema) SetDropName(i int, drop bool) { s.dropName[i] = drop }

// SetComplete says that all series of a schema of its own are known.
func (s *Schema) SetComplete() { s.complete = true }
