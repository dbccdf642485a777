package wire

import (
	"math"
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// raw builds messages field by field, as Thanos' definitions number them.
type raw []byte

func (r raw) varint(field protowire.Number, v uint64) raw {
	return protowire.AppendVarint(protowire.AppendTag(r, field, protowire.VarintType), v)
}

func (r raw) bytes(field protowire.Number, v []byte) raw {
	return protowire.AppendBytes(protowire.AppendTag(r, field, protowire.BytesType), v)
}

func (r raw) text(field protowire.Number, v string) raw { return r.bytes(field, []byte(v)) }

func (r raw) double(field protowire.Number, v float64) raw {
	return protowire.AppendFixed64(protowire.AppendTag(r, field, protowire.Fixed64Type), math.Float64bits(v))
}

func packed(vs ...float64) (out []byte) {
	for _, v := range vs {
		out = protowire.AppendFixed64(out, math.Float64bits(v))
	}
	return out
}

func label(name, value string) raw { return raw{}.text(1, name).text(2, value) }

// The fields of requests have the numbers that Thanos' have.
func TestThanosRequests(t *testing.T) {
	var instant thanospb.QueryRequest
	require.NoError(t, proto.Unmarshal(raw{}.text(1, "up{a=\"\xff\"}").varint(2, 1).varint(3, 2).varint(4, 3).text(5, "replica").
		bytes(6, raw{}.bytes(1, raw{}.varint(1, 2).text(2, "a").text(3, "\xff"))).
		varint(7, 1).varint(8, 1).varint(10, 1).bytes(11, raw{}.varint(1, 1).varint(2, 2).varint(3, 1).text(4, "x")).
		varint(12, 5).varint(13, 1).bytes(14, raw{}.text(1, "{}")).varint(15, 64), &instant))
	instant.ProtoReflect().SetUnknown(nil) // the plan
	require.True(t, proto.Equal(&thanospb.QueryRequest{
		Query: []byte("up{a=\"\xff\"}"), TimeSeconds: 1, TimeoutSeconds: 2, MaxResolutionSeconds: 3, ReplicaLabels: []string{"replica"},
		StoreMatchers: []*thanospb.StoreMatchers{{LabelMatchers: []*thanospb.LabelMatcher{{Type: thanospb.LabelMatcher_RE, Name: []byte("a"), Value: []byte("\xff")}}}},
		EnableDedup:   true, EnablePartialResponse: true, SkipChunks: true,
		ShardInfo:            &thanospb.ShardInfo{ShardIndex: 1, TotalShards: 2, By: true, Labels: [][]byte{[]byte("x")}},
		LookbackDeltaSeconds: 5, Engine: thanospb.EngineType_prometheus, ResponseBatchSize: 64,
	}, &instant))

	var ranged thanospb.QueryRangeRequest
	require.NoError(t, proto.Unmarshal(raw{}.text(1, "up").varint(2, 1).varint(3, 2).varint(4, 3).varint(5, 4).varint(6, 5).text(7, "replica").
		varint(9, 1).varint(10, 1).varint(12, 1).varint(14, 6).varint(15, 2).varint(17, 64), &ranged))
	require.True(t, proto.Equal(&thanospb.QueryRangeRequest{
		Query: []byte("up"), StartTimeSeconds: 1, EndTimeSeconds: 2, IntervalSeconds: 3, TimeoutSeconds: 4, MaxResolutionSeconds: 5,
		ReplicaLabels: []string{"replica"}, EnableDedup: true, EnablePartialResponse: true, SkipChunks: true,
		LookbackDeltaSeconds: 6, Engine: thanospb.EngineType_thanos, ResponseBatchSize: 64,
	}, &ranged))

	set := raw{}.bytes(1, label("cluster", "\xff"))
	var info thanospb.InfoResponse
	require.NoError(t, proto.Unmarshal(raw{}.bytes(1, set).text(2, "query").
		bytes(3, raw{}.varint(1, 1).varint(2, 2).varint(5, 1).bytes(6, raw{}.bytes(1, set).varint(2, 3).varint(3, 4))).bytes(8, nil), &info))
	require.True(t, proto.Equal(&thanospb.InfoResponse{
		LabelSets: [][]byte{set}, ComponentType: "query", Query: &thanospb.QueryAPIInfo{},
		Store: &thanospb.StoreInfo{MinTime: 1, MaxTime: 2, SupportsWithoutReplicaLabels: true, TsdbInfos: []*thanospb.TSDBInfo{{Labels: set, MinTime: 3, MaxTime: 4}}},
	}, &info))

	var series thanospb.SeriesRequest
	require.NoError(t, proto.Unmarshal(raw{}.varint(1, 1).varint(2, 2).bytes(3, raw{}.varint(1, 3).text(2, "a").text(3, "b")).varint(6, 1).varint(7, 1).varint(15, 3).varint(16, 64), &series))
	require.True(t, proto.Equal(&thanospb.SeriesRequest{
		MinTime: 1, MaxTime: 2, Matchers: EncodeThanosMatchers([]*labels.Matcher{labels.MustNewMatcher(labels.MatchNotRegexp, "a", "b")}),
		PartialResponseDisabled: true, PartialResponseStrategy: thanospb.PartialResponseStrategy_ABORT, Limit: 3, ResponseBatchSize: 64,
	}, &series))
}

// A series has the bytes that Thanos sends, and is read from them.
func TestThanosSeriesBytes(t *testing.T) {
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.GaugeType, Schema: -1, ZeroThreshold: .25, ZeroCount: 1.5, Count: 7, Sum: -2,
		PositiveSpans: []histogram.Span{{Offset: -1, Length: 2}}, PositiveBuckets: []float64{1, 2},
		NegativeSpans: []histogram.Span{{Offset: 3, Length: 1}}, NegativeBuckets: []float64{4},
	}
	sint := func(v int64) uint64 { return protowire.EncodeZigZag(v) }
	encoded := []byte(raw{}.
		bytes(1, label("__name__", "m")).bytes(1, label("a", "\xff")).
		bytes(2, raw{}.double(1, 2.5).varint(2, 1000)).
		bytes(4, raw{}.double(2, 7).double(3, -2).varint(4, sint(-1)).double(5, .25).double(7, 1.5).
			bytes(8, raw{}.varint(1, sint(3)).varint(2, 1)).bytes(10, packed(4)).
			bytes(11, raw{}.varint(1, sint(-1)).varint(2, 2)).bytes(13, packed(1, 2)).
			varint(14, 3).varint(15, 2000)))
	l := labels.FromStrings("__name__", "m", "a", "\xff")
	got, err := EncodeThanosSeries(promql.Series{Metric: l, Floats: []promql.FPoint{{T: 1000, F: 2.5}}, Histograms: []promql.HPoint{{T: 2000, H: h}}})
	require.NoError(t, err)
	require.Equal(t, encoded, got)

	b := labels.NewScratchBuilder(0)
	c, err := DecodeThanosSeries([][]byte{encoded}, Steps{Start: 1000, Interval: 1000, N: 3}, &b)
	require.NoError(t, err)
	require.Equal(t, []remote.Series{{Labels: l}}, c.Series)
	require.Equal(t, []float64{2.5, 0, 0}, c.F)
	require.True(t, same(h, c.H[1]))

	set, err := AppendThanosLabels(l)
	require.NoError(t, err)
	require.Equal(t, []byte(raw{}.bytes(1, label("__name__", "m")).bytes(1, label("a", "\xff"))), set)
}

