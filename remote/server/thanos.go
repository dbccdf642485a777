package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// thanosServer is thanos.Query, whose method Query is another one than that of stride.v1.Engine.
type thanosServer struct {
	thanospb.UnimplementedQueryServer
	s *Server
}

// thanosRequest is what both methods of thanos.Query are asked.
type thanosRequest interface {
	GetQuery() []byte
	GetTimeoutSeconds() int64
	GetLookbackDeltaSeconds() int64
	GetMaxResolutionSeconds() int64
	GetReplicaLabels() []string
	GetStoreMatchers() []*thanospb.StoreMatchers
	GetShardInfo() *thanospb.ShardInfo
	GetEnablePartialResponse() bool
	GetEngine() thanospb.EngineType
	GetResponseBatchSize() int64
}

// Query implements thanos.Query. With a partial response, an error is a warning.
func (t *thanosServer) Query(req *thanospb.QueryRequest, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
	if err := checkSeconds(req.TimeSeconds); err != nil {
		return err
	}
	at := time.Unix(req.TimeSeconds, 0)
	if req.TimeSeconds == 0 {
		at = time.Now()
	}
	err := t.answer(req, out, vectorSeries, func(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery) (promql.Query, error) {
		return t.s.engine.NewInstantQuery(ctx, opts, q, at)
	})
	var of *resultError
	if errors.As(err, &of) && req.EnablePartialResponse {
		return sendWarnings(out, of.err.Error())
	}
	return thanosStatus(err)
}

// QueryRange implements thanos.Query.
func (t *thanosServer) QueryRange(req *thanospb.QueryRangeRequest, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
	start, end, interval := req.StartTimeSeconds, req.EndTimeSeconds, req.IntervalSeconds
	if err := checkSeconds(start, end, interval); err != nil {
		return err
	}
	if _, err := rangeSteps(1000*start, 1000*end, 1000*max(1, interval)); err != nil {
		return err
	}
	return thanosStatus(t.answer(req, out, matrixSeries, func(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery) (promql.Query, error) {
		return t.s.engine.NewRangeQuery(ctx, opts, q, time.Unix(start, 0), time.Unix(end, 0), seconds(interval))
	}))
}

func seconds(s int64) time.Duration { return time.Duration(s) * time.Second }

// resultError is the error of a query that was run.
type resultError struct{ err error }

// Error is that of the query.
func (e *resultError) Error() string { return e.err.Error() }

// thanosStatus is the status that Thanos' queriers get for an error.
func thanosStatus(err error) error {
	if err == nil || isStatus(err) {
		return err
	}
	return status.Error(codes.Aborted, err.Error())
}

// answer runs a query and sends, as Thanos does, warnings, series and statistics, in this order and after all is there.
func (t *thanosServer) answer(req thanosRequest, out grpc.ServerStreamingServer[thanospb.QueryResponse], series func(parser.Value) (promql.Matrix, error), newQuery func(context.Context, promql.QueryOpts, remote.RemoteQuery) (promql.Query, error)) error {
	s := t.s
	if err := s.checkThanos(req); err != nil {
		return err
	}
	ctx := withMaxResolution(withPartialResponse(out.Context(), req.GetEnablePartialResponse()), seconds(req.GetMaxResolutionSeconds()))
	ctx, cancel := s.limitTime(ctx, seconds(req.GetTimeoutSeconds()))
	defer cancel()
	leave, err := s.gate.enter(ctx, remote.RequestFrom(ctx).ID)
	if err != nil {
		return err
	}
	defer leave()
	q, err := newQuery(ctx, promql.NewPrometheusQueryOpts(false, seconds(req.GetLookbackDeltaSeconds()), nil), &remote.Text{Query: string(req.GetQuery())})
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return &resultError{res.Err}
	}
	matrix, err := series(res.Value)
	if err != nil {
		return &resultError{err}
	}
	if err := s.meterResult(matrix); err != nil {
		return &resultError{err}
	}
	if len(res.Warnings) > 0 {
		if err := sendWarnings(out, joined(res.Warnings)); err != nil {
			return err
		}
	}
	if err := sendSeries(out, matrix, int(min(req.GetResponseBatchSize(), maxBatch))); err != nil {
		return err
	}
	st := &thanospb.QueryStats{}
	if qs := q.Stats(); qs != nil && qs.Samples != nil {
		st.SamplesTotal, st.PeakSamples = qs.Samples.TotalSamples, int64(qs.Samples.PeakSamples)
	}
	return out.Send(&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Stats{Stats: st}})
}

// withPartialResponse allows a partial response where a Thanos querier does, which says so in the request itself.
func withPartialResponse(ctx context.Context, allowed bool) context.Context {
	r := remote.RequestFrom(ctx)
	r.PartialResponse = r.PartialResponse || allowed
	return remote.WithRequest(ctx, r)
}

