package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// query is one that a node evaluates. It is streamed or executed, once.
type query struct {
	client               *Client
	q                    remote.RemoteQuery
	opts                 promql.QueryOpts
	ranged               bool
	start, end, interval int64 // ms
	steps                int
	open                 func(context.Context) (remote.ColumnStream, error)

	mu     sync.Mutex
	stream remote.ColumnStream // once started
	stats  remote.Stats
}

var _ remote.Streamer = (*query)(nil)

// maxSteps is the most steps that a node evaluates.
const maxSteps = 1 << 24

// prepare makes the request, or says why the node cannot be asked.
func (q *query) prepare(said *announcement) error {
	if q.ranged && (q.interval < 1 || q.end < q.start || q.end-q.start < 0 || (q.end-q.start)/q.interval >= maxSteps) {
		return fmt.Errorf("from %d to %d by %d ms are no steps, or more than %d", q.start, q.end, q.interval, maxSteps)
	}
	q.steps = int((q.end-q.start)/q.interval) + 1
	switch said.queries {
	case stride:
		return q.prepareStride(said)
	case thanos:
		return q.prepareThanos()
	}
	if said.capabilities.SamplesOnly {
		return errors.New("it gives samples, and evaluates nothing")
	}
	return q.client.unknown()
}

func (q *query) prepareStride(said *announcement) error {
	version, plan := q.q.Plan()
	if version > said.capabilities.PlanVersion {
		version, plan = 0, nil
	}
	req := &stridepb.QueryRequest{
		Query:              []byte(q.q.String()),
		Plan:               plan,
		PlanVersion:        int32(version),
		Range:              q.ranged,
		StartMs:            q.start,
		EndMs:              q.end,
		IntervalMs:         q.interval,
		LookbackMs:         q.opts.LookbackDelta().Milliseconds(),
		PerStepStats:       q.opts.EnablePerStepStats(),
		UseStartTimestamps: q.opts.UseStartTimestamps(),
		ReplicaLabels:      q.client.opts.ReplicaLabels,
	}
	q.open = func(ctx context.Context) (remote.ColumnStream, error) { return q.client.openStride(ctx, req, q.steps) }
	return nil
}

// prepareThanos refuses whatever Thanos' API cannot express, because it would be answered as something else.
func (q *query) prepareThanos() error {
	whole := map[string]time.Duration{
		"start":    time.Duration(q.start) * time.Millisecond,
		"lookback": q.opts.LookbackDelta(),
	}
	if q.ranged {
		whole["end"] = time.Duration(q.end) * time.Millisecond
		whole["interval"] = time.Duration(q.interval) * time.Millisecond
	}
	for _, what := range slices.Sorted(maps.Keys(whole)) {
		if d := whole[what]; d%time.Second != 0 {
			return fmt.Errorf("a Thanos node is asked in whole seconds only, but the %s is %s", what, d)
		}
	}
	if use := q.opts.UseStartTimestamps(); use != nil && *use {
		return errors.New("a Thanos node does not use start timestamps")
	}
	q.open = q.openThanosRange
	if q.ranged {
		return nil
	}
	if q.start != 0 { // which a Thanos node takes for now
		q.open = q.openThanosInstant
	}
	return checkThanosResult(q.q.String())
}

func (q *query) openThanosRange(ctx context.Context) (remote.ColumnStream, error) {
	return q.client.openThanos(ctx, q.grid(), func(ctx context.Context) (func() (*thanospb.QueryResponse, error), error) {
		in, err := q.client.query.QueryRange(ctx, &thanospb.QueryRangeRequest{
			Query:                []byte(q.q.String()),
			StartTimeSeconds:     q.start / 1000,
			EndTimeSeconds:       q.end / 1000,
			IntervalSeconds:      max(1, q.interval/1000),
			TimeoutSeconds:       timeout(ctx),
			ReplicaLabels:        q.client.opts.ReplicaLabels,
			EnableDedup:          true,
			LookbackDeltaSeconds: int64(q.opts.LookbackDelta() / time.Second),
			MaxResolutionSeconds: resolution(ctx),
			Engine:               thanospb.EngineType_prometheus,
			ResponseBatchSize:    thanosBatch,

			EnablePartialResponse: allowsPartial(ctx),
		})
		if err != nil {
			return nil, err
		}
		return in.Recv, nil
	})
}

// allowsPartial tells whether sources of the node that fail may become warnings of its answer, which are those of the whole query then.
func allowsPartial(ctx context.Context) bool { return remote.RequestFrom(ctx).PartialResponse }

// resolution is that of the coarsest downsampled data that will do, in seconds. None is finer than 5 min, so that 1 s is for samples alone; 0 would
// be what the node was told to take where nobody says.
func resolution(ctx context.Context) int64 {
	return max(1, int64(remote.RequestFrom(ctx).MaxSourceResolution/time.Second))
}

