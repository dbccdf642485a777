package extlabels

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
)

// innerSet is a storage.SeriesSet or a storage.ChunkSeriesSet.
type innerSet[S any] interface {
	Next() bool
	At() S
	Err() error
	Warnings() annotations.Annotations
}

// labelled is a series, or one of chunks.
type labelled interface{ Labels() labels.Labels }

// seriesSet is a set of series with external labels. Where the inner one is sorted it is too. External labels seldom change the
// order: {a="1"} comes before {a="1",b="2"}, but {a="1",x="3"} behind {a="1",b="2",x="3"}. So series are handed on as they come, but
// for the last one, until two are found that have to change places; then, or when labels of series are hidden, all are read.
type seriesSet[S labelled] struct {
	inner    innerSet[S]
	external []labels.Label
	hidden   func() (bool, error)
	with     func(S, labels.Labels) S
	builder  labels.ScratchBuilder
	wanted   bool // in order

	begun  bool
	sorted bool       // the inner set, as far as it is known
	held   []entry[S] // what follows, in order
	ended  bool       // the inner set
	at     S
	err    error
}

// entry is a series without and with external labels.
type entry[S labelled] struct {
	series S
	before labels.Labels
	after  labels.Labels
}

func newSeriesSet[S labelled](inner innerSet[S], wanted bool, external labels.Labels, hidden func() (bool, error), with func(S, labels.Labels) S) *seriesSet[S] {
	s := &seriesSet[S]{inner: inner, wanted: wanted, hidden: hidden, with: with, sorted: true}
	external.Range(func(l labels.Label) { s.external = append(s.external, l) })
	return s
}

// Next implements storage.SeriesSet.
func (s *seriesSet[S]) Next() bool {
	if !s.begun {
		s.begun = true
		s.err = s.begin()
	}
	if s.err != nil {
		return false
	}
	if len(s.held) <= 1 && !s.ended {
		s.hold()
		// The two may have to change places, with each other or with others that follow.
		if s.sorted && len(s.held) == 2 && labels.Compare(s.held[0].after, s.held[1].after) > 0 {
			if s.sorted = labels.Compare(s.held[0].before, s.held[1].before) <= 0; s.sorted {
				s.holdAll()
			}
		}
	}
	if s.err = s.inner.Err(); s.err != nil || len(s.held) == 0 {
		return false
	}
	next := s.held[0]
	s.held[0] = entry[S]{}
	s.held = s.held[1:]
	s.at = s.with(next.series, next.after)
	return true
}

// begin reads the first series, or all of them if labels may be hidden.
func (s *seriesSet[S]) begin() error {
	hides, err := s.hidden()
	if err != nil {
		return err
	}
	s.hold()
	if !hides {
		return nil
	}
	s.holdAll()
	return s.checkUnique()
}

// hold reads a series.
func (s *seriesSet[S]) hold() {
	if !s.inner.Next() {
		s.ended = true
		return
	}
	series := s.inner.At()
	before := series.Labels()
	s.held = append(s.held, entry[S]{series, before, s.labelled(before)})
}

// labelled merges the labels of a series with the external ones, which hide any of the same name.
func (s *seriesSet[S]) labelled(own labels.Labels) labels.Labels {
	s.builder.Reset()
	rest := s.external
	own.Range(func(l labels.Label) {
		for len(rest) > 0 && rest[0].Name < l.Name {
			s.builder.Add(rest[0].Name, rest[0].Value)
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].Name != l.Name {
			s.builder.Add(l.Name, l.Value)
		}
	})
	for _, l := range rest {
		s.builder.Add(l.Name, l.Value)
	}
	return s.builder.Labels()
}

// holdAll reads all series that are left, and sorts them if they came sorted, or are to be.
func (s *seriesSet[S]) holdAll() {
	for !s.ended {
		s.hold()
	}
	if s.wanted || slices.IsSortedFunc(s.held, func(a, b entry[S]) int { return labels.Compare(a.before, b.before) }) {
		slices.SortStableFunc(s.held, byAfter)
	}
}

func byAfter[S labelled](a, b entry[S]) int { return labels.Compare(a.after, b.after) }

// checkUnique finds series that cannot be told apart.
func (s *seriesSet[S]) checkUnique() error {
	all := slices.SortedFunc(slices.Values(s.held), byAfter)
	for i := 1; i < len(all); i++ {
		if labels.Equal(all[i-1].after, all[i].after) {
			return fmt.Errorf("several series become %s, because the external labels %s hide labels of their own: rename the labels of the series or the external labels",
				all[i].after, labels.New(s.external...))
		}
	}
	return nil
}

// At implements storage.SeriesSet.
func (s *seriesSet[S]) At() S { return s.at }

// Err implements storage.SeriesSet.
func (s *seriesSet[S]) Err() error { return s.err }

// Warnings implements storage.SeriesSet.
func (s *seriesSet[S]) Warnings() annotations.Annotations { return s.inner.Warnings() }
