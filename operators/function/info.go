package function

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// InfoSelector gives info() the series of info metrics, which are known only when the vector that is to
// be enriched has been evaluated.
type InfoSelector interface {
	// Select selects the series that matchers match, in storage order, and looks up their newest
	// samples at the steps r of grid: those younger than the lookback at the reference time, which is the
	// step's time, or *at if at is not nil, less offset milliseconds. Stale markers are no samples.
	//
	// Row i of the batch, which spans r and is the caller's, belongs to series i of the schema. A float sample of it is
	// the original time in milliseconds of the sample found. A histogram sample is an error,
	// "this should be an info metric, with float samples: <labels>". Warnings of the storage are the selector's to report.
	Select(ctx context.Context, hints storage.SelectHints, matchers []*labels.Matcher, grid operators.Grid, r operators.StepRange, offset int64, at *int64) (*operators.Schema, *operators.Batch, error)
}

// InfoConfig is a call of info().
type InfoConfig struct {
	// Matchers are those of the second argument; without one, or without any on the name, target_info is asked for.
	Matchers []*labels.Matcher
	// At and Offset (in milliseconds) are the reference that all selectors in the first argument share, else nil and 0.
	At     *int64
	Offset int64
	// Start, End and Interval are the times in milliseconds at which the call is evaluated, as the
	// query has them: the grid's last step may lie before End.
	Start, End, Interval int64
}

// identifying are the labels by which an info series belongs to others.
var identifying = [...]string{"instance", "job"}

// identity are the values of the identifying labels.
type identity [len(identifying)]string

func identityOf(l labels.Labels) identity {
	var id identity
	for i, name := range identifying {
		id[i] = l.Get(name)
	}
	return id
}

// Info is info(v): v's series with labels of the info series that have the same instance and job. Series
// that are info series themselves pass through.
//
// Where info series of several metrics match, their labels are added in order of the metrics' names.
//
// Inputs: 0 the vector (FoldRows).
type Info struct {
	node
	q      *operators.Query
	in     *operators.Schema
	grid   operators.Grid
	config InfoConfig
	source InfoSelector

	names []*labels.Matcher            // that info metrics are selected by
	data  map[string][]*labels.Matcher // on other labels, by label

	r      operators.StepRange
	table  *operators.Table
	rowIDs map[string]int // labels -> output series
	parts  [][]infoPart   // by output series
}

// infoPart is a run of steps of an input series that belongs to an output series.
type infoPart struct {
	column   operators.Column
	from, to int // steps of the range
	dropName bool
}

// NewInfo is info() over in at the steps of grid.
func NewInfo(q *operators.Query, in *operators.Schema, grid operators.Grid, c InfoConfig, source InfoSelector) *Info {
	n := &Info{
		node:   node{operators.NewSchema()},
		q:      q,
		in:     in,
		grid:   grid,
		config: c,
		source: source,
		data:   map[string][]*labels.Matcher{},
		table:  operators.NewTable(q),
		rowIDs: map[string]int{},
	}
	positive := false
	for _, m := range c.Matchers {
		if m.Name != model.MetricNameLabel {
			n.data[m.Name] = append(n.data[m.Name], m)
			continue
		}
		n.names = append(n.names, m)
		positive = positive || m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
	}
	switch {
	case len(n.names) == 0:
		n.names = []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "target_info")}
	case !positive:
		all := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+_info")
		n.names = append([]*labels.Matcher{all}, n.names...)
	}
	return n
}

// Describe is the function and what info series it looks for.
func (n *Info) Describe() string {
	var s []string
	for _, m := range n.names {
		s = append(s, m.String())
	}
	for _, name := range slices.Sorted(maps.Keys(n.data)) {
		for _, m := range n.data[name] {
			s = append(s, m.String())
		}
	}
	return "info {" + strings.Join(s, ", ") + "}"
}

// Takes folds the vector's rows.
func (*Info) Takes(int) operators.Edge { return operators.FoldRows }

// Open forgets the samples of a range before.
func (n *Info) Open(r operators.StepRange) error {
	n.Close()
	n.r = r
	return nil
}

