package remoteread

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// ordered is a querier that makes sure of the order of series where it was asked for. Who merges sources relies on it.
type ordered struct {
	storage.Querier
	client *Client
}

// Select implements storage.Querier.
func (q ordered) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, matchers...)
	if !sorted {
		return set
	}
	return &orderedSet[storage.Series]{set: set, client: q.client}
}

// orderedChunks is ordered of chunks.
type orderedChunks struct {
	storage.ChunkQuerier
	client *Client
}

// Select implements storage.ChunkQuerier.
func (q orderedChunks) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	set := q.ChunkQuerier.Select(ctx, sorted, hints, matchers...)
	if !sorted {
		return set
	}
	return &orderedSet[storage.ChunkSeries]{set: set, client: q.client}
}

// anySet is storage.SeriesSet or storage.ChunkSeriesSet.
type anySet[S any] interface {
	Next() bool
	At() S
	Err() error
	Warnings() annotations.Annotations
}

type orderedSet[S interface{ Labels() labels.Labels }] struct {
	set    anySet[S]
	client *Client
	at     S
	before labels.Labels
	begun  bool
	err    error
}

// Next implements storage.SeriesSet.
func (s *orderedSet[S]) Next() bool {
	if s.err != nil || !s.set.Next() {
		return false
	}
	s.at = s.set.At()
	l := s.at.Labels()
	if s.begun && labels.Compare(s.before, l) >= 0 {
		s.err = s.client.error(fmt.Errorf("series are not in order: %s comes behind %s", l, s.before))
		return false
	}
	s.begun, s.before = true, l
	return true
}

// At implements storage.SeriesSet.
func (s *orderedSet[S]) At() S { return s.at }

// Err implements storage.SeriesSet.
func (s *orderedSet[S]) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.set.Err()
}

// Warnings implements storage.SeriesSet.
func (s *orderedSet[S]) Warnings() annotations.Annotations { return s.set.Warnings() }
