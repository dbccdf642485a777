package peer

import (
	"encoding/gob"
	"os"
)

// Answer is a query's result in a form that does not depend on the engine: a matrix, where a vector has one point a series,
// a scalar one series without labels.
type Answer struct {
	Series []Series
}

// Series is one series of an answer.
type Series struct {
	// Labels are its labels as text, sorted by name: {a="1", b="2"}. Equal label sets have equal texts.
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

// WriteAnswer writes an answer to a file, in the format of encoding/gob.
func WriteAnswer(file string, a *Answer) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	err = gob.NewEncoder(f).Encode(a)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// ReadAnswer reads what WriteAnswer has written.
func ReadAnswer(file string) (*Answer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &Answer{}
	return a, gob.NewDecoder(f).Decode(a)
}
