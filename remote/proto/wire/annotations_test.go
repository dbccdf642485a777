package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote/proto/stridepb"
)

const queryText = "sum(rate(foo[5m]))\n  + histogram_quantile(0.9, bar)"

func pos(start, end int) posrange.PositionRange {
	return posrange.PositionRange{Start: posrange.Pos(start), End: posrange.Pos(end)}
}

// allAnnotations are made by every constructor of package annotations.
var allAnnotations = map[string]func(p posrange.PositionRange) error{
	"NewInvalidQuantileWarning":          func(p posrange.PositionRange) error { return annotations.NewInvalidQuantileWarning(math.NaN(), p) },
	"NewInvalidRatioWarning":             func(p posrange.PositionRange) error { return annotations.NewInvalidRatioWarning(2, 1, p) },
	"NewBadBucketLabelWarning":           func(p posrange.PositionRange) error { return annotations.NewBadBucketLabelWarning("m", "\xff", p) },
	"NewMixedFloatsHistogramsWarning":    func(p posrange.PositionRange) error { return annotations.NewMixedFloatsHistogramsWarning("m", p) },
	"NewMixedFloatsHistogramsAggWarning": annotations.NewMixedFloatsHistogramsAggWarning,
	"NewMixedClassicNativeHistogramsWarning": func(p posrange.PositionRange) error {
		return annotations.NewMixedClassicNativeHistogramsWarning("m", p)
	},
	"NewNativeHistogramNotCounterWarning": func(p posrange.PositionRange) error { return annotations.NewNativeHistogramNotCounterWarning("m", p) },
	"NewNativeHistogramNotGaugeWarning":   func(p posrange.PositionRange) error { return annotations.NewNativeHistogramNotGaugeWarning("m", p) },
	"NewMixedExponentialCustomHistogramsWarning": func(p posrange.PositionRange) error {
		return annotations.NewMixedExponentialCustomHistogramsWarning("m", p)
	},
	"NewPossibleNonCounterInfo": func(p posrange.PositionRange) error { return annotations.NewPossibleNonCounterInfo("m", p) },
	"NewPossibleNonCounterLabelInfo": func(p posrange.PositionRange) error {
		return annotations.NewPossibleNonCounterLabelInfo("m", "gauge", p)
	},
	"NewHistogramQuantileForcedMonotonicityInfo": func(p posrange.PositionRange) error {
		return annotations.NewHistogramQuantileForcedMonotonicityInfo("m \"x\"", p, 5000, 1, 2, .5)
	},
	"NewIncompatibleTypesInBinOpInfo": func(p posrange.PositionRange) error {
		return annotations.NewIncompatibleTypesInBinOpInfo("float", "+", "histogram", p)
	},
	"NewHistogramIgnoredInAggregationInfo": func(p posrange.PositionRange) error {
		return annotations.NewHistogramIgnoredInAggregationInfo("max", p)
	},
	"NewHistogramIgnoredInMixedRangeInfo": func(p posrange.PositionRange) error { return annotations.NewHistogramIgnoredInMixedRangeInfo("m", p) },
	"NewIncompatibleBucketLayoutInBinOpWarning": func(p posrange.PositionRange) error {
		return annotations.NewIncompatibleBucketLayoutInBinOpWarning("+", p)
	},
	"NewSortInRangeQueryWarning": annotations.NewSortInRangeQueryWarning,
	"NewNativeHistogramQuantileNaNResultInfo": func(p posrange.PositionRange) error {
		return annotations.NewNativeHistogramQuantileNaNResultInfo("m", p)
	},
	"NewNativeHistogramQuantileNaNSkewInfo": func(p posrange.PositionRange) error { return annotations.NewNativeHistogramQuantileNaNSkewInfo("", p) },
	"NewNativeHistogramFractionNaNsInfo":    func(p posrange.PositionRange) error { return annotations.NewNativeHistogramFractionNaNsInfo("m", p) },
	"NewHistogramCounterResetCollisionWarning": func(p posrange.PositionRange) error {
		return annotations.NewHistogramCounterResetCollisionWarning(p, annotations.HistogramAgg)
	},
	"NewMismatchedCustomBucketsHistogramsInfo": func(p posrange.PositionRange) error {
		return annotations.NewMismatchedCustomBucketsHistogramsInfo(p, annotations.HistogramAdd)
	},
	"NewStartTimeOverlapWarning":        func(p posrange.PositionRange) error { return annotations.NewStartTimeOverlapWarning("m", p) },
	"NewInvalidIntegralStrategyWarning": func(p posrange.PositionRange) error { return annotations.NewInvalidIntegralStrategyWarning(7, p) },
	"a warning without a position": func(posrange.PositionRange) error {
		return fmt.Errorf("%w: engine x is lost", annotations.PromQLWarning)
	},
	"a warning of a storage": func(posrange.PositionRange) error { return errors.New("block \xff is corrupt") },
	"an annotation in another one's text": func(p posrange.PositionRange) error {
		return fmt.Errorf("somewhere: %w", annotations.NewPossibleNonCounterInfo("m", p))
	},
}

