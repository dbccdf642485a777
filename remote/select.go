package remote

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

var errNoSamples = errors.New("it does not give samples")

// Samples opens the samples of an engine. One that is no Selector is an error.
func Samples(e RemoteEngine, mint, maxt int64) (storage.Querier, error) {
	selector, ok := e.(Selector)
	if !ok {
		return nil, errNoSamples
	}
	return selector.Querier(mint, maxt)
}

// Chunks opens the samples of an engine as they are stored. An engine that gives samples only has them made into chunks.
func Chunks(e RemoteEngine, mint, maxt int64) (storage.ChunkQuerier, error) {
	if chunked, ok := e.(storage.ChunkQueryable); ok {
		return chunked.ChunkQuerier(mint, maxt)
	}
	q, err := Samples(e, mint, maxt)
	if err != nil {
		return nil, err
	}
	return encoding{q}, nil
}

// encoding makes chunks of samples.
type encoding struct{ storage.Querier }

// Select implements storage.ChunkQuerier.
func (e encoding) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(e.Querier.Select(ctx, sorted, hints, matchers...))
}
