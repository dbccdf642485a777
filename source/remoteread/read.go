package remoteread

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/chunkseries"
)

type querier struct{ labelQuerier }

// Select implements storage.Querier. Nothing is sent before the first Next.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return &sampleSet{q.open(ctx, sorted, hints, matchers)}
}

type chunkQuerier struct{ labelQuerier }

// Select implements storage.ChunkQuerier. Nothing is sent before the first Next.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return &chunkSet{q.open(ctx, sorted, hints, matchers)}
}

// requests are those of one querier. They end with it.
type requests struct {
	storage    plainStorage
	mint, maxt int64

	mu   sync.Mutex
	ends []func()
}

func newRequests(s plainStorage, mint, maxt int64) *requests {
	return &requests{storage: s, mint: mint, maxt: maxt}
}

func (r *requests) open(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers []*labels.Matcher) *seriesSet {
	ctx, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(context.Canceled) }
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, end)
	return &seriesSet{client: r.storage.client, own: r.storage.own, ctx: ctx, cancel: cancel, sorted: sorted, query: query(r.mint, r.maxt, hints, matchers)}
}

// Close implements storage.LabelQuerier.
func (r *requests) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, end := range r.ends {
		end()
	}
	r.ends = nil
	return nil
}

// query is what is asked. Times are those of the hints, which are of what is needed.
func query(mint, maxt int64, hints *storage.SelectHints, matchers []*labels.Matcher) *prompb.Query {
	q := &prompb.Query{StartTimestampMs: mint, EndTimestampMs: maxt}
	if hints != nil {
		q.StartTimestampMs, q.EndTimestampMs = max(mint, hints.Start), min(maxt, hints.End)
		q.Hints = &prompb.ReadHints{
			StepMs: hints.Step, Func: hints.Func, StartMs: q.StartTimestampMs, EndMs: q.EndTimestampMs,
			Grouping: hints.Grouping, By: hints.By, RangeMs: hints.Range,
		}
	}
	for _, m := range matchers {
		q.Matchers = append(q.Matchers, &prompb.LabelMatcher{Type: prompb.LabelMatcher_Type(m.Type), Name: m.Name, Value: m.Value})
	}
	return q
}

// answer gives series one after another, and io.EOF behind the last one, without the server's external labels.
type answer interface {
	next() (*chunkseries.Series, error)
}

// seriesSet is an answer that is being read.
type seriesSet struct {
	client *Client
	own    labels.Labels
	ctx    context.Context
	cancel context.CancelCauseFunc
	sorted bool
	query  *prompb.Query

	body   io.Closer
	answer answer // nil before the first Next
	at     *chunkseries.Series
	ended  bool
	err    error

	series, samples int64
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if s.err != nil || s.ended {
		return false
	}
	if s.answer == nil {
		s.err = s.ask()
	}
	if s.err == nil {
		s.at, s.err = s.answer.next()
		s.ended = errors.Is(s.err, io.EOF)
	}
	if s.err == nil {
		s.err = s.count()
	}
	if s.err == nil {
		return true
	}
	if s.at = nil; s.ended {
		s.err = nil
	} else {
		s.err = s.reason()
	}
	if s.body != nil {
		_ = s.body.Close()
	}
	s.cancel(context.Canceled)
	return false
}

// count holds what was read against the limits, and takes its memory.
func (s *seriesSet) count() error {
	s.series++
	bytes := s.at.Labels.ByteSize()
	for _, c := range s.at.Chunks {
		s.samples += int64(c.Chunk.NumSamples())
		bytes += uint64(len(c.Chunk.Bytes()))
	}
	if err := remote.Hold(s.ctx, int64(bytes)); err != nil {
		return err
	}
	switch o := s.client.opts; {
	case o.MaxSeries > 0 && s.series > o.MaxSeries:
		return s.client.tooMany(o.MaxSeries, "series")
	case o.MaxSamples > 0 && s.samples > o.MaxSamples:
		return s.client.tooMany(o.MaxSamples, "samples")
	}
	return nil
}

