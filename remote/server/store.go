package server

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// storeServer is thanos.Store: the samples of an engine for Thanos' queriers.
type storeServer struct {
	thanospb.UnimplementedStoreServer
	s    *Server
	from remote.Selector
}

// Series implements thanos.Store. Series come in the order of their labels, replica labels among them: the node does not announce that it
// can leave these out, so that who asks does.
func (st *storeServer) Series(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) (err error) {
	matchers, err := storeMatchers(req.Matchers)
	if err != nil {
		return err
	}
	hints := &storage.SelectHints{Start: req.MinTime, End: req.MaxTime, Limit: int(req.Limit)}
	ctx := withPartialResponse(out.Context(), storesMayFail(req))
	of, ok := aggregated[fmt.Sprint(req.Aggregates)]
	hints.Func = of // also where samples alone will do: deduplication has to know of counters
	if ok && !req.SkipChunks && req.MaxResolutionWindow > 0 {
		ctx = withMaxResolution(ctx, time.Duration(min(req.MaxResolutionWindow, maxResolution))*time.Millisecond)
	}
	ctx, cancel := st.s.limitTime(ctx, 0)
	defer cancel()
	leave, err := st.s.gate.enter(ctx, remote.RequestFrom(ctx).ID)
	if err != nil {
		return err
	}
	defer leave()
	defer func() { err = thanosStatus(err) }()
	if req.SkipChunks {
		hints.Func = "series" // as Prometheus says that it needs no samples
	}
	set, err := selectSamples(ctx, st.from, req.MinTime, req.MaxTime, true, hints, matchers)
	if err != nil {
		return err
	}
	defer set.finish(&err)
	w := &seriesWriter{send: out.Send, batch: int(min(req.ResponseBatchSize, maxBatch)), meter: st.s.newMeter()}
	// The limit is a hint to storages, which may give more.
	for left := req.Limit; (req.Limit <= 0 || left > 0) && set.Next(); {
		series := set.At()
		if !inShard(req.ShardInfo, series.Labels()) {
			continue
		}
		left--
		if err := w.write(series, req.SkipChunks); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := set.Err(); err != nil {
		return promql.ErrStorage{Err: err}
	}
	if err := w.flush(); err != nil {
		return err
	}
	for _, text := range texts(set.Warnings()) {
		if err := out.Send(&thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Warning{Warning: text}}); err != nil {
			return err
		}
	}
	return nil
}

// aggregated are functions that read the given aggregates of downsampled data: what is asked for in place of others is sent as samples, which Thanos'
// queriers take for the aggregate. Whoever asks for other aggregates at once gets none. Queriers name aggregates in every request, so that they also
// tell what samples are read for: those of counters do not fall where deduplication goes over to another replica.
var aggregated = map[string]string{
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_COUNT}):                    "count_over_time",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_SUM}):                      "sum_over_time",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_MIN}):                      "min_over_time",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_MAX}):                      "max_over_time",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_COUNTER}):                  "increase",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_COUNT, thanospb.Aggr_SUM}): "",
	fmt.Sprint([]thanospb.Aggr{thanospb.Aggr_SUM, thanospb.Aggr_COUNT}): "",
}

// maxResolution (ms) is beyond all resolutions that there are.
const maxResolution = 1 << 40

// storeMatchers reads matchers, of which Thanos wants at least one.
func storeMatchers(in []*thanospb.LabelMatcher) ([]*labels.Matcher, error) {
	matchers, err := wire.DecodeThanosMatchers(in)
	if err == nil && len(matchers) == 0 {
		err = fmt.Errorf("no matchers specified")
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return matchers, nil
}

// inShard tells whether a series is in the part of all series that is asked for.
func inShard(of *thanospb.ShardInfo, l labels.Labels) bool {
	if of.GetTotalShards() < 2 {
		return true
	}
	var buf []byte
	l.Range(func(l labels.Label) {
		listed := slices.ContainsFunc(of.Labels, func(name []byte) bool { return string(name) == l.Name })
		if listed == of.By {
			buf = append(buf, l.Name...)
			buf = append(buf, 0xff)
			buf = append(buf, l.Value...)
			buf = append(buf, 0xff)
		}
	})
	return xxhash.Sum64(buf)%uint64(of.TotalShards) == uint64(of.ShardIndex)
}

// seriesWriter sends series: in batches or, if batch is less than two, one by one. One with many chunks is sent in parts.
type seriesWriter struct {
	send    func(*thanospb.SeriesResponse) error
	batch   int
	meter   *meter
	pending []*thanospb.Series
	size    int
	it      chunks.Iterator
}

func (w *seriesWriter) write(series storage.ChunkSeries, withoutChunks bool) error {
	if err := w.meter.count(0, 1, 0); err != nil {
		return err
	}
	set, err := wire.ThanosSeriesLabels(series.Labels())
	if err != nil {
		return err
	}
	m := w.add(set)
	if withoutChunks {
		return w.flushFull()
	}
	for w.it = series.Iterator(w.it); w.it.Next(); {
		c := w.it.At()
		if err := w.meter.count(0, 0, int64(c.Chunk.NumSamples())); err != nil {
			return err
		}
		if w.size > batchBytes {
			if err := w.flush(); err != nil {
				return err
			}
			m = w.add(set) // more of the same
		}
		chunk, err := encodeThanosChunk(c)
		if err != nil {
			return fmt.Errorf("series %s: %w", series.Labels(), err)
		}
		m.Chunks = append(m.Chunks, chunk)
		w.size += len(chunk.Raw.Data)
	}
	if err := w.it.Err(); err != nil {
		return promql.ErrStorage{Err: fmt.Errorf("series %s: %w", series.Labels(), err)}
	}
	return w.flushFull()
}

func (w *seriesWriter) add(set [][]byte) *thanospb.Series {
	m := &thanospb.Series{Labels: set}
	w.pending = append(w.pending, m)
	for _, l := range set {
		w.size += len(l)
	}
	return m
}

func (w *seriesWriter) flushFull() error {
	if len(w.pending) < w.batch && w.size <= batchBytes {
		return nil
	}
	return w.flush()
}

func (w *seriesWriter) flush() error {
	pending := w.pending
	w.pending, w.size = nil, 0
	switch {
	case len(pending) == 0:
		return nil
	case w.batch >= 2:
		return w.send(&thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Batch{Batch: &thanospb.SeriesBatch{Series: pending}}})
	}
	for _, m := range pending {
		if err := w.send(&thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Series{Series: m}}); err != nil {
			return err
		}
	}
	return nil
}

