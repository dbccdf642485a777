package engine

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/physicalplan"
	"github.com/stride-promql/stride/remote"
)

// NewFragmentQuery makes a query of a part of another engine's query, as RemoteQuery.Plan encodes it. It is a remote.Streamer;
// Exec gives its result as a Matrix. text is for logs. Series keep names that are to be dropped at the end of the query, and
// say so.
func (e *Engine) NewFragmentQuery(ctx context.Context, queryable storage.Queryable, opts promql.QueryOpts, text string, encoded []byte) (promql.Query, error) {
	if e.err != nil {
		return nil, e.err
	}
	f, err := logicalplan.DecodeFragment(encoded)
	if err != nil {
		return nil, err
	}
	p := f.Plan
	q := &query{
		engine:    e,
		queryable: queryable,
		text:      text,
		fragment:  f,
		encoded:   encoded,
		built:     p,
		stmt: &parser.EvalStmt{
			Expr:  &parser.StringLiteral{Val: text},
			Start: time.UnixMilli(p.Start), End: time.UnixMilli(p.End), Interval: time.Duration(p.Interval) * time.Millisecond,
			LookbackDelta: time.Duration(p.Lookback) * time.Millisecond,
		},
		timers:  stats.NewQueryTimers(),
		samples: stats.NewQuerySamples(f.Options.PerStepStats),
		useST:   f.Options.UseStartTimestamps,
	}
	if e.opts.EnableQueryCost {
		if opts == nil {
			opts = promql.NewPrometheusQueryOpts(false, 0, nil)
		}
		if err := q.resolveLimits(opts); err != nil {
			return nil, err
		}
	}
	release, err := e.enqueue(ctx, q)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := q.optimizeFragment(); err != nil {
		return nil, err
	}
	return &fragmentQuery{q}, nil
}

// optimizeFragment makes the plan: passes that make one engine's work less run here, the others have run at the root. A distributed
// engine lets its own engines evaluate what they can of the part.
func (q *query) optimizeFragment() (err error) {
	defer func() { q.logPanic(err) }()
	defer operators.Recover(&err)
	return q.optimize()
}

// narrow asks other engines for no steps but those that this one was asked for.
func (q *query) narrow() {
	asked := q.fragment.Steps
	logicalplan.Walk(q.plan.Root, func(n logicalplan.Node) bool {
		r, ok := n.(*logicalplan.Remote)
		if !ok || r.Times != q.plan.Times {
			return true
		}
		if from, to := max(r.Steps.From, asked.From), min(r.Steps.To, asked.To); from < to {
			r.Steps = logicalplan.StepRange{From: from, To: to}
		}
		return true
	})
}

// fragmentQuery is the query of a part.
type fragmentQuery struct{ *query }

var _ remote.Streamer = (*fragmentQuery)(nil)

// Stream implements remote.Streamer.
func (q *fragmentQuery) Stream(ctx context.Context) (remote.ColumnStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &fragmentStream{query: q.query, cancel: cancel, columns: make(chan *remote.Columns), done: make(chan struct{})}
	q.emit = func(c *remote.Columns) error {
		select {
		case s.columns <- c:
			return nil
		case <-ctx.Done():
			return operators.ContextError(ctx, operators.EnvEvaluation)
		}
	}
	go func() {
		defer close(s.done)
		res := q.query.Exec(ctx)
		s.warnings, s.err = res.Warnings, res.Err
	}()
	return s, nil
}

// Exec implements promql.Query: it collects what Stream gives.
func (q *fragmentQuery) Exec(ctx context.Context) *promql.Result {
	s, err := q.Stream(ctx)
	if err != nil {
		return &promql.Result{Err: err}
	}
	defer s.Close()
	var m promql.Matrix
	index := map[string]int{}
	var buf []byte
	for {
		c, err := s.Next(ctx)
		if err == io.EOF {
			return &promql.Result{Value: m, Warnings: s.Trailer().Annotations}
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
			for step := range c.Steps {
				t := q.plan.Start + int64(c.From+step)*q.plan.Interval
				switch p := row*c.Steps + step; {
				case c.Valid.Get(p):
					m[i].Floats = append(m[i].Floats, promql.FPoint{T: t, F: c.F[p]})
				case c.H != nil && c.HValid.Get(p):
					m[i].Histograms = append(m[i].Histograms, promql.HPoint{T: t, H: c.H[p]})
				}
			}
		}
	}
}

// fragmentStream is a part that runs.
type fragmentStream struct {
	query    *query
	cancel   context.CancelFunc
	columns  chan *remote.Columns
	done     chan struct{}
	warnings annotations.Annotations // once done
	err      error
}

// Next implements remote.ColumnStream.
func (s *fragmentStream) Next(ctx context.Context) (*remote.Columns, error) {
	select {
	case c := <-s.columns:
		return c, nil
	case <-s.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.err == nil {
		return nil, io.EOF
	}
	if own := errorOfQuery(s.err); own != nil {
		return nil, &remote.QueryError{Err: own}
	}
	if s.query.inner && ofLimit(s.err) {
		return nil, &remote.LimitError{Err: s.err}
	}
	return nil, s.err
}

// Trailer implements remote.ColumnStream.
func (s *fragmentStream) Trailer() remote.Trailer {
	sm := s.query.samples
	t := remote.Trailer{Annotations: s.warnings, Stats: remote.Stats{
		Total: []int64{sm.TotalSamples}, Read: []int64{sm.SamplesRead}, Series: int64(sm.TotalSeries), PeakSamples: int64(sm.PeakSamples),
	}}
	s.query.mu.Lock()
	ran := s.query.ran
	s.query.mu.Unlock()
	if ran != nil {
		_, t.Stats.PeakBytes = ran.Peak()
		t.Analysis = physicalplan.FormatPipelines(ran.Pipelines(true))
	}
	if sm.EnablePerStepStats {
		t.Stats.Total, t.Stats.Read = sm.TotalSamplesPerStep, sm.SamplesReadPerStep
	}
	return t
}

// Close implements remote.ColumnStream.
func (s *fragmentStream) Close() error {
	s.cancel()
	<-s.done
	s.query.Close()
	return nil
}