func (c *Client) tooMany(limit int64, what string) error {
	return &remote.LimitError{Err: fmt.Errorf("remote engine %s gives more than %d %s for one selector, the limit here: select fewer series or shorter ranges, or raise the limit", c.name, limit, what)}
}

// reason is the error to whoever asked: if that one's own context has ended, the server is not to blame.
func (s *seriesSet) reason() error {
	switch {
	case remote.Blameless(s.err):
		return s.err
	case s.ctx.Err() == nil:
		return s.client.error(s.err)
	}
	var silent errSilent
	if cause := context.Cause(s.ctx); errors.As(cause, &silent) {
		return s.client.error(cause)
	}
	return s.ctx.Err()
}

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error { return s.err }

// Warnings implements storage.SeriesSet: the API has none.
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

type sampleSet struct{ *seriesSet }

// At implements storage.SeriesSet.
func (s *sampleSet) At() storage.Series { return s.at.Samples() }

type chunkSet struct{ *seriesSet }

// At implements storage.ChunkSeriesSet.
func (s *chunkSet) At() storage.ChunkSeries { return s.at.ChunkSeries() }

// The types of an answer's body.
const (
	streamedType = "application/x-streamed-protobuf"
	samplesType  = "application/x-protobuf"
)

// ask sends the request and begins to read the answer. Streams leave series without samples out, so that labels alone are asked for as samples.
func (s *seriesSet) ask() error {
	types := []prompb.ReadRequest_ResponseType{prompb.ReadRequest_STREAMED_XOR_CHUNKS, prompb.ReadRequest_SAMPLES}
	if s.query.Hints != nil && s.query.Hints.Func == "series" {
		types = types[1:]
	}
	ask := prompb.ReadRequest{Queries: []*prompb.Query{s.query}, AcceptedResponseTypes: types}
	message, err := ask.Marshal()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.client.base.JoinPath(readPath).String(), bytes.NewReader(snappy.Encode(nil, message)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", samplesType)
	req.Header.Set("X-Prometheus-Remote-Read-Version", "0.1.0")
	watch := newWatch(s.client.opts.Patience, s.cancel)
	res, err := s.client.do(req)
	watch.stop() // whoever reads may take its time
	if err != nil {
		return err
	}
	body := &watched{body: res.Body, watch: watch, client: s.client, limit: s.client.opts.MaxBytes}
	s.body = body
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(kind) {
	case streamedType:
		s.answer = newStream(body, s.own)
		return nil
	case samplesType:
		s.answer, err = readSamples(body, s.own, s.sorted)
		return err
	}
	return fmt.Errorf("the answer is neither chunks nor samples, but of type %q: is remote read served at this address?", res.Header.Get("Content-Type"))
}

// errSilent is the error of a server that hangs.
type errSilent time.Duration

// Error says for how long.
func (e errSilent) Error() string {
	return fmt.Sprintf("it has not given a sign of life for %s", time.Duration(e))
}

// watch ends a request to a server that is silent for too long while something is waited for.
type watch struct {
	patience time.Duration
	timer    *time.Timer // nil: there is no limit
}

// newWatch waits for the first sign of life.
func newWatch(patience time.Duration, cancel context.CancelCauseFunc) watch {
	if patience <= 0 {
		return watch{}
	}
	return watch{patience, time.AfterFunc(patience, func() { cancel(errSilent(patience)) })}
}

func (w watch) start() {
	if w.timer != nil {
		w.timer.Reset(w.patience)
	}
}

func (w watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// watched is a body that has to go on coming, and may have so many bytes.
type watched struct {
	body   io.ReadCloser
	watch  watch
	client *Client
	limit  int64 // 0: none
	read   int64
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	w.watch.start()
	defer w.watch.stop() // whoever reads may take its time
	n, err := w.body.Read(b)
	if w.read += int64(n); w.limit > 0 && w.read > w.limit {
		return n, w.client.tooMany(w.limit, "bytes")
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.watch.stop()
	return w.body.Close()
}
