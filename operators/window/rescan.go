package window

import (
	"math"

	"github.com/stride-promql/stride/operators"
)

// rescan evaluates a function that looks at floats only, by walking over each window anew.
// Histograms are left out with an annotation.
type rescan struct {
	eval  func(w *floatWindow) float64
	min   int                        // a window with fewer floats gives nothing
	check func(w *floatWindow) error // where it is not nil, called for every window that is not empty
	timed bool                       // the value depends on the evaluation time too, not just on the window

	w floatWindow
}

// floatWindow is a window that a rescan function is evaluated over.
type floatWindow struct {
	t    []int64
	f    []float64
	step int // of the call
	call *Call
	bad  reported // values of a parameter that there is an annotation about
}

func newRescan(eval func(*floatWindow) float64, min int) func() Kernel {
	return func() Kernel { return &rescan{eval: eval, min: min} }
}

func (k *rescan) Run(c *Call, out operators.Column) error {
	var (
		b    = c.Bounds
		w    = &k.w
		seen notes
		// A step shorter than the interval of the samples gives the same window several times.
		reuse          = !k.timed && c.constantParams()
		doneLo, doneHi int32
		value          float64
	)
	*w = floatWindow{call: c}
	for i := range b.Lo {
		lo, hi := b.Lo[i], b.Hi[i]
		hlo, hhi := b.histogramWindow(i)
		if lo == hi && hlo == hhi {
			continue
		}
		w.t, w.f, w.step = c.In.T[lo:hi], c.In.F[lo:hi], i
		if k.check != nil {
			if err := k.check(w); err != nil {
				return err
			}
		}
		if hi > lo && hhi > hlo {
			seen |= noteHistogramIgnored
		}
		if int(hi-lo) < k.min {
			continue
		}
		if !reuse || lo != doneLo || hi != doneHi {
			value, doneLo, doneHi = k.eval(w), lo, hi
		}
		out.SetFloat(i, value)
	}
	*w = floatWindow{}
	c.annotate(seen, firstArg)
	return nil
}

// reported remembers the last value that was annotated, so that a constant one is annotated once a series.
type reported struct {
	any   bool
	value uint64
}

// add tells whether v is a new value.
func (r *reported) add(v float64) bool {
	bits := math.Float64bits(v)
	if r.any && r.value == bits {
		return false
	}
	r.any, r.value = true, bits
	return true
}
