package window

import "github.com/stride-promql/stride/operators"

// runFloats is runExtrapolated for a series that has floats alone and no start timestamps. It is extrapolation in a loop, without a call, and
// notes which steps have a result 64 at a time.
func (k *rate) runFloats(c *Call, out operators.Column) {
	var (
		t, f     = c.In.T, c.In.F
		los, his = c.Bounds.Lo, c.Bounds.Hi[:len(c.Bounds.Lo)]
		resets   = k.resets
		seconds  = c.Spec.rangeSeconds()
	)
	start, end := c.Spec.rangeAt(c.Steps.From)
	interval := c.Spec.Grid.Interval
	for base := 0; base < len(los); base += 64 {
		lows := los[base:min(base+64, len(los))]
		highs := his[base : base+len(lows)]
		results := out.F[base : base+len(lows)]
		var mask uint64
		for i, low := range lows {
			from, to := start, end
			start, end = start+interval, end+interval
			lo, hi := int(low), int(highs[i])
			samples := hi - lo
			if samples < 2 {
				continue
			}
			first, last := t[lo], t[hi-1]
			increase := f[hi-1] - f[lo]
			if len(resets) > 0 {
				for len(resets) > 0 && int(resets[0]) <= lo {
					resets = resets[1:]
				}
				for _, r := range resets {
					if int(r) >= hi {
						break
					}
					increase += f[r-1]
				}
			}
			sampled := float64(last-first) / 1000
			average := sampled / float64(samples-1)
			threshold := float64(average * 1.1)
			toStart := float64(first-from) / 1000
			if toStart >= threshold {
				toStart = average / 2
			}
			if k.counter && increase > 0 && f[lo] >= 0 {
				if toZero := float64(sampled * (f[lo] / increase)); toZero < toStart {
					toStart = toZero
				}
			}
			toEnd := float64(to-last) / 1000
			if toEnd >= threshold {
				toEnd = average / 2
			}
			factor := 1.0
			if sampled != 0 {
				factor = (sampled + toStart + toEnd) / sampled
			}
			if k.perSecond {
				factor /= seconds
			}
			results[i] = increase * factor
			mask |= 1 << uint(i)
		}
		out.SetFloats(base, len(lows), mask)
	}
}
