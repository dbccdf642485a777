package logicalplan

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// setRanking is the Ranking of the partition label sets of an index.
type setRanking struct {
	*index
	runs [][]Run // by pattern; nil for what nobody was asked for
	// here is the input that is evaluated at the root, where others do not count: it has seen all data. -1 without one.
	here  int
	mixed map[string][]Run // by the patterns that the runs are of
}

// Runs implements Ranking. A series that may be of several data sets has what counts for any of them.
func (r *setRanking) Runs(set labels.Labels) []Run {
	patterns := slices.DeleteFunc(r.patternsOf(set), func(p int) bool { return r.runs[p] == nil })
	switch len(patterns) {
	case 0:
		return nil
	case 1:
		return r.runs[patterns[0]]
	}
	key := fmt.Sprint(patterns)
	runs, ok := r.mixed[key]
	if !ok {
		runs = r.runs[patterns[0]]
		for _, p := range patterns[1:] {
			runs = r.either(runs, r.runs[p])
		}
		if r.mixed == nil {
			r.mixed = map[string][]Run{}
		}
		r.mixed[key] = runs
	}
	return runs
}

// either lets inputs count that count in a or in b, those of a first. Both are of all steps.
func (r *setRanking) either(a, b []Run) []Run {
	var out []Run
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x, y := a[i], b[j]
		run := Run{StepRange: StepRange{max(x.From, y.From), min(x.To, y.To)}, Inputs: slices.Clone(x.Inputs)}
		for _, input := range y.Inputs {
			if !slices.Contains(run.Inputs, input) {
				run.Inputs = append(run.Inputs, input)
			}
		}
		if slices.Contains(run.Inputs, r.here) {
			run.Inputs = []int{r.here}
		}
		out = append(out, run)
		if x.To == run.To {
			i++
		}
		if y.To == run.To {
			j++
		}
	}
	return out
}
