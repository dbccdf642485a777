package binary

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// Series that a filter leaves out match nothing.
func TestPartnersOfFiltered(t *testing.T) {
	q := &operators.Query{Workers: 1}
	all := operators.ConstantSchema(labels.FromStrings("a", "0"), labels.FromStrings("a", "1"), labels.FromStrings("a", "2"))
	lhs := operators.FilteredSchema(all, func(i int) bool { return i == 1 })
	v := NewVectorVector(q, parser.ADD, lhs, all, &parser.VectorMatching{On: true, MatchingLabels: []string{"a"}}, false, operators.NewGrid(0, 0, 1), true, posrange.PositionRange{})
	require.NoError(t, v.Extend())
	require.True(t, v.partners.find(v))
	for i, want := range []bool{false, true, false} {
		require.Equal(t, want, v.partners.matter(v, false, i))
	}
}

// Only series that can match, or be in the way of others, are kept.
func TestPartners(t *testing.T) {
	two := 2.0
	for name, tc := range map[string]struct {
		left, right []string // the label a of the series
		matching    parser.VectorMatching
		wantLeft    int64
		wantRight   int64
	}{
		"right side larger":       {left: []string{"1"}, right: []string{"0", "1", "2", "3"}, wantLeft: 1, wantRight: 1},
		"left side larger":        {left: []string{"0", "1", "2", "3"}, right: []string{"3", "4"}, wantLeft: 1, wantRight: 1},
		"filled in for":           {left: []string{"1"}, right: []string{"0", "1"}, matching: parser.VectorMatching{FillValues: parser.VectorMatchFillValues{LHS: &two}}, wantLeft: 1, wantRight: 2},
		"duplicates on the right": {left: []string{"1", "3"}, right: []string{"0", "0", "1", "2"}, wantLeft: 2, wantRight: 3},
		"group_right":             {left: []string{"1", "3"}, right: []string{"0", "0", "1", "1", "2"}, matching: parser.VectorMatching{Card: parser.CardOneToMany}, wantLeft: 1, wantRight: 2},
	} {
		t.Run(name, func(t *testing.T) {
			q := &operators.Query{Workers: 1}
			schema := func(values []string) *operators.Schema {
				s := operators.NewSchema()
				for _, v := range values {
					s.Append(labels.FromStrings("a", v), false)
				}
				s.SetComplete()
				return s
			}
			m := tc.matching
			m.On, m.MatchingLabels = true, []string{"a"}
			lhs, rhs := schema(tc.left), schema(tc.right)
			v := NewVectorVector(q, parser.ADD, lhs, rhs, &m, false, operators.NewGrid(0, 100, 10), true, posrange.PositionRange{})
			require.NoError(t, v.Extend())
			require.NoError(t, v.Open(v.grid.All()))
			for i, s := range []*operators.Schema{lhs, rhs} {
				b := operators.NewBatch(0, s.Len(), 0, v.grid.Steps)
				for p := range b.F {
					b.SetFloat(p, float64(p))
				}
				require.NoError(t, v.Fold(nil, i, b, v.grid.All()))
				kept := int64(0)
				for _, b := range v.input(i).table.Batches() {
					kept += b.CountSamples()
					require.Equal(t, float64(b.First*b.Steps), b.F[0], "rows keep their samples")
				}
				require.Equal(t, []int64{tc.wantLeft, tc.wantRight}[i]*int64(v.grid.Steps), kept)
			}
			v.Close()
		})
	}
}
