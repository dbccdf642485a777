package client

import (
	"fmt"

	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/remote"
)

// Limits are the most that a node may send for one Select; 0 is no limit. More is an error of the query, and not one of the node, which
// others could make good.
type Limits struct {
	Series, Samples int64
	// Bytes are those of labels and chunks.
	Bytes int64
}

// meter counts what a node sends for one Select.
type meter struct {
	client               *Client
	series, samples, all int64
}

// addSeries counts a series with labels of some bytes.
func (m *meter) addSeries(bytes int) error {
	m.series++
	m.all += int64(bytes)
	if limit := m.client.opts.Limits.Series; limit > 0 && m.series > limit {
		return m.tooMany(limit, "series")
	}
	return m.check()
}

func (m *meter) addChunk(c chunks.Meta) error {
	m.samples += int64(c.Chunk.NumSamples())
	m.all += int64(len(c.Chunk.Bytes()))
	if limit := m.client.opts.Limits.Samples; limit > 0 && m.samples > limit {
		return m.tooMany(limit, "samples")
	}
	return m.check()
}

func (m *meter) check() error {
	if limit := m.client.opts.Limits.Bytes; limit > 0 && m.all > limit {
		return m.tooMany(limit, "bytes")
	}
	return nil
}

func (m *meter) tooMany(limit int64, what string) error {
	return &remote.QueryError{Err: fmt.Errorf("remote engine %s gives more than %d %s for one selector, the limit here: select fewer series or shorter ranges, or raise the limit", m.client.opts.Name, limit, what)}
}
