package api

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// WriteResult writes the result of a query as the API answers it, without a line end.
func WriteResult(w io.Writer, value parser.Value, warnings, infos []string) error {
	data, err := encodable(&queryData{value: value})
	if err != nil {
		return err
	}
	e := &encoder{w: w}
	e.raw(`{"status":"success","data":`)
	data.encode(e)
	e.notes("warnings", warnings)
	e.notes("infos", infos)
	e.raw("}")
	return e.flush()
}

// data is what an encoder writes piece by piece, so that a large answer does not stand in memory twice.
type data interface{ encode(*encoder) }

// encoded is data that is JSON already.
type encoded []byte

func (b encoded) encode(e *encoder) { e.raw(string(b)) }

// encodable returns v as data, or an error if there is no JSON for it.
func encodable(v any) (data, error) {
	switch v := v.(type) {
	case *queryData:
		return v, v.prepare()
	case data:
		return v, nil
	}
	b, err := json.Marshal(v)
	return encoded(b), err
}

// queryData is the result of a query.
type queryData struct {
	value    parser.Value
	stats    any // nil: not asked for
	analysis any // nil: not asked for

	// What prepare made of the parts that encoding/json writes.
	valueJSON, statsJSON, analysisJSON []byte
}

func (d *queryData) prepare() (err error) {
	switch d.value.(type) {
	case promql.Vector, promql.Matrix:
	case promql.Scalar, promql.String:
		if d.valueJSON, err = json.Marshal(d.value); err != nil {
			return err
		}
	default:
		return fmt.Errorf("results of type %T cannot be written as JSON", d.value)
	}
	if d.stats != nil {
		if d.statsJSON, err = json.Marshal(d.stats); err != nil {
			return err
		}
	}
	if d.analysis != nil {
		d.analysisJSON, err = json.Marshal(d.analysis)
	}
	return err
}

func (d *queryData) encode(e *encoder) {
	e.raw(`{"resultType":"` + string(d.value.Type()) + `","result":`)
	switch v := d.value.(type) {
	case promql.Vector:
		e.vector(v)
	case promql.Matrix:
		e.matrix(v)
	default:
		e.buf = append(e.buf, d.valueJSON...)
	}
	if d.statsJSON != nil {
		e.raw(`,"stats":`)
		e.buf = append(e.buf, d.statsJSON...)
	}
	if d.analysisJSON != nil {
		e.raw(`,"analysis":`)
		e.buf = append(e.buf, d.analysisJSON...)
	}
	e.raw("}")
}

// labelSets are the labels of series.
type labelSets []labels.Labels

func (s labelSets) encode(e *encoder) {
	e.raw("[")
	for i, l := range s {
		e.comma(i)
		e.labels(l)
		e.drain()
	}
	e.raw("]")
}

// texts are label names or values.
type texts []string

func (t texts) encode(e *encoder) {
	e.raw("[")
	for i, s := range t {
		e.comma(i)
		e.htmlText(s)
		e.drain()
	}
	e.raw("]")
}

// encoder writes JSON with the digits and escapes that Prometheus' API has.
type encoder struct {
	w       io.Writer
	buf     []byte
	written int64
	err     error
}

func (e *encoder) vector(v promql.Vector) {
	e.raw("[")
	for i, s := range v {
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if s.H == nil {
			e.raw(`,"value":`)
			e.float(s.T, s.F)
		} else {
			e.raw(`,"histogram":`)
			e.histogramPoint(s.T, s.H)
		}
		e.raw("}")
		e.drain()
	}
	e.raw("]")
}

