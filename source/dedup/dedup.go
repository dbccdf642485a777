// Package dedup makes one series of those that replicas of one scraper recorded: series that differ in replica labels alone.
package dedup

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// Algorithm is how samples of replicas become those of one series.
type Algorithm string

const (
	// Penalty stays with one replica as long as it has samples, and goes over to another when it misses some: Thanos' algorithm of that
	// name, sample for sample, with its gaps (penalty.go).
	Penalty Algorithm = "penalty"
	// Chain has the samples of all replicas, one where times are equal: for replicas that were written to by one sender.
	Chain Algorithm = "chain"
	// Interval stays with one replica, too, and knows how often the replicas were scraped: a missed scrape is filled from another one at once
	// (interval.go).
	Interval Algorithm = "interval"
)

// Parse reads an algorithm's name.
func Parse(name string) (Algorithm, error) {
	switch a := Algorithm(name); a {
	case Penalty, Chain, Interval:
		return a, nil
	}
	return "", fmt.Errorf("unknown deduplication algorithm %q: use penalty, chain or interval", name)
}

// Queryable deduplicates what q has, by the given replica labels, which its series do not have any more.
func Queryable(q storage.Queryable, replicaLabels []string, a Algorithm) storage.Queryable {
	replicaLabels = slices.Clone(replicaLabels)
	slices.Sort(replicaLabels)
	return &queryable{q, replicaLabels, a}
}

type queryable struct {
	storage.Queryable
	replica   []string
	algorithm Algorithm
}

// Querier implements storage.Queryable. Where there are chunks, they are what is read.
func (q *queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	if chunked, ok := q.Queryable.(storage.ChunkQueryable); ok {
		inner, err := chunked.ChunkQuerier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return &querier{inner, q, func(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) ([]replica, annotations.Annotations, error) {
			return collect(q.replica, inner.Select(ctx, true, hints, matchers...), func(s storage.ChunkSeries) replica { return replica{chunks: s} })
		}}, nil
	}
	inner, err := q.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &querier{inner, q, func(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) ([]replica, annotations.Annotations, error) {
		return collect(q.replica, inner.Select(ctx, true, hints, matchers...), func(s storage.Series) replica { return replica{series: s} })
	}}, nil
}

type querier struct {
	storage.LabelQuerier
	of      *queryable
	collect func(context.Context, *storage.SelectHints, []*labels.Matcher) ([]replica, annotations.Annotations, error)
}

// collect are all series of a set without replica labels, in the order of labels: it may be another one without them.
func collect[S storage.Labels](names []string, set interface {
	Next() bool
	At() S
	Err() error
	Warnings() annotations.Annotations
}, as func(S) replica) ([]replica, annotations.Annotations, error) {
	var all []replica
	b := labels.NewBuilder(labels.EmptyLabels())
	for set.Next() {
		s := set.At()
		b.Reset(s.Labels())
		r := as(s)
		r.labels = b.Del(names...).Labels()
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b replica) int { return labels.Compare(a.labels, b.labels) })
	return all, set.Warnings(), set.Err()
}

// counterFunctions are those that look at counters, whose values must not fall where one replica takes over from another.
var counterFunctions = map[string]bool{"rate": true, "increase": true, "irate": true, "resets": true}

// Select implements storage.Querier. Matchers of replica labels choose among replicas. Series come in the order of labels.
func (q *querier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	all, warnings, err := q.collect(ctx, hints, matchers)
	return &seriesSet{
		all: all, algorithm: q.of.algorithm,
		counter:  hints != nil && counterFunctions[hints.Func],
		warnings: warnings, err: err,
	}
}

// LabelNames implements storage.Querier: replica labels are not among them.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names, warnings, err := q.LabelQuerier.LabelNames(ctx, hints, matchers...)
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(q.of.replica, n) }), warnings, err
}

// replica is a series of one replica.
type replica struct {
	labels labels.Labels // without the replica labels
	series storage.Series
	chunks storage.ChunkSeries // or chunks
}

// seriesSet gives one series for all replicas with equal labels.
type seriesSet struct {
	all       []replica
	at        *series
	algorithm Algorithm
	counter   bool
	warnings  annotations.Annotations
	err       error
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if len(s.all) == 0 || s.err != nil {
		return false
	}
	n := 1
	for n < len(s.all) && labels.Equal(s.all[n].labels, s.all[0].labels) {
		n++
	}
	s.at = &series{s.all[:n], s.algorithm, s.counter}
	s.all = s.all[n:]
	return true
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.at }

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error { return s.err }

// Warnings implements storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations { return s.warnings }

// series are the replicas of one series.
type series struct {
	replicas  []replica
	algorithm Algorithm
	counter   bool
}

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.replicas[0].labels }

// Iterator implements storage.Series.
func (s *series) Iterator(again chunkenc.Iterator) chunkenc.Iterator {
	out, ok := again.(*samples)
	if !ok {
		out = &samples{}
	}
	out.i = -1
	if out.err = s.merge(out); out.err != nil {
		out.reset()
	}
	return out
}

// merge folds the replicas from the left, two at a time.
func (s *series) merge(out *samples) error {
	n, read := len(s.replicas), func(i int, to *column) error { return to.read(s.replicas[i]) }
	if s.algorithm == Penalty && n > 1 {
		switch split, ok, err := virtual(s.replicas); {
		case err != nil:
			return err
		case ok:
			n, read = len(split), func(i int, to *column) error { return to.readChunks(split[i]) }
		}
	}
	out.reset()
	for i := range n {
		if i == 0 {
			if err := read(0, &out.column); err != nil {
				return err
			}
			continue
		}
		if err := read(i, &out.b); err != nil {
			return err
		}
		out.a, out.column = out.column, out.a
		out.reset()
		switch s.algorithm {
		case Chain:
			newChain(&out.a, &out.b).merge(&out.column)
		case Interval:
			newInterval(&out.a, &out.b, s.counter).merge(&out.column)
		default:
			newPenalty(&out.a, &out.b, s.counter).merge(&out.column)
		}
	}
	return nil
}
