package selection

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// Storage is a storage of one data set as long as the rules select it, and nothing else.
type Storage struct {
	inner    storage.SampleAndChunkQueryable
	external labels.Labels
	selector *Selector
}

var _ storage.SampleAndChunkQueryable = (*Storage)(nil)

// NewStorage gives the storage of a data set with all of its external labels, replica labels among them.
func NewStorage(inner storage.SampleAndChunkQueryable, external labels.Labels, selector *Selector) *Storage {
	return &Storage{inner, external, selector}
}

// Selected tells whether the rules select the data set now.
func (s *Storage) Selected() bool { return s.selector.Rules().Keeps(s.external) }

// Querier implements storage.Queryable.
func (s *Storage) Querier(mint, maxt int64) (storage.Querier, error) {
	if !s.Selected() {
		return storage.NoopQuerier(), nil
	}
	return s.inner.Querier(mint, maxt)
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s *Storage) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	if !s.Selected() {
		return storage.NoopChunkedQuerier(), nil
	}
	return s.inner.ChunkQuerier(mint, maxt)
}
