package scan

import (
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/internal/chunkdecode"
	"github.com/stride-promql/stride/operators"
)

// The iterators of chunks that are wholly visible to the query. The live chunk of a head hands out
// another type while a sample in it is not: then its bytes hold more than the query may see.
var (
	plainXOR  = reflect.TypeOf(chunkenc.NewXORChunk().Iterator(nil))
	plainXOR2 = reflect.TypeOf(chunkenc.NewXOR2Chunk().Iterator(nil))
)

// chunkRef is a chunk taken from the storage under its lock: bytes to decode in bulk, or an
// iterator for what no decoder knows or is not safe to read.
type chunkRef struct {
	encoding chunkenc.Encoding
	bytes    []byte
	it       chunkenc.Iterator
}

// histograms tells whether the chunk may hold histograms.
func (r chunkRef) histograms() bool {
	return r.it != nil || r.encoding != chunkenc.EncXOR && r.encoding != chunkenc.EncXOR2
}

// iterated tells whether the chunk is read through an iterator.
func (r chunkRef) iterated() bool { return r.it != nil }

// iterator reads the chunk sample by sample. It must be called once.
func (r chunkRef) iterator() (chunkenc.Iterator, error) {
	if r.it != nil {
		return r.it, nil
	}
	c, err := chunkenc.FromData(r.encoding, r.bytes)
	if err != nil {
		return nil, err
	}
	return c.Iterator(nil), nil
}

// loader reads the samples of series for one worker.
type loader struct {
	sel   *Selector
	known known // series, when the morsel was begun

	refs     []chunkRef
	ends     []int  // end in refs of each row of the morsel
	overlaps []bool // whether the row's chunks overlap each other
	metas    chunks.Iterator
	it       chunkenc.Iterator

	buf        operators.Samples
	view       operators.Samples
	histograms chunkdecode.Histograms // on loan to the series that was read last
	lent       bool                   // histograms of the series are
	poison     bool                   // overwrite what was on loan
}

// take fetches the chunk references of the series [first, first+rows) that may hold samples in
// [lo, hi], in one go under the storage's lock. With a sample querier there is nothing to take.
func (l *loader) take(first, rows int, lo, hi int64) error {
	l.known = l.sel.known()
	if l.known.chunks == nil {
		return nil
	}
	l.refs, l.ends, l.overlaps = l.refs[:0], l.ends[:0], l.overlaps[:0]
	lo, hi = l.clip(lo, hi)
	st := l.sel.Storage
	st.lock()
	defer st.unlock()
	for i := first; i < first+rows; i++ {
		l.metas = l.known.chunks[i].Iterator(l.metas)
		some, overlap, end := false, false, int64(0)
		for l.metas.Next() {
			m := l.metas.At()
			if m.Chunk == nil || m.MaxTime < lo || m.MinTime > hi {
				continue
			}
			l.refs = append(l.refs, l.ref(m.Chunk))
			if some && m.MinTime <= end {
				overlap = true
			}
			some, end = true, m.MaxTime
		}
		if err := l.metas.Err(); err != nil {
			return err
		}
		l.ends = append(l.ends, len(l.refs))
		l.overlaps = append(l.overlaps, overlap)
	}
	return nil
}

func (l *loader) ref(c chunkenc.Chunk) chunkRef {
	switch c.(type) {
	case *chunkenc.XORChunk, *chunkenc.XOR2Chunk, *chunkenc.HistogramChunk, *chunkenc.HistogramSTChunk,
		*chunkenc.FloatHistogramChunk, *chunkenc.FloatHistogramSTChunk:
		return chunkRef{encoding: c.Encoding(), bytes: c.Bytes()}
	}
	it := c.Iterator(nil)
	if t := reflect.TypeOf(it); t == plainXOR || t == plainXOR2 {
		return chunkRef{encoding: c.Encoding(), bytes: c.Bytes()}
	}
	return chunkRef{encoding: c.Encoding(), it: it}
}

// clip narrows [lo, hi] to what a querier that trims would give.
func (l *loader) clip(lo, hi int64) (int64, int64) {
	return max(lo, l.sel.Hints.Start), min(hi, l.sel.Hints.End)
}