// withMaxResolution lets downsampled data do where a Thanos querier says so in the request itself.
func withMaxResolution(ctx context.Context, resolution time.Duration) context.Context {
	if resolution == 0 {
		return ctx
	}
	r := remote.RequestFrom(ctx)
	r.MaxSourceResolution = resolution
	return remote.WithRequest(ctx, r)
}

// storesMayFail tells whether a request for samples allows a partial response.
func storesMayFail(req interface {
	GetPartialResponseDisabled() bool
	GetPartialResponseStrategy() thanospb.PartialResponseStrategy
}) bool {
	return !req.GetPartialResponseDisabled() && req.GetPartialResponseStrategy() == thanospb.PartialResponseStrategy_WARN
}

// checkThanos refuses what would be answered wrongly otherwise.
func (s *Server) checkThanos(req thanosRequest) error {
	if err := s.checkReplicaLabels(req.GetReplicaLabels()); err != nil {
		return err
	}
	switch _, known := thanospb.EngineType_name[int32(req.GetEngine())]; {
	case !known:
		return status.Error(codes.InvalidArgument, fmt.Sprintf("unknown engine %d", req.GetEngine()))
	case len(req.GetStoreMatchers()) > 0:
		return status.Error(codes.InvalidArgument, "store matchers are not supported: this node has no stores to choose from")
	case req.GetShardInfo().GetTotalShards() > 1:
		return status.Error(codes.InvalidArgument, "sharding is not supported: send the query whole")
	case req.GetLookbackDeltaSeconds() < 0:
		return status.Error(codes.InvalidArgument, "a lookback of less than nothing makes no sense")
	case req.GetMaxResolutionSeconds() < 0:
		return status.Error(codes.InvalidArgument, "a resolution of less than nothing makes no sense")
	}
	return checkSeconds(req.GetLookbackDeltaSeconds(), req.GetTimeoutSeconds(), req.GetMaxResolutionSeconds())
}

// maxSeconds is the latest time, and the longest, that is understood.
const maxSeconds = math.MaxInt64 / int64(time.Second)

func checkSeconds(ts ...int64) error {
	for _, t := range ts {
		if t < -maxSeconds || t > maxSeconds {
			return status.Error(codes.InvalidArgument, fmt.Sprintf("the time %d s makes no sense", t))
		}
	}
	return nil
}

// matrixSeries are the series of a range query's result.
func matrixSeries(v parser.Value) (promql.Matrix, error) {
	if m, ok := v.(promql.Matrix); ok {
		return m, nil
	}
	return nil, fmt.Errorf("a range query gave a %s", v.Type())
}

// vectorSeries are the series of an instant query's result: a scalar is one without labels. Thanos leaves others out without a
// word; here they are an error.
func vectorSeries(v parser.Value) (promql.Matrix, error) {
	switch v := v.(type) {
	case promql.Scalar:
		return promql.Matrix{{Floats: []promql.FPoint{{T: v.T, F: v.V}}}}, nil
	case promql.Vector:
		m := make(promql.Matrix, len(v))
		for i, s := range v {
			m[i].Metric = s.Metric
			if s.H != nil {
				m[i].Histograms = []promql.HPoint{{T: s.T, H: s.H}}
			} else {
				m[i].Floats = []promql.FPoint{{T: s.T, F: s.F}}
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("the query gives a %s, which this API cannot send: only scalars and vectors can be sent", parser.DocumentedType(v.Type()))
}

func (s *Server) meterResult(m promql.Matrix) error {
	meter := s.newMeter()
	for _, series := range m {
		samples := int64(len(series.Floats))
		for _, p := range series.Histograms {
			samples += histogramSamples(p.H.Size())
		}
		if err := meter.count(0, 1, samples); err != nil {
			return err
		}
	}
	return nil
}

// joined are all annotations in one text.
func joined(as annotations.Annotations) string {
	return strings.Join(slices.Sorted(maps.Keys(as)), ", ")
}

func sendWarnings(out grpc.ServerStreamingServer[thanospb.QueryResponse], text string) error {
	return out.Send(&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Warnings{Warnings: []byte(text)}})
}

// maxBatch is the most series that are sent at once.
const maxBatch = 1024

// sendSeries sends series in batches or, if batch is less than two, one by one.
func sendSeries(out grpc.ServerStreamingServer[thanospb.QueryResponse], m promql.Matrix, batch int) error {
	var pending [][]byte
	size := 0
	for i, series := range m {
		b, err := wire.EncodeThanosSeries(series)
		if err != nil {
			return err
		}
		if batch < 2 {
			if err := out.Send(&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: b}}); err != nil {
				return err
			}
			continue
		}
		pending = append(pending, b)
		size += len(b)
		if len(pending) < batch && size < batchBytes && i < len(m)-1 {
			continue
		}
		if err := out.Send(&thanospb.QueryResponse{Result: &thanospb.QueryResponse_TimeseriesBatch{TimeseriesBatch: &thanospb.TimeSeriesBatch{Series: pending}}}); err != nil {
			return err
		}
		pending, size = nil, 0
	}
	return nil
}