// encodeThanosChunk gives a chunk that Thanos reads, which knows the encodings of before XOR2.
func encodeThanosChunk(c chunks.Meta) (*thanospb.AggrChunk, error) {
	if c.Chunk.Encoding() == chunkenc.EncXOR2 {
		plain := chunkenc.NewXORChunk()
		app, err := plain.Appender()
		if err != nil {
			return nil, err
		}
		it := c.Chunk.Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			t, v := it.At()
			app.Append(0, t, v)
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		c.Chunk = plain
	}
	return wire.EncodeThanosChunk(c)
}

// LabelNames implements thanos.Store.
func (st *storeServer) LabelNames(ctx context.Context, req *thanospb.LabelNamesRequest) (*thanospb.LabelNamesResponse, error) {
	ctx, cancel := st.s.limitTime(withPartialResponse(ctx, storesMayFail(req)), 0)
	defer cancel()
	names, warnings, err := st.labels(ctx, req.Start, req.End, req.Matchers, func(q storage.Querier, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, &storage.LabelHints{Limit: int(req.Limit)}, matchers...)
	})
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(req.WithoutReplicaLabels, name) })
	return &thanospb.LabelNamesResponse{Names: byteTexts(names), Warnings: texts(warnings)}, nil
}

// LabelValues implements thanos.Store.
func (st *storeServer) LabelValues(ctx context.Context, req *thanospb.LabelValuesRequest) (*thanospb.LabelValuesResponse, error) {
	if len(req.Label) == 0 {
		return nil, status.Error(codes.InvalidArgument, "label name parameter cannot be empty")
	}
	ctx, cancel := st.s.limitTime(withPartialResponse(ctx, storesMayFail(req)), 0)
	defer cancel()
	values, warnings, err := st.labels(ctx, req.Start, req.End, req.Matchers, func(q storage.Querier, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		if slices.Contains(req.WithoutReplicaLabels, string(req.Label)) {
			return nil, nil, nil
		}
		return q.LabelValues(ctx, string(req.Label), &storage.LabelHints{Limit: int(req.Limit)}, matchers...)
	})
	if err != nil {
		return nil, err
	}
	return &thanospb.LabelValuesResponse{Values: byteTexts(values), Warnings: texts(warnings)}, nil
}

// labels asks the storage for names or values of labels.
func (st *storeServer) labels(ctx context.Context, mint, maxt int64, in []*thanospb.LabelMatcher, ask func(storage.Querier, []*labels.Matcher) ([]string, annotations.Annotations, error)) (found []string, warnings annotations.Annotations, err error) {
	matchers, err := wire.DecodeThanosMatchers(in)
	if err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if mint == 0 && maxt == 0 {
		maxt = math.MaxInt64
	}
	leave, err := st.s.gate.enter(ctx, remote.RequestFrom(ctx).ID)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	q, err := st.from.Querier(mint, maxt)
	if err != nil {
		return nil, nil, thanosStatus(promql.ErrStorage{Err: err})
	}
	defer q.Close()
	found, warnings, err = ask(q, matchers)
	if err != nil {
		return nil, nil, thanosStatus(promql.ErrStorage{Err: err})
	}
	return found, warnings, nil
}

func byteTexts(in []string) [][]byte {
	out := make([][]byte, len(in))
	for i, s := range in {
		out[i] = []byte(s)
	}
	return out
}

// texts are annotations as texts.
func texts(as annotations.Annotations) [][]byte {
	return byteTexts(slices.Sorted(maps.Keys(as)))
}
