package operatortest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// Result is what an operator, or Prometheus, makes of its inputs.
type Result struct {
	// Series are those that have samples, in the schema's order.
	Series      []Series
	Annotations annotations.Annotations
	Err         error
}

// Strings are the annotations as users see them, in order.
func (r Result) Strings(query string) []string {
	warnings, infos := r.Annotations.AsStrings(query, 0, 0)
	out := append(warnings, infos...)
	slices.Sort(out)
	return out
}

// Samples is the number of samples.
func (r Result) Samples() int {
	n := 0
	for _, s := range r.Series {
		for _, x := range s.Samples {
			if x.Present {
				n++
			}
		}
	}
	return n
}

// Equal says where two results differ; nil is nowhere. Order counts if ordered is set; DropName does
// not, nor how a histogram lays out its empty buckets.
func Equal(want, got []Series, ordered bool) error {
	if !ordered {
		want, got = sorted(want), sorted(got)
	}
	return equal(want, got, Sample.means)
}

func equal(want, got []Series, same func(want, got Sample) bool) error {
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		if !labels.Equal(w.Labels, g.Labels) {
			return fmt.Errorf("series %d is %s, want %s\ngot\n%s\nwant\n%s", i, g.Labels, w.Labels, text(got), text(want))
		}
		if len(w.Samples) != len(g.Samples) {
			return fmt.Errorf("%s has %d steps, want %d", g.Labels, len(g.Samples), len(w.Samples))
		}
		for k := range w.Samples {
			if !same(w.Samples[k], g.Samples[k]) {
				return fmt.Errorf("%s at step %d is %s, want %s\ngot\n%s\nwant\n%s", w.Labels, k, g.Samples[k], w.Samples[k], text(got), text(want))
			}
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d series, want %d\ngot\n%s\nwant\n%s", len(got), len(want), text(got), text(want))
	}
	return nil
}

// sorted orders by labels, and series with equal labels by their samples.
func sorted(series []Series) []Series {
	return slices.SortedStableFunc(slices.Values(series), func(a, b Series) int {
		if c := labels.Compare(a.Labels, b.Labels); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Samples, b.Samples, Sample.compare)
	})
}

func text(series []Series) string {
	var b strings.Builder
	for _, s := range series {
		b.WriteString("  " + s.String() + "\n")
	}
	return b.String()
}

// Merge makes one series of all with equal labels, as the operator behind others does, and fails as
// Prometheus does where two have a sample at the same step.
func Merge(series []Series) ([]Series, error) {
	var out []Series
	at := map[string]int{}
	for _, s := range series {
		key := s.Labels.String()
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			s.Samples = slices.Clone(s.Samples)
			out = append(out, s)
			continue
		}
		if s.first() < out[i].first() {
			out[i].DropName = s.DropName
		}
		for k, x := range s.Samples {
			if !x.Present {
				continue
			}
			if out[i].Samples[k].Present {
				return nil, operators.ErrSameLabelset
			}
			out[i].Samples[k] = x
		}
	}
	return out, nil
}

// DropNames removes the metadata labels of series with DropName and merges what then has equal
// labels: the end of a query under delayed name removal.
func DropNames(series []Series) ([]Series, error) {
	series = slices.Clone(series)
	for i := range series {
		if series[i].DropName {
			series[i].Labels = series[i].Labels.DropReserved(schema.IsMetadataLabel)
		}
	}
	return Merge(series)
}
