package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

const (
	// frameBytes is about the size from which on columns are cut: what has arrived can be worked on while more comes.
	frameBytes = 1 << 20
	// maxFrameBytes is about the size from which on even a single series is cut.
	maxFrameBytes = 16 << 20
	// maxPositions is the most room for samples that columns can claim; maxFrameBytes of floats take half of it. A cleared bit costs the
	// sender nothing, but the reader the room for a float.
	maxPositions = 4 << 20
)

// EncodeColumns cuts columns into messages of about a MiB and hands them out in order. Messages share no memory with c.
func EncodeColumns(c *remote.Columns, emit func(*stridepb.Columns) error) error {
	if len(c.Series) == 0 || c.Steps == 0 {
		return nil
	}
	return encodeSection(c, section{rows: len(c.Series), steps: c.Steps}, emit)
}

// section is a part of columns: rows from row on, and of them steps from step on.
type section struct{ row, rows, step, steps int }

// encodeSection halves a section until it is small enough: first into fewer series, and only then, because whoever receives it
// has to put series together again, into fewer steps.
func encodeSection(c *remote.Columns, s section, emit func(*stridepb.Columns) error) error {
	size := s.size(c)
	a, b := s, s
	switch {
	case s.rows > 1 && size > frameBytes:
		a.rows /= 2
		b.row, b.rows = s.row+a.rows, s.rows-a.rows
	case s.steps > 1 && size > maxFrameBytes:
		a.steps /= 2
		b.step, b.steps = s.step+a.steps, s.steps-a.steps
	default:
		return emit(encodeWhole(c, s))
	}
	if err := encodeSection(c, a, emit); err != nil {
		return err
	}
	return encodeSection(c, b, emit)
}

// size is about the number of bytes that the section takes: every position counts as a float.
func (s section) size(c *remote.Columns) int {
	size := 8 * s.rows * s.steps
	if c.H == nil {
		return size
	}
	for row := range s.rows {
		from := (s.row+row)*c.Steps + s.step
		to := from + s.steps
		for p := c.HValid.Next(from, to); p < to; p = c.HValid.Next(p+1, to) {
			size += c.H[p].Size()
		}
	}
	return size
}

// encodeWhole makes one message of a section.
func encodeWhole(c *remote.Columns, s section) *stridepb.Columns {
	m := &stridepb.Columns{From: uint32(c.From + s.step), Steps: uint32(s.steps)}
	for _, series := range c.Series[s.row : s.row+s.rows] {
		m.Series = AppendSeries(m.Series, series)
	}
	n := s.rows * s.steps
	valid := make(bitmap.Bitmap, bitmap.Words(n))
	var hvalid bitmap.Bitmap
	if c.H != nil {
		hvalid = make(bitmap.Bitmap, bitmap.Words(n))
	}
	for row := range s.rows {
		from := (s.row+row)*c.Steps + s.step
		valid.Copy(row*s.steps, c.Valid, from, s.steps)
		if c.H != nil {
			hvalid.Copy(row*s.steps, c.HValid, from, s.steps)
		}
	}
	floats := valid.Count(0, n)
	if floats > 0 {
		m.Values = make([]byte, 0, 8*floats)
		for row := range s.rows {
			from, at := (s.row+row)*c.Steps+s.step, row*s.steps
			for p := valid.Next(at, at+s.steps); p < at+s.steps; p = valid.Next(p+1, at+s.steps) {
				m.Values = binary.LittleEndian.AppendUint64(m.Values, math.Float64bits(c.F[from+p-at]))
			}
		}
	}
	if floats > 0 && floats < n {
		m.Valid = bitmapBytes(valid, n)
	}
	if c.H != nil && hvalid.Any(0, n) {
		m.HistogramValid = bitmapBytes(hvalid, n)
		for row := range s.rows {
			from := (s.row+row)*c.Steps + s.step
			to := from + s.steps
			for p := c.HValid.Next(from, to); p < to; p = c.HValid.Next(p+1, to) {
				m.Histograms = append(m.Histograms, EncodeHistogram(c.H[p]))
			}
		}
	}
	return m
}

