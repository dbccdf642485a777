package client

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/remote"
)

// Limits are the most that a node may send for one Select; 0 is no limit. More is a *remote.LimitError: nothing that
// other nodes could make good.
type Limits struct {
	Series, Samples int64
	// Bytes are those of labels and chunks.
	Bytes int64
}

// meter counts what a node sends for one Select.
type meter struct {
	client               *Client
	ctx                  context.Context // of the query whose memory it takes
	series, samples, all int64
}

// addSeries counts a series with labels of some bytes.
func (m *meter) addSeries(bytes int) error {
	m.series++
	if err := m.hold(bytes); err != nil {
		return err
	}
	if limit := m.client.opts.Limits.Series; limit > 0 && m.series > limit {
		return m.tooMany(limit, "series")
	}
	return m.check()
}

func (m *meter) addChunk(c chunks.Meta) error {
	m.samples += int64(c.Chunk.NumSamples())
	if err := m.hold(len(c.Chunk.Bytes())); err != nil {
		return err
	}
	if limit := m.client.opts.Limits.Samples; limit > 0 && m.samples > limit {
		return m.tooMany(limit, "samples")
	}
	return m.check()
}

// hold counts bytes that stay until the querier is closed.
func (m *meter) hold(bytes int) error {
	m.all += int64(bytes)
	return remote.Hold(m.ctx, int64(bytes))
}

func (m *meter) check() error {
	if limit := m.client.opts.Limits.Bytes; limit > 0 && m.all > limit {
		return m.tooMany(limit, "bytes")
	}
	return nil
}

func (m *meter) tooMany(limit int64, what string) error {
	return &remote.LimitError{Err: fmt.Errorf("remote engine %s gives more than %d %s for one selector, the limit here: select fewer series or shorter ranges, or raise the limit", m.client.opts.Name, limit, what)}
}
