package function

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// HistogramQuantile is histogram_quantile, histogram_quantiles and histogram_fraction, of classic and native
// histograms. The series of the buckets of a classic histogram have the same labels but for le.
//
// Where a native histogram has the labels of a classic one, neither gives a result at the steps at
// which both have samples.
//
// Inputs, in argument order: the vector (FoldRows), and the scalars that are not constant (Fold).
//
// For one step the output has the native histograms in series order, then the classic ones in the order of
// their first series, for each quantile in turn. Output series may have equal labels, of histograms
// that differ in name or in quantile: finding that out is for a merge behind it.
type HistogramQuantile struct {
	node
	q    *operators.Query
	name string
	in   *operators.Schema
	grid operators.Grid
	// args are the quantiles, or the lower and upper bound of the fraction.
	args   operands
	argPos []posrange.PositionRange // of quantiles
	vector int                      // number of the vector's input
	pos    posrange.PositionRange   // of the vector
	// label is the name of the label that tells the results of histogram_quantiles apart.
	label    string
	labelled bool

	series   []bucketSeries // by input series
	groupIDs map[string]int32
	rows     []quantileRow // by output series
	rowIDs   map[quantileRow]int

	r       operators.StepRange
	pending int
	table   *operators.Table
	groups  map[int32]*classicHistogram
	natives map[int32]*nativeHistogram
	// values are, by argument and step, the values of the quantile label.
	values  [][]string
	buckets []promql.Buckets // by worker
}

// bucketSeries is what an input series' labels say.
type bucketSeries struct {
	group int32 // id of the labels but for le; -1 if le is not a bound
	bound float64
}

// quantileRow is a series of the output.
type quantileRow struct {
	native bool
	id     int32 // input series of a native histogram, group of a classic one
	arg    int32
	value  string // of the quantile label
}

type classicHistogram struct {
	labels  labels.Labels
	buckets []bucketColumn
	natives []operators.Column // with the same labels
}

type bucketColumn struct {
	bound float64
	operators.Column
}

type nativeHistogram struct {
	labels labels.Labels
	operators.Column
	classic *classicHistogram // with the same labels
	before  []operators.Column
}

// NewHistogramQuantile is histogram_quantile(quantile, in) at the steps of grid. pos are the places of the
// two arguments.
func NewHistogramQuantile(q *operators.Query, in *operators.Schema, quantile *operators.Scalar, grid operators.Grid, pos, quantilePos posrange.PositionRange) *HistogramQuantile {
	h := newHistogramQuantile(q, "histogram_quantile", in, grid, pos, quantile)
	h.argPos = []posrange.PositionRange{quantilePos}
	h.vector = len(h.args.inputs)
	return h
}

// NewHistogramQuantiles is histogram_quantiles(in, label, quantiles...) at the steps of grid. pos is the place
// of in, quantilePos are those of the quantiles.
func NewHistogramQuantiles(q *operators.Query, in *operators.Schema, label string, quantiles []*operators.Scalar, grid operators.Grid, pos posrange.PositionRange, quantilePos []posrange.PositionRange) *HistogramQuantile {
	h := newHistogramQuantile(q, "histogram_quantiles", in, grid, pos, quantiles...)
	h.argPos = quantilePos
	h.label, h.labelled = label, true
	return h
}

// NewHistogramFraction is histogram_fraction(lower, upper, in) at the steps of grid. pos is the place of in.
func NewHistogramFraction(q *operators.Query, in *operators.Schema, lower, upper *operators.Scalar, grid operators.Grid, pos posrange.PositionRange) *HistogramQuantile {
	h := newHistogramQuantile(q, "histogram_fraction", in, grid, pos, lower, upper)
	h.vector = len(h.args.inputs)
	return h
}

func newHistogramQuantile(q *operators.Query, name string, in *operators.Schema, grid operators.Grid, pos posrange.PositionRange, args ...*operators.Scalar) *HistogramQuantile {
	return &HistogramQuantile{
		node:     node{operators.NewSchema()},
		q:        q,
		name:     name,
		in:       in,
		grid:     grid,
		args:     newOperands(q, args),
		pos:      pos,
		groupIDs: map[string]int32{},
		rowIDs:   map[quantileRow]int{},
		table:    operators.NewTable(q),
		buckets:  make([]promql.Buckets, max(1, q.Workers)),
	}
}

