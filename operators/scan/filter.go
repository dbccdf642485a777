package scan

import (
	"context"
	"strings"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// Filter is the part of a shared scan that one of its uses keeps. It is a Stage that empties the rows of all
// other series. Inputs: 0 the scan (Stream).
type Filter struct {
	scan   Scan
	use    *Use
	schema *operators.Schema
}

// NewFilter keeps what use, which is one of scan's, keeps.
func NewFilter(scan Scan, use *Use) *Filter {
	return &Filter{scan: scan, use: use, schema: operators.FilteredSchema(scan.Schema(), use.has)}
}

// Describe implements operators.Operator.
func (f *Filter) Describe() string {
	var s []string
	for _, m := range f.use.Filter {
		s = append(s, m.String())
	}
	return "filter {" + strings.Join(s, ",") + "}"
}

// Schema implements operators.Operator: that of the scan, which says who is absent.
func (f *Filter) Schema() *operators.Schema { return f.schema }

// Takes implements operators.Operator.
func (f *Filter) Takes(int) operators.Edge { return operators.Stream }

// Bind implements operators.Operator.
func (f *Filter) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (f *Filter) Extend() error { return nil }

// Open implements operators.Operator.
func (f *Filter) Open(operators.StepRange) error { return nil }

// Close implements operators.Operator.
func (f *Filter) Close() {}

// Again counts for one more selector that is equal to the filtered one.
func (f *Filter) Again() {
	f.scan.AddUse(&Use{Scope: f.use.Scope, Filter: f.use.Filter})
}

// Process implements operators.Stage.
func (f *Filter) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	drop := 0
	for row := range b.Rows {
		if !f.use.has(b.First + row) {
			drop++
		}
	}
	if drop == 0 {
		return b, nil
	}
	out := w.Own(b)
	for row := range out.Rows {
		if f.use.has(out.First + row) {
			continue
		}
		clearRow(out.Valid, out, row)
		if out.H != nil {
			clearRow(out.HValid, out, row)
		}
	}
	return out, nil
}

func clearRow(bits bitmap.Bitmap, b *operators.Batch, row int) {
	bits.ClearRange(b.Pos(row, 0), b.Pos(row+1, 0))
}
