package function

import (
	"context"
	"fmt"
	"math"

	"github.com/stride-promql/stride/operators"
)

// kernel computes dst from src, which may be the same slice, over all positions of a batch: those
// without a sample hold a value nobody looks at, and skipping them costs more than computing it.
type kernel func(dst, src []float64)

var kernels = map[string]kernel{
	"abs":   abs,
	"ceil":  ceil,
	"floor": floor,
	"sqrt":  sqrt,
	"sgn":   sgn,
	"deg":   func(dst, src []float64) { multiply(dst, src, 180/math.Pi) },
	"rad":   func(dst, src []float64) { multiply(dst, src, math.Pi/180) },
	"exp":   each(math.Exp),
	"ln":    each(math.Log),
	"log2":  each(math.Log2),
	"log10": each(math.Log10),
	"sin":   each(math.Sin),
	"cos":   each(math.Cos),
	"tan":   each(math.Tan),
	"asin":  each(math.Asin),
	"acos":  each(math.Acos),
	"atan":  each(math.Atan),
	"sinh":  each(math.Sinh),
	"cosh":  each(math.Cosh),
	"tanh":  each(math.Tanh),
	"asinh": each(math.Asinh),
	"acosh": each(math.Acosh),
	"atanh": each(math.Atanh),
}

// each is the kernel of a function that costs much more than the call.
func each(f func(float64) float64) kernel {
	return func(dst, src []float64) {
		for i, v := range src {
			dst[i] = f(v)
		}
	}
}

func abs(dst, src []float64) {
	for i, v := range src {
		dst[i] = math.Abs(v)
	}
}

func ceil(dst, src []float64) {
	for i, v := range src {
		dst[i] = math.Ceil(v)
	}
}

func floor(dst, src []float64) {
	for i, v := range src {
		dst[i] = math.Floor(v)
	}
}

func sqrt(dst, src []float64) {
	for i, v := range src {
		dst[i] = math.Sqrt(v)
	}
}

func sgn(dst, src []float64) {
	for i, v := range src {
		switch {
		case v < 0:
			v = -1
		case v > 0:
			v = 1
		}
		dst[i] = v
	}
}

func multiply(dst, src []float64, f float64) {
	for i, v := range src {
		dst[i] = v * f
	}
}

func negate(dst, src []float64) {
	for i, v := range src {
		dst[i] = -v
	}
}

// Math is a function of each float sample on its own; histogram samples are dropped. The names are
// those of kernels, round, clamp, clamp_min and clamp_max.
//
// Inputs: 0 the vector (Stream), then the scalars that are not constant (Fold).
type Math struct {
	node
	name   string
	kernel kernel
	params operands
}

// NewMath is the function of the given PromQL name over in. params are its scalar arguments in
// order; round may have none. It fails for a name it does not know.
func NewMath(q *operators.Query, name string, in *operators.Schema, params []*operators.Scalar) (*Math, error) {
	m := &Math{node: node{operators.NamelessSchema(q, in)}, name: name, params: newOperands(q, params)}
	least, most := 0, 0
	switch name {
	case "round":
		most = 1
	case "clamp":
		least, most = 2, 2
	case "clamp_min", "clamp_max":
		least, most = 1, 1
	default:
		if m.kernel = kernels[name]; m.kernel == nil {
			return nil, fmt.Errorf("%s is not an elementwise function", name)
		}
	}
	if len(params) < least || len(params) > most {
		return nil, fmt.Errorf("%s takes %d to %d scalar arguments, got %d", name, least, most, len(params))
	}
	return m, nil
}

// Describe names the function.
func (m *Math) Describe() string { return m.name }

// Takes streams the vector and folds scalars.
func (*Math) Takes(input int) operators.Edge {
	if input == 0 {
		return operators.Stream
	}
	return operators.Fold
}

// Open makes room for the scalars.
func (m *Math) Open(r operators.StepRange) error { return m.params.open(r) }

// Close gives the scalars back.
func (m *Math) Close() { m.params.close() }

// Fold takes a segment of a scalar.
func (m *Math) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	m.params.inputs[input-1].Fold(b, seg)
	return nil
}

// Finish has nothing to do.
func (*Math) Finish(context.Context, int) error { return nil }

// Process computes the function over a batch.
func (m *Math) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := onlyFloats(w, b)
	switch m.name {
	case "round":
		m.round(out, b)
	case "clamp":
		clamp(out, b, m.params.all[0], m.params.all[1], m.params.constant())
	case "clamp_min":
		clamp(out, b, m.params.all[0], operators.ConstantScalar(math.Inf(1)), m.params.constant())
	case "clamp_max":
		clamp(out, b, operators.ConstantScalar(math.Inf(-1)), m.params.all[0], m.params.constant())
	default:
		m.kernel(out.F, b.F)
	}
	return out, nil
}

// round rounds to multiples of the parameter, halves up. It multiplies by the inverse, as Prometheus does.
func (m *Math) round(out, b *operators.Batch) {
	if !m.params.constant() {
		for lo := 0; lo < len(b.F); lo += b.Steps {
			for i := range b.Steps {
				inverse := 1 / m.params.all[0].At(b.From+i)
				out.F[lo+i] = math.Floor(float64(b.F[lo+i]*inverse)+0.5) / inverse
			}
		}
		return
	}
	to := 1.0
	if len(m.params.all) > 0 {
		to, _ = m.params.all[0].Constant()
	}
	inverse := 1 / to
	for i, v := range b.F {
		out.F[i] = math.Floor(float64(v*inverse)+0.5) / inverse
	}
}

// clamp bounds the samples to [low, high] of their step; a step at which high is less than low gets no samples.
func clamp(out, b *operators.Batch, low, high *operators.Scalar, constant bool) {
	if constant {
		lo, hi := low.At(0), high.At(0)
		if hi < lo {
			out.Valid.ClearRange(0, len(out.F))
			return
		}
		clampTo(out.F, b.F, lo, hi)
		return
	}
	for row := 0; row < len(b.F); row += b.Steps {
		for i := range b.Steps {
			lo, hi := low.At(b.From+i), high.At(b.From+i)
			if hi < lo {
				out.Valid.Clear(row + i)
			}
			out.F[row+i] = math.Max(lo, math.Min(hi, b.F[row+i]))
		}
	}
}

func clampTo(dst, src []float64, lo, hi float64) {
	// The built-in min and max, which compile to a few instructions, differ from math.Min and
	// math.Max only where an infinity meets NaN.
	if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 1) || math.IsInf(hi, -1) {
		for i, v := range src {
			dst[i] = math.Max(lo, math.Min(hi, v))
		}
		return
	}
	for i, v := range src {
		dst[i] = max(lo, min(hi, v))
	}
}
