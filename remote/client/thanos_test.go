package client

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

func sendAll[T any](out grpc.ServerStreamingServer[T], all ...*T) error {
	for _, m := range all {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func one(b []byte) *thanospb.QueryResponse {
	return &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: b}}
}

func batch(bs ...[]byte) *thanospb.QueryResponse {
	return &thanospb.QueryResponse{Result: &thanospb.QueryResponse_TimeseriesBatch{TimeseriesBatch: &thanospb.TimeSeriesBatch{Series: bs}}}
}

// A Thanos node is told all that its API has room for, and answers in any mixture of messages.
func TestThanosRange(t *testing.T) {
	var got *thanospb.QueryRangeRequest
	p := &peer{answer: func(req any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
		got = req.(*thanospb.QueryRangeRequest)
		return sendAll(out,
			&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Warnings{Warnings: []byte("PromQL info: x, PromQL warning: y")}},
			&thanospb.QueryResponse{},
			one(encoded(t, "1", 10_000, 12_000)),
			batch(encoded(t, "2", 11_000), encoded(t, "none"), encoded(t, "3", 12_000)),
			&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Warnings{Warnings: []byte("a store is lost")}},
			&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Stats{Stats: &thanospb.QueryStats{SamplesTotal: 5, PeakSamples: 3}}},
		)
	}}
	c := connect(t, p, thanosInfo, Options{ReplicaLabels: []string{"replica"}})
	require.NoError(t, c.Refresh(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	q := rangeQuery(t, c, promql.NewPrometheusQueryOpts(false, 3*time.Minute, nil))
	res := q.Exec(ctx)
	require.NoError(t, res.Err)
	require.Equal(t, promql.Matrix{
		{Metric: labels.FromStrings("a", "1"), Floats: []promql.FPoint{{T: 10_000, F: 10_000}, {T: 12_000, F: 12_000}}},
		{Metric: labels.FromStrings("a", "2"), Floats: []promql.FPoint{{T: 11_000, F: 11_000}}},
		{Metric: labels.FromStrings("a", "3"), Floats: []promql.FPoint{{T: 12_000, F: 12_000}}},
	}, res.Value)
	warnings, infos := res.Warnings.AsStrings("up", 0, 0)
	require.ElementsMatch(t, []string{"PromQL warning: y", "remote engine leaf: a store is lost"}, warnings)
	require.Equal(t, []string{"PromQL info: x"}, infos)
	require.EqualValues(t, 5, q.Stats().Samples.TotalSamples)
	require.Equal(t, 3, q.Stats().Samples.PeakSamples)
	require.InDelta(t, 90, got.TimeoutSeconds, 1)
	got.TimeoutSeconds = 0
	require.True(t, proto.Equal(&thanospb.QueryRangeRequest{
		Query: []byte("up"), StartTimeSeconds: 10, EndTimeSeconds: 12, IntervalSeconds: 1, ReplicaLabels: []string{"replica"}, EnableDedup: true,
		LookbackDeltaSeconds: 180, MaxResolutionSeconds: 1, Engine: thanospb.EngineType_prometheus, ResponseBatchSize: 64,
	}, got), "%v", got)
}

func TestThanosInstant(t *testing.T) {
	var got *thanospb.QueryRequest
	p := &peer{answer: func(req any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
		got = req.(*thanospb.QueryRequest)
		return sendAll(out, batch(encoded(t, "1", 10_000), encoded(t, "2", 9_999)))
	}}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	q, err := c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up", Version: 1, Encoded: []byte("plan")}, time.Unix(10, 0))
	require.NoError(t, err)
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	require.Equal(t, promql.Vector{
		{Metric: labels.FromStrings("a", "1"), T: 10_000, F: 10_000}, {Metric: labels.FromStrings("a", "2"), T: 10_000, F: 9_999},
	}, res.Value)
	require.True(t, proto.Equal(&thanospb.QueryRequest{
		Query: []byte("up"), TimeSeconds: 10, EnableDedup: true, MaxResolutionSeconds: 1, Engine: thanospb.EngineType_prometheus, ResponseBatchSize: 64,
	}, got), "%v", got)

	q, err = c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.Unix(10, 0))
	require.NoError(t, err)
	require.NoError(t, q.Exec(remote.WithRequest(t.Context(), remote.Request{MaxSourceResolution: time.Hour})).Err)
	require.EqualValues(t, 3600, got.MaxResolutionSeconds)
}

