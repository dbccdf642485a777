package aggregate

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// grouping maps the series of a schema to groups, numbered in the order of their first series.
// Series without samples have groups as well: whether a group exists is not known here.
type grouping struct {
	in      *operators.Schema
	names   []string // sorted; with without, the metadata labels are among them
	without bool

	ids   map[string]int32 // group by the bytes of its labels, hence no two groups are ever confused
	of    []int32          // series -> group
	first []int32          // group -> its first series in the schema
	buf   []byte
}

// newGrouping groups by the given labels or, with without, by all others but the metadata labels.
func newGrouping(in *operators.Schema, names []string, without bool) *grouping {
	names = slices.Clone(names)
	if without {
		names = append(names, model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	slices.Sort(names)
	return &grouping{in: in, names: slices.Compact(names), without: without, ids: map[string]int32{}}
}

// extend resolves the groups of series that the schema has gained.
func (g *grouping) extend() {
	g.of = slices.Grow(g.of, g.in.Len()-len(g.of))
	for i := len(g.of); i < g.in.Len(); i++ {
		g.of = append(g.of, g.resolve(i))
	}
}

func (g *grouping) resolve(series int) int32 {
	g.buf = g.buf[:0]
	switch {
	case g.without:
		g.buf = g.in.Labels(series).BytesWithoutLabels(g.buf, g.names...)
	case len(g.names) > 0:
		g.buf = g.in.Labels(series).BytesWithLabels(g.buf, g.names...)
	}
	id, ok := g.ids[string(g.buf)]
	if !ok {
		id = int32(len(g.first))
		g.ids[string(g.buf)] = id
		g.first = append(g.first, int32(series))
	}
	return id
}

// len is the number of groups.
func (g *grouping) len() int { return len(g.first) }

// labels are the output labels of a group.
func (g *grouping) labels(group int32) labels.Labels {
	if !g.without && len(g.names) == 0 {
		return labels.EmptyLabels()
	}
	b := labels.NewBuilder(g.in.Labels(int(g.first[group])))
	if g.without {
		b.Del(g.names...)
	} else {
		b.Keep(g.names...)
	}
	return b.Labels()
}

// describe is the grouping in PromQL, with a space in front, or nothing where there is none.
func describe(names []string, without bool) string {
	switch {
	case without:
		return " without (" + strings.Join(names, ", ") + ")"
	case len(names) > 0:
		return " by (" + strings.Join(names, ", ") + ")"
	default:
		return ""
	}
}
