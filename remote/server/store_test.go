package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/server"
	"github.com/stride-promql/stride/source/dedup"
)

// chunkSelector is a selector whose samples are there as chunks.
type chunkSelector struct {
	*fake
	storage.SampleAndChunkQueryable
}

const storeData = `load 15s
  reqs_total{pod="1",cluster="a"} 0+1.5x2000
  reqs_total{pod="2",cluster="a"} 5 stale NaN Inf _ 7
  hist{cluster="a"} {{schema:1 count:5 sum:2 buckets:[1 2 2]}}+{{schema:1 count:5 sum:2 buckets:[1 2 2]}}x300
  mixed{cluster="b"} 1 2 {{schema:0 count:1 sum:1 buckets:[1]}} 3
`

// readChunks are all samples of a selection that is read as chunks.
type readChunks struct{ storage.ChunkQueryable }

func (r readChunks) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := r.ChunkQuerier(mint, maxt)
	return chunkedQuerier{q}, err
}

type chunkedQuerier struct{ storage.ChunkQuerier }

func (q chunkedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return storage.NewSeriesSetFromChunkSeriesSet(q.ChunkQuerier.Select(ctx, sorted, hints, ms...))
}

// Samples arrive on either wire as they are stored, whether as chunks or not.
func TestStore(t *testing.T) {
	st := promqltest.LoadedStorage(t, storeData)
	defer st.Close()
	all := labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")
	for name, c := range map[string]*client.Client{
		"thanos from samples": serve(t, &selector{&fake{}, st}, server.Options{GRPC: []grpc.ServerOption{asThanos}}),
		"thanos from chunks":  serve(t, &chunkSelector{&fake{}, st}, server.Options{GRPC: []grpc.ServerOption{asThanos}}),
		"stride from chunks":  serve(t, &chunkSelector{&fake{}, st}, server.Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, ms := range [][]*labels.Matcher{{all}, {all, labels.MustNewMatcher(labels.MatchEqual, "cluster", "a")}, {labels.MustNewMatcher(labels.MatchEqual, "none", "x")}} {
				want, _, err := read(t, st, true, nil, ms...)
				require.NoError(t, err)
				for _, q := range []storage.Queryable{c, readChunks{c}} {
					got, warnings, err := read(t, q, true, nil, ms...)
					require.NoError(t, err)
					require.Empty(t, warnings)
					require.Equal(t, want, got)
				}
			}
			q, err := c.Querier(0, math.MaxInt64)
			require.NoError(t, err)
			defer q.Close()
			names, _, err := q.LabelNames(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, []string{"__name__", "cluster", "pod"}, names)
			values, _, err := q.LabelValues(t.Context(), "cluster", nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "hist"))
			require.NoError(t, err)
			require.Equal(t, []string{"a"}, values)
			values, _, err = q.LabelValues(t.Context(), "__name__", &storage.LabelHints{Limit: 2})
			require.NoError(t, err)
			require.Len(t, values, 2) // any two
			set := q.Select(t.Context(), true, &storage.SelectHints{Func: "series", End: math.MaxInt64}, all)
			n := 0
			for set.Next() {
				n++
			}
			require.NoError(t, set.Err())
			require.Equal(t, 4, n)
		})
	}
}

// Whoever asks has limits, too. What is beyond them is no fault of the node, on either wire.
func TestLimitsOfClient(t *testing.T) {
	st := promqltest.LoadedStorage(t, storeData)
	defer st.Close()
	for wire, o := range map[string]server.Options{"stride": {}, "thanos": {GRPC: []grpc.ServerOption{asThanos}}} {
		_, to := listen(t, &chunkSelector{&fake{}, st}, o)
		for want, l := range map[string]client.Limits{
			"":                      {Series: 4, Samples: 3000, Bytes: 1 << 20},
			"gives more than 3 ser": {Series: 3},
			"gives more than 2000 ": {Samples: 2000},
			"gives more than 400 b": {Bytes: 400},
		} {
			c := connect(t, to, client.Options{Limits: l})
			_, _, err := read(t, c, true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
			if want == "" {
				require.NoError(t, err)
				continue
			}
			require.ErrorContains(t, err, want, wire)
			require.ErrorContains(t, err, "remote engine leaf ")
			var of *remote.LimitError
			require.ErrorAs(t, err, &of)
		}
	}
}

// storeOf is a client of thanos.Store and no more.
func storeOf(t *testing.T, to grpc.DialOption) thanospb.StoreClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///leaf", to, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return thanospb.NewStoreClient(conn)
}

