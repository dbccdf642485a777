package operators

// Worker is one of the goroutines that carry morsels. What hangs on it is private to it. Operators
// keep scratch space of their own in slices indexed by ID.
type Worker struct {
	// ID counts from 0 to Query.Workers-1.
	ID int
	// Poison makes Release overwrite what is given back, to find uses after that. For tests.
	Poison bool

	free []*Batch
}

// maxFree bounds the batches that a worker holds for reuse.
const maxFree = 4

// Batch is an empty batch of the given shape, private to the caller until it hands it on.
func (w *Worker) Batch(first, rows, from, steps int) *Batch {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		b.reset(first, rows, from, steps)
		return b
	}
	return NewBatch(first, rows, from, steps)
}

// Like is an empty batch of the shape and place of b.
func (w *Worker) Like(b *Batch) *Batch {
	out := w.Batch(b.First, b.Rows, b.From, b.Steps)
	out.Morsel = b.Morsel
	return out
}

// Own is b if the caller may write to it, else a copy that it may.
func (w *Worker) Own(b *Batch) *Batch {
	if !b.Shared {
		return b
	}
	out := w.Like(b)
	out.copyFrom(b)
	return out
}

// Clone is a copy of b with memory of its own; histograms, which nobody writes to, are shared.
func (b *Batch) Clone() *Batch {
	out := NewBatch(b.First, b.Rows, b.From, b.Steps)
	out.Morsel = b.Morsel
	out.copyFrom(b)
	return out
}

func (b *Batch) copyFrom(src *Batch) {
	copy(b.F, src.F)
	copy(b.Valid, src.Valid)
	if src.H != nil {
		b.EnsureHistograms()
		copy(b.H, src.H)
		copy(b.HValid, src.HValid)
		b.Adopt(src)
	}
}

// Release gives back a batch that nobody will use again. Shared and kept ones are left alone.
func (w *Worker) Release(b *Batch) {
	if b == nil || b.Shared || b.Kept {
		return
	}
	if w.Poison {
		b.poison()
	}
	if len(w.free) < maxFree {
		w.free = append(w.free, b)
	}
}