// Close gives the samples back.
func (n *Info) Close() {
	n.table.Reset()
	n.parts = nil
}

// Fold keeps the vector's samples.
func (n *Info) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	return n.table.Add(b)
}

// Finish selects the info series and finds the output series.
func (n *Info) Finish(ctx context.Context, _ int) error {
	base := n.base()
	info, held, err := n.selectInfo(ctx, base)
	defer n.q.Free(held)
	if err != nil {
		return err
	}
	if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
		return err
	}
	failed := infoError{step: n.r.Len()}
	metrics := n.match(info, base, &failed)
	known := n.schema.Len()
	n.parts = make([][]infoPart, known)
	for _, b := range base {
		n.enrich(b, info, metrics[b.id], &failed)
	}
	n.checkDuplicates(&failed)
	if failed.err != nil {
		return failed.err
	}
	n.settleDropNames(known)
	if n.in.Complete() && n.r.To == n.grid.Steps {
		n.schema.SetComplete()
	}
	return nil
}

// infoBase is a series of the vector that has samples.
type infoBase struct {
	labels   labels.Labels
	dropName bool
	id       identity
	ignore   bool // an info series itself
	column   operators.Column
}

// base are the series of the vector that have samples.
func (n *Info) base() []infoBase {
	var base []infoBase
	for _, b := range n.table.Batches() {
		for r := range b.Rows {
			if b.Empty(r) {
				continue
			}
			l := n.in.Labels(b.First + r)
			name := l.Get(model.MetricNameLabel)
			base = append(base, infoBase{
				labels:   l,
				dropName: n.in.DropName(b.First + r),
				id:       identityOf(l),
				ignore:   !slices.ContainsFunc(n.names, func(m *labels.Matcher) bool { return !m.Matches(name) }),
				column:   b.Column(r),
			})
		}
	}
	return base
}

// infoSeries is a series of an info metric; the floats of the column are the times of its samples.
type infoSeries struct {
	labels labels.Labels
	column operators.Column
}

// selectInfo selects the info series that may belong to base, and accounts for the samples held.
func (n *Info) selectInfo(ctx context.Context, base []infoBase) (info []infoSeries, held int64, err error) {
	hints := storage.SelectHints{Start: n.config.Start, End: n.config.End, Step: n.config.Interval, Func: "info"}
	if n.config.At != nil {
		hints.Start, hints.End = *n.config.At, *n.config.At
	}
	// A sample exactly as old as the lookback is too old.
	hints.Start -= n.q.Lookback - 1 + n.config.Offset
	hints.End -= n.config.Offset

	for _, matchers := range identifyingMatchers(base) {
		for _, m := range n.config.Matchers {
			if m.Name != model.MetricNameLabel {
				matchers = append(matchers, m)
			}
		}
		matchers = append(matchers, n.names...)
		s, b, err := n.source.Select(ctx, hints, matchers, n.grid, n.r, n.config.Offset, n.config.At)
		if err != nil {
			return nil, held, err
		}
		for r := range b.Rows {
			if !b.Empty(r) {
				info = append(info, infoSeries{s.Labels(b.First + r), b.Column(r)})
			}
		}
		samples := b.CountSamples()
		held += samples
		if err := n.q.Hold(samples); err != nil {
			return nil, held, err
		}
	}
	return info, held, nil
}