func (e *encoder) matrix(m promql.Matrix) {
	e.raw("[")
	for i, s := range m {
		e.comma(i)
		e.raw(`{"metric":`)
		e.labels(s.Metric)
		if len(s.Floats) > 0 {
			e.raw(`,"values":[`)
			for i, p := range s.Floats {
				e.comma(i)
				e.float(p.T, p.F)
			}
			e.raw("]")
		}
		if len(s.Histograms) > 0 {
			e.raw(`,"histograms":[`)
			for i, p := range s.Histograms {
				e.comma(i)
				e.histogramPoint(p.T, p.H)
				e.drain()
			}
			e.raw("]")
		}
		e.raw("}")
		e.drain()
	}
	e.raw("]")
}

func (e *encoder) float(t int64, v float64) {
	e.raw("[")
	e.time(t)
	e.raw(",")
	e.number(v)
	e.raw("]")
}

func (e *encoder) histogramPoint(t int64, h *histogram.FloatHistogram) {
	e.raw("[")
	e.time(t)
	e.raw(",")
	e.histogram(h)
	e.raw("]")
}

// time writes ms as seconds, with three digits after the point or none.
func (e *encoder) time(ms int64) {
	if ms < 0 {
		e.raw("-")
		ms = -ms
	}
	e.buf = strconv.AppendInt(e.buf, ms/1000, 10)
	if f := ms % 1000; f != 0 {
		e.buf = append(e.buf, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
	}
}

func (e *encoder) number(v float64) {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	e.raw(`"`)
	e.buf = strconv.AppendFloat(e.buf, v, format, -1, 64)
	e.raw(`"`)
}

func (e *encoder) histogram(h *histogram.FloatHistogram) {
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
		e.raw("[")
		e.buf = append(e.buf, bounds(b))
		e.raw(",")
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

// bounds is the digit that says which of a bucket's bounds belong to it.
func bounds(b histogram.Bucket[float64]) byte {
	switch {
	case b.LowerInclusive && b.UpperInclusive:
		return '3'
	case b.LowerInclusive:
		return '1'
	case b.UpperInclusive:
		return '0'
	}
	return '2'
}

func (e *encoder) labels(l labels.Labels) {
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

func (e *encoder) notes(name string, notes []string) {
	if len(notes) == 0 {
		return
	}
	e.raw(`,"` + name + `":`)
	texts(notes).encode(e)
}

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

// text writes a string as Prometheus does in label sets: what is not ASCII stays as it is.
func (e *encoder) text(s string) {
	e.buf = append(e.buf, '"')
	for i := range len(s) {
		e.char(s[i])
	}
	e.buf = append(e.buf, '"')
}

// char writes a byte of a string.
func (e *encoder) char(c byte) {
	switch {
	case c == '"' || c == '\\':
		e.buf = append(e.buf, '\\', c)
	case c == '\n':
		e.raw(`\n`)
	case c == '\r':
		e.raw(`\r`)
	case c == '\t':
		e.raw(`\t`)
	case c < 0x20:
		e.escape(rune(c))
	default:
		e.buf = append(e.buf, c)
	}
}

// htmlText writes a string as Prometheus does everywhere else: it is safe within HTML, and valid UTF-8.
func (e *encoder) htmlText(s string) {
	e.buf = append(e.buf, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			e.raw(`\ufffd`)
		case r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029':
			e.escape(r)
		case size == 1:
			e.char(s[i])
		default:
			e.raw(s[i : i+size])
		}
		i += size
	}
	e.buf = append(e.buf, '"')
}

func (e *encoder) escape(r rune) {
	const hex = "0123456789abcdef"
	e.buf = append(e.buf, '\\', 'u', hex[r>>12&0xf], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
}

// bufferedBytes is how much gathers before it is written.
const bufferedBytes = 64 << 10

// drain writes out what has gathered, once it is worth it.
func (e *encoder) drain() {
	if len(e.buf) > bufferedBytes {
		_ = e.flush() // The error is kept for the end.
	}
}

// flush writes out what has gathered and returns the first error of all writes.
func (e *encoder) flush() error {
	if e.err == nil {
		var n int
		n, e.err = e.w.Write(e.buf)
		e.written += int64(n)
	}
	e.buf = e.buf[:0]
	return e.err
}