func TestThanosSeries(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	steps := Steps{Start: -5000, Interval: 1000, N: 20}
	for range 200 {
		want := someColumns(rng, 1+rng.Intn(5), 0, steps.N)
		var all [][]byte
		for row, s := range want.Series {
			series := promql.Series{Metric: s.Labels}
			for step := range steps.N {
				p, t := row*steps.N+step, steps.Start+int64(step)*steps.Interval
				if want.Valid.Get(p) {
					want.F[p] += 0 // as all of Thanos' peers, the encoding takes -0 for 0
					series.Floats = append(series.Floats, promql.FPoint{T: t, F: want.F[p]})
				} else if want.H != nil && want.HValid.Get(p) {
					want.H[p].Sum += 0
					series.Histograms = append(series.Histograms, promql.HPoint{T: t, H: want.H[p]})
				}
			}
			b, err := EncodeThanosSeries(series)
			require.NoError(t, err)
			all = append(all, b)
		}
		b := labels.NewScratchBuilder(0)
		got, err := DecodeThanosSeries(all, steps, &b)
		require.NoError(t, err)
		for i := range want.Series {
			want.Series[i].DropName = false // it does not cross this wire
		}
		requireSame(t, want, reassembled(t, []*remote.Columns{got}, want.Series, 0, steps.N))
	}
}

