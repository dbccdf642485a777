package binary

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

var (
	errManyToOne = errors.New("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
	errGrouping  = errors.New("multiple matches for labels: grouping labels must ensure unique matches")
)

// replay evaluates single steps sample by sample in Prometheus' order, for the error that comes
// first. It is needed only where there may be one.
type replay struct {
	v    *VectorVector
	rows *rowIndex
	ids  map[pair]int32 // number of the labels of a pair's result

	// State of a step.
	ones     map[int32]int32       // match group -> its sample of the "one" side
	matched  map[int32]struct{}    // match groups that have a match
	inserted map[[2]int32]struct{} // match group and labels of a match
	results  []int32               // labels of the result's samples
	err      error                 // what the last sample in trouble fails the query with
}

func (v *VectorVector) newReplay() *replay {
	return &replay{v: v, rows: newRowIndex(0), ids: map[pair]int32{}}
}

// replayFirst replays the steps that have a bit set and returns the first error. As soon as there
// is one, the steps before it are replayed too: what makes those fail may be something else.
func (v *VectorVector) replayFirst(ctx context.Context, suspects bitmap.Bitmap) error {
	if suspects == nil {
		return nil
	}
	r := v.newReplay()
	steps := v.r.Len()
	for s := suspects.Next(0, steps); s < steps; s = suspects.Next(s+1, steps) {
		if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
			return err
		}
		err := r.step(s)
		if err == nil {
			continue
		}
		for earlier := range s {
			if ctxErr := operators.ContextError(ctx, operators.EnvEvaluation); ctxErr != nil {
				return ctxErr
			}
			if err := r.step(earlier); err != nil {
				return err
			}
		}
		return err
	}
	return nil
}

// replayAll replays all steps and returns the first error.
func (v *VectorVector) replayAll() error {
	r := v.newReplay()
	for s := range v.r.Len() {
		if err := r.step(s); err != nil {
			return err
		}
	}
	return nil
}

// step evaluates a step and returns its error.
func (r *replay) step(step int) error {
	v := r.v
	many, one := v.many.at(step), v.one.at(step)
	noFill := v.many.fill == nil && v.one.fill == nil
	if len(many) == 0 && len(one) == 0 || noFill && (len(many) == 0 || len(one) == 0) {
		return nil
	}
	r.ones = make(map[int32]int32, len(one))
	r.matched = map[int32]struct{}{}
	r.inserted = map[[2]int32]struct{}{}
	r.results, r.err = r.results[:0], nil

	for _, o := range one {
		g := v.one.group(o)
		if before, ok := r.ones[g]; ok {
			return v.duplicateError(before, o)
		}
		r.ones[g] = o
	}
	for _, m := range many {
		p := pair{m, filled}
		if o, ok := r.ones[v.many.group(m)]; ok {
			p.one = o
		} else if v.one.fill == nil {
			continue
		}
		if err := r.visit(p, step); err != nil {
			return err
		}
	}
	if v.many.fill != nil {
		for _, o := range one {
			if _, ok := r.matched[v.one.group(o)]; ok {
				continue
			}
			if err := r.visit(pair{filled, o}, step); err != nil {
				return err
			}
		}
	}
	if r.err != nil {
		return r.err
	}
	if v.unmerged {
		return nil
	}
	seen := make(map[int32]struct{}, len(r.results))
	for _, row := range r.results {
		if _, ok := seen[row]; ok {
			return operators.ErrSameLabelset
		}
		seen[row] = struct{}{}
	}
	return nil
}

// at is which series have a sample at a step.
func (s *side) at(step int) []int32 {
	var present []int32
	for i := range s.columns {
		if s.columns[i].Has(step) {
			present = append(present, int32(i))
		}
	}
	return present
}

// visit evaluates one match.
func (r *replay) visit(p pair, step int) error {
	v := r.v
	keep, t, err := v.outcome(p, step)
	if t != noTrouble {
		r.err = err
	}
	if t.drops() {
		return nil
	}
	g := v.groupOf(p)
	row := r.row(p)
	if v.matching.Card == parser.CardOneToOne {
		if _, ok := r.matched[g]; ok {
			return errManyToOne
		}
	} else {
		if _, ok := r.inserted[[2]int32{g, row}]; ok {
			return errGrouping
		}
		r.inserted[[2]int32{g, row}] = struct{}{}
	}
	r.matched[g] = struct{}{}
	if keep || v.elem.returnBool {
		r.results = append(r.results, row)
	}
	return nil
}

// row is the number of the labels of a pair's result.
func (r *replay) row(p pair) int32 {
	id, ok := r.ids[p]
	if !ok {
		id = r.rows.row(r.v.pairLabels(p), 0)
		r.ids[p] = id
	}
	return id
}

// outcome tells whether a comparison holds, else true, and what trouble there is.
func (v *VectorVector) outcome(p pair, step int) (bool, trouble, error) {
	many, manyHistogram := v.many.sample(p.many, step)
	one, oneHistogram := v.one.sample(p.one, step)
	if manyHistogram != nil || oneHistogram != nil || v.elem.trim {
		_, keep, t, err := v.pairHistograms(&operators.HistogramArena{}, p, step)
		return keep, t, err
	}
	if v.elem.cmp == nil {
		return true, noTrouble, nil
	}
	left, right := many, one
	if v.swapped {
		left, right = one, many
	}
	return v.elem.cmp([]float64{left}, []float64{right}) != 0, noTrouble, nil
}

func (v *VectorVector) duplicateError(before, o int32) error {
	hand := "right"
	if v.swapped {
		hand = "left"
	}
	group := matchLabels(v.one.labels(o), v.matching)
	a, b := v.one.labels(o).String(), v.one.labels(before).String()
	if a > b {
		a, b = b, a
	}
	return fmt.Errorf("found duplicate series for the match group %s on the %s hand-side of the operation: [%s, %s]"+
		";many-to-many matching not allowed: matching labels must be unique on one side", group.String(), hand, a, b)
}
