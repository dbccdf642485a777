package wire

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// EncodeMatchers is the inverse of DecodeMatchers.
func EncodeMatchers(ms []*labels.Matcher) []*stridepb.Matcher {
	out := make([]*stridepb.Matcher, len(ms))
	for i, m := range ms {
		out[i] = &stridepb.Matcher{Type: uint32(m.Type), Name: []byte(m.Name), Value: []byte(m.Value)}
	}
	return out
}

// DecodeMatchers gives the matchers, or the error of the first that is none.
func DecodeMatchers(in []*stridepb.Matcher) ([]*labels.Matcher, error) {
	out := make([]*labels.Matcher, len(in))
	for i, m := range in {
		if m.Type > uint32(labels.MatchNotRegexp) {
			return nil, fmt.Errorf("a matcher of label %q has the unknown type %d", m.Name, m.Type)
		}
		var err error
		if out[i], err = labels.NewMatcher(labels.MatchType(m.Type), string(m.Name), string(m.Value)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// thanosMatchers are the types of matchers as Thanos numbers them.
var thanosMatchers = map[labels.MatchType]thanospb.LabelMatcher_Type{
	labels.MatchEqual:     thanospb.LabelMatcher_EQ,
	labels.MatchNotEqual:  thanospb.LabelMatcher_NEQ,
	labels.MatchRegexp:    thanospb.LabelMatcher_RE,
	labels.MatchNotRegexp: thanospb.LabelMatcher_NRE,
}

// EncodeThanosMatchers gives matchers as Thanos' StoreAPI wants them.
func EncodeThanosMatchers(ms []*labels.Matcher) []*thanospb.LabelMatcher {
	out := make([]*thanospb.LabelMatcher, len(ms))
	for i, m := range ms {
		out[i] = &thanospb.LabelMatcher{Type: thanosMatchers[m.Type], Name: []byte(m.Name), Value: []byte(m.Value)}
	}
	return out
}

// DecodeThanosMatchers is the inverse of EncodeThanosMatchers, or the error of the first that is no matcher.
func DecodeThanosMatchers(in []*thanospb.LabelMatcher) ([]*labels.Matcher, error) {
	out := make([]*labels.Matcher, len(in))
	for i, m := range in {
		known := false
		for typ, number := range thanosMatchers {
			if number != m.Type {
				continue
			}
			known = true
			var err error
			if out[i], err = labels.NewMatcher(typ, string(m.Name), string(m.Value)); err != nil {
				return nil, err
			}
		}
		if !known {
			return nil, fmt.Errorf("a matcher of label %q has the unknown type %d", m.Name, m.Type)
		}
	}
	return out, nil
}

// EncodeHints is the inverse of DecodeHints. Hints may be nil. Those on projections are left out: they change which labels series have.
func EncodeHints(h *storage.SelectHints) *stridepb.SelectHints {
	if h == nil {
		return nil
	}
	m := &stridepb.SelectHints{
		StartMs: h.Start, EndMs: h.End, Limit: int64(h.Limit), StepMs: h.Step, Func: []byte(h.Func), By: h.By, RangeMs: h.Range,
		ShardCount: h.ShardCount, ShardIndex: h.ShardIndex, DisableTrimming: h.DisableTrimming,
	}
	for _, g := range h.Grouping {
		m.Grouping = append(m.Grouping, []byte(g))
	}
	return m
}

// DecodeHints gives the hints, nil for none.
func DecodeHints(m *stridepb.SelectHints) *storage.SelectHints {
	if m == nil {
		return nil
	}
	h := &storage.SelectHints{
		Start: m.StartMs, End: m.EndMs, Limit: int(m.Limit), Step: m.StepMs, Func: string(m.Func), By: m.By, Range: m.RangeMs,
		ShardCount: m.ShardCount, ShardIndex: m.ShardIndex, DisableTrimming: m.DisableTrimming,
	}
	for _, g := range m.Grouping {
		h.Grouping = append(h.Grouping, string(g))
	}
	return h
}
