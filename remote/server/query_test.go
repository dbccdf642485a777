package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/remote/server"
)

// What an engine streams arrives as it was, and what is asked of it is what was asked.
func TestStream(t *testing.T) {
	a := columns(0, 2, "x", "y")
	a.F[0], a.F[1] = math.Float64frombits(value.StaleNaN), math.Copysign(0, -1)
	a.Valid.Clear(2)
	a.SetHistogram(2, &histogram.FloatHistogram{Schema: 1, Count: math.NaN(), PositiveSpans: []histogram.Span{{Offset: 1, Length: 1}}, PositiveBuckets: []float64{-3}, CounterResetHint: histogram.NotCounterReset})
	b := columns(2, 2, "y")
	f := &fake{
		caps: remote.Capabilities{PlanVersion: 3},
		stream: streaming(func() *columnStream {
			return &columnStream{columns: []*remote.Columns{a, columns(0, 4), b}, trailer: remote.Trailer{
				Stats:    remote.Stats{Total: []int64{1, 2, 3, 4}, Read: []int64{5, 6, 7, 8}, Series: 9, PeakSamples: 10, PeakBytes: 11},
				Analysis: "scan",
			}}
		}),
	}
	c := serve(t, f, server.Options{NodeID: "node"})
	use := true
	ctx := remote.WithRequest(t.Context(), remote.Request{ID: "q", Path: []string{"root"}, Tenant: "team"})
	q, err := c.NewRangeQuery(ctx, promql.NewPrometheusQueryOpts(true, 90*time.Second, &use), &remote.Text{Query: "sum(\"\xff\")", Version: 3, Encoded: []byte("plan")},
		time.UnixMilli(1000), time.UnixMilli(1007), 2*time.Millisecond)
	require.NoError(t, err)
	s, err := q.(remote.Streamer).Stream(ctx)
	require.NoError(t, err)
	got, err := drain(ctx, s)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, a.Series, got[0].Series)
	require.Equal(t, a.Valid, got[0].Valid)
	require.Equal(t, math.Float64bits(a.F[0]), math.Float64bits(got[0].F[0]))
	require.Equal(t, math.Float64bits(a.F[1]), math.Float64bits(got[0].F[1]))
	require.True(t, math.IsNaN(got[0].H[2].Count))
	got[0].H[2].Count, a.H[2].Count = 0, 0
	require.Equal(t, a.H[2], got[0].H[2])
	require.Equal(t, b, got[1])
	require.Equal(t, remote.Stats{Total: []int64{1, 2, 3, 4}, Read: []int64{5, 6, 7, 8}, Series: 9, PeakSamples: 10, PeakBytes: 11}, s.Trailer().Stats)
	require.Equal(t, "scan", s.Trailer().Analysis)
	_, err = s.Next(ctx)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())

	was := f.last()
	require.Equal(t, "sum(\"\xff\")", was.text)
	require.Equal(t, 3, was.version)
	require.Equal(t, "plan", string(was.plan))
	require.Equal(t, []int64{1000, 1007, 2}, []int64{was.start, was.end, was.interval})
	require.True(t, was.opts.EnablePerStepStats())
	require.Equal(t, 90*time.Second, was.opts.LookbackDelta())
	require.True(t, *was.opts.UseStartTimestamps())
	require.Equal(t, remote.Request{ID: "q", Path: []string{"root", "node"}, Tenant: "team"}, remote.RequestFrom(was.ctx))
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.closed == 1
	}, 5*time.Second, time.Millisecond)

	// A plan that the node does not know is not sent to it: the text says the same.
	_, err = stream(t, ctx, c, &remote.Text{Query: "up", Version: 4, Encoded: []byte("plan")})
	require.NoError(t, err)
	require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.asked) == 2 }, 5*time.Second, time.Millisecond)
	require.Zero(t, f.last().version)
	require.Nil(t, f.last().opts.UseStartTimestamps())
}

