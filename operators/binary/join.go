package binary

import (
	"context"
	"math/bits"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// pair is two series whose samples are matched at some steps, by their places in side.series;
// filled stands for a side that is filled in.
type pair struct{ many, one int32 }

const filled int32 = -1

// join is which pairs make up the result in the open range.
type join struct {
	pairs   []pair
	first   []int32 // row of the result -> its first index in ordered
	ordered []int32 // indexes of pairs by row, within a row in order

	covered presence // fill on the "one" side: where a match group has a sample of that side
	matched presence // fill on the "many" side: where a match group has a match without it
}

// rowPairs are the pairs of a row of the result.
func (j *join) rowPairs(row int) []int32 { return j.ordered[j.first[row]:j.first[row+1]] }

func (j *join) bytes() int64 {
	return int64(cap(j.pairs))*8 + int64(cap(j.first)+cap(j.ordered))*4 + j.covered.bytes() + j.matched.bytes()
}

// members are the series of each match group, by their places in side.series.
type members struct{ first, series []int32 }

func (m *members) of(group int32) []int32 { return m.series[m.first[group]:m.first[group+1]] }

// members sorts the series of a side by group.
func (s *side) members(groups int) members {
	m := members{first: make([]int32, groups+1), series: make([]int32, len(s.series))}
	for i := range s.series {
		m.first[s.group(int32(i))+1]++
	}
	for g := range groups {
		m.first[g+1] += m.first[g]
	}
	next := append([]int32(nil), m.first[:groups]...)
	for i := range s.series {
		g := s.group(int32(i))
		m.series[next[g]] = int32(i)
		next[g]++
	}
	return m
}

// presence are n bits that say where a series has a sample; one that is filled in has it everywhere.
func (s *side) presence(i int32, step, n int) uint64 {
	if i == filled {
		return bitmap.Mask(n)
	}
	return s.columns[i].Presence(step, n)
}

// floats are n values of a series from a step on, and the bits that say where they are samples.
func (s *side) floats(i int32, step, n int) ([]float64, uint64) {
	if i == filled {
		return s.constant[:n], bitmap.Mask(n)
	}
	c := &s.columns[i]
	return c.F[step : step+n], c.Floats(step, n)
}

// sample is the sample of a series at a step where it has one.
func (s *side) sample(i int32, step int) (float64, *histogram.FloatHistogram) {
	if i == filled {
		return *s.fill, nil
	}
	c := &s.columns[i]
	if c.Histogram(step) {
		return 0, c.H[step]
	}
	return c.F[step], nil
}

// labels are the labels of a series.
func (s *side) labels(i int32) labels.Labels { return s.schema.Labels(int(s.series[i])) }

// mask are n bits that say at which steps from i on a pair is matched, as long as the matching is
// not ambiguous.
func (v *VectorVector) mask(p pair, i, n int) uint64 {
	w := v.many.presence(p.many, i, n) & v.one.presence(p.one, i, n)
	switch {
	case p.one == filled:
		w &^= v.join.covered.load(v.many.group(p.many), i, n)
	case p.many == filled:
		w &^= v.join.matched.load(v.one.group(p.one), i, n)
	}
	return w
}

// meets tells whether a pair is matched at any step.
func (v *VectorVector) meets(p pair) bool {
	steps := v.r.Len()
	for i := 0; i < steps; i += block {
		if v.mask(p, i, min(block, steps-i)) != 0 {
			return true
		}
	}
	return false
}

// build makes the join, or returns the error that Prometheus would.
func (v *VectorVector) build(ctx context.Context) error {
	groups := v.sigs.len()
	many, one := v.many.members(groups), v.one.members(groups)
	if v.one.fill != nil {
		v.cover()
	}
	suspects := v.ambiguousGroups(many, one)
	if err := v.replayFirst(ctx, suspects); err != nil {
		return err
	}
	if v.many.fill != nil {
		v.match(one)
	}
	rowOf, err := v.findPairs(ctx, one)
	if err != nil {
		return err
	}
	v.sortPairs(rowOf)
	return v.replayFirst(ctx, v.ambiguousRows())
}

// cover notes where match groups have samples of the "one" side.
func (v *VectorVector) cover() {
	covered := &v.join.covered
	covered.resize(v.sigs.len(), v.r.Len())
	for o := range v.one.series {
		c, g := &v.one.columns[o], v.one.group(int32(o))
		for i := 0; i < c.Len(); i += block {
			covered.or(g, i, c.Presence(i, min(block, c.Len()-i)))
		}
	}
}

// match notes where match groups have a match of two samples that has a result. One that has not
// leaves its sample of the "one" side to be filled in for.
func (v *VectorVector) match(one members) {
	matched := &v.join.matched
	matched.resize(v.sigs.len(), v.r.Len())
	steps := v.r.Len()
	for m := range v.many.series {
		g := v.many.group(int32(m))
		for _, o := range one.of(g) {
			p := pair{int32(m), o}
			for i := 0; i < steps; i += block {
				matched.or(g, i, v.succeeds(p, i, min(block, steps-i)))
			}
		}
	}
}

// succeeds are n bits that say where two matched samples have a result, filtered or not.
func (v *VectorVector) succeeds(p pair, i, n int) uint64 {
	w := v.mask(p, i, n)
	_, manyFloats := v.many.floats(p.many, i, n)
	_, oneFloats := v.one.floats(p.one, i, n)
	rest := w
	if !v.elem.trim {
		rest &^= manyFloats & oneFloats
	}
	for ; rest != 0; rest &= rest - 1 {
		k := bits.TrailingZeros64(rest)
		if v.pairDrops(p, i+k) {
			w &^= 1 << uint(k)
		}
	}
	return w
}

// pairDrops tells whether the sample that pairHistograms would compute has no result.
func (v *VectorVector) pairDrops(p pair, step int) bool {
	_, many := v.many.sample(p.many, step)
	_, one := v.one.sample(p.one, step)
	left, right := many, one
	if v.swapped {
		left, right = one, many
	}
	if drops, known := v.elem.drops(left, right); known {
		return drops
	}
	_, _, t, _ := v.pairHistograms(&operators.HistogramArena{}, p, step)
	return t.drops()
}

// pairHistograms computes the sample of a pair that the kernels cannot: one with a histogram, or of
// a trim operator.
func (v *VectorVector) pairHistograms(a *operators.HistogramArena, p pair, step int) (*histogram.FloatHistogram, bool, trouble, error) {
	lf, lh := v.many.sample(p.many, step)
	rf, rh := v.one.sample(p.one, step)
	if v.swapped {
		lf, lh, rf, rh = rf, rh, lf, lh
	}
	return v.elem.histograms(a, lf, rf, lh, rh)
}

// ambiguousGroups are the steps at which a match group has several samples where it may have one
// only; nil for none.
func (v *VectorVector) ambiguousGroups(many, one members) bitmap.Bitmap {
	var duplicates, multiple bitmap.Bitmap
	steps := v.r.Len()
	oneToOne := v.matching.Card == parser.CardOneToOne
	for g := range int32(v.sigs.len()) {
		ones, manies := one.of(g), many.of(g)
		severalMatch := oneToOne && len(manies) > 1 && (len(ones) > 0 || v.one.fill != nil)
		if len(ones) < 2 && !severalMatch {
			continue
		}
		for i := 0; i < steps; i += block {
			n := min(block, steps-i)
			covered, twice := v.one.overlap(ones, i, n)
			duplicates = mark(duplicates, steps, i, n, twice)
			if severalMatch {
				if v.one.fill != nil {
					covered = bitmap.Mask(n)
				}
				_, twice := v.many.overlap(manies, i, n)
				multiple = mark(multiple, steps, i, n, twice&covered)
			}
		}
	}
	if duplicates != nil && v.one.fill == nil && v.many.fill == nil {
		v.unlessManyEmpty(duplicates)
	}
	if duplicates == nil {
		return multiple
	}
	for i, w := range multiple {
		duplicates[i] |= w
	}
	return duplicates
}

// overlap are n bits that say where any of several series has a sample, and where two have.
func (s *side) overlap(series []int32, i, n int) (once, twice uint64) {
	for _, k := range series {
		w := s.columns[k].Presence(i, n)
		twice |= once & w
		once |= w
	}
	return once, twice
}

// mark sets n bits of dst from step i on, and makes dst if it is nil and there is something to set.
func mark(dst bitmap.Bitmap, steps, i, n int, w uint64) bitmap.Bitmap {
	if w == 0 {
		return dst
	}
	if dst == nil {
		dst = make(bitmap.Bitmap, bitmap.Words(steps))
	}
	dst.Store(i, n, dst.Load(i, n)|w)
	return dst
}

// unlessManyEmpty clears the bits of the steps at which the "many" side has no sample at all:
// without fill, Prometheus does not look at the other side then.
func (v *VectorVector) unlessManyEmpty(dst bitmap.Bitmap) {
	present := make(bitmap.Bitmap, len(dst))
	for m := range v.many.columns {
		c := &v.many.columns[m]
		for i := range present {
			present[i] |= c.Presence(i*block, min(block, c.Len()-i*block))
		}
	}
	for i := range dst {
		dst[i] &= present[i]
	}
}

// findPairs finds all pairs that are matched at any step, in the order of their results, and their
// rows in the result.
func (v *VectorVector) findPairs(ctx context.Context, one members) ([]int32, error) {
	known := v.schema.Len()
	if known == 0 {
		v.rows = newRowIndex(len(v.many.series))
	}
	rowOf, err := v.listPairs(ctx, one, false)
	if err == nil && v.grid.Steps == 1 && len(v.rows.labels) < len(rowOf) {
		// Pairs share a row at the only step, so at most one of them has a result, and that
		// one's place is the row's.
		v.rows, v.join.pairs = newRowIndex(len(v.many.series)), nil
		clear(v.known)
		rowOf, err = v.listPairs(ctx, one, true)
	}
	for _, l := range v.rows.labels[known:] {
		v.schema.Append(l, v.elem.returnBool)
	}
	return rowOf, err
}

// listPairs makes the pairs and returns their rows. Pairs without any result are kept for their
// trouble; fruitlessLast puts them behind all others.
func (v *VectorVector) listPairs(ctx context.Context, one members, fruitlessLast bool) (rowOf []int32, err error) {
	var fruitless []pair
	add := func(p pair) {
		v.join.pairs = append(v.join.pairs, p)
		rowOf = append(rowOf, v.row(p))
	}
	consider := func(p pair) {
		switch {
		case !v.meets(p):
		case fruitlessLast && v.succeeds(p, 0, 1) == 0:
			fruitless = append(fruitless, p)
		default:
			add(p)
		}
	}
	for m := range int32(len(v.many.series)) {
		if m%1024 == 0 {
			if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
				return nil, err
			}
		}
		for _, o := range one.of(v.many.group(m)) {
			consider(pair{m, o})
		}
		if v.one.fill != nil {
			consider(pair{m, filled})
		}
	}
	if v.many.fill != nil {
		for o := range int32(len(v.one.series)) {
			consider(pair{filled, o})
		}
	}
	for _, p := range fruitless {
		add(p)
	}
	return rowOf, nil
}

