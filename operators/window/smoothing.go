package window

import "fmt"

// newSmoothing is double_exponential_smoothing: Holt's linear method, see
// https://en.wikipedia.org/wiki/Exponential_smoothing.
func newSmoothing() Kernel {
	return &rescan{eval: smoothing, min: 2, check: checkFactors}
}

// checkFactors fails the query, in Prometheus' words, on a factor outside (0, 1), however few samples the window has.
func checkFactors(w *floatWindow) error {
	if sf := w.call.param(0, w.step); sf <= 0 || sf >= 1 {
		return fmt.Errorf("invalid smoothing factor. Expected: 0 < sf < 1, got: %f", sf)
	}
	if tf := w.call.param(1, w.step); tf <= 0 || tf >= 1 {
		return fmt.Errorf("invalid trend factor. Expected: 0 < tf < 1, got: %f", tf)
	}
	return nil
}

func smoothing(w *floatWindow) float64 {
	sf, tf := w.call.param(0, w.step), w.call.param(1, w.step)
	before, level := 0.0, w.f[0]
	trend := w.f[1] - w.f[0]
	for i, v := range w.f[1:] {
		if i > 0 {
			trend = float64(tf*(level-before)) + float64((1-tf)*trend)
		}
		before, level = level, float64(sf*v)+float64((1-sf)*(level+trend))
	}
	return level
}