// The sample of an instant query counts whatever its time.
func TestThanosSeriesOfOneStep(t *testing.T) {
	s, err := EncodeThanosSeries(promql.Series{Floats: []promql.FPoint{{T: 1000, F: 2.5}}})
	require.NoError(t, err)
	b := labels.NewScratchBuilder(0)
	c, err := DecodeThanosSeries([][]byte{s}, Steps{Start: 1500, Interval: 1, N: 1}, &b)
	require.NoError(t, err)
	require.Equal(t, []float64{2.5}, c.F)
}

func TestThanosSeriesOfNonsense(t *testing.T) {
	steps := Steps{Start: 0, Interval: 10, N: 3}
	at := func(ts ...int64) raw {
		var out raw
		for _, t := range ts {
			out = out.bytes(2, raw{}.double(1, 1).varint(2, uint64(t)))
		}
		return out
	}
	hist := func(h raw) raw { return raw{}.bytes(4, h) }
	for name, series := range map[string]raw{
		"no message":               {0xff},
		"between steps":            at(5),
		"before the first":         at(-10),
		"behind the last":          at(30),
		"far behind the last":      at(math.MaxInt64),
		"two samples at a step":    at(10, 10),
		"a sample and a histogram": append(at(10), hist(raw{}.double(2, 1).varint(15, 10))...),
		"two histograms":           append(hist(raw{}.double(2, 1)), hist(raw{}.double(2, 1))...),
		"a label twice":            append(raw{}.bytes(1, label("a", "b")).bytes(1, label("a", "b")), at(0)...),
		"a label without a name":   append(raw{}.bytes(1, label("", "b")), at(0)...),
		"a huge span":              hist(raw{}.double(2, 1).bytes(11, raw{}.varint(2, math.MaxUint32))),
		"an unknown schema":        hist(raw{}.double(2, 1).varint(4, 200)),
		"an unknown hint":          hist(raw{}.double(2, 1).varint(14, 4)),
		"a negative hint":          hist(raw{}.double(2, 1).varint(14, math.MaxUint64)),
	} {
		t.Run(name, func(t *testing.T) {
			b := labels.NewScratchBuilder(0)
			_, err := DecodeThanosSeries([][]byte{series}, steps, &b)
			require.Error(t, err)
		})
	}
	// Series without samples take no room, and labels without values are none.
	b := labels.NewScratchBuilder(0)
	c, err := DecodeThanosSeries([][]byte{raw{}.bytes(1, label("a", "b")), append(raw{}.bytes(1, label("z", "y")).bytes(1, label("c", "")).bytes(1, label("a", "b")), at(0)...)}, steps, &b)
	require.NoError(t, err)
	require.Equal(t, []remote.Series{{Labels: labels.FromStrings("a", "b", "z", "y")}}, c.Series)
}

// FuzzThanosSeries decodes any bytes.
func FuzzThanosSeries(f *testing.F) {
	rng := rand.New(rand.NewSource(1))
	for range 10 {
		b, err := EncodeThanosSeries(promql.Series{
			Metric: labels.FromStrings("a", "b"), Floats: []promql.FPoint{{T: 0, F: 1}}, Histograms: []promql.HPoint{{T: 10, H: someHistogram(rng)}},
		})
		require.NoError(f, err)
		f.Add(b)
	}
	for _, name := range []string{"histograms of an instant query", "custom buckets of an instant query", "integer histograms of a range query", "exemplars of a range query"} {
		var res thanospb.QueryResponse
		require.NoError(f, proto.Unmarshal(goldenBytes(f, "v0.42.4", name), &res))
		f.Add(res.GetTimeseries())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := labels.NewScratchBuilder(0)
		c, err := DecodeThanosSeries([][]byte{in}, Steps{Start: 0, Interval: 10, N: 3}, &b)
		if err != nil || c.H == nil {
			return
		}
		for p := range c.H {
			if c.HValid.Get(p) {
				for it := c.H[p].AllBucketIterator(); it.Next(); {
					it.At()
				}
			}
		}
	})
}