// The time 0 of an instant query is now to a Thanos node, so that a range of one step is asked for.
func TestThanosAtTimeZero(t *testing.T) {
	var got *thanospb.QueryRangeRequest
	p := &peer{answer: func(req any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
		got = req.(*thanospb.QueryRangeRequest)
		return sendAll(out, batch(encoded(t, "1", 0)))
	}}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	q, err := c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.Unix(0, 0))
	require.NoError(t, err)
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	require.Equal(t, promql.Vector{{Metric: labels.FromStrings("a", "1")}}, res.Value)
	require.Equal(t, [3]int64{0, 0, 1}, [3]int64{got.StartTimeSeconds, got.EndTimeSeconds, got.IntervalSeconds})
}

// Where a query may go without sources that fail, so may a Thanos node's answer, and what it lost is said.
func TestThanosPartialResponse(t *testing.T) {
	var answer []*thanospb.QueryResponse
	var allowed bool
	var series *thanospb.SeriesRequest
	p := &peer{
		answer: func(req any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
			allowed = req.(interface{ GetEnablePartialResponse() bool }).GetEnablePartialResponse()
			return sendAll(out, answer...)
		},
		series: func(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
			series = req
			return sendAll(out, single(rawSeries(t, []string{"a", "x"}, chunk(t, 1))), &thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Warning{Warning: []byte("a block is lost")}})
		},
	}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
	ranged := rangeQuery(t, c, nil)
	instant := func() promql.Query {
		q, err := c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.Unix(10, 0))
		require.NoError(t, err)
		return q
	}
	warning := &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Warnings{Warnings: []byte("a store is lost")}}
	stats := &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Stats{Stats: &thanospb.QueryStats{}}}
	answer = []*thanospb.QueryResponse{warning, one(encoded(t, "1", 10_000)), stats}
	for _, q := range []promql.Query{ranged, instant()} {
		require.NoError(t, q.Exec(t.Context()).Err)
		require.False(t, allowed)
	}
	answer = []*thanospb.QueryResponse{warning, stats} // all that is left of the answer is empty
	for _, q := range []promql.Query{rangeQuery(t, c, nil), instant()} {
		res := q.Exec(partial)
		require.NoError(t, res.Err)
		require.True(t, allowed)
		warnings, _ := res.Warnings.AsStrings("", 0, 0)
		require.Equal(t, []string{"remote engine leaf: a store is lost"}, warnings)
	}
	// So Thanos says that an instant query failed.
	answer = []*thanospb.QueryResponse{warning}
	require.EqualError(t, instant().Exec(partial).Err, "remote engine leaf: a store is lost")

	for _, allowed := range []bool{false, true} {
		ctx := remote.WithRequest(t.Context(), remote.Request{PartialResponse: allowed})
		q, err := c.Querier(1, 100)
		require.NoError(t, err)
		set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchNotEqual, "a", "b"))
		require.True(t, set.Next())
		require.False(t, set.Next())
		require.NoError(t, set.Err())
		require.Len(t, set.Warnings(), 1)
		require.NoError(t, q.Close())
		require.Equal(t, !allowed, series.PartialResponseDisabled)
		require.Equal(t, allowed, series.PartialResponseStrategy == thanospb.PartialResponseStrategy_WARN)
	}
}