// row is the row of the result that a pair's samples belong to. Pairs with equal labels share one,
// but for an instant query under delayed name removal: Prometheus lets equal labels of different
// match groups pass there.
func (v *VectorVector) row(p pair) int32 {
	key := v.key(p)
	if row, ok := v.known[key]; ok {
		return row
	}
	var scope int32
	if v.unmerged {
		scope = v.groupOf(p)
	}
	row := v.rows.row(v.pairLabels(p), scope)
	if v.known != nil {
		v.known[key] = row
	}
	return row
}

// key names a pair by the indexes of its series in the inputs' schemas, which hold in all ranges.
func (v *VectorVector) key(p pair) pair {
	if p.many != filled {
		p.many = v.many.series[p.many]
	}
	if p.one != filled {
		p.one = v.one.series[p.one]
	}
	return p
}

func (v *VectorVector) groupOf(p pair) int32 {
	if p.many != filled {
		return v.many.group(p.many)
	}
	return v.one.group(p.one)
}

// pairLabels are the labels of a pair's result.
func (v *VectorVector) pairLabels(p pair) labels.Labels {
	var many, one labels.Labels
	if p.many != filled {
		many = v.many.labels(p.many)
	}
	if p.one != filled {
		one = v.one.labels(p.one)
	}
	switch {
	case p.many == filled:
		many = matchLabels(one, v.matching)
	case p.one == filled:
		one = matchLabels(many, v.matching)
	}
	return v.labels.of(many, one)
}

