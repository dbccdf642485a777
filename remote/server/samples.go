package server

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
)

// samples are what a selection gives, as chunks: as they are stored where the engine has them so, else put together from samples.
type samples struct {
	storage.ChunkSeriesSet
	close func() error
}

// selectSamples selects. Errors of the storage come as promql.ErrStorage. If there is no error, the samples have to be closed.
func selectSamples(ctx context.Context, from remote.Selector, mint, maxt int64, sorted bool, hints *storage.SelectHints, matchers []*labels.Matcher) (*samples, error) {
	if chunked, ok := from.(storage.ChunkQueryable); ok {
		q, err := chunked.ChunkQuerier(mint, maxt)
		if err != nil {
			return nil, promql.ErrStorage{Err: err}
		}
		whole := storage.SelectHints{Start: mint, End: maxt}
		if hints != nil {
			whole = *hints
		}
		// Who asked leaves out what it does not need; cutting chunks would be to make them again.
		whole.DisableTrimming = true
		return &samples{q.Select(ctx, sorted, &whole, matchers...), q.Close}, nil
	}
	q, err := from.Querier(mint, maxt)
	if err != nil {
		return nil, promql.ErrStorage{Err: err}
	}
	return &samples{storage.NewSeriesSetToChunkSet(q.Select(ctx, sorted, hints, matchers...)), q.Close}, nil
}

// finish closes the samples, and makes an error of that if there was none.
func (s *samples) finish(err *error) {
	if closeErr := s.close(); *err == nil && closeErr != nil {
		*err = promql.ErrStorage{Err: closeErr}
	}
}