func (q *query) openThanosInstant(ctx context.Context) (remote.ColumnStream, error) {
	return q.client.openThanos(ctx, q.grid(), func(ctx context.Context) (func() (*thanospb.QueryResponse, error), error) {
		in, err := q.client.query.Query(ctx, &thanospb.QueryRequest{
			Query:                []byte(q.q.String()),
			TimeSeconds:          q.start / 1000,
			TimeoutSeconds:       timeout(ctx),
			ReplicaLabels:        q.client.opts.ReplicaLabels,
			EnableDedup:          true,
			LookbackDeltaSeconds: int64(q.opts.LookbackDelta() / time.Second),
			MaxResolutionSeconds: resolution(ctx),
			Engine:               thanospb.EngineType_prometheus,
			ResponseBatchSize:    thanosBatch,

			EnablePartialResponse: allowsPartial(ctx),
		})
		if err != nil {
			return nil, err
		}
		return in.Recv, nil
	})
}

func (q *query) grid() wire.Steps {
	return wire.Steps{Start: q.start, Interval: q.interval, N: q.steps}
}

// language is all that the parser knows.
var language = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true, EnableUnquotedUTF8Names: true})

// checkThanosResult refuses an instant query with a result that Thanos leaves out without a word. Text that this parser does not know is the
// node's to refuse.
func checkThanosResult(text string) error {
	expr, err := language.ParseExpr(text)
	if err != nil {
		return nil
	}
	if t := expr.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return fmt.Errorf("a Thanos node does not send a result of type %s", parser.DocumentedType(t))
	}
	return nil
}

// timeout is how long a query has, in seconds; 0 is no limit.
func timeout(ctx context.Context) int64 {
	end, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(1, int64(math.Ceil(time.Until(end).Seconds())))
}

// Stream implements remote.Streamer.
func (q *query) Stream(ctx context.Context) (remote.ColumnStream, error) {
	s, err := q.open(ctx)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	q.stream = s
	q.mu.Unlock()
	return s, nil
}

// Exec implements promql.Query. Series are in the order in which they come.
func (q *query) Exec(ctx context.Context) *promql.Result {
	s, err := q.Stream(ctx)
	if err != nil {
		return &promql.Result{Err: err}
	}
	defer s.Close()
	var (
		m     promql.Matrix
		index = map[string]int{}
		buf   []byte
	)
	for {
		c, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &promql.Result{Err: err}
		}
		for row, series := range c.Series {
			buf = series.Labels.Bytes(buf[:0])
			i, ok := index[string(buf)]
			if !ok {
				i = len(m)
				index[string(buf)] = i
				m = append(m, promql.Series{Metric: series.Labels, DropName: series.DropName})
			}
			q.appendRow(&m[i], c, row)
		}
	}
	t := s.Trailer()
	q.mu.Lock()
	q.stats = t.Stats
	q.mu.Unlock()
	res := &promql.Result{Value: m, Warnings: t.Annotations}
	if !q.ranged {
		res.Value = vector(m)
	}
	return res
}

// appendRow appends the samples of one row of columns.
func (q *query) appendRow(s *promql.Series, c *remote.Columns, row int) {
	for step := range c.Steps {
		t := q.start + int64(c.From+step)*q.interval
		switch p := row*c.Steps + step; {
		case c.Valid.Get(p):
			s.Floats = append(s.Floats, promql.FPoint{T: t, F: c.F[p]})
		case c.H != nil && c.HValid.Get(p):
			s.Histograms = append(s.Histograms, promql.HPoint{T: t, H: c.H[p]})
		}
	}
}

// vector is a matrix of one step.
func vector(m promql.Matrix) promql.Vector {
	v := make(promql.Vector, len(m))
	for i, s := range m {
		v[i] = promql.Sample{Metric: s.Metric, DropName: s.DropName}
		if len(s.Histograms) > 0 {
			v[i].T, v[i].H = s.Histograms[0].T, s.Histograms[0].H
		} else if len(s.Floats) > 0 {
			v[i].T, v[i].F = s.Floats[0].T, s.Floats[0].F
		}
	}
	return v
}

// Statement implements promql.Query; it is nil, because the query is not parsed here.
func (*query) Statement() parser.Statement { return nil }

// Stats implements promql.Query. They are those of the node, once Exec has returned.
func (q *query) Stats() *stats.Statistics {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := stats.NewQuerySamples(false)
	for _, n := range q.stats.Total {
		s.TotalSamples += n
	}
	for _, n := range q.stats.Read {
		s.SamplesRead += n
	}
	s.PeakSamples, s.TotalSeries = int(q.stats.PeakSamples), q.stats.Series
	return &stats.Statistics{Timers: stats.NewQueryTimers(), Samples: s}
}

// Cancel implements promql.Query: it ends the query if it runs.
func (q *query) Cancel() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stream != nil {
		_ = q.stream.Close()
	}
}

// Close implements promql.Query: it ends the query if it runs.
func (q *query) Close() { q.Cancel() }

// String implements promql.Query.
func (q *query) String() string { return q.q.String() }