// identifyingMatchers are sets of matchers that together match the identifying labels of all of base that are
// to be enriched: one set for each selection of the labels that are there, in the order job, instance,
// both. A series has to have at least one.
func identifyingMatchers(base []infoBase) [][]*labels.Matcher {
	type values [len(identifying)]map[string]struct{}
	var patterns [1 << len(identifying)]*values
	for _, b := range base {
		if b.ignore {
			continue
		}
		pattern := 0
		for _, v := range b.id {
			pattern <<= 1
			if v != "" {
				pattern |= 1
			}
		}
		if patterns[pattern] == nil {
			patterns[pattern] = &values{}
			for i := range identifying {
				patterns[pattern][i] = map[string]struct{}{}
			}
		}
		for i, v := range b.id {
			patterns[pattern][i][v] = struct{}{}
		}
	}
	var sets [][]*labels.Matcher
	for _, p := range patterns[1:] {
		if p == nil {
			continue
		}
		var set []*labels.Matcher
		for i, name := range identifying {
			if _, missing := p[i][""]; missing {
				set = append(set, labels.MustNewMatcher(labels.MatchEqual, name, ""))
				continue
			}
			var alternatives []string
			for _, v := range slices.Sorted(maps.Keys(p[i])) {
				alternatives = append(alternatives, regexp.QuoteMeta(v))
			}
			set = append(set, labels.MustNewMatcher(labels.MatchRegexp, name, strings.Join(alternatives, "|")))
		}
		sets = append(sets, set)
	}
	return sets
}

// infoMetric is an info metric for one identity.
type infoMetric struct {
	name string
	// newest is, by step of the range, the index of the info series with the newest sample, or -1.
	newest []int32
}

// match finds the newest info series at each step, by identity and metric; metrics are in order of their names.
func (n *Info) match(info []infoSeries, base []infoBase, failed *infoError) map[identity][]*infoMetric {
	metrics := map[identity][]*infoMetric{}
	for i, s := range info {
		id, name := identityOf(s.labels), s.labels.Get(model.MetricNameLabel)
		at, found := slices.BinarySearchFunc(metrics[id], name, func(m *infoMetric, name string) int {
			return strings.Compare(m.name, name)
		})
		if !found {
			m := &infoMetric{name: name, newest: make([]int32, n.r.Len())}
			for t := range m.newest {
				m.newest[t] = -1
			}
			metrics[id] = slices.Insert(metrics[id], at, m)
		}
		newest := metrics[id][at].newest
		for t := range newest {
			switch {
			case !s.column.Float(t):
			case newest[t] < 0 || info[newest[t]].column.F[t] < s.column.F[t]:
				newest[t] = int32(i)
			case info[newest[t]].column.F[t] == s.column.F[t] && failed.before(t, phaseInfo) && anySample(base, t):
				failed.set(t, phaseInfo, fmt.Errorf("found duplicate series for info metric: existing %s @ %d, new %s @ %d",
					info[newest[t]].labels, int64(s.column.F[t]), s.labels, int64(s.column.F[t])))
			}
		}
	}
	return metrics
}

func anySample(base []infoBase, t int) bool {
	return slices.ContainsFunc(base, func(b infoBase) bool { return b.column.Has(t) })
}

// enrich finds the output series that the steps of a series of the vector belong to.
func (n *Info) enrich(b infoBase, info []infoSeries, metrics []*infoMetric, failed *infoError) {
	if b.ignore {
		n.add(b, b.labels, 0, n.r.Len())
		return
	}
	var (
		last    = make([]int32, len(metrics))
		next    = make([]int32, len(metrics))
		from    = -1
		l       labels.Labels
		matched bool
	)
	for t := range n.r.Len() {
		if !b.column.Has(t) {
			continue
		}
		for i, m := range metrics {
			next[i] = m.newest[t]
		}
		if from >= 0 && slices.Equal(last, next) {
			continue
		}
		if from >= 0 && matched {
			n.add(b, l, from, t)
		}
		var err error
		if l, matched, err = n.join(b.labels, info, next); err != nil {
			failed.set(t, phaseBase, err)
			return
		}
		from = t
		copy(last, next)
	}
	if matched {
		n.add(b, l, from, n.r.Len())
	}
}

