package function

import (
	"fmt"
	"time"

	"github.com/stride-promql/stride/operators"
)

var dateParts = map[string]func(time.Time) float64{
	"minute":       func(t time.Time) float64 { return float64(t.Minute()) },
	"hour":         func(t time.Time) float64 { return float64(t.Hour()) },
	"day_of_week":  func(t time.Time) float64 { return float64(t.Weekday()) },
	"day_of_month": func(t time.Time) float64 { return float64(t.Day()) },
	"day_of_year":  func(t time.Time) float64 { return float64(t.YearDay()) },
	"days_in_month": func(t time.Time) float64 {
		// Day 32 lies in the next month by as many days as this one is short of 32.
		return float64(32 - time.Date(t.Year(), t.Month(), 32, 0, 0, 0, 0, time.UTC).Day())
	},
	"month": func(t time.Time) float64 { return float64(t.Month()) },
	"year":  func(t time.Time) float64 { return float64(t.Year()) },
}

// Date is a part of the UTC date that each float sample stands for in seconds since 1970; histogram
// samples are dropped.
//
// Inputs: 0 the vector (Stream).
type Date struct {
	node
	name string
	part func(time.Time) float64
}

// NewDate is the date function of the given PromQL name over in. It fails for a name it does not know.
func NewDate(q *operators.Query, name string, in *operators.Schema) (*Date, error) {
	part := dateParts[name]
	if part == nil {
		return nil, fmt.Errorf("%s is not a date function", name)
	}
	return &Date{node: node{operators.NamelessSchema(q, in)}, name: name, part: part}, nil
}

// Describe names the function.
func (d *Date) Describe() string { return d.name }

// Takes streams the vector.
func (*Date) Takes(int) operators.Edge { return operators.Stream }

// Process computes the function over a batch.
func (d *Date) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := onlyFloats(w, b)
	n := len(b.F)
	for p := out.Valid.Next(0, n); p < n; p = out.Valid.Next(p+1, n) {
		out.F[p] = d.part(time.Unix(int64(b.F[p]), 0).UTC())
	}
	return out, nil
}

// NewDateOfStep is the date function of the given PromQL name without argument: one row without
// labels that holds the part of each step's own date. It fails for a name it does not know.
func NewDateOfStep(q *operators.Query, name string, grid operators.Grid) (*Values, error) {
	part := dateParts[name]
	if part == nil {
		return nil, fmt.Errorf("%s is not a date function", name)
	}
	return newValues(q, name, func(_ []*operators.Scalar, step int) float64 {
		return part(time.Unix(grid.Time(step)/1000, 0).UTC())
	}), nil
}
