package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// Selector is what a scan selects, and after Bind the series it found.
type Selector struct {
	Storage  *Storage
	Matchers []*labels.Matcher
	Hints    storage.SelectHints
	// StatsOnly says that the query looks at nothing but count and sum of histograms. Then counter resets are
	// found while reading, and histograms say so in their hints. SkipHistogramBuckets besides leaves
	// their buckets out.
	StatsOnly, SkipHistogramBuckets bool
	// StartTimestamps asks for the samples' start timestamps.
	StartTimestamps bool
	// Place is the selector's number in the query: selectors are selected and bound in that order.
	Place int
	// Text is the selector as PromQL, for Explain and spans.
	Text string
	// Uses are the selectors of the query that it stands for, at least one. Series that none of them
	// keeps are not read.
	Uses []*Use

	announced bool
	published known  // guarded by Storage.found
	onPublish func() // nil, or told when more is published
	weighed   sync.Once
	weight    int // see morselSize
	counted   int // series of all uses together that were accounted for
	schema    *operators.Schema
	set       selected              // the unread answer, from selectAll to Bind
	series    []storage.Series      // with a sample querier
	chunks    []storage.ChunkSeries // with a chunk querier
	holder    *operators.Query      // whose account the series are on
	bytes     int64                 // accounted for there
	fresh     int64                 // still to be
	perSeries int64                 // see chunksPerSeries
}

// announce says, once, that the selector is going to be bound.
func (s *Selector) announce() {
	if !s.announced {
		s.announced = true
		s.Storage.register(s)
	}
}

// release lets the series go, which belong to a querier that is about to be closed.
func (s *Selector) release() {
	s.series, s.chunks, s.set = nil, nil, selected{}
	if s.Storage != nil {
		s.Storage.found.Lock()
		s.published = known{}
		s.Storage.found.Unlock()
	}
	if s.holder != nil {
		_ = s.holder.Grow(-s.bytes)
		s.bytes = 0
	}
}

// Bytes that a series takes besides its labels, about: references, the storage's object, and what it knows of each chunk.
const (
	seriesBytes = 256
	chunkBytes  = 72
)

// chunksPerSeries is how many chunks to expect of each series, where memory is limited: as many as the first one has. The
// storage is the caller's.
func (s *Selector) chunksPerSeries(q *operators.Query) int64 {
	if s.perSeries == 0 && len(s.chunks) > 0 && q.MemoryLimited() {
		for it := s.chunks[0].Iterator(nil); it.Next(); {
			s.perSeries++
		}
	}
	return s.perSeries
}

// Bind selects the series and reads all their labels. Its error is Prometheus' "expanding series: ...".
func (s *Selector) Bind(ctx context.Context, q *operators.Query) error {
	s.announce()
	s.holder = q
	s.Storage.selectAll(ctx, q)
	if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
		return err
	}
	ctx, span := otel.Tracer("").Start(ctx, "promqlExpandSeries", trace.WithAttributes(attribute.String("selector", s.Text)))
	defer span.End()
	err := s.expand(ctx, q)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.SetAttributes(attribute.Int("num_series", s.schema.Len()))
	return err
}

func (s *Selector) expand(ctx context.Context, q *operators.Query) error {
	s.Storage.lock()
	defer s.Storage.unlock()
	set := s.set
	s.set = selected{}
	var (
		warnings annotations.Annotations
		err      error
	)
	if set.chunks != nil {
		for err == nil && set.chunks.Next() {
			at := set.chunks.At()
			if l := at.Labels(); s.keeps(l) {
				s.chunks = append(s.chunks, at)
				err = s.add(ctx, q, l)
			}
		}
		if err == nil {
			warnings, err = set.chunks.Warnings(), set.chunks.Err()
		}
	} else {
		for err == nil && set.samples.Next() {
			at := set.samples.At()
			if l := at.Labels(); s.keeps(l) {
				s.series = append(s.series, at)
				err = s.add(ctx, q, l)
			}
		}
		if err == nil {
			warnings, err = set.samples.Warnings(), set.samples.Err()
		}
	}
	if err == nil {
		err = s.account(ctx, q)
	}
	q.AnnotateAll(warnings)
	s.schema.SetComplete()
	s.publish()
	for _, u := range s.Uses {
		u.Scope.AddSeries(u.series)
	}
	if err != nil && !isLimit(err) {
		return &operators.WarnedError{Err: fmt.Errorf("expanding series: %w", err), Warnings: warnings}
	}
	return err
}

// add takes a series in. Now and then it lets others have the storage, who may read what is known by then.
func (s *Selector) add(ctx context.Context, q *operators.Query, l labels.Labels) error {
	for _, u := range s.Uses {
		u.add(s.schema.Len(), l)
	}
	s.schema.Append(l, false)
	s.fresh += int64(l.ByteSize()) + seriesBytes + chunkBytes*s.chunksPerSeries(q)
	if q.MaxSeriesLimited() || s.schema.Len()%publishEvery == 0 {
		if err := s.account(ctx, q); err != nil {
			return err
		}
	}
	if s.onPublish != nil && s.schema.Len()%publishEvery == 0 {
		s.publish()
		s.Storage.unlock()
		s.Storage.lock()
	}
	return nil
}

// account accounts for the series taken in since the last time.
func (s *Selector) account(ctx context.Context, q *operators.Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	all := 0
	for _, u := range s.Uses {
		all += u.series
	}
	n := all - s.counted
	s.counted = all
	if err := q.ConsumeSeries(int64(n)); err != nil {
		return err
	}
	bytes := s.fresh
	s.bytes, s.fresh = s.bytes+bytes, 0
	return q.Grow(bytes)
}

// keeps tells whether any use wants the series.
func (s *Selector) keeps(l labels.Labels) bool {
	for _, u := range s.Uses {
		if u.keeps(l) {
			return true
		}
	}
	return false
}

// isLimit tells a limit of the query from an error of the storage.
func isLimit(err error) bool {
	var tooMany promql.ErrTooManySeries
	return errors.As(err, &tooMany) || errors.Is(err, operators.ErrShortOfMemory)
}
