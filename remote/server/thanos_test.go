package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/remote/server"
)

// dialThanos is a connection of a Thanos querier to a node of an engine.
func dialThanos(t *testing.T, engine remote.RemoteEngine, opts server.Options) *grpc.ClientConn {
	t.Helper()
	_, to := listen(t, engine, opts)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), to)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// messages are all that comes, each as a text.
func messages(in grpc.ServerStreamingClient[thanospb.QueryResponse], err error) (out []string, _ error) {
	if err != nil {
		return nil, err
	}
	b := labels.NewScratchBuilder(0)
	series := func(kind string, bs ...[]byte) {
		text := kind
		for _, s := range bs {
			c, err := wire.DecodeThanosSeries([][]byte{s}, wire.Steps{Start: 0, Interval: 1000, N: 100}, &b)
			if err != nil {
				c, err = wire.DecodeThanosSeries([][]byte{s}, wire.Steps{N: 1}, &b)
			}
			if err != nil {
				text += err.Error()
				continue
			}
			n := c.Valid.Count(0, c.Steps)
			if c.H != nil {
				n += 100 * c.HValid.Count(0, c.Steps)
			}
			text += fmt.Sprintf(" %s*%d", c.Series[0].Labels, n)
		}
		out = append(out, text)
	}
	for {
		res, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		switch r := res.Result.(type) {
		case *thanospb.QueryResponse_Warnings:
			out = append(out, "warnings "+string(r.Warnings))
		case *thanospb.QueryResponse_Timeseries:
			series("series", r.Timeseries)
		case *thanospb.QueryResponse_TimeseriesBatch:
			series("batch", r.TimeseriesBatch.Series...)
		case *thanospb.QueryResponse_Stats:
			out = append(out, fmt.Sprintf("stats %d %d", r.Stats.SamplesTotal, r.Stats.PeakSamples))
		default:
			out = append(out, "unknown")
		}
	}
}

// Warnings come first, in one message, then series, one by one or in batches, then statistics.
func TestThanosAnswers(t *testing.T) {
	h := &histogram.FloatHistogram{Count: 1}
	var as annotations.Annotations
	as.Add(annotations.PromQLInfo)
	as.Add(errors.New("a"))
	f := &fake{exec: func(_ context.Context, a asked) *promql.Result {
		res := &promql.Result{Warnings: as}
		switch {
		case a.ranged:
			res.Value = promql.Matrix{
				{Metric: labels.FromStrings("a", "1"), Floats: []promql.FPoint{{T: 1000, F: 1}, {T: 3000, F: 3}}},
				{Metric: labels.FromStrings("a", "2"), Histograms: []promql.HPoint{{T: 2000, H: h}}},
				{Metric: labels.FromStrings("a", "3"), Floats: []promql.FPoint{{T: 1000, F: 1}}},
			}
		case a.text == "scalar":
			res.Value, res.Warnings = promql.Scalar{T: a.start, V: 5}, nil
		default:
			res.Value = promql.Vector{{Metric: labels.FromStrings("a", "1"), T: a.start, F: 1}, {Metric: labels.FromStrings("a", "2"), T: a.start, H: h}}
		}
		return res
	}}
	q := thanospb.NewQueryClient(dialThanos(t, f, server.Options{NodeID: "node"}))

	ranged := func(batch int64) ([]string, error) {
		return messages(q.QueryRange(metadata.AppendToOutgoingContext(t.Context(), "THANOS-TENANT", "team"), &thanospb.QueryRangeRequest{
			Query: []byte("up"), StartTimeSeconds: 1, EndTimeSeconds: 3, IntervalSeconds: 1, LookbackDeltaSeconds: 7, Engine: thanospb.EngineType_thanos, ResponseBatchSize: batch,
			TimeoutSeconds: 60, ReplicaLabels: []string{"replica"}, EnableDedup: true,
		}))
	}
	for _, batch := range []int64{0, 1} {
		got, err := ranged(batch)
		require.NoError(t, err)
		require.Equal(t, []string{"warnings PromQL info, a", `series {a="1"}*2`, `series {a="2"}*100`, `series {a="3"}*1`, "stats 42 7"}, got)
	}
	was := f.last()
	require.Equal(t, []int64{1000, 3000, 1000}, []int64{was.start, was.end, was.interval})
	require.Equal(t, 7*time.Second, was.opts.LookbackDelta())
	require.Equal(t, remote.Request{Path: []string{"node"}, Tenant: "team"}, remote.RequestFrom(was.ctx))
	deadline, ok := was.ctx.Deadline()
	require.True(t, ok)
	require.Less(t, time.Until(deadline), time.Minute)

	got, err := ranged(2)
	require.NoError(t, err)
	require.Equal(t, []string{"warnings PromQL info, a", `batch {a="1"}*2 {a="2"}*100`, `batch {a="3"}*1`, "stats 42 7"}, got)

	got, err = messages(q.Query(t.Context(), &thanospb.QueryRequest{Query: []byte("up"), TimeSeconds: 5, ResponseBatchSize: 64}))
	require.NoError(t, err)
	require.Equal(t, []string{"warnings PromQL info, a", `batch {a="1"}*1 {a="2"}*100`, "stats 42 7"}, got)
	require.EqualValues(t, 5000, f.last().start)

	got, err = messages(q.Query(t.Context(), &thanospb.QueryRequest{Query: []byte("scalar")}))
	require.NoError(t, err)
	require.Equal(t, []string{"series {}*1", "stats 42 7"}, got)
	require.WithinDuration(t, time.Now(), time.UnixMilli(f.last().start), time.Minute, "0 is now")
}