// Annotations keep their kinds and positions, and go on merging.
func TestAnnotations(t *testing.T) {
	const text = "sum(rate(foo[5m]))"
	pos := posrange.PositionRange{Start: 9, End: 12}
	var as annotations.Annotations
	as.Add(annotations.NewPossibleNonCounterInfo("foo", pos))
	as.Add(annotations.NewMixedFloatsHistogramsAggWarning(pos))
	for i := range 3 {
		as.Add(annotations.NewHistogramQuantileForcedMonotonicityInfo("foo", pos, int64(i)*1000, 1, float64(i), .5))
		as.Add(annotations.NewStartTimeOverlapWarning("foo", pos))
	}
	as.Add(errors.New("a block is missing"))
	f := &fake{stream: streaming(func() *columnStream { return &columnStream{trailer: remote.Trailer{Annotations: as}} })}
	s, err := stream(t, t.Context(), serve(t, f, server.Options{}), &remote.Text{Query: text})
	require.NoError(t, err)
	_, err = drain(t.Context(), s)
	require.NoError(t, err)
	texts := func(as annotations.Annotations) []string {
		w, i := as.AsStrings(text, 0, 0)
		slices.Sort(w)
		slices.Sort(i)
		return slices.Concat(w, i)
	}
	require.Equal(t, texts(as), texts(s.Trailer().Annotations))
	require.Len(t, s.Trailer().Annotations, 5)
}

// An engine that does not stream answers as well.
func TestExec(t *testing.T) {
	h := &histogram.FloatHistogram{Schema: 0, Count: 3}
	f := &fake{exec: func(_ context.Context, a asked) *promql.Result {
		var as annotations.Annotations
		as.Add(errors.New("careful"))
		switch {
		case a.text == "scalar":
			return &promql.Result{Value: promql.Scalar{T: 1, V: 2}}
		case a.ranged:
			var m promql.Matrix
			for i := range 3 {
				m = append(m, promql.Series{Metric: labels.FromStrings("a", fmt.Sprint(i)), DropName: i == 1, Floats: []promql.FPoint{{T: a.start, F: float64(i)}}, Histograms: []promql.HPoint{{T: a.start + 2*a.interval, H: h}}})
			}
			return &promql.Result{Value: m, Warnings: as}
		}
		return &promql.Result{Value: promql.Vector{{Metric: labels.FromStrings("a", "b"), T: a.start, F: 5}, {T: a.start, H: h, DropName: true}}, Warnings: as}
	}}
	c := serve(t, f, server.Options{})
	q, err := c.NewRangeQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(1000), time.UnixMilli(1006), 2*time.Millisecond)
	require.NoError(t, err)
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	require.Equal(t, f.exec(t.Context(), f.last()).Value, res.Value)
	require.Len(t, res.Warnings, 1)
	require.EqualValues(t, 42, q.Stats().Samples.TotalSamples)
	require.Equal(t, 7, q.Stats().Samples.PeakSamples)
	require.Equal(t, "up", q.String())
	q.Close()

	q, err = c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(1234))
	require.NoError(t, err)
	res = q.Exec(t.Context())
	require.NoError(t, res.Err)
	require.Equal(t, f.exec(t.Context(), f.last()).Value, res.Value)
	q.Close()

	q, err = c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "scalar"}, time.UnixMilli(1234))
	require.NoError(t, err)
	require.ErrorContains(t, q.Exec(t.Context()).Err, "cannot be a part of a query")
}

// A large result crosses in pieces.
func TestLargeResults(t *testing.T) {
	const rows, steps = 400, 1000
	f := &fake{exec: func(_ context.Context, a asked) *promql.Result {
		m := make(promql.Matrix, rows)
		for i := range m {
			m[i].Metric = labels.FromStrings("row", fmt.Sprint(i))
			for k := range steps {
				m[i].Floats = append(m[i].Floats, promql.FPoint{T: a.start + int64(k)*a.interval, F: float64(i * k)})
			}
		}
		return &promql.Result{Value: m}
	}}
	for _, compression := range []string{"", wire.Snappy} {
		_, to := listen(t, f, server.Options{})
		c := connect(t, to, client.Options{Compression: compression})
		q, err := c.NewRangeQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0), time.UnixMilli(steps-1), time.Millisecond)
		require.NoError(t, err)
		res := q.Exec(t.Context())
		require.NoError(t, res.Err)
		require.Equal(t, f.exec(t.Context(), f.last()).Value, res.Value)
		q.Close()
	}
}

