package difftest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"
)

// Part says in what two outcomes differ.
type Part string

// The parts of an outcome, compared in this order.
const (
	PartPanic       Part = "panic"
	PartError       Part = "error"
	PartValue       Part = "value"
	PartAnnotations Part = "annotations"
	PartStats       Part = "statistics"
)

// Difference is what a comparison found.
type Difference struct {
	Part Part
	Text string
}

func (d *Difference) String() string { return fmt.Sprintf("%s: %s", d.Part, d.Text) }

// DefaultTolerance is the relative error that range queries, and sums and
// averages over time, may have.
const DefaultTolerance = 1e-12

// resultOrder says how far the order of an instant vector is defined.
type resultOrder uint8

const (
	unordered resultOrder = iota
	orderedByValue
	ordered
)

// Comparer compares the outcomes of one query.
type Comparer struct {
	// Tolerance is relative to the larger of two values, 0 for bit equality.
	Tolerance float64
	// Stats turns the comparison of sample statistics on.
	Stats bool

	order resultOrder
	// ignoreHints leaves counter reset hints out.
	ignoreHints bool
	// merged tells that series come from several stores.
	merged bool
	// maskCount hides how many samples were forced to be monotonic, which
	// Prometheus miscounts when it evaluates several steps.
	maskCount bool
}

// NewComparer returns the comparer that a query and its times ask for. Range
// queries compare with tolerance, instant ones bit by bit unless they hold a
// sum or average over time, which engines may compute by sliding.
func NewComparer(expr parser.Expr, times Times, tolerance float64, stats bool) Comparer {
	c := Comparer{Tolerance: tolerance, Stats: stats, maskCount: !times.Instant}
	slides := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.Call:
			slides = slides || n.Func.Name == "sum_over_time" || n.Func.Name == "avg_over_time"
		case *parser.SubqueryExpr:
			c.maskCount = true
		}
		return nil
	})
	if times.Instant {
		c.order = orderOf(expr)
		if !slides {
			c.Tolerance = 0
		}
	}
	return c
}

func orderOf(expr parser.Expr) resultOrder {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return orderOf(e.Expr)
	case *parser.AggregateExpr:
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return ordered
		}
	case *parser.Call:
		switch e.Func.Name {
		case "sort", "sort_desc":
			// Equal values may come in any order.
			return orderedByValue
		case "sort_by_label", "sort_by_label_desc":
			return ordered
		}
	}
	return unordered
}

// Compare returns the first difference between two outcomes, or nil.
func (c Comparer) Compare(want, got *Outcome) *Difference {
	for _, part := range []Part{PartPanic, PartError, PartValue, PartAnnotations, PartStats} {
		if text := c.compare(part, want, got); text != "" {
			return &Difference{Part: part, Text: text}
		}
	}
	return nil
}

func (c Comparer) compare(part Part, want, got *Outcome) string {
	switch part {
	case PartPanic:
		if got.Panic != want.Panic {
			return fmt.Sprintf("want %q, got %s", want.Panic, got.Panic)
		}
	case PartError:
		return compareErrors(want, got)
	case PartValue:
		return c.compareValues(want.Value, got.Value)
	case PartAnnotations:
		if text := c.compareTexts("warnings", want.Warnings, got.Warnings); text != "" {
			return text
		}
		return c.compareTexts("infos", want.Infos, got.Infos)
	case PartStats:
		if c.Stats && want.Err == nil && got.Err == nil {
			return compareStats(want.Samples, got.Samples)
		}
	}
	return ""
}

func compareErrors(want, got *Outcome) string {
	if want.Err == nil && got.Err == nil {
		return ""
	}
	if want.Err == nil || got.Err == nil || want.Err.Error() != got.Err.Error() {
		return fmt.Sprintf("want %q, got %q", fmt.Sprint(want.Err), fmt.Sprint(got.Err))
	}
	if want.Rejected != got.Rejected {
		return fmt.Sprintf("%q: want it from the query's making: %t, got %t", want.Err, want.Rejected, got.Rejected)
	}
	if w, g := errorClass(want.Err), errorClass(got.Err); w != g {
		return fmt.Sprintf("%q: want class %s, got %s", want.Err, w, g)
	}
	return ""
}

func (c Comparer) compareValues(want, got parser.Value) string {
	if want == nil || got == nil {
		if want != nil || got != nil {
			return fmt.Sprintf("want %v, got %v", want, got)
		}
		return ""
	}
	if want.Type() != got.Type() {
		return fmt.Sprintf("want type %s, got %s", want.Type(), got.Type())
	}
	switch w := want.(type) {
	case promql.Scalar:
		g := got.(promql.Scalar)
		if w.T != g.T || !c.equal(w.V, g.V) {
			return fmt.Sprintf("want %s, got %s (%s)", w, g, distance(w.V, g.V))
		}
	case promql.String:
		if g := got.(promql.String); w != g {
			return fmt.Sprintf("want %v, got %v", w, g)
		}
	case promql.Vector:
		return c.compareVectors(w, got.(promql.Vector))
	case promql.Matrix:
		return c.compareMatrices(w, got.(promql.Matrix))
	}
	return ""
}