// Describe names the function.
func (h *HistogramQuantile) Describe() string {
	if h.labelled {
		return fmt.Sprintf("%s label %q", h.name, h.label)
	}
	return h.name
}

// Takes folds the vector's rows and the scalars.
func (h *HistogramQuantile) Takes(input int) operators.Edge {
	if input == h.vector {
		return operators.FoldRows
	}
	return operators.Fold
}

// Extend finds the group and bound of new input series.
func (h *HistogramQuantile) Extend() error {
	var buf []byte
	for i := len(h.series); i < h.in.Len(); i++ {
		s := bucketSeries{group: -1}
		l := h.in.Labels(i)
		bound, err := strconv.ParseFloat(l.Get(labels.BucketLabel), 64)
		if err == nil && !math.IsNaN(bound) {
			buf = l.BytesWithoutLabels(buf, labels.BucketLabel)
			id, ok := h.groupIDs[string(buf)]
			if !ok {
				id = int32(len(h.groupIDs))
				h.groupIDs[string(buf)] = id
			}
			s = bucketSeries{group: id, bound: bound}
		}
		h.series = append(h.series, s)
	}
	return nil
}

// Open forgets the samples of a range before.
func (h *HistogramQuantile) Open(r operators.StepRange) error {
	h.Close()
	h.r = r
	h.pending = len(h.args.inputs) + 1
	return h.args.open(r)
}

// Close gives the samples back.
func (h *HistogramQuantile) Close() {
	h.args.close()
	h.table.Reset()
	h.groups, h.natives, h.values = nil, nil, nil
}

// Fold keeps the vector's samples and the scalars' values.
func (h *HistogramQuantile) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	switch {
	case input == h.vector:
		return h.table.Add(b)
	case input > h.vector:
		input--
	}
	h.args.inputs[input].Fold(b, seg)
	return nil
}

// Finish puts the histograms together once all inputs are there.
func (h *HistogramQuantile) Finish(context.Context, int) error {
	if h.pending--; h.pending > 0 {
		return nil
	}
	h.readArguments()
	natives, groups := h.gather()
	h.pair(natives, groups)
	h.addRows(natives, groups)
	if h.in.Complete() && h.r.To == h.grid.Steps {
		h.schema.SetComplete()
	}
	return nil
}

// readArguments warns about invalid quantiles and makes the values of the quantile label.
func (h *HistogramQuantile) readArguments() {
	if h.argPos == nil {
		return // The bounds of a fraction may be anything.
	}
	steps := h.r.Len()
	h.values = make([][]string, len(h.args.all))
	invalid := false
	for a, s := range h.args.all {
		if h.labelled {
			h.values[a] = make([]string, steps)
		}
		_, constant := s.Constant()
		for i := range steps {
			v := s.At(h.r.From + i)
			same := i > 0 && (constant || v == s.At(h.r.From+i-1))
			invalid = invalid || !(v >= 0 && v <= 1)
			switch {
			case !h.labelled:
			case same:
				h.values[a][i] = h.values[a][i-1]
			default:
				h.values[a][i] = labels.FormatOpenMetricsFloat(v)
			}
		}
	}
	if invalid {
		h.warnInvalid()
	}
}

// warnInvalid warns of each invalid quantile once, at the last place where Prometheus, which goes through the
// arguments at every step, meets it.
func (h *HistogramQuantile) warnInvalid() {
	seen := map[uint64]struct{}{}
	for i := h.r.Len() - 1; i >= 0; i-- {
		for a := len(h.args.all) - 1; a >= 0; a-- {
			v := h.args.all[a].At(h.r.From + i)
			if v >= 0 && v <= 1 {
				continue
			}
			if math.IsNaN(v) {
				v = math.NaN()
			}
			if _, ok := seen[math.Float64bits(v)]; ok {
				continue
			}
			seen[math.Float64bits(v)] = struct{}{}
			h.q.Annotate(annotations.NewInvalidQuantileWarning(v, h.argPos[a]))
		}
	}
}

// value is what the quantile label of argument a is at step i of the range.
func (h *HistogramQuantile) value(a, i int) string {
	if !h.labelled {
		return ""
	}
	return h.values[a][i]
}

