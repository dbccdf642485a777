package client

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

func set(t testing.TB, l ...string) []byte {
	t.Helper()
	b, err := wire.AppendThanosLabels(labels.FromStrings(l...))
	require.NoError(t, err)
	return b
}

// readInfo is what a client with replica label "replica" makes of what a node says.
func readInfo(res *thanospb.InfoResponse) (*announcement, error) {
	return (&Client{opts: Options{ReplicaLabels: []string{"replica"}}}).read(res, time.Now())
}

func TestThanosInfo(t *testing.T) {
	query, status := &thanospb.QueryAPIInfo{}, &thanospb.StatusInfo{}
	for name, c := range map[string]struct {
		in       *thanospb.InfoResponse
		names    []string
		coverage []remote.Coverage
	}{
		"replicas, a gap, and a receiver": {
			in: &thanospb.InfoResponse{Query: query, Status: status, LabelSets: [][]byte{set(t, "other", "x")}, Store: &thanospb.StoreInfo{TsdbInfos: []*thanospb.TSDBInfo{
				{Labels: set(t, "cluster", "a", "replica", "0"), MinTime: 0, MaxTime: 100},
				{Labels: set(t, "cluster", "a", "replica", "1"), MinTime: 50, MaxTime: 120},
				{Labels: set(t, "cluster", "a"), MinTime: 200, MaxTime: math.MaxInt64},
				{Labels: set(t, "region", "r"), MinTime: 1, MaxTime: 3},
				{Labels: set(t, "region", "r"), MinTime: 3, MaxTime: 5},
			}}},
			names: []string{"cluster", "region"},
			coverage: []remote.Coverage{
				{Labels: labels.FromStrings("cluster", "a"), Intervals: remote.Intervals{{Start: 0, End: 119}, {Start: 200, End: math.MaxInt64}}},
				{Labels: labels.FromStrings("region", "r"), Intervals: remote.Intervals{{Start: 1, End: 4}}},
			},
		},
		"an old node": {
			in:       &thanospb.InfoResponse{Query: query, Status: status, LabelSets: [][]byte{set(t, "a", "x"), set(t, "a", "y")}, Store: &thanospb.StoreInfo{MinTime: 5, MaxTime: 10}},
			names:    []string{"a"},
			coverage: []remote.Coverage{{Labels: labels.FromStrings("a", "x"), Intervals: remote.Intervals{{Start: 5, End: 9}}}, {Labels: labels.FromStrings("a", "y"), Intervals: remote.Intervals{{Start: 5, End: 9}}}},
		},
		"data without external labels": {
			in:       &thanospb.InfoResponse{Query: query, Status: status, Store: &thanospb.StoreInfo{MinTime: 5, MaxTime: math.MaxInt64}},
			coverage: []remote.Coverage{{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{{Start: 5, End: math.MaxInt64}}}},
		},
		"nothing of times": {
			in:       &thanospb.InfoResponse{Query: query, Status: status},
			coverage: []remote.Coverage{{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{remote.Always}}},
		},
		"no data": {in: &thanospb.InfoResponse{Query: query, Status: status, Store: &thanospb.StoreInfo{MinTime: math.MaxInt64, MaxTime: math.MinInt64}}},
		"a Stride node": {
			in: &thanospb.InfoResponse{Stride: &thanospb.StrideInfo{}, Store: &thanospb.StoreInfo{TsdbInfos: []*thanospb.TSDBInfo{
				{Labels: set(t, "a", "x"), MinTime: 0, MaxTime: 100, Intervals: []*thanospb.Interval{{Start: 50, End: 100}, {Start: 0, End: 10}, {Start: 7, End: 3}}},
				{Labels: set(t, "a", "y"), MinTime: 0, MaxTime: 100},
			}}},
			names:    []string{"a"},
			coverage: []remote.Coverage{{Labels: labels.FromStrings("a", "x"), Intervals: remote.Intervals{{Start: 0, End: 10}, {Start: 50, End: 100}}}, {Labels: labels.FromStrings("a", "y"), Intervals: remote.Intervals{{Start: 0, End: 100}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readInfo(c.in)
			require.NoError(t, err)
			require.Equal(t, c.names, got.labels)
			require.Equal(t, c.coverage, got.coverage)
			if c.in.Stride == nil {
				require.Equal(t, remote.Capabilities{LanguageLevel: "3.9", WholeSeconds: true}, got.capabilities)
			}
		})
	}
}

func TestInfoOfNonsense(t *testing.T) {
	query := &thanospb.QueryAPIInfo{}
	for name, in := range map[string]*thanospb.InfoResponse{
		"no API":            {},
		"no samples of old": {Query: query},
		"no label set":      {Query: query, LabelSets: [][]byte{{0xff}}},
		"no TSDB label set": {Query: query, Store: &thanospb.StoreInfo{TsdbInfos: []*thanospb.TSDBInfo{{Labels: []byte{0xff}}}}},
		"a plan version":    {Stride: &thanospb.StrideInfo{PlanVersion: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readInfo(in)
			require.Error(t, err)
		})
	}
}

// Queriers of before v0.40 are asked for samples only: those of before v0.38 evaluate another language.
func TestInfoOfOldQuerier(t *testing.T) {
	info := &thanospb.InfoResponse{ComponentType: "query", Query: &thanospb.QueryAPIInfo{}, Store: &thanospb.StoreInfo{MaxTime: math.MaxInt64}}
	got, err := readInfo(info)
	require.NoError(t, err)
	require.Equal(t, remote.Capabilities{SamplesOnly: true}, got.capabilities)
	require.Equal(t, [2]api{none, thanos}, [2]api{got.queries, got.selects})
	info.Status = &thanospb.StatusInfo{}
	got, err = readInfo(info)
	require.NoError(t, err)
	require.Equal(t, [2]api{thanos, thanos}, [2]api{got.queries, got.selects})
}

// What is announced to who selects data sets keeps the replica labels.
func TestInfoWithReplicaLabels(t *testing.T) {
	infos := func(sets ...[]byte) *thanospb.InfoResponse {
		s := &thanospb.StoreInfo{}
		for _, set := range sets {
			s.TsdbInfos = append(s.TsdbInfos, &thanospb.TSDBInfo{Labels: set, MinTime: 5, MaxTime: math.MaxInt64})
		}
		return &thanospb.InfoResponse{Store: s}
	}
	from := remote.Intervals{{Start: 5, End: math.MaxInt64}}
	c := &Client{opts: Options{ReplicaLabels: []string{"replica"}}}
	c.said.Store(silence())
	require.Nil(t, c.Announced())
	require.True(t, c.Capabilities().Unheard)
	hear := func(in *thanospb.InfoResponse) []remote.Coverage {
		said, err := c.understand(in)
		require.NoError(t, err)
		c.said.Store(said)
		return c.Announced()
	}
	a, b := set(t, "a", "x", "replica", "1"), set(t, "a", "x", "replica", "2")
	both := []remote.Coverage{
		{Labels: labels.FromStrings("a", "x", "replica", "1"), Intervals: from}, {Labels: labels.FromStrings("a", "x", "replica", "2"), Intervals: from},
	}
	first := hear(infos(a, b))
	require.False(t, c.Capabilities().Unheard)
	require.Equal(t, both, first)
	coverage := c.Coverage()
	require.Same(t, &first[0], &hear(infos(a, b))[0])
	require.Equal(t, both[1:], hear(infos(b)))
	require.Equal(t, both[:1], hear(infos(a)))
	require.Same(t, &coverage[0], &c.Coverage()[0])
	plain := hear(infos(set(t, "a", "y")))
	require.Same(t, &plain[0], &c.Coverage()[0])
	none := hear(&thanospb.InfoResponse{Store: &thanospb.StoreInfo{MinTime: math.MaxInt64, MaxTime: math.MinInt64}})
	require.NotNil(t, none)
	require.Empty(t, none)
}

// A store gives samples only.
func TestInfoOfStore(t *testing.T) {
	got, err := readInfo(&thanospb.InfoResponse{ComponentType: "sidecar", Store: &thanospb.StoreInfo{
		MaxTime: math.MaxInt64, TsdbInfos: []*thanospb.TSDBInfo{{Labels: set(t, "a", "x"), MinTime: 5, MaxTime: math.MaxInt64}},
	}})
	require.NoError(t, err)
	require.Equal(t, remote.Capabilities{SamplesOnly: true}, got.capabilities)
	require.Equal(t, thanos, got.selects)
	require.Equal(t, []remote.Coverage{{Labels: labels.FromStrings("a", "x"), Intervals: remote.Intervals{{Start: 5, End: math.MaxInt64}}}}, got.coverage)
}

// Store gateways that were told to give a part of the time still announce the whole of their blocks, with the part beside it.
func TestInfoOfPartOfTheTime(t *testing.T) {
	got, err := readInfo(&thanospb.InfoResponse{ComponentType: "store", Store: &thanospb.StoreInfo{
		MinTime: 50, MaxTime: 101, TsdbInfos: []*thanospb.TSDBInfo{{Labels: set(t, "a", "x"), MinTime: 0, MaxTime: 80}, {Labels: set(t, "a", "y"), MinTime: 60, MaxTime: 200}, {Labels: set(t, "a", "z"), MinTime: 0, MaxTime: 50}},
	}})
	require.NoError(t, err)
	require.Equal(t, []remote.Coverage{
		{Labels: labels.FromStrings("a", "x"), Intervals: remote.Intervals{{Start: 50, End: 79}}},
		{Labels: labels.FromStrings("a", "y"), Intervals: remote.Intervals{{Start: 60, End: 100}}},
	}, got.coverage)
}

// Who plans queries sees the same slices as long as the node has the same data, in whatever order it says so.
func TestInfoStaysTheSame(t *testing.T) {
	info := func(end int64, names ...string) *thanospb.InfoResponse {
		res := &thanospb.InfoResponse{Query: &thanospb.QueryAPIInfo{}, Store: &thanospb.StoreInfo{}}
		for _, n := range names {
			res.Store.TsdbInfos = append(res.Store.TsdbInfos, &thanospb.TSDBInfo{Labels: set(t, "a", n), MaxTime: end})
		}
		return res
	}
	var now atomic.Pointer[thanospb.InfoResponse]
	now.Store(info(10, "x", "y", "z"))
	p := &peer{info: func() (*thanospb.InfoResponse, error) { return now.Load(), nil }}
	c := connect(t, p, nil, Options{})
	require.NoError(t, c.Refresh(t.Context()))
	for _, step := range []struct {
		info *thanospb.InfoResponse
		same bool
	}{{info(10, "z", "x", "y", "x"), true}, {info(11, "x", "y", "z"), false}, {info(11, "x", "y"), false}, {info(11, "x", "w"), false}, {info(11, "w", "x"), true}} {
		labels, coverage := c.Labels(), c.Coverage()
		now.Store(step.info)
		require.NoError(t, c.Refresh(t.Context()))
		require.Equal(t, step.same, &labels[0] == &c.Labels()[0] && &coverage[0] == &c.Coverage()[0])
	}
}

// A node that does not answer may have newer samples by now than it said last, if its newest were fresh then.
func TestInfoOfLostNode(t *testing.T) {
	newest := time.Now().Add(-time.Minute).UnixMilli()
	var lost atomic.Bool
	p := &peer{info: func() (*thanospb.InfoResponse, error) {
		if lost.Load() {
			return nil, errors.New("gone")
		}
		return &thanospb.InfoResponse{Stride: &thanospb.StrideInfo{LanguageLevel: "3.16"}, Store: &thanospb.StoreInfo{TsdbInfos: []*thanospb.TSDBInfo{
			{Labels: set(t, "a", "live"), MinTime: 0, MaxTime: newest}, {Labels: set(t, "a", "old"), MinTime: 0, MaxTime: 5},
		}}}, nil
	}}
	c := connect(t, p, nil, Options{})
	ends := func() (ends []int64) {
		for _, c := range c.Coverage() {
			ends = append(ends, c.Intervals.End())
		}
		return ends
	}
	require.NoError(t, c.Refresh(t.Context()))
	require.Equal(t, []int64{newest, 5}, ends())
	coverage := c.Coverage()
	require.Equal(t, []bool{true, false}, []bool{coverage[0].Grows, coverage[1].Grows})
	lost.Store(true)
	for range 2 {
		require.Error(t, c.Refresh(t.Context()))
		require.Equal(t, []int64{math.MaxInt64, 5}, ends())
		require.False(t, c.Coverage()[0].Grows, "it has no end any more")
	}
	lost.Store(false)
	require.NoError(t, c.Refresh(t.Context()))
	require.Equal(t, []int64{newest, 5}, ends())
}

// Data is taken to grow for as long as its newest samples are fresh, whichever replica has them, and though the node says the same again and again.
func TestInfoOfDataThatGrows(t *testing.T) {
	now := time.UnixMilli(3_600_000)
	at := func(before time.Duration) int64 { return now.Add(-before).UnixMilli() }
	info := &thanospb.InfoResponse{Stride: &thanospb.StrideInfo{LanguageLevel: "3.16"}, Store: &thanospb.StoreInfo{TsdbInfos: []*thanospb.TSDBInfo{
		{Labels: set(t, "a", "live", "replica", "1"), MaxTime: at(time.Hour)}, {Labels: set(t, "a", "live", "replica", "2"), MaxTime: at(time.Minute)},
		{Labels: set(t, "a", "ahead"), MaxTime: at(-time.Minute)}, {Labels: set(t, "a", "old"), MaxTime: at(time.Hour)},
		{Labels: set(t, "a", "open"), MaxTime: math.MaxInt64},
	}}}
	c := &Client{opts: Options{ReplicaLabels: []string{"replica"}}}
	grow := func(now time.Time) (*announcement, []string) {
		said, err := c.read(info, now)
		require.NoError(t, err)
		var out []string
		for _, c := range said.coverage {
			if c.Grows {
				out = append(out, c.Labels.Get("a"))
			}
		}
		return said, out
	}
	said, growing := grow(now)
	require.Equal(t, []string{"live", "ahead"}, growing)
	require.False(t, said.stale(now.Add(fresh-time.Minute)))
	require.True(t, said.stale(now.Add(fresh)))
	later, growing := grow(now.Add(fresh))
	require.Equal(t, []string{"ahead"}, growing)
	require.False(t, later.same(said))
}

// BenchmarkInfo is about what a node with 100,000 external label sets says: the same as before, the same in another order, something else.
func BenchmarkInfo(b *testing.B) {
	make := func(n int) *thanospb.InfoResponse {
		res := &thanospb.InfoResponse{Query: &thanospb.QueryAPIInfo{}, Store: &thanospb.StoreInfo{}}
		for i := range n {
			l := set(b, "cluster", fmt.Sprintf("cluster-%d", i), "region", fmt.Sprint(i%100), "tenant", fmt.Sprint(i%10))
			res.LabelSets = append(res.LabelSets, l)
			res.Store.TsdbInfos = append(res.Store.TsdbInfos, &thanospb.TSDBInfo{Labels: l, MaxTime: math.MaxInt64})
		}
		return res
	}
	same, mixed := make(100_000), make(100_000)
	rand.Shuffle(len(mixed.Store.TsdbInfos), func(i, j int) {
		infos := mixed.Store.TsdbInfos
		infos[i], infos[j] = infos[j], infos[i]
	})
	for name, c := range map[string]struct {
		in   *thanospb.InfoResponse
		same bool
	}{"same": {same, true}, "mixed": {mixed, true}, "other": {make(100_001), false}} {
		b.Run(name, func(b *testing.B) {
			client := &Client{}
			client.said.Store(silence())
			before, err := client.understand(same)
			require.NoError(b, err)
			client.said.Store(before)
			for b.Loop() {
				a, err := client.understand(c.in)
				require.NoError(b, err)
				require.Equal(b, c.same, &a.coverage[0] == &before.coverage[0])
			}
		})
	}
}

// FuzzInfo reads any bytes.
func FuzzInfo(f *testing.F) {
	for _, info := range []*thanospb.InfoResponse{strideInfo, thanosInfo} {
		b, err := proto.Marshal(info)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in thanospb.InfoResponse
		if proto.Unmarshal(b, &in) != nil {
			return
		}
		a, err := readInfo(&in)
		if err != nil {
			return
		}
		for _, c := range a.coverage {
			require.NotEmpty(t, c.Intervals)
			for i, x := range c.Intervals {
				require.False(t, x.Empty())
				require.True(t, i == 0 || c.Intervals[i-1].End+1 < x.Start)
			}
		}
	})
}
