package main

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// formatTime writes a time in ms for people.
func formatTime(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// formatSeconds writes a time in ms as unix seconds, as the HTTP API of Prometheus does.
func formatSeconds(ms int64) string {
	s := strconv.FormatInt(ms/1000, 10)
	fraction := ms % 1000
	if fraction == 0 {
		return s
	}
	if fraction < 0 {
		fraction = -fraction
		if ms > -1000 {
			s = "-0"
		}
	}
	return s + "." + strconv.FormatInt(1000+fraction, 10)[1:]
}

// formatValue writes v with all its digits, as the HTTP API of Prometheus does.
func formatValue(v float64) string {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(v, format, -1, 64)
}

// formatShort writes v rounded to so many digits, without an exponent unless it is far from 1.
func formatShort(v float64, digits int) string {
	short := strconv.FormatFloat(v, 'g', digits, 64)
	if abs := math.Abs(v); abs < 1e-4 || abs >= 1e12 || !strings.Contains(short, "e") {
		return short
	}
	rounded, err := strconv.ParseFloat(short, 64)
	if err != nil {
		return short
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// formatHistogram writes the outline of h.
func formatHistogram(h *histogram.FloatHistogram) string {
	var b strings.Builder
	b.WriteString("count=" + formatShort(h.Count, 6) + " sum=" + formatShort(h.Sum, 6))
	for _, q := range []struct {
		name string
		q    float64
	}{{" p50=", 0.5}, {" p90=", 0.9}, {" p99=", 0.99}} {
		v, _ := promql.HistogramQuantile(q.q, h, "", posrange.PositionRange{})
		b.WriteString(q.name + formatShort(v, 4))
	}
	return b.String()
}

// printable returns s with everything that would move a terminal's cursor or be invisible escaped.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
