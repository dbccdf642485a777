package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// strideMessages are messages as Stride makes them, with all their fields.
func strideMessages(t *testing.T) map[string]proto.Message {
	t.Helper()
	set, err := AppendThanosLabels(labels.FromStrings("cluster", "a", "raw", "\xff"))
	require.NoError(t, err)
	l := labels.FromStrings("__name__", "m", "raw", "\xff")
	of, err := ThanosSeriesLabels(l)
	require.NoError(t, err)
	floats, err := EncodeThanosSeries(promql.Series{Metric: l, Floats: []promql.FPoint{{T: 1000, F: -0.5}, {T: 3000, F: math.Inf(1)}}})
	require.NoError(t, err)
	histograms, err := EncodeThanosSeries(promql.Series{Metric: l, Histograms: []promql.HPoint{
		{T: 2000, H: &histogram.FloatHistogram{
			CounterResetHint: histogram.GaugeType, Schema: 3, ZeroThreshold: .25, ZeroCount: 1.5, Count: 8.5, Sum: -2,
			PositiveSpans: []histogram.Span{{Offset: -1, Length: 2}}, PositiveBuckets: []float64{1, 2},
			NegativeSpans: []histogram.Span{{Offset: 3, Length: 1}}, NegativeBuckets: []float64{4},
		}},
		{T: 3000, H: &histogram.FloatHistogram{
			Schema: histogram.CustomBucketsSchema, Count: 3, Sum: 5,
			PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []float64{1, 2}, CustomValues: []float64{.5},
		}},
	}})
	require.NoError(t, err)
	matchers := EncodeThanosMatchers([]*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, "a", "\xff"), labels.MustNewMatcher(labels.MatchNotEqual, "b", ""),
		labels.MustNewMatcher(labels.MatchRegexp, "c", "x|y"), labels.MustNewMatcher(labels.MatchNotRegexp, "d", ".+"),
	})
	stores := []*thanospb.StoreMatchers{{LabelMatchers: matchers}}
	shard := &thanospb.ShardInfo{ShardIndex: 1, TotalShards: 2, By: true, Labels: [][]byte{[]byte("x")}}
	xor := chunkenc.NewXORChunk()
	app, err := xor.Appender()
	require.NoError(t, err)
	app.Append(0, 1000, 1)
	app.Append(0, 2000, 2.5)
	chunk, err := EncodeThanosChunk(chunks.Meta{MinTime: 1000, MaxTime: 2000, Chunk: xor})
	require.NoError(t, err)
	series := &thanospb.Series{Labels: of, Chunks: []*thanospb.AggrChunk{chunk}}
	return map[string]proto.Message{
		"infopb.InfoRequest/request": &thanospb.InfoRequest{},
		"infopb.InfoResponse/response": &thanospb.InfoResponse{
			LabelSets: [][]byte{set}, ComponentType: "query", Query: &thanospb.QueryAPIInfo{}, Status: &thanospb.StatusInfo{},
			Store: &thanospb.StoreInfo{MinTime: 1, MaxTime: math.MaxInt64, SupportsSharding: true, SupportsWithoutReplicaLabels: true, TsdbInfos: []*thanospb.TSDBInfo{
				{Labels: set, MinTime: 1, MaxTime: math.MaxInt64, Intervals: []*thanospb.Interval{{Start: 1, End: 10}, {Start: 20, End: math.MaxInt64}}},
			}},
			StoreGroupId: "bucket", PeerType: thanospb.PeerType_PEER_STORE,
			Stride: &thanospb.StrideInfo{LanguageLevel: "3.16", PlanVersion: 1, LabelHash: "slicelabels", Selects: true},
		},
		"querypb.QueryRequest/instant query": &thanospb.QueryRequest{
			Query: []byte("m{raw=\"\xff\"}"), TimeSeconds: 1, TimeoutSeconds: 2, MaxResolutionSeconds: 3, ReplicaLabels: []string{"replica"}, StoreMatchers: stores,
			EnableDedup: true, EnablePartialResponse: true, SkipChunks: true, ShardInfo: shard, LookbackDeltaSeconds: 300, Engine: thanospb.EngineType_prometheus, ResponseBatchSize: 64,
		},
		"querypb.QueryRangeRequest/range query": &thanospb.QueryRangeRequest{
			Query: []byte("m"), StartTimeSeconds: -1, EndTimeSeconds: 2, IntervalSeconds: 3, TimeoutSeconds: 4, MaxResolutionSeconds: 5, ReplicaLabels: []string{"replica"}, StoreMatchers: stores,
			EnableDedup: true, EnablePartialResponse: true, SkipChunks: true, ShardInfo: shard, LookbackDeltaSeconds: 300, Engine: thanospb.EngineType_thanos, ResponseBatchSize: 64,
		},
		"querypb.QueryResponse/warnings":        &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Warnings{Warnings: []byte("one, \xff")}},
		"querypb.QueryResponse/series":          &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: floats}},
		"querypb.QueryRangeResponse/histograms": &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: histograms}},
		"querypb.QueryRangeResponse/statistics": &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Stats{Stats: &thanospb.QueryStats{SamplesTotal: 7, PeakSamples: 5}}},
		"querypb.QueryRangeResponse/batch": &thanospb.QueryResponse{Result: &thanospb.QueryResponse_TimeseriesBatch{
			TimeseriesBatch: &thanospb.TimeSeriesBatch{Series: [][]byte{floats, histograms}},
		}},
		"storepb.SeriesRequest/request": &thanospb.SeriesRequest{
			MinTime: -1, MaxTime: 2, Matchers: matchers, MaxResolutionWindow: 300000, Aggregates: []thanospb.Aggr{thanospb.Aggr_RAW, thanospb.Aggr_COUNT, thanospb.Aggr_COUNTER},
			PartialResponseDisabled: true, PartialResponseStrategy: thanospb.PartialResponseStrategy_ABORT, SkipChunks: true, ShardInfo: shard,
			WithoutReplicaLabels: []string{"replica"}, Limit: 10, ResponseBatchSize: 64,
		},
		"storepb.SeriesResponse/series":  &thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Series{Series: series}},
		"storepb.SeriesResponse/warning": &thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Warning{Warning: []byte("\xff")}},
		"storepb.SeriesResponse/batch":   &thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Batch{Batch: &thanospb.SeriesBatch{Series: []*thanospb.Series{series, {Labels: of}}}}},
		"storepb.LabelNamesRequest/label names request": &thanospb.LabelNamesRequest{
			PartialResponseDisabled: true, PartialResponseStrategy: thanospb.PartialResponseStrategy_ABORT, Start: 1, End: 2, Matchers: matchers, WithoutReplicaLabels: []string{"replica"}, Limit: 10,
		},
		"storepb.LabelNamesResponse/label names": &thanospb.LabelNamesResponse{Names: [][]byte{[]byte("a"), []byte("\xff")}, Warnings: [][]byte{[]byte("one")}},
		"storepb.LabelValuesRequest/label values request": &thanospb.LabelValuesRequest{
			Label: []byte("a"), PartialResponseDisabled: true, PartialResponseStrategy: thanospb.PartialResponseStrategy_ABORT, Start: 1, End: 2, Matchers: matchers,
			WithoutReplicaLabels: []string{"replica"}, Limit: 10,
		},
		"storepb.LabelValuesResponse/label values": &thanospb.LabelValuesResponse{Values: [][]byte{[]byte("\xff")}, Warnings: [][]byte{[]byte("one")}},
	}
}

