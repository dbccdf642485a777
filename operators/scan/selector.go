package scan

import (
	"context"
	"errors"
	"fmt"

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
	// Filter narrows the series further; nil keeps all.
	Filter []*labels.Matcher
	Hints  storage.SelectHints
	// StatsOnly says that the query looks at nothing but count and sum of histograms. Then counter resets are
	// found while reading, and histograms say so in their hints. SkipHistogramBuckets besides leaves
	// their buckets out.
	StatsOnly, SkipHistogramBuckets bool
	// StartTimestamps asks for the samples' start timestamps.
	StartTimestamps bool
	// Text is the selector as PromQL, for Explain and spans.
	Text string
	// Scopes count the selector's samples, one for each selector of the query that it stands for.
	Scopes []*operators.Scope

	schema  *operators.Schema
	touched int                   // series counted
	counted map[string]struct{}   // labels of those, for a Lookup that selects more than once; else nil
	series  []storage.Series      // with a sample querier
	chunks  []storage.ChunkSeries // with a chunk querier
}

// Bind selects the series and reads all their labels. Its error is Prometheus' "expanding series: ...".
func (s *Selector) Bind(ctx context.Context, q *operators.Query) error {
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
	selectCtx, span := otel.Tracer("").Start(ctx, "querierSelect", trace.WithAttributes(
		attribute.String("selector", s.Text),
		attribute.Int64("start", s.Hints.Start),
		attribute.Int64("end", s.Hints.End),
	))
	set := s.Storage.selectSeries(selectCtx, s)
	span.End()

	s.Storage.mu.Lock()
	defer s.Storage.mu.Unlock()
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
	q.AnnotateAll(warnings)
	s.schema.SetComplete()
	for _, scope := range s.Scopes {
		scope.AddSeries(s.touched)
	}
	if err != nil && !isLimit(err) {
		return &operators.WarnedError{Err: fmt.Errorf("expanding series: %w", err), Warnings: warnings}
	}
	return err
}

func (s *Selector) add(ctx context.Context, q *operators.Query, l labels.Labels) error {
	s.schema.Append(l, false)
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.counted != nil {
		key := string(l.Bytes(nil))
		if _, again := s.counted[key]; again {
			return nil
		}
		s.counted[key] = struct{}{}
	}
	s.touched++
	return q.ConsumeSeries(int64(max(1, len(s.Scopes))))
}

func (s *Selector) keeps(l labels.Labels) bool {
	for _, m := range s.Filter {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// Counted is implemented by operators that count samples of selectors.
type Counted interface {
	// CountFor counts for one more selector of the query, equal to the one that the operator
	// was made for. It is called before Bind.
	CountFor(s *operators.Scope)
}

// CountFor implements Counted.
func (v *Vector) CountFor(s *operators.Scope) { v.sel.Scopes = append(v.sel.Scopes, s) }

// CountFor implements Counted.
func (s *Window) CountFor(scope *operators.Scope) { s.sel.Scopes = append(s.sel.Scopes, scope) }

// isLimit tells a query-cost limit from an error of the storage.
func isLimit(err error) bool {
	var tooMany promql.ErrTooManySeries
	return errors.As(err, &tooMany)
}
