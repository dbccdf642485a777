package wire

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote/proto/stridepb"
)

// EncodeAnnotations gives the annotations in the order of their texts.
func EncodeAnnotations(as annotations.Annotations) []*stridepb.Annotation {
	var out []*stridepb.Annotation
	for _, key := range slices.Sorted(maps.Keys(as)) {
		out = append(out, encodeAnnotation(as[key]))
	}
	return out
}

// annotationsPath is the package whose types of annotations are read by reflection: they are not exported, and what they hold shows only in a
// text that cannot be merged any more.
var annotationsPath = reflect.TypeFor[annotations.Annotations]().PkgPath()

func encodeAnnotation(err error) *stridepb.Annotation {
	a := &stridepb.Annotation{Text: []byte(err.Error())}
	switch {
	case errors.Is(err, annotations.PromQLInfo):
		a.Level = stridepb.Annotation_INFO
	case errors.Is(err, annotations.PromQLWarning):
		a.Level = stridepb.Annotation_WARNING
	}
	if own, ok := err.(*positioned); ok {
		a.Text = []byte(own.of.text)
		a.Position = encodePosition(own.position)
		return a
	}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct || v.Elem().Type().PkgPath() != annotationsPath {
		return a
	}
	v = v.Elem()
	position, ok := exported[posrange.PositionRange](v, "PositionRange")
	if !ok {
		return a
	}
	a.Position = encodePosition(position)
	inner, ok := exported[error](v, "Err")
	if !ok {
		return a
	}
	a.Text = []byte(inner.Error()) // that of err may have a position already
	switch {
	case has(v, reflect.Int64, "minTs", "maxTs") && has(v, reflect.Float64, "minBucket", "maxBucket", "maxDiff") && has(v, reflect.Int, "count"):
		name, ok := metricName(inner.Error(), annotations.HistogramQuantileForcedMonotonicityInfo.Error())
		if !ok {
			break
		}
		a.ForcedMonotonicity = &stridepb.ForcedMonotonicity{
			MetricName: []byte(name),
			MinMs:      v.FieldByName("minTs").Int(),
			MaxMs:      v.FieldByName("maxTs").Int(),
			MinBucket:  v.FieldByName("minBucket").Float(),
			MaxBucket:  v.FieldByName("maxBucket").Float(),
			MaxDiff:    v.FieldByName("maxDiff").Float(),
			Samples:    v.FieldByName("count").Int() + 1,
		}
	case has(v, reflect.String, "metricName") && has(v, reflect.Int, "count"):
		a.StartTimeOverlap = &stridepb.StartTimeOverlap{
			MetricName: []byte(v.FieldByName("metricName").String()),
			Samples:    v.FieldByName("count").Int(),
		}
	}
	return a
}

func encodePosition(p posrange.PositionRange) *stridepb.Position {
	return &stridepb.Position{Start: int64(p.Start), End: int64(p.End)}
}

// exported is the field of a struct that has a name and a type.
func exported[T any](v reflect.Value, name string) (T, bool) {
	f := v.FieldByName(name)
	if !f.IsValid() || !f.CanInterface() {
		var none T
		return none, false
	}
	t, ok := f.Interface().(T)
	return t, ok
}

// has tells whether a struct has fields of a kind.
func has(v reflect.Value, kind reflect.Kind, names ...string) bool {
	for _, name := range names {
		if f := v.FieldByName(name); !f.IsValid() || f.Kind() != kind {
			return false
		}
	}
	return true
}

// metricName is the name that the package's constructors put behind the text of an annotation; "" for none.
func metricName(text, of string) (string, bool) {
	rest, ok := strings.CutPrefix(text, of)
	if !ok || rest == "" {
		return "", ok
	}
	quoted, ok := strings.CutPrefix(rest, " for metric name ")
	if !ok {
		return "", false
	}
	name, err := strconv.Unquote(quoted)
	return name, err == nil && name != ""
}