// load gives the samples in [lo, hi] of row of the morsel taken last, whose first series is first.
// They are valid until the next call; Keep makes the histograms that it gives in the arena keep.
func (l *loader) load(first, row int, lo, hi int64, keep *operators.HistogramArena) (*operators.Samples, error) {
	l.buf.Reset()
	l.lent = false
	l.histograms.Reset(l.poison)
	var err error
	if l.known.chunks != nil {
		lo, hi = l.clip(lo, hi)
		err = l.decode(row, lo, hi)
	} else {
		err = l.drain(first+row, lo, hi)
	}
	if err != nil {
		return nil, err
	}
	l.narrow(lo, hi)
	if l.lent {
		l.view.Arena = keep
	}
	return &l.view, nil
}

func (l *loader) decode(row int, lo, hi int64) error {
	from := 0
	if row > 0 {
		from = l.ends[row-1]
	}
	refs := l.refs[from:l.ends[row]]
	if l.overlaps[row] || l.sel.StatsOnly && slices.ContainsFunc(refs, chunkRef.iterated) {
		return l.decodeTogether(refs, l.overlaps[row], lo, hi)
	}
	l.reserve(refs)
	for i := range refs {
		if err := l.decodeChunk(&refs[i], lo, hi); err != nil {
			return err
		}
	}
	if l.sel.StatsOnly {
		l.hint(lo)
	}
	return nil
}

// reserve makes room for the floats of chunks, which begin with the number of their samples.
func (l *loader) reserve(refs []chunkRef) {
	n := 0
	for i := range refs {
		if r := &refs[i]; !r.histograms() && len(r.bytes) >= 2 {
			n += int(binary.BigEndian.Uint16(r.bytes))
		}
	}
	b := &l.buf
	b.T, b.F = slices.Grow(b.T, n), slices.Grow(b.F, n)
	if l.sel.StartTimestamps {
		b.ST = slices.Grow(b.ST, n)
	}
}

// hint does for histograms decoded in bulk what statsIterator does for others.
func (l *loader) hint(lo int64) {
	var last *histogram.FloatHistogram // with its buckets
	for i, h := range l.buf.H {
		if l.buf.HT[i] < lo-1 || value.IsStaleNaN(h.Sum) {
			continue // the former as drain
		}
		if h.CounterResetHint == histogram.UnknownCounterReset && last != nil {
			if h.DetectReset(last) {
				h.CounterResetHint = histogram.CounterReset
			} else {
				h.CounterResetHint = histogram.NotCounterReset
			}
		}
		l.strip(last)
		last = h
	}
	l.strip(last)
}

// strip leaves of a histogram what a selector that skips buckets gives.
func (l *loader) strip(h *histogram.FloatHistogram) {
	if h != nil && l.sel.SkipHistogramBuckets {
		*h = histogram.FloatHistogram{CounterResetHint: h.CounterResetHint, Schema: h.Schema, Count: h.Count, Sum: h.Sum}
	}
}

func (l *loader) decodeChunk(ref *chunkRef, lo, hi int64) (err error) {
	b := &l.buf
	switch {
	case ref.it != nil:
		return l.iterate(ref.it, ref.it.Next(), hi)
	case ref.histograms():
		return l.decodeHistograms(ref, lo-1, hi) // hint looks at the one before
	case ref.encoding == chunkenc.EncXOR:
		b.T, b.F, err = chunkdecode.XOR(ref.bytes, b.T, b.F, hi)
		if l.sel.StartTimestamps {
			b.ST = chunkdecode.PadST(b.ST, len(b.T))
		}
	default:
		b.T, b.F, b.ST, err = chunkdecode.XOR2(ref.bytes, b.T, b.F, b.ST, l.sel.StartTimestamps, hi)
	}
	return err
}

func (l *loader) decodeHistograms(ref *chunkRef, lo, hi int64) (err error) {
	b := &l.buf
	b.HT, b.H, b.HST, err = l.histograms.Decode(ref.encoding, ref.bytes, b.HT, b.H, b.HST, l.sel.StartTimestamps, lo, hi)
	if err == nil {
		l.lent = true
		return nil
	}
	it, err := ref.iterator()
	if err != nil {
		return err
	}
	return l.iterate(it, it.Next(), hi)
}

// decodeTogether reads a series through one iterator over all its chunks: because they overlap and have to be
// merged, or because resets have to be found among histograms that are not decoded in bulk.
func (l *loader) decodeTogether(refs []chunkRef, overlap bool, lo, hi int64) error {
	its := make([]chunkenc.Iterator, len(refs))
	for i := range refs {
		var err error
		if its[i], err = refs[i].iterator(); err != nil {
			return err
		}
	}
	var it chunkenc.Iterator = &chain{rest: its}
	if overlap {
		it = storage.ChainSampleIteratorFromIterators(nil, its)
	}
	vt := it.Next()
	if l.sel.StatsOnly {
		for vt != chunkenc.ValNone && it.AtT() < lo-1 {
			vt = it.Next() // as drain
		}
		it = l.statsIterator(it)
	}
	return l.iterate(it, vt, hi)
}

