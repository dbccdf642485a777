package binary

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/operators"
)

// signatures numbers the match groups of a vector matching: series that agree in the labels of
// on(...), or in all but the metadata labels and those of ignoring(...), have the same number.
type signatures struct {
	on    bool
	names []string // sorted, the metadata labels included with ignoring
	ids   map[string]int32
	buf   []byte
}

func newSignatures(m *parser.VectorMatching) *signatures {
	s := &signatures{on: m.On, names: slices.Clone(m.MatchingLabels)}
	if !m.On {
		s.names = append(s.names, model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	slices.Sort(s.names)
	return s
}

// len is the number of match groups so far.
func (s *signatures) len() int { return len(s.ids) }

// id is the number of a series' match group.
func (s *signatures) id(l labels.Labels) int32 {
	if s.on {
		s.buf = l.BytesWithLabels(s.buf, s.names...)
	} else {
		s.buf = l.BytesWithoutLabels(s.buf, s.names...)
	}
	id, ok := s.ids[string(s.buf)]
	if !ok {
		id = int32(len(s.ids))
		s.ids[string(s.buf)] = id
	}
	return id
}

// extend brings the ids of a schema's series up to its length.
func (s *signatures) extend(ids []int32, in *operators.Schema) []int32 {
	if len(s.ids) == 0 {
		s.ids = make(map[string]int32, in.Len())
	}
	ids = slices.Grow(ids, in.Len()-len(ids))
	for i := len(ids); i < in.Len(); i++ {
		ids = append(ids, s.id(in.Labels(i)))
	}
	return ids
}

// describe is the operation as it is written in a query, without its operands.
func describe(op parser.ItemType, returnBool bool, m *parser.VectorMatching) string {
	return (&parser.BinaryExpr{Op: op, ReturnBool: returnBool, VectorMatching: m}).ShortString()
}