// gather finds the native and classic histograms that have samples, in the order of their first series.
func (h *HistogramQuantile) gather() (natives, groups []int32) {
	h.groups, h.natives = map[int32]*classicHistogram{}, map[int32]*nativeHistogram{}
	var found annotations.Annotations
	for _, b := range h.table.Batches() {
		n := b.Steps
		for r := range b.Rows {
			i := b.First + r
			s := h.series[i]
			if b.Valid.Any(r*n, (r+1)*n) {
				if s.group < 0 {
					l := h.in.Labels(i)
					found.Add(annotations.NewBadBucketLabelWarning(h.metricName(l), l.Get(labels.BucketLabel), h.pos))
				} else {
					g := h.groups[s.group]
					if g == nil {
						g = &classicHistogram{labels: labels.NewBuilder(h.in.Labels(i)).Del(labels.BucketLabel).Labels()}
						h.groups[s.group] = g
						groups = append(groups, s.group)
					}
					g.buckets = append(g.buckets, bucketColumn{s.bound, b.Column(r)})
				}
			}
			if b.H != nil && b.HValid.Any(r*n, (r+1)*n) {
				h.natives[int32(i)] = &nativeHistogram{labels: h.in.Labels(i), Column: b.Column(r)}
				natives = append(natives, int32(i))
			}
		}
	}
	h.q.AnnotateAll(found)
	for _, g := range h.groups {
		// Buckets in order spare the sorting at each step.
		slices.SortStableFunc(g.buckets, func(a, b bucketColumn) int {
			switch {
			case a.bound < b.bound:
				return -1
			case a.bound > b.bound:
				return 1
			}
			return 0
		})
	}
	return natives, groups
}

// pair finds the native histograms that have the labels of a classic one.
func (h *HistogramQuantile) pair(natives, groups []int32) {
	if len(groups) == 0 {
		return
	}
	var buf []byte
	for _, i := range natives {
		n := h.natives[i]
		buf = n.labels.Bytes(buf)
		id, ok := h.groupIDs[string(buf)]
		if !ok {
			continue
		}
		if g := h.groups[id]; g != nil {
			n.classic, n.before = g, g.natives
			g.natives = append(g.natives, n.Column)
		}
	}
}

// addRows makes output series of histograms that are new in this range.
func (h *HistogramQuantile) addRows(natives, groups []int32) {
	args := len(h.args.all)
	if h.argPos == nil {
		args = 1 // The bounds of a fraction give one result.
	}
	if h.r.Len() == 1 {
		for a := range args {
			for _, id := range natives {
				h.addRow(quantileRow{true, id, int32(a), h.value(a, 0)})
			}
			for _, id := range groups {
				h.addRow(quantileRow{false, id, int32(a), h.value(a, 0)})
			}
		}
		return
	}
	// Rows of one histogram stand together, so that its buckets are put together once.
	add := func(native bool, id int32) {
		for a := range args {
			last := ""
			for i := range h.r.Len() {
				if v := h.value(a, i); i == 0 || v != last {
					h.addRow(quantileRow{native, id, int32(a), v})
					last = v
				}
			}
		}
	}
	for _, id := range natives {
		add(true, id)
	}
	for _, id := range groups {
		add(false, id)
	}
}

func (h *HistogramQuantile) addRow(row quantileRow) {
	if _, ok := h.rowIDs[row]; ok {
		return
	}
	h.rowIDs[row] = len(h.rows)
	h.rows = append(h.rows, row)
	var l labels.Labels
	if row.native {
		l = h.natives[row.id].labels
	} else {
		l = h.groups[row.id].labels
	}
	if !h.q.DelayedNameRemoval {
		l = dropMetadata(l)
	}
	if h.labelled {
		l = labels.NewBuilder(l).Set(h.label, row.value).Labels()
	}
	h.schema.Append(l, true)
}

// metricName is the name that annotations give: that of the result, which has none without delayed name removal.
func (h *HistogramQuantile) metricName(l labels.Labels) string {
	if !h.q.DelayedNameRemoval {
		return ""
	}
	return l.Get(model.MetricNameLabel)
}

// Morsels is the number of blocks of output series.
func (h *HistogramQuantile) Morsels() int { return blocks(h.q, h.r, len(h.rows)) }