// receive are the labels, and the number of chunks, of what a store sends, and the numbers of series in a message.
func receive(t *testing.T, c thanospb.StoreClient, req *thanospb.SeriesRequest) (series map[string]int, sizes []int, warnings []string, err error) {
	t.Helper()
	if req.MaxTime == 0 {
		req.MaxTime = math.MaxInt64
	}
	in, err := c.Series(t.Context(), req)
	require.NoError(t, err)
	series = map[string]int{}
	for {
		res, err := in.Recv()
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return series, sizes, warnings, err
		}
		var all []*thanospb.Series
		switch r := res.Result.(type) {
		case *thanospb.SeriesResponse_Series:
			all = []*thanospb.Series{r.Series}
		case *thanospb.SeriesResponse_Batch:
			all = r.Batch.Series
		case *thanospb.SeriesResponse_Warning:
			warnings = append(warnings, string(r.Warning))
			continue
		}
		sizes = append(sizes, len(all))
		for _, s := range all {
			series[fmt.Sprintf("%q", s.Labels)] += len(s.Chunks)
			for _, c := range s.Chunks {
				require.NotNil(t, c.Raw)
				require.Less(t, c.Raw.Type, int32(chunkenc.EncFloatHistogram))
			}
		}
	}
}

func TestStoreRequests(t *testing.T) {
	st := promqltest.LoadedStorage(t, storeData)
	defer st.Close()
	_, to := listen(t, &chunkSelector{&fake{}, st}, server.Options{MaxSeries: 4})
	c := storeOf(t, to)
	all := []*thanospb.LabelMatcher{{Type: thanospb.LabelMatcher_RE, Name: []byte("__name__"), Value: []byte(".+")}}

	whole, sizes, _, err := receive(t, c, &thanospb.SeriesRequest{Matchers: all})
	require.NoError(t, err)
	require.Len(t, whole, 4)
	require.Equal(t, []int{1, 1, 1, 1}, sizes)
	_, sizes, _, err = receive(t, c, &thanospb.SeriesRequest{Matchers: all, ResponseBatchSize: 3})
	require.NoError(t, err)
	require.Equal(t, []int{3, 1}, sizes)
	without, _, _, err := receive(t, c, &thanospb.SeriesRequest{Matchers: all, SkipChunks: true})
	require.NoError(t, err)
	require.Len(t, without, 4)
	for _, n := range without {
		require.Zero(t, n)
	}
	// A limit is how many series are sent at most, also where the storage gives more.
	for _, skip := range []bool{false, true} {
		for limit, want := range map[int64]int{0: 4, 2: 2, 4: 4, 9: 4} {
			limited, _, _, err := receive(t, c, &thanospb.SeriesRequest{Matchers: all, Limit: limit, SkipChunks: skip})
			require.NoError(t, err)
			require.Len(t, limited, want, limit)
		}
	}

	// All shards together are the whole, and no two have the same.
	sharded := map[string]int{}
	for k := range int64(3) {
		part, _, _, err := receive(t, c, &thanospb.SeriesRequest{Matchers: all, ShardInfo: &thanospb.ShardInfo{TotalShards: 3, ShardIndex: k, By: true, Labels: [][]byte{[]byte("__name__")}}})
		require.NoError(t, err)
		for l, n := range part {
			require.NotContains(t, sharded, l)
			sharded[l] = n
		}
	}
	require.Equal(t, whole, sharded)

	_, _, _, err = receive(t, c, &thanospb.SeriesRequest{})
	require.ErrorContains(t, err, "no matchers specified")
	_, _, _, err = receive(t, c, &thanospb.SeriesRequest{Matchers: []*thanospb.LabelMatcher{{Type: 9, Name: []byte("a")}}})
	require.ErrorContains(t, err, "unknown type 9")
	_, _, _, err = receive(t, c, &thanospb.SeriesRequest{Matchers: []*thanospb.LabelMatcher{{Type: thanospb.LabelMatcher_RE, Name: []byte("a"), Value: []byte("(")}}})
	require.ErrorContains(t, err, "missing closing )")
	_, err = c.LabelValues(t.Context(), &thanospb.LabelValuesRequest{})
	require.ErrorContains(t, err, "label name parameter cannot be empty")
	names, err := c.LabelNames(t.Context(), &thanospb.LabelNamesRequest{WithoutReplicaLabels: []string{"pod"}})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("__name__"), []byte("cluster")}, names.Names)
}