func TestThanosErrors(t *testing.T) {
	failing := func(err error) *fake {
		return &fake{exec: func(context.Context, asked) *promql.Result { return &promql.Result{Err: err} }}
	}
	boom := promql.ErrStorage{Err: errors.New("boom")}
	instant, ranged := &thanospb.QueryRequest{Query: []byte("up"), TimeSeconds: 1}, &thanospb.QueryRangeRequest{Query: []byte("up"), IntervalSeconds: 1}
	requireStatus := func(code codes.Code, text string, got []string, err error) {
		t.Helper()
		require.Equal(t, code, status.Code(err), "%v", err)
		require.ErrorContains(t, err, text)
		require.Empty(t, got)
	}

	q := thanospb.NewQueryClient(dialThanos(t, failing(boom), server.Options{}))
	got, err := messages(q.Query(t.Context(), instant))
	requireStatus(codes.Aborted, "boom", got, err)
	got, err = messages(q.QueryRange(t.Context(), ranged))
	requireStatus(codes.Aborted, "boom", got, err)
	// With a partial response only an instant query's error is a warning.
	got, err = messages(q.Query(t.Context(), &thanospb.QueryRequest{Query: []byte("up"), EnablePartialResponse: true}))
	require.NoError(t, err)
	require.Equal(t, []string{"warnings boom"}, got)
	got, err = messages(q.QueryRange(t.Context(), &thanospb.QueryRangeRequest{Query: []byte("up"), IntervalSeconds: 1, EnablePartialResponse: true}))
	requireStatus(codes.Aborted, "boom", got, err)

	for text, v := range map[string]promql.Result{"range vector": {Value: promql.Matrix{{}}}, "string": {Value: promql.String{V: "x"}}} {
		q := thanospb.NewQueryClient(dialThanos(t, &fake{exec: func(context.Context, asked) *promql.Result { return &v }}, server.Options{}))
		got, err := messages(q.Query(t.Context(), instant))
		requireStatus(codes.Aborted, text, got, err)
	}
	q = thanospb.NewQueryClient(dialThanos(t, &fake{exec: func(context.Context, asked) *promql.Result { panic("boom") }}, server.Options{}))
	got, err = messages(q.Query(t.Context(), instant))
	requireStatus(codes.Internal, "panic: boom", got, err)
	q = thanospb.NewQueryClient(dialThanos(t, &fake{newErr: errors.New("parse error")}, server.Options{}))
	got, err = messages(q.QueryRange(t.Context(), ranged))
	requireStatus(codes.InvalidArgument, "parse error", got, err)

	limited := &fake{exec: func(context.Context, asked) *promql.Result {
		return &promql.Result{Value: promql.Vector{{F: 1}, {Metric: labels.FromStrings("a", "b"), H: &histogram.FloatHistogram{}}}}
	}}
	q = thanospb.NewQueryClient(dialThanos(t, limited, server.Options{MaxSeries: 1}))
	got, err = messages(q.Query(t.Context(), instant))
	requireStatus(codes.Aborted, "more than 1 series", got, err)
	q = thanospb.NewQueryClient(dialThanos(t, limited, server.Options{MaxSamples: 3}))
	got, err = messages(q.Query(t.Context(), instant))
	requireStatus(codes.Aborted, "more than 3 samples", got, err)
}

