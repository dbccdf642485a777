package scan

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stride-promql/stride/operators"
)

// known are the series that a selector has found so far. It may be looked at while the selector finds more.
type known struct {
	labels []labels.Labels
	series []storage.Series      // with a sample querier
	chunks []storage.ChunkSeries // with a chunk querier
	masks  [][]bool              // by use, for those that keep some series only; see Use
}

// len is the number of series.
func (k *known) len() int { return len(k.labels) }

// has tells whether a use, by its index, keeps a series.
func (k *known) has(use, series int) bool { return k.masks[use] == nil || k.masks[use][series] }

// known are the series found so far.
func (s *Selector) known() known {
	s.Storage.found.Lock()
	defer s.Storage.found.Unlock()
	return s.published
}

// publish makes what has been found known. Few series are not worth waking anyone for.
func (s *Selector) publish() {
	masks := make([][]bool, len(s.Uses))
	for i, u := range s.Uses {
		masks[i] = u.mask
	}
	s.Storage.found.Lock()
	s.published = known{labels: s.schema.Series(), series: s.series, chunks: s.chunks, masks: masks}
	s.Storage.found.Unlock()
	if s.onPublish != nil && s.schema.Len() >= publishEvery {
		s.onPublish()
	}
}

// histogramWeight is about how many floats a histogram takes the room of.
const histogramWeight = 16

// morselSize is the number of series in a morsel of so many steps. Histograms take more room than floats: what the first series
// has tells which of them to expect.
func (s *Selector) morselSize(q *operators.Query, steps int) int {
	s.weighed.Do(func() {
		s.weight = 1
		k := s.known()
		if len(k.chunks) == 0 {
			return
		}
		s.Storage.lock()
		defer s.Storage.unlock()
		if it := k.chunks[0].Iterator(nil); it.Next() && it.At().Chunk != nil {
			switch it.At().Chunk.Encoding() {
			case chunkenc.EncXOR, chunkenc.EncXOR2:
			default:
				s.weight = histogramWeight
			}
		}
	})
	return q.MorselSize(steps * s.weight)
}

// publishEvery is the number of series after which they are made known, and others get at the storage.
const publishEvery = 256