// hintStorage notes by what hints it is asked.
type hintStorage struct {
	storage.Queryable
	asked []storage.SelectHints
}

func (s *hintStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Queryable.Querier(mint, maxt)
	return &hintQuerier{q, s}, err
}

type hintQuerier struct {
	storage.Querier
	of *hintStorage
}

func (q *hintQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	q.of.asked = append(q.of.asked, *hints)
	return q.Querier.Select(ctx, sorted, hints, ms...)
}

// Aggregates tell storages what samples are read for, whether downsampled data will do or not.
func TestStoreHints(t *testing.T) {
	st := promqltest.LoadedStorage(t, storeData)
	defer st.Close()
	of := &hintStorage{Queryable: st}
	_, to := listen(t, &selector{&fake{}, of}, server.Options{})
	c := storeOf(t, to)
	all := []*thanospb.LabelMatcher{{Type: thanospb.LabelMatcher_RE, Name: []byte("__name__"), Value: []byte(".+")}}
	for _, resolution := range []int64{0, 300_000} {
		for _, r := range []struct {
			want string
			of   []thanospb.Aggr
			skip bool
		}{
			{"increase", []thanospb.Aggr{thanospb.Aggr_COUNTER}, false},
			{"max_over_time", []thanospb.Aggr{thanospb.Aggr_MAX}, false},
			{"", []thanospb.Aggr{thanospb.Aggr_COUNT, thanospb.Aggr_SUM}, false},
			{"", []thanospb.Aggr{thanospb.Aggr_COUNTER, thanospb.Aggr_MAX}, false},
			{"", nil, false},
			{"series", []thanospb.Aggr{thanospb.Aggr_COUNTER}, true},
		} {
			of.asked = nil
			_, _, _, err := receive(t, c, &thanospb.SeriesRequest{Matchers: all, Aggregates: r.of, SkipChunks: r.skip, MaxResolutionWindow: resolution})
			require.NoError(t, err)
			require.Len(t, of.asked, 1)
			require.Equal(t, r.want, of.asked[0].Func, "%v at %d", r.of, resolution)
		}
	}
}

// A counter of which one replica is behind the other does not fall where deduplication goes over from one to the other, where it is read as a counter.
func TestStoreCounters(t *testing.T) {
	st := promqltest.LoadedStorage(t, `load 10s
  reqs_total{replica="a"} 0+100x100 _x100
  reqs_total{replica="b"} 0+90x200
`)
	defer st.Close()
	_, to := listen(t, &selector{&fake{}, dedup.Queryable(st, []string{"replica"}, dedup.Penalty)}, server.Options{})
	c := storeOf(t, to)
	falls := func(aggregates ...thanospb.Aggr) (n int) {
		in, err := c.Series(t.Context(), &thanospb.SeriesRequest{
			Matchers: []*thanospb.LabelMatcher{{Name: []byte("__name__"), Value: []byte("reqs_total")}}, MaxTime: math.MaxInt64, Aggregates: aggregates,
		})
		require.NoError(t, err)
		var values []float64
		for {
			res, err := in.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			for _, m := range res.GetSeries().Chunks {
				chunk, err := chunkenc.FromData(chunkenc.EncXOR, m.Raw.Data)
				require.NoError(t, err)
				for it := chunk.Iterator(nil); it.Next() != chunkenc.ValNone; {
					_, v := it.At()
					values = append(values, v)
				}
			}
		}
		require.Greater(t, len(values), 150)
		for i, v := range values[1:] {
			if v < values[i] {
				n++
			}
		}
		return n
	}
	require.Zero(t, falls(thanospb.Aggr_COUNTER))
	require.Equal(t, 1, falls(thanospb.Aggr_COUNT, thanospb.Aggr_SUM)) // as they are
}

