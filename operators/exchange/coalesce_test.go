package exchange

import (
	"math/rand"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// Coalesce gives at each step, of each series, the sample of the first input that counts and has one.
func TestCoalesce(t *testing.T) {
	taken := map[int]int{}
	for seed := range operatortest.Rounds(300) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{1, 2, 5, 70, 130}[rnd.Intn(5)]
		inputs := make([]operatortest.Input, 1+rnd.Intn(4))
		for i := range inputs {
			all := randomSeries(rnd, 6, steps)
			for _, s := range all {
				if rnd.Intn(3) > 0 {
					s.Labels = labels.FromStrings("p", strconv.Itoa(rnd.Intn(3)), "i", s.Labels.Get("i"))
					inputs[i].Series = append(inputs[i].Series, s)
				}
			}
		}
		// Runs of the sets p="0" and p="1"; for p="2" all inputs count in order.
		runs := map[string][]Run{}
		for _, p := range []string{"0", "1"} {
			for at := 0; at < steps; {
				r := Run{From: at, To: min(steps, at+1+rnd.Intn(40)), Inputs: rnd.Perm(len(inputs))[:rnd.Intn(len(inputs)+1)]}
				runs[p] = append(runs[p], r)
				at = r.To
			}
		}
		rank := func(set labels.Labels) []Run { return runs[set.Get("p")] }

		want := map[string]operatortest.Series{}
		for i := range inputs {
			for _, s := range inputs[i].Series {
				if _, ok := want[s.Labels.String()]; !ok {
					want[s.Labels.String()] = operatortest.NewSeries(s.Labels, steps)
				}
			}
		}
		for key, w := range want {
			for step := range steps {
				order := make([]int, len(inputs))
				for i := range order {
					order[i] = i
				}
				for _, r := range runs[w.Labels.Get("p")] {
					if r.From <= step && step < r.To {
						order = r.Inputs
					}
				}
				for place, i := range order {
					at := slices.IndexFunc(inputs[i].Series, func(s operatortest.Series) bool { return s.Labels.String() == key })
					if at >= 0 && inputs[i].Series[at].Samples[step].Present {
						w.Samples[step] = inputs[i].Series[at].Samples[step]
						taken[place]++
						break
					}
				}
			}
		}
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			return NewCoalesce(q, in, []string{"p"}, rank, operatortest.Grid(steps))
		}, operatortest.Options{Steps: steps, Seed: uint64(seed), Disjoint: true}, inputs...)
		require.NoError(t, got.Err)
		var all []operatortest.Series
		for _, w := range want {
			if !w.Empty() {
				all = append(all, w)
			}
		}
		slices.SortFunc(all, func(a, b operatortest.Series) int { return labels.Compare(a.Labels, b.Labels) })
		kept := slices.DeleteFunc(slices.Clone(got.Series), operatortest.Series.Empty)
		slices.SortFunc(kept, func(a, b operatortest.Series) int { return labels.Compare(a.Labels, b.Labels) })
		require.NoError(t, operatortest.Equal(all, kept, false), "seed %d", seed)
	}
	require.Greater(t, taken[0], 1000)
	require.Greater(t, taken[2], 100)
}

// Equal labels of one input stay apart.
func TestCoalesceKeepsDuplicates(t *testing.T) {
	a := operatortest.NewSeries(labels.FromStrings("a", "1"), 2)
	a.Samples[0], a.Samples[1] = operatortest.Float(1), operatortest.Float(2)
	b := operatortest.NewSeries(labels.FromStrings("a", "1"), 2)
	b.Samples[0] = operatortest.Float(3)
	got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return NewCoalesce(q, in, nil, nil, operatortest.Grid(2))
	}, operatortest.Options{Steps: 2, OneRange: true}, operatortest.Input{Series: []operatortest.Series{a, b}})
	require.NoError(t, got.Err)
	require.Len(t, got.Series, 2)
}

// DropName is that of the first sample that counts, whichever input it comes from.
func TestCoalesceSettlesDropNameBySteps(t *testing.T) {
	l := labels.FromStrings("a", "b")
	named, dropped := operatortest.NewSeries(l, 70), operatortest.NewSeries(l, 70)
	dropped.DropName = true
	for step := range 70 {
		named.Samples[step], dropped.Samples[step] = operatortest.Float(1), operatortest.Float(2)
	}
	named.Samples[0] = operatortest.Sample{}
	ranked := func(labels.Labels) []Run {
		return []Run{{From: 0, To: 66, Inputs: nil}, {From: 66, To: 70, Inputs: []int{0, 1}}}
	}
	for _, c := range []struct {
		rank Ranking
		want bool
	}{{nil, true}, {ranked, false}} {
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			return NewCoalesce(q, in, nil, c.rank, operatortest.Grid(70))
		}, operatortest.Options{Steps: 70, OneRange: true}, operatortest.Input{Series: []operatortest.Series{named}}, operatortest.Input{Series: []operatortest.Series{dropped}})
		require.NoError(t, got.Err)
		require.Len(t, got.Series, 1)
		require.Equal(t, c.want, got.Series[0].DropName)
	}
}

func TestSection(t *testing.T) {
	for seed := range operatortest.Rounds(100) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{1, 5, 70, 130}[rnd.Intn(4)]
		series := randomSeries(rnd, 4, steps)
		r := operators.StepRange{From: rnd.Intn(steps)}
		r.To = r.From + rnd.Intn(steps-r.From) + 1
		var want []operatortest.Series
		for _, s := range series {
			s.Samples = slices.Clone(s.Samples)
			for k := range s.Samples {
				if k < r.From || k >= r.To {
					s.Samples[k] = operatortest.Sample{}
				}
			}
			if !s.Empty() {
				want = append(want, s)
			}
		}
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			return NewSection(in[0], r)
		}, operatortest.Options{Steps: steps, Seed: uint64(seed), Disjoint: true}, operatortest.Input{Series: series})
		require.NoError(t, got.Err)
		require.NoError(t, operatortest.Equal(want, got.Series, false))
	}
}
