package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// writeJSON writes a result as the HTTP API of Prometheus answers a query.
func writeJSON(w io.Writer, r *result, _ view) error {
	e := &jsonEncoder{w: w}
	e.raw(`{"status":"success","data":{"resultType":`)
	e.text(string(r.value.Type()))
	e.raw(`,"result":`)
	switch v := r.value.(type) {
	case promql.Vector:
		e.vector(v)
	case promql.Matrix:
		e.matrix(v)
	case promql.Scalar, promql.String:
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		e.raw(string(b))
	default:
		return fmt.Errorf("results of type %s cannot be written as JSON", r.value.Type())
	}
	e.raw("}")
	e.notes("warnings", r.warnings)
	e.notes("infos", r.infos)
	e.raw("}\n")
	e.flush()
	return e.err
}

// jsonEncoder writes vectors and matrices as the API's encoder does, down to the digits. What encoding/json makes of
// them has the same sense, but other digits in times and large values.
type jsonEncoder struct {
	w   io.Writer
	buf bytes.Buffer
	err error
}

func (e *jsonEncoder) vector(v promql.Vector) {
	e.raw("[")
	for i, s := range v {
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if s.H == nil {
			e.raw(`,"value":`)
		} else {
			e.raw(`,"histogram":`)
		}
		e.point(s.T, s.F, s.H)
		e.raw("}")
		e.drain()
	}
	e.raw("]")
}

func (e *jsonEncoder) matrix(m promql.Matrix) {
	e.raw("[")
	for i, s := range m {
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if len(s.Floats) > 0 {
			e.raw(`,"values":[`)
			for i, p := range s.Floats {
				e.comma(i)
				e.point(p.T, p.F, nil)
			}
			e.raw("]")
		}
		if len(s.Histograms) > 0 {
			e.raw(`,"histograms":[`)
			for i, p := range s.Histograms {
				e.comma(i)
				e.point(p.T, 0, p.H)
			}
			e.raw("]")
		}
		e.raw("}")
		e.drain()
	}
	e.raw("]")
}

// point writes a time and the value then: h, or v without one.
func (e *jsonEncoder) point(t int64, v float64, h *histogram.FloatHistogram) {
	e.raw("[" + formatSeconds(t) + ",")
	if h == nil {
		e.number(v)
	} else {
		e.histogram(h)
	}
	e.raw("]")
}

func (e *jsonEncoder) histogram(h *histogram.FloatHistogram) {
	e.raw(`{"count":`)
	e.number(h.Count)
	e.raw(`,"sum":`)
	e.number(h.Sum)
	buckets := 0
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		if buckets == 0 {
			e.raw(`,"buckets":[`)
		}
		e.comma(buckets)
		buckets++
		e.raw("[" + strconv.Itoa(bounds(b)) + ",")
		e.number(b.Lower)
		e.raw(",")
		e.number(b.Upper)
		e.raw(",")
		e.number(b.Count)
		e.raw("]")
	}
	if buckets > 0 {
		e.raw("]")
	}
	e.raw("}")
}

// bounds is the API's number for which of a bucket's bounds belong to it.
func bounds(b histogram.Bucket[float64]) int {
	switch {
	case b.LowerInclusive && b.UpperInclusive:
		return 3
	case b.LowerInclusive:
		return 1
	case b.UpperInclusive:
		return 0
	}
	return 2
}

func (e *jsonEncoder) labels(l labels.Labels) {
	e.raw("{")
	i := 0
	l.Range(func(l labels.Label) {
		e.comma(i)
		i++
		e.text(l.Name)
		e.raw(":")
		e.text(l.Value)
	})
	e.raw("}")
}

func (e *jsonEncoder) notes(name string, notes []string) {
	if len(notes) == 0 {
		return
	}
	e.raw(`,"` + name + `":[`)
	for i, n := range notes {
		e.comma(i)
		e.text(n)
	}
	e.raw("]")
}

func (e *jsonEncoder) number(v float64) { e.raw(`"` + formatValue(v) + `"`) }
func (e *jsonEncoder) raw(s string)     { e.buf.WriteString(s) }

func (e *jsonEncoder) comma(i int) {
	if i > 0 {
		e.buf.WriteByte(',')
	}
}

func (e *jsonEncoder) text(s string) {
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // A string has an encoding and a buffer takes it.
	}
	e.buf.Truncate(e.buf.Len() - 1) // the line end that Encode adds
}

// drain writes out what has gathered, once it is worth it.
func (e *jsonEncoder) drain() {
	if e.buf.Len() > 64<<10 {
		e.flush()
	}
}

func (e *jsonEncoder) flush() {
	if e.err == nil {
		_, e.err = e.w.Write(e.buf.Bytes())
	}
	e.buf.Reset()
}