// DecodeAnnotations gives annotations that print and merge as those encoded do.
func DecodeAnnotations(in []*stridepb.Annotation) (annotations.Annotations, error) {
	var out annotations.Annotations
	for _, a := range in {
		err, bad := decodeAnnotation(a)
		if bad != nil {
			return nil, bad
		}
		out.Add(err)
	}
	return out, nil
}

// decodeAnnotation gives an annotation, or an error that says why there is none.
func decodeAnnotation(a *stridepb.Annotation) (err, bad error) {
	var level error
	switch a.Level {
	case stridepb.Annotation_NONE:
	case stridepb.Annotation_INFO:
		level = annotations.PromQLInfo
	case stridepb.Annotation_WARNING:
		level = annotations.PromQLWarning
	default:
		return nil, fmt.Errorf("an annotation has the unknown level %d", a.Level)
	}
	if a.Position == nil {
		return &plain{text: string(a.Text), level: level}, nil
	}
	position := posrange.PositionRange{Start: posrange.Pos(a.Position.Start), End: posrange.Pos(a.Position.End)}
	switch m, o := a.ForcedMonotonicity, a.StartTimeOverlap; {
	case m != nil:
		return forcedMonotonicity(m, position)
	case o != nil:
		if o.Samples < 1 || o.Samples > math.MaxInt32 {
			return nil, fmt.Errorf("an annotation says that something happened %d times", o.Samples)
		}
		return times(o.Samples, func() error { return annotations.NewStartTimeOverlapWarning(string(o.MetricName), position) }), nil
	}
	return &positioned{of: &plain{string(a.Text), level}, position: position}, nil
}

// forcedMonotonicity builds the annotation from those of single samples, because only they can be made.
func forcedMonotonicity(m *stridepb.ForcedMonotonicity, position posrange.PositionRange) (err, bad error) {
	if m.Samples < 1 || m.Samples > math.MaxInt32 || m.MinMs > m.MaxMs || m.Samples == 1 && m.MinMs != m.MaxMs {
		return nil, fmt.Errorf("an annotation says that something happened %d times from %d to %d", m.Samples, m.MinMs, m.MaxMs)
	}
	at := func(ms int64) error {
		return annotations.NewHistogramQuantileForcedMonotonicityInfo(string(m.MetricName), position, ms, m.MinBucket, m.MaxBucket, m.MaxDiff)
	}
	first := at(m.MinMs)
	if m.Samples == 1 {
		return first, nil
	}
	return merge(first, times(m.Samples-1, func() error { return at(m.MaxMs) })), nil
}

// times is an annotation that says of something that it happened n > 0 times, made from one that says so of once. Such annotations learn
// how often only by merging: it is merged with itself for every bit of n but the highest.
func times(n int64, once func() error) error {
	out := once()
	for bit := 62; bit >= 0; bit-- {
		if n>>(bit+1) == 0 {
			continue
		}
		out = merge(out, out)
		if n>>bit&1 != 0 {
			out = merge(once(), out)
		}
	}
	return out
}

// merge adds a to b, and gives b.
func merge(a, b error) error { return a.(interface{ Merge(error) error }).Merge(b) }

// plain is an annotation without a position.
type plain struct {
	text  string
	level error // nil for none
}

// Error is the text.
func (a *plain) Error() string { return a.text }

// Is tells whether target is the level. It is not unwrapped, because it is no annotation with a part of the text.
func (a *plain) Is(target error) bool { return target == a.level }

// positioned is an annotation with a position. It has the methods that package annotations wants of one.
type positioned struct {
	of       *plain
	position posrange.PositionRange
	query    string
}

// Error is the text and, once the query is known, the position.
func (a *positioned) Error() string {
	if a.query == "" {
		return a.of.text
	}
	return fmt.Sprintf("%s (%s)", a.of.text, a.position.StartPosInput(a.query, 0))
}

// Unwrap is the annotation without its position.
func (a *positioned) Unwrap() error { return a.of }

// SetQuery makes the query known.
func (a *positioned) SetQuery(query string) { a.query = query }

// Merge keeps a.
func (a *positioned) Merge(error) error { return a }
