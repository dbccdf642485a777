package replica

import (
	"context"
	"io"
	"maps"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// seriesSet is a storage.SeriesSet or a storage.ChunkSeriesSet.
type seriesSet[T any] interface {
	Next() bool
	At() T
	Err() error
	Warnings() annotations.Annotations
}

// labelled is a storage.Series or a storage.ChunkSeries.
type labelled interface{ Labels() labels.Labels }

// memberSeries are the series of one member, which come in the order of their labels.
type memberSeries[T labelled] struct {
	set    seriesSet[T]
	skips  bool
	behind labels.Labels // series up to this one are skipped
}

var (
	_ answer[labelled] = (*memberSeries[labelled])(nil)
	_ answer[*list]    = (*list)(nil)
)

// Next implements answer.
func (s *memberSeries[T]) Next(context.Context) (T, error) {
	for s.set.Next() {
		one := s.set.At()
		if s.skips && labels.Compare(one.Labels(), s.behind) <= 0 {
			continue
		}
		s.skips = false
		return one, nil
	}
	var none T
	if err := s.set.Err(); err != nil {
		return none, unexpected(err)
	}
	return none, io.EOF
}

// OnSign implements remote.Signaller, for members that show signs of life.
func (s *memberSeries[T]) OnSign(sign func(remote.Sign)) bool {
	of, ok := s.set.(remote.Signaller)
	return ok && of.OnSign(sign)
}

// Close implements answer. The series end with the querier that they are of.
func (s *memberSeries[T]) Close() error { return nil }

// unexpected keeps an error of a member apart from the end of its answer.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// replicated are the series of a group, in the order of their labels. If the member that gives them fails, another one goes on behind the last
// one that was given. What is read from series may not depend on the context that they were selected with.
type replicated[T labelled] struct {
	ctx   context.Context
	begin func() (*race[T], error)
	race  *race[T] // nil before the first Next

	at       T
	given    bool
	over     bool
	err      error
	warnings annotations.Annotations // of members that gave series and failed then
}

// newReplicated selects series of a group. Nobody is asked before the first Next.
func newReplicated[T labelled](ctx context.Context, q *querier, s selection, open func(context.Context, *member, selection) (seriesSet[T], error)) *replicated[T] {
	out := &replicated[T]{ctx: ctx}
	ask := func(m *member) opener[T] {
		of := &memberSeries[T]{skips: out.given}
		if out.given {
			of.behind = out.at.Labels()
		}
		own := newSelection(s.hints, s.matchers)
		return func(ctx context.Context) (_ answer[T], err error) {
			of.set, err = open(ctx, m, own)
			return of, err
		}
	}
	out.begin = func() (*race[T], error) {
		r, err := begin(ctx, q.group, s.times(q), ask)
		if err != nil {
			return nil, err
		}
		r.relieves = true
		q.keep(r)
		return r, nil
	}
	return out
}

// Next implements storage.SeriesSet.
func (s *replicated[T]) Next() bool {
	if s.over {
		return false
	}
	if s.race == nil {
		if s.race, s.err = s.begin(); s.err != nil {
			s.over = true
			return false
		}
	}
	for {
		from := s.race.winner
		one, err := s.race.Next(s.ctx)
		switch err {
		case nil:
			s.at, s.given = one, true
			return true
		case remote.ErrRestart:
			s.warnings = warningsOf(from, s.warnings)
			continue
		case io.EOF:
		default:
			s.err = err
		}
		s.over = true
		return false
	}
}

// At implements storage.SeriesSet.
func (s *replicated[T]) At() T { return s.at }

// Err implements storage.SeriesSet.
func (s *replicated[T]) Err() error { return s.err }

// Warnings implements storage.SeriesSet: those of all members that gave series.
func (s *replicated[T]) Warnings() annotations.Annotations {
	if s.race == nil || s.race.winner == nil {
		return s.warnings
	}
	return warningsOf(s.race.winner, s.warnings)
}

// warningsOf are warnings with those of one more answer.
func warningsOf[T labelled](a *attempt[T], others annotations.Annotations) annotations.Annotations {
	out := annotations.New().Merge(others)
	if of, ok := a.answer.(*memberSeries[T]); ok && of.set != nil {
		out.Merge(of.set.Warnings())
	}
	return withWarning(out, a.warning)
}

// withWarning is annotations with a warning, if it is one.
func withWarning(all annotations.Annotations, warning error) annotations.Annotations {
	if warning == nil {
		return all
	}
	all = maps.Clone(all)
	return all.Add(warning)
}