// Errors of the query come back as they are; others name the engine. Both keep their type.
func TestErrors(t *testing.T) {
	for _, want := range []error{
		promql.ErrQueryTimeout("x"), promql.ErrQueryCanceled("x"), promql.ErrTooManySamples("x"), promql.ErrTooManySeries("x"),
		promql.ErrTooManySamplesRead("x"), promql.ErrStorage{Err: errors.New("no disk")}, errors.New("duplicate series"),
	} {
		for where, f := range map[string]*fake{
			"new":    {newErr: want},
			"stream": {stream: func(context.Context, asked) (remote.ColumnStream, error) { return nil, want }},
			"next": {stream: streaming(func() *columnStream {
				return &columnStream{columns: []*remote.Columns{columns(0, 4, "x")}, then: func(context.Context) error { return want }}
			})},
			"exec": {exec: func(context.Context, asked) *promql.Result { return &promql.Result{Err: want} }},
			"own": {stream: streaming(func() *columnStream {
				return &columnStream{then: func(context.Context) error { return &remote.QueryError{Err: want} }}
			})},
		} {
			c := serve(t, f, server.Options{})
			s, err := stream(t, t.Context(), c, &remote.Text{Query: "up"})
			require.NoError(t, err)
			_, err = drain(t.Context(), s)
			require.NoError(t, s.Close())
			var own *remote.QueryError
			if where == "own" {
				require.ErrorAs(t, err, &own)
				require.Equal(t, want, own.Err)
				continue
			}
			require.EqualError(t, err, "remote engine leaf: "+want.Error(), where)
			require.False(t, errors.As(err, &own))
			var storage promql.ErrStorage
			require.Equal(t, errors.As(want, &storage), errors.As(err, &storage))
			var samples promql.ErrTooManySamples
			require.Equal(t, errors.As(want, &samples), errors.As(err, &samples))
		}
	}
}

// A panic ends one request, not the node.
func TestPanics(t *testing.T) {
	for _, f := range []*fake{
		{exec: func(context.Context, asked) *promql.Result { panic("boom") }},
		{stream: func(context.Context, asked) (remote.ColumnStream, error) { panic("boom") }},
		{stream: streaming(func() *columnStream { return &columnStream{then: func(context.Context) error { panic("boom") }} })},
	} {
		c := serve(t, f, server.Options{})
		for range 2 {
			s, err := stream(t, t.Context(), c, &remote.Text{Query: "up"})
			require.NoError(t, err)
			_, err = drain(t.Context(), s)
			require.ErrorContains(t, err, "panic: boom")
			require.Equal(t, codes.Internal, status.Code(err))
			require.ErrorContains(t, err, "remote engine leaf: ")
		}
		require.NoError(t, c.Refresh(t.Context()))
	}
}

// The engine's work ends when the client's does, wherever that is.
func TestCancellation(t *testing.T) {
	for name, end := range map[string]func(cancel context.CancelFunc, s remote.ColumnStream, q promql.Query){
		"context": func(cancel context.CancelFunc, _ remote.ColumnStream, _ promql.Query) { cancel() },
		"close":   func(_ context.CancelFunc, s remote.ColumnStream, _ promql.Query) { _ = s.Close() },
		"cancel":  func(_ context.CancelFunc, _ remote.ColumnStream, q promql.Query) { q.Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			var closed sync.WaitGroup
			closed.Add(1)
			f := &fake{stream: streaming(func() *columnStream {
				return &columnStream{columns: []*remote.Columns{columns(0, 4, "x")}, closed: &closed, then: func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}}
			})}
			c := serve(t, f, server.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			q, err := c.NewRangeQuery(ctx, nil, &remote.Text{Query: "up"}, time.UnixMilli(0), time.UnixMilli(3), time.Millisecond)
			require.NoError(t, err)
			s, err := q.(remote.Streamer).Stream(ctx)
			require.NoError(t, err)
			_, err = s.Next(ctx)
			require.NoError(t, err)
			end(cancel, s, q)
			_, err = s.Next(ctx)
			require.ErrorIs(t, err, context.Canceled)
			closed.Wait()
		})
	}
}