func annotated(errs ...error) annotations.Annotations {
	var as annotations.Annotations
	for _, err := range errs {
		as.Add(err)
	}
	return as
}

// overTheWire are annotations after their way.
func overTheWire(t *testing.T, as annotations.Annotations) annotations.Annotations {
	t.Helper()
	b, err := proto.Marshal(&stridepb.Trailer{Annotations: EncodeAnnotations(as)})
	require.NoError(t, err)
	var m stridepb.Trailer
	require.NoError(t, proto.Unmarshal(b, &m))
	out, err := DecodeAnnotations(m.Annotations)
	require.NoError(t, err)
	return out
}

// requireEqualTexts fails unless annotations print the same, with and without the query.
func requireEqualTexts(t *testing.T, want, got annotations.Annotations) {
	t.Helper()
	texts := func(as annotations.Annotations, query string) []string {
		w, i := as.AsStrings(query, 0, 0)
		slices.Sort(w)
		slices.Sort(i)
		return append(append(w, "infos:"), i...)
	}
	require.Equal(t, texts(want, ""), texts(got, ""))
	require.Equal(t, texts(want, queryText), texts(got, queryText))
	ww, wi := want.CountWarningsAndInfo()
	gw, gi := got.CountWarningsAndInfo()
	require.Equal(t, [2]int{ww, wi}, [2]int{gw, gi})
}

func TestAnnotations(t *testing.T) {
	var all []error
	for name, of := range allAnnotations {
		t.Run(name, func(t *testing.T) {
			requireEqualTexts(t, annotated(of(pos(4, 9))), overTheWire(t, annotated(of(pos(4, 9)))))
			again := overTheWire(t, overTheWire(t, annotated(of(pos(23, 30)))))
			requireEqualTexts(t, annotated(of(pos(23, 30))), again)

			// One whose text was asked for already.
			printed := annotated(of(pos(4, 9)))
			printed.AsStrings(queryText, 0, 0)
			requireEqualTexts(t, annotated(of(pos(4, 9))), overTheWire(t, printed))
		})
		all = append(all, of(pos(23, 30)))
	}
	requireEqualTexts(t, annotated(all...), overTheWire(t, annotated(all...)))
	require.Nil(t, overTheWire(t, nil))
}

// Annotations of several engines merge as those of one do.
func TestAnnotationsMerge(t *testing.T) {
	forced := func(ms int64, lo, hi, diff float64) error {
		return annotations.NewHistogramQuantileForcedMonotonicityInfo("m", pos(23, 30), ms, lo, hi, diff)
	}
	overlap := func() error { return annotations.NewStartTimeOverlapWarning("m", pos(9, 12)) }
	for n := range 12 {
		one := func() annotations.Annotations {
			as := annotated(annotations.NewPossibleNonCounterInfo("foo", pos(9, 12)))
			for i := range n {
				as.Add(forced(int64(1000*i), 3, float64(i), 1/float64(i+1)))
				as.Add(overlap())
			}
			return as
		}
		requireEqualTexts(t, one(), overTheWire(t, one()))
		two := annotated(forced(-7000, 1, 2, 4), forced(-1000, 1, 2, 4), overlap())
		want, got := one(), overTheWire(t, one())
		want.Merge(annotated(forced(-7000, 1, 2, 4), forced(-1000, 1, 2, 4), overlap()))
		got.Merge(overTheWire(t, two))
		requireEqualTexts(t, want, got)
	}
}

