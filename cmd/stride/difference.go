package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// differences says in what two outcomes of a query differ, one difference a line.
func differences(tested, reference outcome, tolerance float64, order resultOrder) []string {
	if tested.err != "" || reference.err != "" {
		if tested.err == reference.err {
			return nil
		}
		return []string{"tested " + describeError(tested.err) + ", reference " + describeError(reference.err)}
	}
	d := &differ{tolerance: tolerance}
	d.values(tested.result.value, reference.result.value)
	if len(d.found) == 0 {
		d.order(tested.result.value, reference.result.value, order)
	}
	d.notes(tested.result, reference.result)
	return d.found
}

func describeError(text string) string {
	if text == "" {
		return "has a result"
	}
	return "fails: " + text
}

// differ gathers differences.
type differ struct {
	tolerance float64
	found     []string
}

func (d *differ) add(format string, args ...any) {
	d.found = append(d.found, fmt.Sprintf(format, args...))
}

func (d *differ) values(tested, reference parser.Value) {
	if tested.Type() != reference.Type() {
		d.add("tested is a %s, reference a %s", tested.Type(), reference.Type())
		return
	}
	switch t := tested.(type) {
	case promql.Scalar:
		d.point("scalar", sample{t: t.T, f: t.V}, scalarSample(reference.(promql.Scalar)))
	case promql.String:
		if r := reference.(promql.String); t != r {
			d.add("tested %q, reference %q", t.V, r.V)
		}
	case promql.Vector:
		d.vectors(t, reference.(promql.Vector))
	case promql.Matrix:
		d.matrices(t, reference.(promql.Matrix))
	}
}

// sample is a value at a time: a histogram if h is set.
type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func scalarSample(s promql.Scalar) sample { return sample{t: s.T, f: s.V} }

func (s sample) String() string {
	if s.h != nil {
		return formatHistogram(s.h)
	}
	return formatValue(s.f)
}

// point compares two samples of what.
func (d *differ) point(what string, tested, reference sample) {
	switch {
	case tested.t != reference.t:
		d.add("%s: tested at %s, reference at %s", what, formatTime(tested.t), formatTime(reference.t))
	case !d.equal(tested, reference):
		d.add("%s: tested %s, reference %s%s", what, tested, reference, apart(tested, reference))
	}
}

func (d *differ) equal(a, b sample) bool {
	if a.h == nil || b.h == nil {
		return a.h == b.h && equalWithin(a.f, b.f, d.tolerance)
	}
	return d.equalHistograms(a.h, b.h)
}

// equalHistograms compares what the API shows of histograms: buckets that are not empty, by their bounds.
func (d *differ) equalHistograms(a, b *histogram.FloatHistogram) bool {
	if !equalWithin(a.Count, b.Count, d.tolerance) || !equalWithin(a.Sum, b.Sum, d.tolerance) {
		return false
	}
	return slices.EqualFunc(buckets(a), buckets(b), func(a, b histogram.Bucket[float64]) bool {
		return a.Lower == b.Lower && a.Upper == b.Upper && a.LowerInclusive == b.LowerInclusive && a.UpperInclusive == b.UpperInclusive &&
			equalWithin(a.Count, b.Count, d.tolerance)
	})
}

func buckets(h *histogram.FloatHistogram) (all []histogram.Bucket[float64]) {
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			all = append(all, b)
		}
	}
	return all
}

// apart says how far two floats are from each other.
func apart(a, b sample) string {
	if a.h != nil || b.h != nil {
		return ""
	}
	relative := math.Abs(a.f-b.f) / max(math.Abs(a.f), math.Abs(b.f))
	if math.IsNaN(relative) || math.IsInf(relative, 0) {
		return ""
	}
	return fmt.Sprintf(" (%.2g of it apart)", relative)
}

func (d *differ) vectors(tested, reference promql.Vector) {
	series := func(v promql.Vector) map[string][]sample {
		by := make(map[string][]sample, len(v))
		for _, s := range v {
			name := s.Metric.String()
			by[name] = append(by[name], sample{s.T, s.F, s.H})
		}
		return by
	}
	d.series(series(tested), series(reference))
}

