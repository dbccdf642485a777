package scan

import "github.com/stride-promql/stride/operators"

// Ahead is a leaf that can read morsels before it is bound: those whose series have been found already. So the samples
// of the first series are decoded while labels of later ones are still being read.
type Ahead interface {
	Scan
	// Notify makes the leaf call fn, while it is being bound, whenever more series are known. It is called before Bind.
	Notify(fn func())
	// ReadAhead reads the next morsel of the steps r on the worker w and keeps it for Read. It gives how many bytes that
	// takes, and false if there is nothing to be read now. It is called after a notification, on another goroutine than that on
	// which the leaf is bound; all calls must have returned before the leaf is opened.
	ReadAhead(w *operators.Worker, r operators.StepRange) (bytes int64, ok bool)
	// ForgetAhead drops all that was read ahead.
	ForgetAhead()
}

// ahead holds what was read ahead. It is accounted for until it is taken.
type ahead struct {
	q     *operators.Query
	r     operators.StepRange
	tiles []tile // by morsel
}

// tile is what Read gives for a morsel.
type tile struct {
	batch *operators.Batch
	err   error
	bytes int64
}

// open forgets what was read for other steps.
func (a *ahead) open(r operators.StepRange) {
	if a.r != r {
		a.forget()
	}
}

// forget drops everything.
func (a *ahead) forget() {
	for m := range a.tiles {
		a.take(m)
	}
	a.tiles = nil
}

// take gives what was read of a morsel, once.
func (a *ahead) take(m int) (tile, bool) {
	if m >= len(a.tiles) || a.tiles[m] == (tile{}) {
		return tile{}, false
	}
	t := a.tiles[m]
	a.tiles[m] = tile{}
	_ = a.q.Grow(-t.bytes)
	return t, true
}

// read keeps what the function reads of the next morsel of rows series, if all of these are known and there is memory.
func (a *ahead) read(q *operators.Query, r operators.StepRange, rows int, k known, read func(m int) (*operators.Batch, error)) (bytes int64, ok bool) {
	m := len(a.tiles)
	if k.chunks == nil || (m+1)*rows > k.len() {
		return 0, false
	}
	a.q, a.r = q, r
	b, err := read(m)
	t := tile{batch: b, err: err}
	if err == nil {
		t.bytes = b.Footprint()
	}
	a.tiles = append(a.tiles, t)
	return t.bytes, q.Grow(t.bytes) == nil
}