// What is read by reflection is as it is known here: a new version of Prometheus must not go by unnoticed.
func TestAnnotationTypes(t *testing.T) {
	fields := map[string][]string{}
	for _, of := range allAnnotations {
		typ := reflect.TypeOf(of(pos(1, 2)))
		if typ.Kind() == reflect.Pointer && typ.Elem().PkgPath() == annotationsPath {
			fields[typ.Elem().Name()] = nil
			for i := range typ.Elem().NumField() {
				fields[typ.Elem().Name()] = append(fields[typ.Elem().Name()], typ.Elem().Field(i).Name)
			}
		}
	}
	require.Equal(t, map[string][]string{
		"annoErr":                                {"PositionRange", "Err", "Query"},
		"histogramQuantileForcedMonotonicityErr": {"PositionRange", "Err", "Query", "minTs", "maxTs", "minBucket", "maxBucket", "maxDiff", "count"},
		"startTimeOverlapErr":                    {"PositionRange", "Err", "Query", "metricName", "count"},
	}, fields)
}

func TestAnnotationsOfNonsense(t *testing.T) {
	at := &stridepb.Position{Start: 1, End: 2}
	for name, m := range map[string]*stridepb.Annotation{
		"an unknown level":      {Level: 3},
		"never":                 {Position: at, StartTimeOverlap: &stridepb.StartTimeOverlap{}},
		"far too often":         {Position: at, StartTimeOverlap: &stridepb.StartTimeOverlap{Samples: math.MaxInt64}},
		"forced never":          {Position: at, ForcedMonotonicity: &stridepb.ForcedMonotonicity{}},
		"forced less than that": {Position: at, ForcedMonotonicity: &stridepb.ForcedMonotonicity{Samples: math.MinInt64}},
		"once at two times":     {Position: at, ForcedMonotonicity: &stridepb.ForcedMonotonicity{Samples: 1, MaxMs: 1}},
		"backwards":             {Position: at, ForcedMonotonicity: &stridepb.ForcedMonotonicity{Samples: 2, MinMs: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeAnnotations([]*stridepb.Annotation{m})
			require.Error(t, err)
		})
	}
	// A position may be anywhere.
	as, err := DecodeAnnotations([]*stridepb.Annotation{{Level: stridepb.Annotation_INFO, Text: []byte("x"), Position: &stridepb.Position{Start: math.MinInt64, End: math.MaxInt64}}})
	require.NoError(t, err)
	_, infos := as.AsStrings(queryText, 0, 0)
	require.Equal(t, []string{"x (invalid position)"}, infos)
}

func TestThanosWarnings(t *testing.T) {
	other := func(err error) error { return fmt.Errorf("leaf: %w", err) }
	for text, want := range map[string][2][]string{
		"":                  {},
		"a store, b":        {{"leaf: a store, b"}},
		"PromQL info: m, x": {nil, {"PromQL info: m, x"}},
		"a, PromQL warning: b, PromQL info: c, d, PromQL info: e": {{"PromQL warning: b", "leaf: a"}, {"PromQL info: c, d", "PromQL info: e"}},
		", ": {{"leaf: , "}},
	} {
		w, i := DecodeThanosWarnings(text, other).AsStrings(queryText, 0, 0)
		slices.Sort(w)
		slices.Sort(i)
		require.ElementsMatch(t, want[0], w, text)
		require.ElementsMatch(t, want[1], i, text)
	}
}