// A Thanos querier says in its request whether sources may fail, and the engine learns it.
func TestThanosPartialResponse(t *testing.T) {
	allowed := make(chan bool, 1)
	f := &fake{exec: func(ctx context.Context, _ asked) *promql.Result {
		allowed <- remote.RequestFrom(ctx).PartialResponse
		return &promql.Result{Value: promql.Matrix{}}
	}}
	st := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return allowing{storage.NoopQuerier(), allowed}, nil })
	conn := dialThanos(t, &selector{f, st}, server.Options{})
	q, s := thanospb.NewQueryClient(conn), thanospb.NewStoreClient(conn)
	for _, want := range []bool{false, true} {
		_, err := messages(q.QueryRange(t.Context(), &thanospb.QueryRangeRequest{Query: []byte("up"), IntervalSeconds: 1, EnablePartialResponse: want}))
		require.NoError(t, err)
		require.Equal(t, want, <-allowed)
	}
	matchers := []*thanospb.LabelMatcher{{Name: []byte("a"), Value: []byte("b")}}
	for _, c := range []struct {
		disabled bool
		strategy thanospb.PartialResponseStrategy
		want     bool
	}{
		{false, thanospb.PartialResponseStrategy_WARN, true},
		{true, thanospb.PartialResponseStrategy_WARN, false},
		{false, thanospb.PartialResponseStrategy_ABORT, false},
	} {
		_, _, _, err := receive(t, s, &thanospb.SeriesRequest{Matchers: matchers, PartialResponseDisabled: c.disabled, PartialResponseStrategy: c.strategy})
		require.NoError(t, err)
		require.Equal(t, c.want, <-allowed)
		_, err = s.LabelNames(t.Context(), &thanospb.LabelNamesRequest{PartialResponseDisabled: c.disabled, PartialResponseStrategy: c.strategy})
		require.NoError(t, err)
		require.Equal(t, c.want, <-allowed)
		_, err = s.LabelValues(t.Context(), &thanospb.LabelValuesRequest{Label: []byte("a"), PartialResponseDisabled: c.disabled, PartialResponseStrategy: c.strategy})
		require.NoError(t, err)
		require.Equal(t, c.want, <-allowed)
	}
}

// allowing is a querier that tells whether a partial response is allowed.
type allowing struct {
	storage.Querier
	allowed chan<- bool
}

func (a allowing) tell(ctx context.Context) { a.allowed <- remote.RequestFrom(ctx).PartialResponse }

func (a allowing) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	a.tell(ctx)
	return storage.EmptySeriesSet()
}

func (a allowing) LabelNames(ctx context.Context, _ *storage.LabelHints, _ ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	a.tell(ctx)
	return nil, nil, nil
}