// statsIterator finds counter resets while it reads, and drops buckets if the selector says so.
func (l *loader) statsIterator(it chunkenc.Iterator) chunkenc.Iterator {
	if l.sel.SkipHistogramBuckets {
		return promql.NewHistogramStatsIterator(it)
	}
	return &hinting{Iterator: it}
}

// drain reads a series of a sample querier. Its iterator belongs to the querier, so that it runs
// under the storage's lock.
func (l *loader) drain(series int, lo, hi int64) error {
	st := l.sel.Storage
	st.lock()
	defer st.unlock()
	l.it = l.known.series[series].Iterator(l.it)
	it := l.it
	if l.sel.StatsOnly {
		it = l.statsIterator(it)
	}
	// Not all iterators can seek before their first sample. Prometheus' first seek goes to the
	// excluded end of the window, which shows in the reset hints of histograms without buckets.
	vt := it.Next()
	if vt != chunkenc.ValNone && it.AtT() < lo-1 {
		vt = it.Seek(lo - 1)
	}
	return l.iterate(it, vt, hi)
}

// iterate appends the samples from the iterator's position, which holds a value of type vt, up to hi.
func (l *loader) iterate(it chunkenc.Iterator, vt chunkenc.ValueType, hi int64) error {
	b := &l.buf
	for ; vt != chunkenc.ValNone; vt = it.Next() {
		switch vt {
		case chunkenc.ValFloat:
			t, f := it.At()
			if t > hi {
				return it.Err()
			}
			b.T, b.F = append(b.T, t), append(b.F, f)
			if l.sel.StartTimestamps {
				b.ST = append(b.ST, it.AtST())
			}
		case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
			if it.AtT() > hi {
				return it.Err()
			}
			t, h := it.AtFloatHistogram(nil)
			b.HT, b.H = append(b.HT, t), append(b.H, h)
			if l.sel.StartTimestamps {
				b.HST = append(b.HST, it.AtST())
			}
		default:
			return errors.New("storage gave a sample of an unknown type")
		}
	}
	return it.Err()
}

// narrow makes the view: the samples of buf in [lo, hi].
func (l *loader) narrow(lo, hi int64) {
	b, v := &l.buf, &l.view
	i, j := within(b.T, lo, hi)
	v.T, v.F = b.T[i:j], b.F[i:j]
	v.ST, v.HST = nil, nil
	v.Arena = nil
	v.Forget()
	p, q := within(b.HT, lo, hi)
	v.HT, v.H = b.HT[p:q], b.H[p:q]
	if l.sel.StartTimestamps {
		v.ST, v.HST = b.ST[i:j], b.HST[p:q]
	}
}

// within is the run of sorted times that lie in [lo, hi].
func within(t []int64, lo, hi int64) (int, int) {
	i, j := 0, len(t)
	if j > 0 && t[0] < lo {
		i = sort.Search(j, func(k int) bool { return t[k] >= lo })
	}
	for j > i && t[j-1] > hi {
		j--
	}
	return i, j
}

// stripStale removes stale markers in place.
func stripStale(s *operators.Samples) {
	n := 0
	for n < len(s.F) && !value.IsStaleNaN(s.F[n]) {
		n++
	}
	for i := n + 1; i < len(s.F); i++ {
		if value.IsStaleNaN(s.F[i]) {
			continue
		}
		s.T[n], s.F[n] = s.T[i], s.F[i]
		if s.ST != nil {
			s.ST[n] = s.ST[i]
		}
		n++
	}
	if n < len(s.F) {
		s.T, s.F = s.T[:n], s.F[:n]
		if s.ST != nil {
			s.ST = s.ST[:n]
		}
	}
	n = 0
	for i, h := range s.H {
		if value.IsStaleNaN(h.Sum) {
			continue
		}
		s.HT[n], s.H[n] = s.HT[i], h
		if s.HST != nil {
			s.HST[n] = s.HST[i]
		}
		n++
	}
	s.HT, s.H = s.HT[:n], s.H[:n]
	if s.HST != nil {
		s.HST = s.HST[:n]
	}
}
