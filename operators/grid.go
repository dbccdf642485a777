package operators

import "math"

// Grid is the evaluation times of a node: Steps times in milliseconds, Interval apart, the first at
// Start. An instant query is a grid of one step.
type Grid struct {
	Start    int64
	Interval int64
	Steps    int
}

// NewGrid is the grid of Prometheus' loop `for ts := start; ts <= end; ts += interval`; it has no
// step when end lies before start.
func NewGrid(start, end, interval int64) Grid {
	if interval <= 0 {
		interval = 1
	}
	if end < start {
		return Grid{Start: start, Interval: interval}
	}
	// The distance may be too large for an int64, not for a uint64.
	steps := uint64(end-start) / uint64(interval)
	return Grid{Start: start, Interval: interval, Steps: int(min(steps, math.MaxInt-1)) + 1}
}

// Time is the evaluation time of step i in milliseconds.
func (g Grid) Time(i int) int64 { return g.Start + int64(i)*g.Interval }

// End is the time of the last step. The grid must have one.
func (g Grid) End() int64 { return g.Time(g.Steps - 1) }

// All is the range of all steps of the grid.
func (g Grid) All() StepRange { return StepRange{To: g.Steps} }

// StepRange is the run of steps [From, To) of a grid.
type StepRange struct{ From, To int }

// Len is the number of steps in the range.
func (r StepRange) Len() int { return r.To - r.From }