func (a allowing) LabelValues(ctx context.Context, _ string, _ *storage.LabelHints, _ ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	a.tell(ctx)
	return nil, nil, nil
}

// What would be answered wrongly is refused.
func TestThanosRefusals(t *testing.T) {
	f := &fake{coverage: []remote.Coverage{{Labels: labels.FromStrings("replica", "0"), Intervals: remote.Intervals{remote.Always}}}}
	q := thanospb.NewQueryClient(dialThanos(t, f, server.Options{}))
	for text, c := range map[string]func(r *thanospb.QueryRequest){
		"replica label":  func(r *thanospb.QueryRequest) { r.ReplicaLabels = []string{"replica"} },
		"unknown engine": func(r *thanospb.QueryRequest) { r.Engine = 3 },
		"store matchers": func(r *thanospb.QueryRequest) { r.StoreMatchers = []*thanospb.StoreMatchers{{}} },
		"sharding":       func(r *thanospb.QueryRequest) { r.ShardInfo = &thanospb.ShardInfo{TotalShards: 2} },
		"lookback":       func(r *thanospb.QueryRequest) { r.LookbackDeltaSeconds = -1 },
		"the time":       func(r *thanospb.QueryRequest) { r.TimeSeconds = math.MinInt64 },
		"the time 9":     func(r *thanospb.QueryRequest) { r.TimeoutSeconds = math.MaxInt64 },
	} {
		r := &thanospb.QueryRequest{Query: []byte("up")}
		c(r)
		_, err := messages(q.Query(t.Context(), r))
		require.ErrorContains(t, err, text)
		require.Contains(t, []codes.Code{codes.InvalidArgument, codes.FailedPrecondition}, status.Code(err))
	}
	for text, r := range map[string]*thanospb.QueryRangeRequest{
		"are no steps": {StartTimeSeconds: 2, EndTimeSeconds: 1, IntervalSeconds: 1},
		"or more than": {EndTimeSeconds: 1 << 30, IntervalSeconds: 1},
		"the time":     {EndTimeSeconds: math.MaxInt64, IntervalSeconds: 1},
	} {
		_, err := messages(q.QueryRange(t.Context(), r))
		require.ErrorContains(t, err, text)
	}
}

// A Thanos querier learns one time range for each label set.
func TestThanosInfo(t *testing.T) {
	f := &fake{coverage: []remote.Coverage{
		{Labels: labels.FromStrings("cluster", "a"), Intervals: remote.Intervals{{Start: -5, End: 10}, {Start: 20, End: 40}}},
		{Labels: labels.FromStrings("cluster", "b"), Intervals: remote.Intervals{{Start: 0, End: math.MaxInt64}}},
		{Labels: labels.FromStrings("cluster", "none")},
	}, caps: remote.Capabilities{GroupID: "g", PeerType: remote.PeerQuery}}
	info, err := thanospb.NewInfoClient(dialThanos(t, f, server.Options{Component: "store"})).Info(t.Context(), &thanospb.InfoRequest{})
	require.NoError(t, err)
	require.Equal(t, "store", info.ComponentType)
	require.NotNil(t, info.Query)
	require.Len(t, info.LabelSets, 2)
	require.Equal(t, [2]int64{-5, math.MaxInt64}, [2]int64{info.Store.MinTime, info.Store.MaxTime})
	require.Len(t, info.Store.TsdbInfos, 2)
	require.Equal(t, [2]int64{-5, 40}, [2]int64{info.Store.TsdbInfos[0].MinTime, info.Store.TsdbInfos[0].MaxTime})
	require.Len(t, info.Store.TsdbInfos[0].Intervals, 2)
	require.Empty(t, info.Store.TsdbInfos[1].Intervals)
	require.Equal(t, "g", info.StoreGroupId)
	require.Equal(t, thanospb.PeerType_PEER_QUERY, info.PeerType)
	require.False(t, info.Stride.Selects)
}