// join is base with the labels of the info series with the given indexes (-1 is none). ok is false where base matches no info series and
// the data labels asked for may not be missing.
func (n *Info) join(base labels.Labels, info []infoSeries, series []int32) (l labels.Labels, ok bool, err error) {
	added := labels.NewBuilder(labels.EmptyLabels())
	for _, i := range series {
		if i < 0 {
			continue
		}
		ok = true
		if err := info[i].labels.Validate(func(l labels.Label) error {
			if schema.IsMetadataLabel(l.Name) {
				return nil
			}
			if _, asked := n.data[l.Name]; len(n.data) > 0 && !asked {
				return nil
			}
			if v := added.Get(l.Name); v != "" && v != l.Value {
				return fmt.Errorf("conflicting label: %s", l.Name)
			}
			if !base.Has(l.Name) {
				added.Set(l.Name, l.Value)
			}
			return nil
		}); err != nil {
			return labels.EmptyLabels(), false, err
		}
	}
	if !ok && !n.mayMiss() {
		return labels.EmptyLabels(), false, nil
	}
	out := labels.NewBuilder(base)
	added.Range(func(l labels.Label) { out.Set(l.Name, l.Value) })
	return out.Labels(), true, nil
}

// mayMiss tells whether all data label matchers match a missing label.
func (n *Info) mayMiss() bool {
	for _, ms := range n.data {
		for _, m := range ms {
			if !m.Matches("") {
				return false
			}
		}
	}
	return true
}

// add gives the steps [from, to) of b to the output series with labels l.
func (n *Info) add(b infoBase, l labels.Labels, from, to int) {
	key := string(l.Bytes(nil))
	row, ok := n.rowIDs[key]
	if !ok {
		row = n.schema.Append(l, b.dropName)
		n.rowIDs[key] = row
		n.parts = append(n.parts, nil)
	}
	n.parts[row] = append(n.parts[row], infoPart{column: b.column, from: from, to: to, dropName: b.dropName})
}

// checkDuplicates looks for output series with two samples at a step.
func (n *Info) checkDuplicates(failed *infoError) {
	for _, parts := range n.parts {
		if len(parts) < 2 {
			continue
		}
		seen := make(bitmap.Bitmap, bitmap.Words(n.r.Len()))
		for _, p := range parts {
			for t := p.from; t < p.to; t += 64 {
				c := min(64, p.to-t)
				had, has := seen.Load(t, c), p.column.Presence(t, c)
				if both := had & has; both != 0 {
					failed.set(t+bits.TrailingZeros64(both), phaseEnd, operators.ErrSameLabelset)
				}
				seen.Store(t, c, had|has)
			}
		}
	}
}

// settleDropNames gives the output series that are new, from index known on, the DropName of their first sample.
func (n *Info) settleDropNames(known int) {
	for row := known; row < len(n.parts); row++ {
		first := n.r.Len()
		for _, p := range n.parts[row] {
			for t := p.from; t < min(p.to, first); t++ {
				if p.column.Has(t) {
					n.schema.SetDropName(row, p.dropName)
					first = t
				}
			}
		}
	}
}

// infoError is the error that Prometheus would have met first: that of the earliest step and, in it, of
// the earliest phase.
type infoError struct {
	step, phase int
	err         error
}

const (
	phaseInfo = iota // looking at the info series of a step
	phaseBase        // looking at the vector's series
	phaseEnd         // looking at the result
)

// before tells whether an error at that place would be the first one so far.
func (e *infoError) before(step, phase int) bool {
	return step < e.step || step == e.step && phase < e.phase
}

func (e *infoError) set(step, phase int, err error) {
	if e.before(step, phase) {
		e.step, e.phase, e.err = step, phase, err
	}
}

// Morsels is the number of blocks of output series.
func (n *Info) Morsels() int { return blocks(n.q, n.r, n.schema.Len()) }

// Read is a block of output series.
func (n *Info) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	first, rows := block(n.q, n.r, n.schema.Len(), m)
	b := w.Batch(first, rows, n.r.From, n.r.Len())
	b.Morsel = m
	for r := range rows {
		for _, p := range n.parts[first+r] {
			for t := p.from; t < p.to; t++ {
				switch {
				case p.column.Float(t):
					b.SetFloat(b.Pos(r, t), p.column.F[t])
				case p.column.Histogram(t):
					b.SetHistogram(b.Pos(r, t), p.column.H[t])
				}
			}
		}
	}
	return b, nil
}
