package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

// Answer is a query's result in a form that does not depend on the engine: a matrix, where a vector has one point a series,
// a scalar one series without labels.
type Answer struct {
	Series []Series
}

// Series is one series of an answer.
type Series struct {
	// Labels are its labels as text, sorted by name, with values quoted as in Go: {a="1", b="2"}. Equal label sets have
	// equal texts.
	Labels string
	T      []int64 // of floats, ms
	F      []float64
	HT     []int64 // of histograms
	H      []string
}

// Points is the number of samples.
func (a *Answer) Points() int {
	n := 0
	for _, s := range a.Series {
		n += len(s.T) + len(s.HT)
	}
	return n
}

// WriteAnswer writes an answer to a file, series after series: the labels; the number of floats, then time and value of each; the
// number of histograms, then time and text of each. Numbers are 8 bytes, little-endian, times in ms, values as in IEEE 754; a text is the
// number of its bytes and the bytes.
func WriteAnswer(file string, a *Answer) error {
	return toFile(file, func(f *os.File) error {
		w := bufio.NewWriterSize(f, 1<<16)
		var b []byte
		number := func(v uint64) { b = binary.LittleEndian.AppendUint64(b, v) }
		text := func(s string) {
			number(uint64(len(s)))
			b = append(b, s...)
		}
		for _, s := range a.Series {
			b = b[:0]
			text(s.Labels)
			number(uint64(len(s.T)))
			for i, t := range s.T {
				number(uint64(t))
				number(math.Float64bits(s.F[i]))
			}
			number(uint64(len(s.HT)))
			for i, t := range s.HT {
				number(uint64(t))
				text(s.H[i])
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

// ReadAnswer reads what WriteAnswer has written.
func ReadAnswer(file string) (*Answer, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a, r := &Answer{}, answerReader{b: b}
	for len(r.b) > 0 && !r.short {
		s := Series{Labels: r.text()}
		if n := r.count(16); n > 0 {
			s.T, s.F = make([]int64, n), make([]float64, n)
			for i := range s.T {
				s.T[i], s.F[i] = int64(r.number()), math.Float64frombits(r.number())
			}
		}
		if n := r.count(16); n > 0 {
			s.HT, s.H = make([]int64, n), make([]string, n)
			for i := range s.HT {
				s.HT[i], s.H[i] = int64(r.number()), r.text()
			}
		}
		a.Series = append(a.Series, s)
	}
	if r.short {
		return nil, fmt.Errorf("read answer %s: %w", file, errShort)
	}
	return a, nil
}

var errShort = errors.New("a number or text goes beyond the end of the file")

// answerReader takes numbers and texts from the front of b until b is too short for one.
type answerReader struct {
	b     []byte
	short bool
}

func (r *answerReader) number() uint64 {
	if r.short = r.short || len(r.b) < 8; r.short {
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

// count is a number of things of at least size bytes each, all of which are there.
func (r *answerReader) count(size int) int {
	n := r.number()
	if r.short = r.short || n > uint64(len(r.b)/size); r.short {
		return 0
	}
	return int(n)
}

func (r *answerReader) text() string {
	n := r.count(1)
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