// Read computes a block of output series.
func (h *HistogramQuantile) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	first, n := block(h.q, h.r, len(h.rows), m)
	b := w.Batch(first, n, h.r.From, h.r.Len())
	b.Morsel = m
	var found annotations.Annotations
	rows := h.rows[first : first+n]
	for lo := 0; lo < n; {
		hi := lo + 1
		for hi < n && rows[hi].native == rows[lo].native && rows[hi].id == rows[lo].id {
			hi++
		}
		if rows[lo].native {
			if x := h.natives[rows[lo].id]; x != nil {
				for k := lo; k < hi; k++ {
					h.readNative(b.Column(k), rows[k], x, &found)
				}
			}
		} else if x := h.groups[rows[lo].id]; x != nil {
			h.buckets[w.ID] = h.readClassic(b, lo, rows[lo:hi], x, h.buckets[w.ID], &found)
		}
		lo = hi
	}
	h.q.AnnotateAll(found)
	return b, nil
}

// readNative computes one output series of a native histogram.
func (h *HistogramQuantile) readNative(out operators.Column, row quantileRow, n *nativeHistogram, found *annotations.Annotations) {
	name := h.metricName(n.labels)
	var last *histogram.FloatHistogram
	var lastArgs [2]float64
	var result float64
	for i := range h.r.Len() {
		if !n.Histogram(i) {
			continue
		}
		if n.conflict(i) {
			found.Add(annotations.NewMixedClassicNativeHistogramsWarning(name, h.pos))
			continue
		}
		if h.value(int(row.arg), i) != row.value {
			continue
		}
		args := [2]float64{h.args.all[row.arg].At(h.r.From + i)}
		if h.argPos == nil {
			args[1] = h.args.all[1].At(h.r.From + i)
		}
		// One sample often stands at several steps in a row.
		if n.H[i] != last || args != lastArgs {
			last, lastArgs = n.H[i], args
			var a annotations.Annotations
			if h.argPos == nil {
				result, a = promql.HistogramFraction(args[0], args[1], last, name, h.pos)
			} else {
				result, a = promql.HistogramQuantile(args[0], last, name, h.pos)
			}
			found.Merge(a)
		}
		out.SetFloat(i, result)
	}
}

// conflict tells whether a classic histogram of the same labels has samples at step i. Of several native ones
// only the first is set against it.
func (n *nativeHistogram) conflict(i int) bool {
	if n.classic == nil || anyHistogram(n.before, i) {
		return false
	}
	for _, b := range n.classic.buckets {
		if b.Float(i) {
			return true
		}
	}
	return false
}

func anyHistogram(columns []operators.Column, i int) bool {
	for _, c := range columns {
		if c.Histogram(i) {
			return true
		}
	}
	return false
}

// readClassic computes the output series of a classic histogram from row first of b on.
func (h *HistogramQuantile) readClassic(b *operators.Batch, first int, rows []quantileRow, g *classicHistogram, buckets promql.Buckets, found *annotations.Annotations) promql.Buckets {
	last := int32(0)
	for _, row := range rows {
		last = max(last, row.arg)
	}
	for i := range h.r.Len() {
		buckets = buckets[:0]
		for k := range g.buckets {
			if c := &g.buckets[k]; c.Float(i) {
				buckets = append(buckets, promql.Bucket{UpperBound: c.bound, Count: c.F[i]})
			}
		}
		if len(buckets) == 0 || anyHistogram(g.natives, i) {
			continue
		}
		step := h.r.From + i
		if h.argPos == nil {
			b.SetFloat(b.Pos(first, i), promql.BucketFraction(h.args.all[0].At(step), h.args.all[1].At(step), buckets))
			continue
		}
		// Each call leaves the buckets in order, monotonic and, at the front, without duplicates; the
		// calls for the quantiles that follow see them like that, in Prometheus too.
		for a := int32(0); a <= last; a++ {
			v, forced, _, minBucket, maxBucket, maxDiff := promql.BucketQuantile(h.args.all[a].At(step), buckets)
			for k, row := range rows {
				if row.arg != a || row.value != h.value(int(a), i) {
					continue
				}
				b.SetFloat(b.Pos(first+k, i), v)
				if forced {
					found.Add(annotations.NewHistogramQuantileForcedMonotonicityInfo(h.metricName(g.labels), h.pos, h.grid.Time(step), minBucket, maxBucket, maxDiff))
				}
			}
		}
	}
	return buckets
}