// A context that belongs to one Next ends the stream, too.
func TestNextWithDeadline(t *testing.T) {
	f := &fake{stream: streaming(func() *columnStream {
		return &columnStream{then: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	})}
	s, err := stream(t, t.Context(), serve(t, f, server.Options{}), &remote.Text{Query: "up"})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = s.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A node that has nothing to send yet says that it is at work, and goes on saying so.
func TestProgress(t *testing.T) {
	seen := make(chan struct{})
	f := &fake{exec: func(context.Context, asked) *promql.Result {
		<-seen
		return &promql.Result{Value: promql.Matrix{}}
	}}
	_, to := listen(t, f, server.Options{})
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), to)
	require.NoError(t, err)
	defer conn.Close()
	in, err := stridepb.NewEngineClient(conn).Query(t.Context(), &stridepb.QueryRequest{Query: []byte("up")})
	require.NoError(t, err)
	res, err := in.Recv()
	require.NoError(t, err)
	require.NotNil(t, res.GetHeader())
	for range 2 {
		res, err = in.Recv()
		require.NoError(t, err)
		require.NotNil(t, res.GetProgress())
	}
	close(seen)
	for res.GetProgress() != nil {
		res, err = in.Recv()
		require.NoError(t, err)
	}
	require.NotNil(t, res.GetTrailer())
	_, err = in.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestTimeout(t *testing.T) {
	hang := func(ctx context.Context, _ asked) *promql.Result {
		<-ctx.Done()
		return &promql.Result{Err: promql.ErrQueryTimeout("expression evaluation")}
	}
	s, err := stream(t, t.Context(), serve(t, &fake{exec: hang}, server.Options{Timeout: time.Millisecond}), &remote.Text{Query: "up"})
	require.NoError(t, err)
	_, err = drain(t.Context(), s)
	require.EqualError(t, err, "remote engine leaf: query timed out in expression evaluation")

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s, err = stream(t, ctx, serve(t, &fake{exec: hang}, server.Options{}), &remote.Text{Query: "up"})
	if err == nil {
		_, err = drain(ctx, s)
	}
	require.Error(t, err) // the query's, from here or from there
}

func TestLimits(t *testing.T) {
	f := &fake{stream: streaming(func() *columnStream {
		return &columnStream{columns: []*remote.Columns{columns(0, 2, "x", "y"), columns(2, 2, "x", "y"), columns(0, 4, "z")}}
	})}
	for _, c := range []struct {
		opts server.Options
		want string
	}{
		{opts: server.Options{MaxSeries: 3, MaxSamples: 12}},
		{opts: server.Options{MaxSeries: 2}, want: "remote engine leaf: the answer has more than 2 series"},
		{opts: server.Options{MaxSamples: 11}, want: "remote engine leaf: the answer has more than 11 samples"},
	} {
		s, err := stream(t, t.Context(), serve(t, f, c.opts), &remote.Text{Query: "up"})
		require.NoError(t, err)
		_, err = drain(t.Context(), s)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.want)
		}
		require.NoError(t, s.Close())
	}
}

// What a node refuses, it says.
func TestRefusals(t *testing.T) {
	f := &fake{
		coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", "a", "replica", "0"), Intervals: remote.Intervals{remote.Always}}},
		exec:     func(context.Context, asked) *promql.Result { return &promql.Result{Value: promql.Matrix{}} },
	}
	_, to := listen(t, f, server.Options{NodeID: "node"})
	c := connect(t, to, client.Options{ReplicaLabels: []string{"replica"}})
	require.Equal(t, []string{"cluster"}, c.Labels())
	s, err := stream(t, t.Context(), c, &remote.Text{Query: "up"})
	require.NoError(t, err)
	_, err = drain(t.Context(), s)
	require.ErrorContains(t, err, `"replica" is to be removed as a replica label`)

	// A request that comes round.
	c = connect(t, to, client.Options{})
	ctx := remote.WithRequest(t.Context(), remote.Request{Path: []string{"node", "other"}})
	s, err = stream(t, ctx, c, &remote.Text{Query: "up"})
	require.NoError(t, err)
	_, err = drain(ctx, s)
	require.ErrorContains(t, err, "node -> other -> node")
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	ctx = remote.WithRequest(t.Context(), remote.Request{Path: []string{"other"}})
	s, err = stream(t, ctx, c, &remote.Text{Query: "up"})
	require.NoError(t, err)
	_, err = drain(ctx, s)
	require.NoError(t, err)

	_, err = c.NewRangeQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0), time.UnixMilli(1), 0)
	require.ErrorContains(t, err, "remote engine leaf: from 0 to 1 by 0 ms are no steps")
	_, err = c.NewRangeQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0), time.UnixMilli(1<<24), time.Millisecond)
	require.ErrorContains(t, err, "are no steps, or more than")
	_, err = c.Querier(0, 1)
	require.ErrorContains(t, err, "remote engine leaf: it does not give samples")
}

