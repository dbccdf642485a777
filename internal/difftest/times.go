package difftest

import (
	"fmt"
	"time"
)

// Times says when a query is evaluated, in milliseconds.
type Times struct {
	Instant          bool
	Start, End, Step int64
}

// String returns the times the way a reproduction needs them.
func (t Times) String() string {
	if t.Instant {
		return fmt.Sprintf("instant at %d ms", t.Start)
	}
	return fmt.Sprintf("range from %d ms to %d ms step %d ms", t.Start, t.End, t.Step)
}

// Steps returns the evaluation times.
func (t Times) Steps() []int64 {
	if t.Instant {
		return []int64{t.Start}
	}
	steps := make([]int64, 0, (t.End-t.Start)/t.Step+1)
	for ts := t.Start; ts <= t.End; ts += t.Step {
		steps = append(steps, ts)
	}
	return steps
}

func (t Times) interval() time.Duration { return time.Duration(t.Step) * time.Millisecond }

// ChooseTimes decides when to evaluate a query over the data set: instants
// and ranges, inside the data and at its edges, on and off whole seconds,
// with up to maxSteps steps that are shorter or longer than the data's interval.
func ChooseTimes(c *Choices, d *Dataset, maxSteps int) Times {
	at := func() int64 {
		span := d.End - d.Start
		switch c.N(20) {
		case 0:
			return d.Start - 30*second // before the data
		case 1:
			return d.End + int64(c.N(400))*second // the lookback runs out
		case 2:
			return d.Start + int64(c.N(5))*d.Interval
		default:
			return d.Start + span*int64(5+c.N(95))/100
		}
	}
	start := at()
	switch c.N(4) {
	case 0: // any millisecond
		start += int64(c.N(1000))
	case 1: // exactly on a sample
		start = d.Start + (start-d.Start)/d.Interval*d.Interval
	default:
		start = start / 1000 * 1000
	}
	if c.Chance(40) {
		return Times{Instant: true, Start: start, End: start}
	}
	step := Pick(c, d.Interval, d.Interval, 2*d.Interval, 5*d.Interval, minute, d.Interval/3, second, 1337, 7*minute, d.Interval/2+1)
	n := int64(1 + c.N(maxSteps))
	switch c.N(10) {
	case 0:
		n = 1 // start == end
	case 1:
		n = min(n, 3)
	}
	end := start + (n-1)*step
	if n > 1 && c.Chance(20) {
		end += int64(c.N(int(step)))
	}
	return Times{Start: start, End: end, Step: step}
}