// sortPairs lists the pairs by the row of the result.
func (v *VectorVector) sortPairs(rowOf []int32) {
	rows := v.schema.Len()
	j := &v.join
	j.first = make([]int32, rows+1)
	for _, row := range rowOf {
		j.first[row+1]++
	}
	for row := range rows {
		j.first[row+1] += j.first[row]
	}
	j.ordered = make([]int32, len(rowOf))
	next := append([]int32(nil), j.first[:rows]...)
	for i, row := range rowOf {
		j.ordered[next[row]] = int32(i)
		next[row]++
	}
}

// ambiguousRows are the steps at which a row of the result has samples of two pairs; nil for none.
func (v *VectorVector) ambiguousRows() bitmap.Bitmap {
	var ambiguous bitmap.Bitmap
	steps := v.r.Len()
	for row := range v.schema.Len() {
		pairs := v.join.rowPairs(row)
		if len(pairs) < 2 {
			continue
		}
		for i := 0; i < steps; i += block {
			n := min(block, steps-i)
			var once, twice uint64
			for _, k := range pairs {
				w := v.mask(v.join.pairs[k], i, n)
				twice |= once & w
				once |= w
			}
			ambiguous = mark(ambiguous, steps, i, n, twice)
		}
	}
	return ambiguous
}