// bitmapBytes are the n bits of b.
func bitmapBytes(b bitmap.Bitmap, n int) []byte {
	out := make([]byte, 0, 8*len(b))
	for _, w := range b {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out[:(n+7)/8]
}

// readBitmap reads n bits.
func readBitmap(b []byte, n int) (bitmap.Bitmap, bool) {
	if len(b) != (n+7)/8 {
		return nil, false
	}
	out := make(bitmap.Bitmap, bitmap.Words(n))
	for i, x := range b {
		out[i/8] |= uint64(x) << (i % 8 * 8)
	}
	if n%64 != 0 && out[len(out)-1]&^bitmap.Mask(n%64) != 0 {
		return nil, false
	}
	return out, true
}

var errColumns = errors.New("columns make no sense")

// DecodeColumns reads a message that answers a query with the given number of steps. The columns share memory only with the
// histograms of m.
func DecodeColumns(m *stridepb.Columns, steps int, r *SeriesReader) (*remote.Columns, error) {
	from, n := int(m.From), int(m.Steps)
	if n == 0 || n > maxPositions || from > steps-n {
		return nil, fmt.Errorf("%w: they are at steps %d..%d of %d", errColumns, from, from+n-1, steps)
	}
	var series []remote.Series
	for b := m.Series; len(b) > 0; {
		var s remote.Series
		var err error
		if s, b, err = r.Read(b); err != nil {
			return nil, err
		}
		if series = append(series, s); len(series) > maxPositions/n {
			return nil, fmt.Errorf("%w: they are too large", errColumns)
		}
	}
	c := &remote.Columns{Series: series, From: from, Steps: n}
	if err := readFloats(c, m); err != nil {
		return nil, err
	}
	return c, readHistograms(c, m)
}

func readFloats(c *remote.Columns, m *stridepb.Columns) error {
	n := len(c.Series) * c.Steps
	all := len(m.Values) == 8*n
	if valid, ok := readBitmap(m.Valid, n); ok && n > 0 {
		c.Valid = valid
	} else if len(m.Valid) == 0 && (all || len(m.Values) == 0) {
		c.Valid = make(bitmap.Bitmap, bitmap.Words(n))
		if all {
			c.Valid.SetRange(0, n)
		}
	} else {
		return fmt.Errorf("%w: the floats are not where they have to be", errColumns)
	}
	if len(m.Values) != 8*c.Valid.Count(0, n) {
		return fmt.Errorf("%w: there are not as many floats as have to be there", errColumns)
	}
	c.F = make([]float64, n)
	b := m.Values
	for p := c.Valid.Next(0, n); p < n; p = c.Valid.Next(p+1, n) {
		c.F[p] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	return nil
}

func readHistograms(c *remote.Columns, m *stridepb.Columns) error {
	n := len(c.Series) * c.Steps
	if len(m.HistogramValid) == 0 {
		if len(m.Histograms) > 0 {
			return fmt.Errorf("%w: the histograms are not where they have to be", errColumns)
		}
		return nil
	}
	valid, ok := readBitmap(m.HistogramValid, n)
	if !ok || valid.Count(0, n) != len(m.Histograms) {
		return fmt.Errorf("%w: the histograms are not where they have to be", errColumns)
	}
	if len(m.Histograms) == 0 {
		return nil
	}
	for i, w := range valid {
		if w&c.Valid[i] != 0 {
			return fmt.Errorf("%w: a float and a histogram are in one place", errColumns)
		}
	}
	c.H, c.HValid = make([]*histogram.FloatHistogram, n), valid
	p := -1
	for _, h := range m.Histograms {
		p = valid.Next(p+1, n)
		var err error
		if c.H[p], err = DecodeHistogram(h); err != nil {
			return err
		}
	}
	return nil
}