// strideOnly are the fields that Thanos has never had.
var strideOnly = []string{"InfoResponse.store_group_id", "InfoResponse.peer_type", "InfoResponse.stride", "TSDBInfo.intervals"}

// What Stride writes is read by Thanos' types of several versions, but for what they do not have.
func TestGoldenOfStride(t *testing.T) {
	made := goldenFile{}
	all := strideMessages(t)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		of, name, _ := strings.Cut(key, "/")
		require.IsType(t, types[of], all[key])
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(all[key])
		require.NoError(t, err)
		made.Messages = append(made.Messages, goldenMessage{Name: name, Type: of, Bytes: append([]byte{}, b...)})
	}
	if *update {
		b, err := json.MarshalIndent(made, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(goldenDir+"stride.json", append(b, '\n'), 0o644))
	}
	require.Equal(t, made, readGolden(t, "stride.json"), "other bytes than before: run make golden")
	for _, version := range goldenVersions {
		lacks := append(slices.Clone(strideOnly), readGolden(t, version+"/messages.json").Lacks...)
		understood := readGolden(t, version+"/understood.json")
		require.Len(t, understood.Messages, len(made.Messages))
		for i, m := range understood.Messages {
			t.Run(version+"/"+m.Type+"/"+m.Name, func(t *testing.T) {
				require.True(t, bytes.Equal(made.Messages[i].Bytes, m.Bytes), "of other bytes: run make golden")
				want := described(t, all[m.Type+"/"+m.Name].ProtoReflect())
				lost := lose(want, strings.SplitAfterN(m.Type, ".", 2)[1], lacks)
				require.Equal(t, want, m.Fields)
				require.Equal(t, !lost, m.Same)
			})
		}
	}
}

// nested are the types of fields that versions differ in.
var nested = map[string]string{"tsdb_infos": "TSDBInfo", "histograms": "Histogram"}

// lose takes the fields that a version lacks out of a message, and tells whether there were any.
func lose(fields map[string]any, of string, lacks []string) (lost bool) {
	for name, v := range fields {
		if slices.ContainsFunc(lacks, func(l string) bool { return l == of+"."+name || strings.HasSuffix(l, "."+of+"."+name) }) {
			delete(fields, name)
			lost = true
			continue
		}
		each(v, func(m map[string]any) { lost = lose(m, nested[name], lacks) || lost })
	}
	return lost
}