// Many series come in columns that are not too large.
func TestThanosManySeries(t *testing.T) {
	p := &peer{answer: func(_ any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
		var all [][]byte
		for i := range 1000 {
			all = append(all, encoded(t, fmt.Sprint(i), 10_000))
		}
		return sendAll(out, batch(all[:900]...), one(all[900]), batch(all[901:]...))
	}}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	columns, _, err := read(t, c)
	require.NoError(t, err)
	n := 0
	for _, c := range columns {
		require.LessOrEqual(t, len(c.Series), thanosBatch)
		for _, s := range c.Series {
			require.Equal(t, fmt.Sprint(n), s.Labels.Get("a"))
			n++
		}
	}
	require.Equal(t, 1000, n)
}

// What a Thanos node would take for something else is not sent.
func TestThanosCannotBeAsked(t *testing.T) {
	c := connect(t, &peer{}, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	ranged := func(opts promql.QueryOpts, start, end time.Time, interval time.Duration) error {
		_, err := c.NewRangeQuery(t.Context(), opts, &remote.Text{Query: "up"}, start, end, interval)
		return err
	}
	instant := func(query string, at time.Time) error {
		_, err := c.NewInstantQuery(t.Context(), nil, &remote.Text{Query: query}, at)
		return err
	}
	use := true
	s := time.Unix(10, 0)
	for want, err := range map[string]error{
		"remote engine leaf: a Thanos node is asked in whole seconds only, but the start is 10.001s": ranged(nil, s.Add(time.Millisecond), s.Add(time.Second), time.Second),
		"the end is 11.5s":                      ranged(nil, s, s.Add(1500*time.Millisecond), time.Second),
		"the interval is 500ms":                 ranged(nil, s, s, 500*time.Millisecond),
		"the lookback is 1ms":                   ranged(promql.NewPrometheusQueryOpts(false, time.Millisecond, nil), s, s, time.Second),
		"the lookback is 1.5s":                  ranged(promql.NewPrometheusQueryOpts(false, 1500*time.Millisecond, nil), s, s, time.Second),
		"does not use start timestamps":         ranged(promql.NewPrometheusQueryOpts(false, 0, &use), s, s, time.Second),
		"the start is 1ms":                      instant("up", time.UnixMilli(1)),
		"does not send a result of type range":  instant("up[5m]", s),
		"does not send a result of type string": instant(`"x"`, s),
	} {
		require.ErrorContains(t, err, want)
	}
	use = false
	require.NoError(t, ranged(promql.NewPrometheusQueryOpts(false, 0, &use), time.Unix(-5, 0), s, time.Second))
	require.NoError(t, instant("1 + 1", s))
	require.NoError(t, instant("something new(", s), "is the node's to refuse")
}

// chunk has samples at some times, each its time.
// Downsampled data is asked for where the query allows it, by the function of the selector.
func TestThanosAggregates(t *testing.T) {
	var got *thanospb.SeriesRequest
	p := &peer{series: func(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
		got = req
		sums, counts := chunk(t, 6, 8), chunk(t, 6, 8)
		return out.Send(single(rawSeries(t, []string{"a", "x"}, &thanospb.AggrChunk{MinTime: 6, MaxTime: 8, Sum: sums.Raw, Count: counts.Raw}, chunk(t, 9))))
	}}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	q, err := c.Querier(1, 100)
	require.NoError(t, err)
	defer q.Close()
	read := func(resolution time.Duration, hints *storage.SelectHints) (values []float64, err error) {
		ctx := remote.WithRequest(t.Context(), remote.Request{MaxSourceResolution: resolution})
		set := q.Select(ctx, true, hints, labels.MustNewMatcher(labels.MatchNotEqual, "a", "b"))
		for set.Next() {
			it := set.At().Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				_, v := it.At()
				values = append(values, v)
			}
			if err := it.Err(); err != nil {
				return nil, err
			}
		}
		return values, set.Err()
	}
	values, err := read(time.Hour, &storage.SelectHints{Func: "sum_over_time"})
	require.NoError(t, err)
	require.Equal(t, []float64{6, 8, 9}, values)
	require.Equal(t, time.Hour.Milliseconds(), got.MaxResolutionWindow)
	require.Equal(t, []thanospb.Aggr{thanospb.Aggr_SUM}, got.Aggregates)

	values, err = read(time.Hour, nil)
	require.NoError(t, err)
	require.Equal(t, []float64{1, 1, 9}, values, "averages")
	require.Equal(t, []thanospb.Aggr{thanospb.Aggr_COUNT, thanospb.Aggr_SUM}, got.Aggregates)

	_, err = read(time.Hour, &storage.SelectHints{Func: "rate", Range: 600_000})
	require.ErrorContains(t, err, "a downsampled chunk has no counter")
	require.EqualValues(t, 300_000, got.MaxResolutionWindow)
	require.Equal(t, []thanospb.Aggr{thanospb.Aggr_COUNTER}, got.Aggregates)

	for resolution, function := range map[time.Duration]string{0: "rate", time.Hour: "resets"} {
		_, err = read(resolution, &storage.SelectHints{Func: function})
		require.ErrorContains(t, err, "only samples were asked for")
		require.Zero(t, got.MaxResolutionWindow)
		require.Empty(t, got.Aggregates)
	}
	_, err = read(0, &storage.SelectHints{Func: "series"})
	require.Error(t, err)
	require.EqualValues(t, int64(math.MaxInt64), got.MaxResolutionWindow, "series of which there is nothing else")
}