func (c Comparer) compareVectors(want, got promql.Vector) string {
	if c.order == orderedByValue && len(want) == len(got) {
		for i := range want {
			if !c.equal(want[i].F, got[i].F) {
				return fmt.Sprintf("order of values, at position %d: want %v, got %v", i, want[i].F, got[i].F)
			}
		}
	}
	if c.order != ordered {
		want, got = byLabels(want), byLabels(got)
	}
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		if !labels.Equal(w.Metric, g.Metric) {
			return fmt.Sprintf("sample %d: want %s, got %s%s", i, w.Metric, g.Metric, counts(len(want), len(got)))
		}
		if w.T != g.T {
			return fmt.Sprintf("%s: want timestamp %d, got %d", w.Metric, w.T, g.T)
		}
		if text := c.comparePoints(point{w.F, w.H}, point{g.F, g.H}); text != "" {
			return fmt.Sprintf("%s: %s", w.Metric, text)
		}
	}
	if len(want) != len(got) {
		longer := want
		if len(got) > len(want) {
			longer = got
		}
		return fmt.Sprintf("only on one side: %s%s", longer[min(len(want), len(got))].Metric, counts(len(want), len(got)))
	}
	return ""
}

func byLabels(v promql.Vector) promql.Vector {
	v = slices.Clone(v)
	slices.SortStableFunc(v, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
	return v
}

func counts(want, got int) string {
	return fmt.Sprintf(" (want %d series, got %d)", want, got)
}

// compareMatrices relies on both being in label order, as results have to be.
func (c Comparer) compareMatrices(want, got promql.Matrix) string {
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		if !labels.Equal(w.Metric, g.Metric) {
			return fmt.Sprintf("series %d: want %s, got %s%s", i, w.Metric, g.Metric, counts(len(want), len(got)))
		}
		if text := c.compareSeries(w, g); text != "" {
			return fmt.Sprintf("%s: %s", w.Metric, text)
		}
	}
	if len(want) != len(got) {
		longer := want
		if len(got) > len(want) {
			longer = got
		}
		return fmt.Sprintf("only on one side: %s%s", longer[min(len(want), len(got))].Metric, counts(len(want), len(got)))
	}
	return ""
}

func (c Comparer) compareSeries(want, got promql.Series) string {
	for i := range min(len(want.Floats), len(got.Floats)) {
		w, g := want.Floats[i], got.Floats[i]
		if w.T != g.T {
			return fmt.Sprintf("float %d: want timestamp %d, got %d", i, w.T, g.T)
		}
		if !c.equal(w.F, g.F) {
			return fmt.Sprintf("at %d: want %v, got %v (%s)", w.T, w.F, g.F, distance(w.F, g.F))
		}
	}
	for i := range min(len(want.Histograms), len(got.Histograms)) {
		w, g := want.Histograms[i], got.Histograms[i]
		if w.T != g.T {
			return fmt.Sprintf("histogram %d: want timestamp %d, got %d", i, w.T, g.T)
		}
		if text := c.compareHistograms(w.H, g.H); text != "" {
			return fmt.Sprintf("at %d: %s", w.T, text)
		}
	}
	if len(want.Floats) != len(got.Floats) || len(want.Histograms) != len(got.Histograms) {
		return fmt.Sprintf("want %d floats and %d histograms, got %d and %d",
			len(want.Floats), len(want.Histograms), len(got.Floats), len(got.Histograms))
	}
	return ""
}

// equal compares floats within the tolerance. All NaNs are equal, and so are
// the zeros unless bits count.
func (c Comparer) equal(a, b float64) bool {
	switch {
	case math.IsNaN(a) || math.IsNaN(b):
		return math.IsNaN(a) && math.IsNaN(b)
	case c.Tolerance == 0:
		return math.Float64bits(a) == math.Float64bits(b)
	case a == b:
		return true
	case math.IsInf(a, 0) || math.IsInf(b, 0):
		return false
	}
	return math.Abs(a-b) <= c.Tolerance*max(math.Abs(a), math.Abs(b))
}

func distance(a, b float64) string {
	return fmt.Sprintf("relative error %.3g", math.Abs(a-b)/max(math.Abs(a), math.Abs(b)))
}

var forcedCount = regexp.MustCompile(`, over \d+ samples from`)

func (c Comparer) compareTexts(what string, want, got []string) string {
	if c.maskCount {
		want, got = masked(want), masked(got)
	}
	if slices.Equal(want, got) {
		return ""
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
	surplus := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) })
	return fmt.Sprintf("%s missing: %q, surplus: %q", what, missing, surplus)
}

func masked(texts []string) []string {
	if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, ", over ") }) {
		return texts
	}
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = forcedCount.ReplaceAllString(s, ", over N samples from")
	}
	slices.Sort(out)
	return out
}

func compareStats(want, got *stats.QuerySamples) string {
	if want == nil || got == nil {
		if want != got {
			return fmt.Sprintf("want %v, got %v", want, got)
		}
		return ""
	}
	for _, f := range []struct {
		name      string
		want, got int64
	}{
		{"TotalSamples", want.TotalSamples, got.TotalSamples},
		{"SamplesRead", want.SamplesRead, got.SamplesRead},
		{"TotalSeries", want.TotalSeries, got.TotalSeries},
	} {
		if f.want != f.got {
			return fmt.Sprintf("%s: want %d, got %d", f.name, f.want, f.got)
		}
	}
	if !slices.Equal(want.TotalSamplesPerStep, got.TotalSamplesPerStep) {
		return fmt.Sprintf("TotalSamplesPerStep: want %v, got %v", want.TotalSamplesPerStep, got.TotalSamplesPerStep)
	}
	if !slices.Equal(want.SamplesReadPerStep, got.SamplesReadPerStep) {
		return fmt.Sprintf("SamplesReadPerStep: want %v, got %v", want.SamplesReadPerStep, got.SamplesReadPerStep)
	}
	return ""
}
