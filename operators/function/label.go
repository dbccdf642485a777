package function

import (
	"context"
	"fmt"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// Relabel is label_replace or label_join: it changes labels only, samples pass through. Results with equal
// labels are for a merge behind it.
//
// Inputs: 0 the vector (Stream).
type Relabel struct {
	node
	describe string
	in       *operators.Schema
	err      error
	relabel  func(labels.Labels) (l labels.Labels, changed bool)
	// names says that the metric name is what may change: a series that got one keeps it at the
	// end of the query, so that its DropName differs from its input's.
	names bool
}

// NewLabelReplace is label_replace(in, dst, replacement, src, regex). Bind fails if the regular
// expression or dst is not valid.
func NewLabelReplace(q *operators.Query, in *operators.Schema, dst, replacement, src, regex string) *Relabel {
	r := &Relabel{describe: fmt.Sprintf("label_replace %q from %q", dst, src)}
	re, err := regexp.Compile("^(?s:" + regex + ")$")
	switch {
	case err != nil:
		r.err = fmt.Errorf("invalid regular expression in label_replace(): %s", regex)
	case !model.UTF8Validation.IsValidLabelName(dst):
		r.err = fmt.Errorf("invalid destination label name in label_replace(): %s", dst)
	}
	return r.over(q, in, dst, func(l labels.Labels) (labels.Labels, bool) {
		v := l.Get(src)
		match := re.FindStringSubmatchIndex(v)
		if match == nil {
			return l, false
		}
		b := labels.NewBuilder(l)
		b.Set(dst, string(re.ExpandString(nil, replacement, v, match)))
		return b.Labels(), true
	})
}

// NewLabelJoin is label_join(in, dst, separator, src...). Bind fails if a label name is not valid.
func NewLabelJoin(q *operators.Query, in *operators.Schema, dst, separator string, src []string) *Relabel {
	r := &Relabel{describe: fmt.Sprintf("label_join %q from %q", dst, src)}
	if !model.UTF8Validation.IsValidLabelName(dst) {
		r.err = fmt.Errorf("invalid destination label name in label_join(): %s", dst)
	}
	for _, s := range src {
		if !model.UTF8Validation.IsValidLabelName(s) {
			r.err = fmt.Errorf("invalid source label name in label_join(): %s", s)
			break
		}
	}
	return r.over(q, in, dst, func(l labels.Labels) (labels.Labels, bool) {
		values := make([]string, len(src))
		for i, s := range src {
			values[i] = l.Get(s)
		}
		b := labels.NewBuilder(l)
		b.Set(dst, strings.Join(values, separator))
		return b.Labels(), true
	})
}

func (r *Relabel) over(q *operators.Query, in *operators.Schema, dst string, relabel func(labels.Labels) (labels.Labels, bool)) *Relabel {
	r.in, r.relabel = in, relabel
	r.names = dst == model.MetricNameLabel && q.DelayedNameRemoval
	if r.names {
		r.schema = operators.NewSchema()
		return r
	}
	r.schema = operators.DeriveSchema(in, func(l labels.Labels) labels.Labels {
		l, _ = r.relabel(l)
		return l
	}, false)
	return r
}

// Describe is the function and its labels.
func (r *Relabel) Describe() string { return r.describe }

// Takes streams the vector.
func (*Relabel) Takes(int) operators.Edge { return operators.Stream }

// Bind fails if the arguments are not valid.
func (r *Relabel) Bind(context.Context) error {
	if r.err != nil {
		return r.err
	}
	return r.Extend()
}

// Extend brings the output's series up to the input's.
func (r *Relabel) Extend() error {
	if !r.names {
		return nil
	}
	for i := range r.in.Len() {
		if i == r.schema.Len() {
			l, _ := r.relabel(r.in.Labels(i))
			r.schema.Append(l, false)
		}
		// An input may settle its DropName anew in each step range.
		drop := r.in.DropName(i)
		if drop {
			_, changed := r.relabel(r.in.Labels(i))
			drop = !changed
		}
		r.schema.SetDropName(i, drop)
	}
	if r.in.Complete() {
		r.schema.SetComplete()
	}
	return nil
}

// Process passes the batch on.
func (*Relabel) Process(_ *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	return b, nil
}
