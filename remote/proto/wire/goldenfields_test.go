package wire

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// quote writes a text as the files do.
func quote(s string) string {
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// described is what is in a message of ours, as the files have it.
func described(t *testing.T, m protoreflect.Message) map[string]any {
	t.Helper()
	out := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		if f.FullName() == "thanos.Series.labels" { // one series' labels together
			var set [][]byte
			for i := range v.List().Len() {
				set = append(set, v.List().Get(i).Bytes())
			}
			b := labels.NewScratchBuilder(0)
			l, err := ReadThanosSeriesLabels(set, &b)
			require.NoError(t, err)
			out[name] = describedLabels(l)
			return true
		}
		if !f.IsList() {
			out[name] = describedValue(t, f, v)
			return true
		}
		list := make([]any, v.List().Len())
		for i := range list {
			list[i] = describedValue(t, f, v.List().Get(i))
		}
		out[name] = list
		return true
	})
	return out
}

func describedValue(t *testing.T, f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	t.Helper()
	switch f.FullName() {
	case "thanos.info.InfoResponse.label_sets", "thanos.info.TSDBInfo.labels":
		b := labels.NewScratchBuilder(0)
		l, err := ReadThanosLabels(v.Bytes(), &b)
		require.NoError(t, err)
		return map[string]any{"labels": describedLabels(l)}
	case "thanos.QueryResponse.timeseries", "thanos.TimeSeriesBatch.series":
		return describedSeries(readSeries(t, v.Bytes()))
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return described(t, v.Message())
	case protoreflect.BoolKind:
		return v.Bool()
	case protoreflect.EnumKind:
		return strconv.Itoa(int(v.Enum()))
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.BytesKind:
		return quote(string(v.Bytes()))
	default:
		return strconv.FormatInt(v.Int(), 10)
	}
}

func describedLabels(l labels.Labels) []any {
	out := []any{}
	l.Range(func(l labels.Label) {
		out = append(out, map[string]any{"name": quote(l.Name), "value": quote(l.Value)})
	})
	return out
}

// goldenSteps are those of all series in the files.
var goldenSteps = Steps{Start: 1000, Interval: 1000, N: 3}

// readSeries reads a prometheus.TimeSeries as a client does.
func readSeries(t *testing.T, b []byte) promql.Series {
	t.Helper()
	builder := labels.NewScratchBuilder(0)
	c, err := DecodeThanosSeries([][]byte{b}, goldenSteps, &builder)
	require.NoError(t, err)
	require.Len(t, c.Series, 1)
	s := promql.Series{Metric: c.Series[0].Labels}
	for step := range c.Steps {
		at := goldenSteps.Start + int64(step)*goldenSteps.Interval
		if c.Valid.Get(step) {
			s.Floats = append(s.Floats, promql.FPoint{T: at, F: c.F[step]})
		}
		if c.H != nil && c.HValid.Get(step) {
			s.Histograms = append(s.Histograms, promql.HPoint{T: at, H: c.H[step]})
		}
	}
	return s
}

func describedSeries(s promql.Series) map[string]any {
	out := map[string]any{"labels": describedLabels(s.Metric)}
	add := func(name string, v any) {
		all, _ := out[name].([]any)
		out[name] = append(all, v)
	}
	for _, p := range s.Floats {
		add("samples", map[string]any{"value": number(p.F), "timestamp": strconv.FormatInt(p.T, 10)})
	}
	for _, p := range s.Histograms {
		add("histograms", describedHistogram(p))
	}
	return out
}

func describedHistogram(p promql.HPoint) map[string]any {
	h := p.H
	out := map[string]any{"count_float": number(h.Count), "sum": number(h.Sum), "zero_count_float": number(h.ZeroCount), "timestamp": strconv.FormatInt(p.T, 10)}
	numbers := func(name string, vs []float64) {
		for _, v := range vs {
			all, _ := out[name].([]any)
			out[name] = append(all, number(v))
		}
	}
	spans := func(name string, spans []histogram.Span) {
		for _, s := range spans {
			span := map[string]any{"length": strconv.Itoa(int(s.Length))}
			if s.Offset != 0 {
				span["offset"] = strconv.Itoa(int(s.Offset))
			}
			all, _ := out[name].([]any)
			out[name] = append(all, span)
		}
	}
	numbers("negative_counts", h.NegativeBuckets)
	numbers("positive_counts", h.PositiveBuckets)
	numbers("custom_values", h.CustomValues)
	spans("negative_spans", h.NegativeSpans)
	spans("positive_spans", h.PositiveSpans)
	if h.Schema != 0 {
		out["schema"] = strconv.Itoa(int(h.Schema))
	}
	if h.ZeroThreshold != 0 {
		out["zero_threshold"] = number(h.ZeroThreshold)
	}
	if h.CounterResetHint != 0 {
		out["reset_hint"] = strconv.Itoa(int(h.CounterResetHint))
	}
	return out
}

// prune takes out of what Thanos' types have read what ours are to leave out, and tells whether there was something.
func prune(t *testing.T, md protoreflect.MessageDescriptor, fields map[string]any) (left bool) {
	t.Helper()
	for _, name := range slices.Collect(maps.Keys(fields)) {
		f := md.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			full := md.FullName().Append(protoreflect.Name(name))
			require.Contains(t, leftOut, full, "a field that is not known to be left out")
			delete(fields, name)
			left = true
			continue
		}
		each(fields[name], func(v map[string]any) {
			switch {
			case f.Message() != nil:
				left = prune(t, f.Message(), v) || left
			case strings.HasSuffix(string(f.FullName()), "TimeSeriesBatch.series") || f.Name() == "timeseries":
				left = pruneSeries(v) || left
			}
		})
	}
	return left
}

// each calls do for a message, or for those of a list.
func each(v any, do func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		do(v)
	case []any:
		for _, one := range v {
			each(one, do)
		}
	}
}

// pruneSeries makes of a series that Thanos' types have read what a query's result has of it: no exemplars, and histograms of floats.
func pruneSeries(series map[string]any) (changed bool) {
	_, changed = series["exemplars"]
	delete(series, "exemplars")
	each(series["histograms"], func(h map[string]any) {
		if _, ok := h["count_int"]; !ok {
			return
		}
		changed = true
		for _, name := range []string{"count", "zero_count"} {
			h[name+"_float"] = h[name+"_int"]
			delete(h, name+"_int")
		}
		for _, side := range []string{"negative", "positive"} {
			sum := 0
			var counts []any
			for _, delta := range h[side+"_deltas"].([]any) {
				d, err := strconv.Atoi(delta.(string))
				if err != nil {
					panic(err)
				}
				sum += d
				counts = append(counts, strconv.Itoa(sum))
			}
			h[side+"_counts"] = counts
			delete(h, side+"_deltas")
		}
	})
	return changed
}