// A whole query has one place, with all its parts; who comes when all places are taken waits, and who comes when too many wait is refused.
func TestConcurrency(t *testing.T) {
	release := make(chan struct{})
	running := make(chan string, 10)
	f := &fake{exec: func(ctx context.Context, a asked) *promql.Result {
		running <- a.text
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &promql.Result{Value: promql.Matrix{}}
	}}
	reg := prometheus.NewPedanticRegistry()
	c := serve(t, f, server.Options{MaxQueries: 1, MaxQueued: 1, Registerer: reg})
	gauge := func(name string) float64 {
		all, err := reg.Gather()
		require.NoError(t, err)
		for _, m := range all {
			if m.GetName() == "stride_remote_server_"+name {
				return m.Metric[0].GetGauge().GetValue() + m.Metric[0].GetCounter().GetValue()
			}
		}
		return -1
	}
	begin := func(ctx context.Context, id, text string) chan error {
		done := make(chan error, 1)
		s, err := stream(t, remote.WithRequest(ctx, remote.Request{ID: id}), c, &remote.Text{Query: text})
		require.NoError(t, err)
		go func() {
			_, err := drain(ctx, s)
			_ = s.Close()
			done <- err
		}()
		return done
	}
	first := begin(t.Context(), "a", "a1")
	require.Equal(t, "a1", <-running)
	second := begin(t.Context(), "a", "a2")
	require.Equal(t, "a2", <-running, "another part of the same query")
	ctx, cancel := context.WithCancel(t.Context())
	other := begin(ctx, "b", "b1")
	require.Eventually(t, func() bool { return gauge("queries_queued") == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 1., gauge("queries_running"))
	err := <-begin(t.Context(), "c", "c1")
	require.ErrorContains(t, err, "1 queries are being evaluated and 1 wait")
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, 1., gauge("queries_refused_total"))

	// One that gives up waiting leaves the queue to others.
	cancel()
	require.ErrorIs(t, <-other, context.Canceled)
	require.Eventually(t, func() bool { return gauge("queries_queued") == 0 }, 5*time.Second, time.Millisecond)
	other = begin(t.Context(), "d", "d1")
	require.Eventually(t, func() bool { return gauge("queries_queued") == 1 }, 5*time.Second, time.Millisecond)
	close(release)
	require.NoError(t, <-first)
	require.NoError(t, <-second)
	require.NoError(t, <-other)
	require.Equal(t, "d1", <-running)
	require.Eventually(t, func() bool { return gauge("queries_running") == 0 }, 5*time.Second, time.Millisecond)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// A part of a query that is not read yet keeps no other part of it from coming, though it holds the only place and has more to send.
func TestUnreadParts(t *testing.T) {
	f := &fake{stream: streaming(func() *columnStream {
		s := &columnStream{}
		for range 8 {
			s.columns = append(s.columns, columns(0, 4, "x", "y"), bigColumns())
		}
		return s
	})}
	c := serve(t, f, server.Options{MaxQueries: 1, MaxQueued: 1})
	ctx := remote.WithRequest(t.Context(), remote.Request{ID: "q"})
	var parts []remote.ColumnStream
	for range 5 {
		q, err := c.NewRangeQuery(ctx, nil, &remote.Text{Query: "up"}, time.UnixMilli(0), time.UnixMilli(100_000), time.Millisecond)
		require.NoError(t, err)
		s, err := q.(remote.Streamer).Stream(ctx)
		require.NoError(t, err)
		_, err = s.Next(ctx)
		require.NoError(t, err)
		parts = append(parts, s)
	}
	slices.Reverse(parts)
	for _, s := range parts {
		got, err := drain(ctx, s)
		require.NoError(t, err)
		require.Len(t, got, 15)
		require.NoError(t, s.Close())
	}
}

// bigColumns take 800 kB.
func bigColumns() *remote.Columns { return columns(0, 100_000, "big") }

// The wait counts for the timeout.
func TestTimeoutInQueue(t *testing.T) {
	f := &fake{exec: func(ctx context.Context, _ asked) *promql.Result {
		<-ctx.Done()
		return &promql.Result{Err: promql.ErrQueryTimeout("expression evaluation")}
	}}
	c := serve(t, f, server.Options{MaxQueries: 1, Timeout: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs []string
	var streams []remote.ColumnStream
	for range 2 {
		s, err := stream(t, ctx, c, &remote.Text{Query: "up"})
		require.NoError(t, err)
		streams = append(streams, s)
	}
	for _, s := range streams {
		_, err := drain(ctx, s)
		errs = append(errs, err.Error())
	}
	slices.Sort(errs)
	require.Contains(t, errs[0], "query timed out in ")
	require.Contains(t, errs[1], "query timed out in ")
}

func TestInfo(t *testing.T) {
	want := []remote.Coverage{
		{Labels: labels.FromStrings("cluster", "a\xff"), Intervals: remote.Intervals{{Start: -5, End: 10}, {Start: 20, End: math.MaxInt64}}},
		{Labels: labels.FromStrings("cluster", "b", "dc", "x"), Intervals: remote.Intervals{remote.Always}},
		{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{{Start: 1, End: 1}}},
	}
	f := &fake{coverage: want, caps: remote.Capabilities{LanguageLevel: "3.16", PlanVersion: 2, LabelHash: "h", GroupID: "g", PeerType: remote.PeerStore}}
	_, to := listen(t, f, server.Options{})
	c := connect(t, to, client.Options{})
	require.Equal(t, want, c.Coverage())
	require.Equal(t, []string{"cluster", "dc"}, c.Labels())
	require.Equal(t, f.caps, c.Capabilities())
	require.Equal(t, "query", c.Status().Component)
	require.NoError(t, c.Status().LastError)

	c = connect(t, to, client.Options{ReplicaLabels: []string{"cluster"}, GroupID: "own", PeerType: remote.PeerQuery})
	require.Equal(t, []remote.Coverage{
		{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{{Start: -5, End: 10}, {Start: 20, End: math.MaxInt64}}},
		{Labels: labels.FromStrings("dc", "x"), Intervals: remote.Intervals{remote.Always}},
	}, c.Coverage())
	require.Equal(t, "own", c.Capabilities().GroupID)
	require.Equal(t, remote.PeerQuery, c.Capabilities().PeerType)

	// Without data there is no coverage.
	require.Empty(t, serve(t, &fake{}, server.Options{}).Coverage())
}

func TestHealth(t *testing.T) {
	s, to := listen(t, &fake{}, server.Options{})
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), to)
	require.NoError(t, err)
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	res, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, res.Status)
	require.NotEmpty(t, s.NodeID())
}