// Errors and limits end the answer, and warnings come with it.
func TestStoreErrors(t *testing.T) {
	boom := errors.New("boom")
	one := []storage.Series{storage.NewListSeries(labels.FromStrings("a", "x"), []chunks.Sample{stSample{t: 1}}), storage.NewListSeries(labels.FromStrings("a", "y"), []chunks.Sample{stSample{t: 1}})}
	all := []*thanospb.LabelMatcher{{Type: thanospb.LabelMatcher_RE, Name: []byte("a"), Value: []byte(".+")}}
	for name, c := range map[string]struct {
		st   *listStorage
		opts server.Options
		want string
	}{
		"open":    {&listStorage{openErr: boom}, server.Options{}, "boom"},
		"read":    {&listStorage{series: one, err: boom}, server.Options{}, "boom"},
		"close":   {&listStorage{series: one, closeErr: boom}, server.Options{}, "boom"},
		"series":  {&listStorage{series: one}, server.Options{MaxSeries: 1}, "more than 1 series"},
		"samples": {&listStorage{series: one}, server.Options{MaxSamples: 1}, "more than 1 samples"},
		"panic":   {&listStorage{panics: true}, server.Options{}, "panic: boom"},
	} {
		t.Run(name, func(t *testing.T) {
			_, to := listen(t, &selector{&fake{}, c.st}, c.opts)
			_, _, _, err := receive(t, storeOf(t, to), &thanospb.SeriesRequest{Matchers: all})
			require.ErrorContains(t, err, c.want)
		})
	}
	_, to := listen(t, &selector{&fake{}, &listStorage{series: one, warnings: annotations.New().Add(errors.New("careful"))}}, server.Options{})
	series, _, warnings, err := receive(t, storeOf(t, to), &thanospb.SeriesRequest{Matchers: all})
	require.NoError(t, err)
	require.Len(t, series, 2)
	require.Equal(t, []string{"careful"}, warnings)
}

// Chunks of an encoding that Thanos does not know are sent as ones that it does.
func TestStoreReencodes(t *testing.T) {
	c := chunkenc.NewXOR2Chunk()
	app, err := c.Appender()
	require.NoError(t, err)
	for i := range int64(50) {
		app.Append(0, 1000*i, float64(i))
	}
	st := chunkList{storage.ChunkSeriesEntry{Lset: labels.FromStrings("a", "x"), ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator {
		return storage.NewListChunkSeriesIterator(chunks.Meta{MinTime: 0, MaxTime: 49_000, Chunk: c})
	}}}
	got, _, err := read(t, serve(t, &chunkSelector{&fake{}, &st}, server.Options{GRPC: []grpc.ServerOption{asThanos}}), true, nil, labels.MustNewMatcher(labels.MatchEqual, "a", "x"))
	require.NoError(t, err)
	require.Len(t, got, 51)
	require.Equal(t, fmt.Sprintf("0@49000 %x", math.Float64bits(49)), got[50])
}

// chunkList is a storage of one series.
type chunkList struct{ series storage.ChunkSeriesEntry }

func (c *chunkList) Querier(int64, int64) (storage.Querier, error) {
	return nil, errors.New("as chunks")
}
func (c *chunkList) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return &chunkListQuerier{c: c}, nil
}

type chunkListQuerier struct {
	storage.LabelQuerier
	c *chunkList
}

func (q *chunkListQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.ChunkSeriesSet {
	return &chunkListSet{c: q.c}
}
func (q *chunkListQuerier) Close() error { return nil }

type chunkListSet struct {
	c    *chunkList
	done bool
}

func (s *chunkListSet) Next() bool {
	before := s.done
	s.done = true
	return !before
}
func (s *chunkListSet) At() storage.ChunkSeries           { return &s.c.series }
func (s *chunkListSet) Err() error                        { return nil }
func (s *chunkListSet) Warnings() annotations.Annotations { return nil }
