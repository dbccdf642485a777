package gendata

import (
	"context"
	"io/fs"
	"os"

	"github.com/efficientgo/core/errors"
	"github.com/efficientgo/core/merrors"
	"github.com/prometheus/prometheus/storage"
)

// Summary says what was made. Times are those of the first and the last sample
// in ms; both are 0 if there is none.
type Summary struct {
	Blocks           int
	Series           int // label sets
	FloatSamples     uint64
	HistogramSamples uint64
	MinTime, MaxTime int64
}

// Generate writes the data set as blocks into dir, which must not exist or be
// empty. A Prometheus server can use dir as its data directory. progress, unless
// it is nil, is told now and then how many of all series have been written,
// counting one anew in each block. In memory are the label sets and one block's
// index. After an error dir is as it was before.
func Generate(ctx context.Context, dir string, p Profile, progress func(done, total int64)) (_ Summary, err error) {
	if err := p.Validate(); err != nil {
		return Summary{}, err
	}
	created, err := prepare(dir)
	if err != nil {
		return Summary{}, err
	}
	var blocks []*blockWriter
	defer func() {
		if err == nil {
			return
		}
		errs := merrors.New(err)
		for _, w := range blocks {
			errs.Add(w.abort())
		}
		if created {
			errs.Add(os.Remove(dir))
		}
		err = errs.Err()
	}()

	streams := p.streams()
	ranges := p.ranges()
	var buf samples
	done := tracker{report: progress}
	for _, r := range ranges {
		done.total += int64(len(overlapping(streams, r)))
	}
	for _, r := range ranges {
		live := overlapping(streams, r)
		w, err := newBlockWriter(ctx, dir, p, r, symbols(live))
		if err != nil {
			return Summary{}, err
		}
		blocks = append(blocks, w)
		for _, st := range live {
			if err := ctx.Err(); err != nil {
				return Summary{}, err
			}
			buf = st.take(r.maxt, buf[:0])
			if err := w.add(st.lset, buf); err != nil {
				return Summary{}, err
			}
			done.advance()
		}
		if err := w.finish(); err != nil {
			return Summary{}, err
		}
	}
	sum := summarize(streams)
	// Only now, so that a crash before leaves no block that could be taken for all.
	for _, w := range blocks {
		if w.meta.Stats.NumSamples == 0 {
			if err := w.abort(); err != nil {
				return Summary{}, err
			}
			continue
		}
		if err := w.publish(); err != nil {
			return Summary{}, err
		}
		sum.Blocks++
	}
	return sum, nil
}

// Append sends the data set to a storage, such as the head of a TSDB, in order
// of time, a few scrapes of all series to a transaction.
func Append(ctx context.Context, to storage.AppendableV2, p Profile) (_ Summary, err error) {
	if err := p.Validate(); err != nil {
		return Summary{}, err
	}
	const scrapes = 16
	streams := p.streams()
	var buf samples
	for at := p.start(); at < p.end(); {
		at += scrapes * p.interval()
		if err := ctx.Err(); err != nil {
			return Summary{}, err
		}
		app := to.AppenderV2(ctx)
		for _, st := range streams {
			buf = st.take(at, buf[:0])
			for _, s := range buf {
				if st.ref, err = app.Append(st.ref, st.lset, s.st, s.t, s.v, s.h, s.fh, storage.AOptions{}); err != nil {
					return Summary{}, merrors.New(errors.Wrapf(err, "append to %s", st.lset), app.Rollback()).Err()
				}
			}
		}
		if err := app.Commit(); err != nil {
			return Summary{}, errors.Wrap(err, "commit samples")
		}
	}
	return summarize(streams), nil
}

// prepare makes dir, and reports whether it was not there, or checks that it is empty.
func prepare(dir string) (created bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, errors.Wrap(os.MkdirAll(dir, 0o777), "make output directory")
	case err != nil:
		return false, errors.Wrap(err, "output directory")
	case len(entries) > 0:
		return false, errors.Newf("output directory %s is not empty: it holds %s", dir, entries[0].Name())
	}
	return false, nil
}

// timeRange is [mint, maxt), in ms.
type timeRange struct{ mint, maxt int64 }

// ranges cuts the data set's time at multiples of the block range.
func (p Profile) ranges() []timeRange {
	var res []timeRange
	size := p.blockRange()
	for from := p.start(); from < p.end(); {
		// Go divides towards zero, time before 1970 included.
		next := from - (from%size+size)%size + size
		res = append(res, timeRange{from, min(next, p.end())})
		from = next
	}
	return res
}

func summarize(streams []*stream) Summary {
	var sum Summary
	for _, st := range streams {
		if st.floats+st.histograms == 0 {
			continue
		}
		if sum.Series == 0 {
			sum.MinTime, sum.MaxTime = st.mint, st.maxt
		}
		sum.Series++
		sum.FloatSamples += st.floats
		sum.HistogramSamples += st.histograms
		sum.MinTime = min(sum.MinTime, st.mint)
		sum.MaxTime = max(sum.MaxTime, st.maxt)
	}
	return sum
}

// tracker passes on progress, not more often than anybody looks.
type tracker struct {
	report      func(done, total int64)
	done, total int64
}

func (t *tracker) advance() {
	t.done++
	if t.report != nil && (t.done%256 == 0 || t.done == t.total) {
		t.report(t.done, t.total)
	}
}