func chunk(t testing.TB, times ...int64) *thanospb.AggrChunk {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	for _, ms := range times {
		app.Append(0, ms, float64(ms))
	}
	return &thanospb.AggrChunk{MinTime: times[0], MaxTime: times[len(times)-1], Raw: &thanospb.Chunk{Type: 0, Data: c.Bytes()}}
}

func rawSeries(t testing.TB, l []string, chunks ...*thanospb.AggrChunk) *thanospb.Series {
	t.Helper()
	s := &thanospb.Series{Chunks: chunks}
	for i := 0; i < len(l); i += 2 {
		s.Labels = append(s.Labels, set(t, l[i], l[i+1])[2:]) // without the head of the list
	}
	return s
}

func single(s *thanospb.Series) *thanospb.SeriesResponse {
	return &thanospb.SeriesResponse{Result: &thanospb.SeriesResponse_Series{Series: s}}
}

func TestThanosSelect(t *testing.T) {
	var answer []*thanospb.SeriesResponse
	var got *thanospb.SeriesRequest
	failure := error(nil)
	p := &peer{series: func(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
		got = req
		if err := sendAll(out, answer...); err != nil {
			return err
		}
		return failure
	}}
	c := connect(t, p, thanosInfo, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	selected := func(c *Client) (out []string, warnings int, err error) {
		q, err := c.Querier(1, 100)
		require.NoError(t, err)
		defer q.Close()
		set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchNotEqual, "a", "b"))
		for set.Next() {
			text := set.At().Labels().String()
			it := set.At().Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				ts, v := it.At()
				require.EqualValues(t, ts, v)
				text += fmt.Sprintf(" %d", ts)
			}
			require.NoError(t, it.Err())
			out = append(out, text)
		}
		return out, len(set.Warnings()), set.Err()
	}
	x, y := []string{"a", "x"}, []string{"a", "y"}
	answer = []*thanospb.SeriesResponse{
		single(rawSeries(t, x, chunk(t, 1, 2))), {},
		{Result: &thanospb.SeriesResponse_Batch{Batch: &thanospb.SeriesBatch{Series: []*thanospb.Series{rawSeries(t, x, chunk(t, 2, 3), chunk(t, 5)), rawSeries(t, y)}}}},
		{Result: &thanospb.SeriesResponse_Warning{Warning: []byte("careful")}},
		single(rawSeries(t, y, chunk(t, 7))),
	}
	series, warnings, err := selected(c)
	require.NoError(t, err)
	require.Equal(t, []string{`{a="x"} 1 2 3 5`, `{a="y"} 7`}, series)
	require.Equal(t, 1, warnings)
	require.True(t, proto.Equal(&thanospb.SeriesRequest{
		MinTime: 1, MaxTime: 100, Matchers: []*thanospb.LabelMatcher{
			{Type: thanospb.LabelMatcher_NEQ, Name: []byte("a"), Value: []byte("b")}, {Type: thanospb.LabelMatcher_RE, Name: []byte("__name__"), Value: []byte(".+")},
		},
		PartialResponseDisabled: true, PartialResponseStrategy: thanospb.PartialResponseStrategy_ABORT, ResponseBatchSize: 64,
	}, got))

	for want, a := range map[string][]*thanospb.SeriesResponse{
		"series are not in order": {single(rawSeries(t, y, chunk(t, 1))), single(rawSeries(t, x, chunk(t, 1)))},
		"downsampled":             {single(rawSeries(t, x, &thanospb.AggrChunk{}))},
		"labels make no sense":    {single(&thanospb.Series{Labels: [][]byte{{0xff}}})},
		"a chunk has 0 bytes":     {single(rawSeries(t, x, &thanospb.AggrChunk{Raw: &thanospb.Chunk{}}))},
	} {
		answer = a
		_, _, err := selected(c)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "remote engine leaf: ")
	}
	answer, failure = nil, status.Error(codes.Aborted, "a store is lost")
	_, _, err = selected(c)
	require.ErrorContains(t, err, "a store is lost")
	failure = nil

	// Without replica labels the order is another, and copies cannot be told apart any more.
	p = &peer{series: p.series}
	c = connect(t, p, thanosInfo, Options{ReplicaLabels: []string{"replica"}})
	require.NoError(t, c.Refresh(t.Context()))
	answer = []*thanospb.SeriesResponse{
		single(rawSeries(t, []string{"replica", "0", "z", "b"}, chunk(t, 1), chunk(t, 2))),
		single(rawSeries(t, []string{"replica", "1", "z", "a"}, chunk(t, 1))),
	}
	series, _, err = selected(c)
	require.NoError(t, err)
	require.Equal(t, []string{`{z="a"} 1`, `{z="b"} 1 2`}, series)
	q, err := c.Querier(1, 100)
	require.NoError(t, err)
	defer q.Close()
	names, _, err := q.LabelNames(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = q.LabelNames(gone, nil)
	require.Equal(t, context.Canceled, err, "no node is to blame")
	values, _, err := q.LabelValues(t.Context(), "replica", nil)
	require.NoError(t, err)
	require.Empty(t, values)
	answer = append(answer, single(rawSeries(t, []string{"replica", "1", "z", "b"}, chunk(t, 1))))
	series, _, err = selected(c)
	require.ErrorContains(t, err, `are copies of one series`)
	require.Equal(t, []string{`{z="a"} 1`}, series)
}

// Stores refuse requests with no matchers but of external labels, which they take off.
func TestThanosMatchersOfExternalLabels(t *testing.T) {
	info := proto.CloneOf(thanosInfo)
	info.LabelSets = [][]byte{set(t, "region", "eu", "replica", "a")}
	c := connect(t, &peer{}, info, Options{ReplicaLabels: []string{"replica"}})
	require.NoError(t, c.Refresh(t.Context()))
	q, err := c.newQuerier(1, 100)
	require.NoError(t, err)
	for _, in := range []struct {
		selector string
		named    bool
	}{
		{`{job="x"}`, false}, {`{region="x",job=~"x|y"}`, false}, {`up{region="x"}`, false},
		{`{region="x"}`, true}, {`{region!="",replica="a"}`, true}, {`{region="x",job=~".*"}`, true}, {`{region="x",job!="x"}`, true},
	} {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(in.selector)
		require.NoError(t, err)
		got := q.withName(matchers)
		if !in.named {
			require.Equal(t, matchers, got, in.selector)
			continue
		}
		require.Equal(t, append(matchers, anyName), got, in.selector)
	}
}