// Who is not ready does not say what data it has; what it said before holds.
func TestNotReady(t *testing.T) {
	f := &fake{coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", "a"), Intervals: remote.Intervals{remote.Always}}}}
	s, to := listen(t, f, server.Options{})
	c := connect(t, to, client.Options{})
	require.Equal(t, f.coverage, c.Coverage())
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), to)
	require.NoError(t, err)
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	for _, ready := range []bool{false, true} {
		s.SetReady(ready)
		res, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, ready, res.Status == grpc_health_v1.HealthCheckResponse_SERVING)
		err = c.Refresh(t.Context())
		require.Equal(t, ready, err == nil)
		if !ready {
			require.ErrorContains(t, err, "remote engine leaf: the node is not ready")
		}
		require.Equal(t, f.coverage, c.Coverage())
	}
}

// All services can be listed by tools that have no .proto files.
func TestReflection(t *testing.T) {
	_, to := listen(t, &selector{&fake{}, &listStorage{}}, server.Options{})
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), to)
	require.NoError(t, err)
	defer conn.Close()
	in, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, in.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}))
	res, err := in.Recv()
	require.NoError(t, err)
	var names []string
	for _, s := range res.GetListServicesResponse().Service {
		names = append(names, s.Name)
	}
	require.Subset(t, names, []string{"stride.v1.Engine", "thanos.Query", "thanos.Store", "thanos.info.Info", "grpc.health.v1.Health"})
	require.NoError(t, in.CloseSend())
}

// Requests that are being answered are answered before the end.
func TestShutdown(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	f := &fake{exec: func(context.Context, asked) *promql.Result {
		close(running)
		<-release
		return &promql.Result{Value: promql.Matrix{}}
	}}
	s, to := listen(t, f, server.Options{})
	c := connect(t, to, client.Options{})
	in, err := stream(t, t.Context(), c, &remote.Text{Query: "up"})
	require.NoError(t, err)
	<-running
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Shutdown(t.Context())
	}()
	close(release)
	_, err = drain(t.Context(), in)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	<-done
}