func (d *differ) matrices(tested, reference promql.Matrix) {
	series := func(m promql.Matrix) map[string][]sample {
		by := make(map[string][]sample, len(m))
		for _, s := range m {
			name := s.Metric.String()
			eachPoint(s, func(t int64, f float64, h *histogram.FloatHistogram) {
				by[name] = append(by[name], sample{t, f, h})
			})
		}
		return by
	}
	d.series(series(tested), series(reference))
}

// series compares series by their labels.
func (d *differ) series(tested, reference map[string][]sample) {
	names := maps.Clone(tested)
	maps.Copy(names, reference)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t, inTested := tested[name]
		r, inReference := reference[name]
		switch {
		case !inReference:
			d.add("%s: only tested has it, %s", name, extent(t))
		case !inTested:
			d.add("%s: only reference has it, %s", name, extent(r))
		case len(t) == 1 && len(r) == 1:
			d.point(name, t[0], r[0])
		default:
			d.samples(name, t, r)
		}
	}
}

// extent says what there is of a series that one side has alone.
func extent(s []sample) string {
	if len(s) == 1 {
		return s[0].String()
	}
	return fmt.Sprintf("%d samples from %s to %s", len(s), formatTime(s[0].t), formatTime(s[len(s)-1].t))
}

// samples compares the samples of a series, in order of time, in one line: how many differ, and the first of them.
func (d *differ) samples(name string, tested, reference []sample) {
	var (
		first string
		count int
		all   int
	)
	note := func(at int64, format string, args ...any) {
		if count == 0 {
			first = formatTime(at) + " " + fmt.Sprintf(format, args...)
		}
		count++
	}
	for len(tested) > 0 || len(reference) > 0 {
		all++
		switch {
		case len(reference) == 0 || len(tested) > 0 && tested[0].t < reference[0].t:
			note(tested[0].t, "only tested has %s", tested[0])
			tested = tested[1:]
		case len(tested) == 0 || reference[0].t < tested[0].t:
			note(reference[0].t, "only reference has %s", reference[0])
			reference = reference[1:]
		default:
			if !d.equal(tested[0], reference[0]) {
				note(tested[0].t, "tested %s, reference %s%s", tested[0], reference[0], apart(tested[0], reference[0]))
			}
			tested, reference = tested[1:], reference[1:]
		}
	}
	if count > 0 {
		d.add("%s: %d of %d samples differ, first at %s", name, count, all, first)
	}
}

// order compares the order of vectors that have the same samples.
func (d *differ) order(tested, reference parser.Value, order resultOrder) {
	t, ok := tested.(promql.Vector)
	r, ok2 := reference.(promql.Vector)
	if !ok || !ok2 || order == unordered {
		return
	}
	for i := range t {
		tie := order == orderedByValue && d.equal(sample{f: t[i].F, h: t[i].H}, sample{f: r[i].F, h: r[i].H})
		if !tie && t[i].Metric.String() != r[i].Metric.String() {
			d.add("the order differs, first at place %d: tested has %s there, reference %s", i+1, t[i].Metric, r[i].Metric)
			return
		}
	}
}

// forcedCount is a count in an annotation of which the documentation says that it may differ.
var forcedCount = regexp.MustCompile(`, over \d+ samples from`)

// omitted tells that an answer had more annotations than it shows. Which ones it shows is left to chance.
const omitted = "annotations omitted"

// notes compares annotations. Servers like Thanos Query put infos among the warnings, so that both count as one.
func (d *differ) notes(tested, reference *result) {
	t, r := noteSet(tested), noteSet(reference)
	if slices.ContainsFunc(append(slices.Clone(t), r...), func(s string) bool { return strings.HasSuffix(s, omitted) }) {
		return
	}
	for _, n := range t {
		if !slices.Contains(r, n) {
			d.add("only tested says: %s", n)
		}
	}
	for _, n := range r {
		if !slices.Contains(t, n) {
			d.add("only reference says: %s", n)
		}
	}
}

func noteSet(r *result) []string {
	var all []string
	for _, n := range slices.Concat(r.warnings, r.infos) {
		all = append(all, forcedCount.ReplaceAllString(n, ", over N samples from"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
