package client

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// golden are messages that Thanos' own types of a version have written, by what they are for. Versions lack what came later.
func golden(t *testing.T, version string) map[string][]byte {
	t.Helper()
	content, err := os.ReadFile("../proto/wire/testdata/golden/" + version + "/messages.json")
	require.NoError(t, err)
	var f struct {
		Messages []struct {
			Name  string
			Bytes []byte
		}
	}
	require.NoError(t, json.Unmarshal(content, &f))
	out := map[string][]byte{}
	for _, m := range f.Messages {
		out[m.Name] = m.Bytes
	}
	return out
}

// unmarshal reads the messages with some names, those of them that there are.
func unmarshal[M any, P interface {
	*M
	proto.Message
}](t *testing.T, from map[string][]byte, names ...string) (out []*M) {
	t.Helper()
	for _, name := range names {
		b, ok := from[name]
		if !ok {
			continue
		}
		m := new(M)
		require.NoError(t, proto.Unmarshal(b, P(m)))
		out = append(out, m)
	}
	require.NotEmpty(t, out)
	return out
}

var thanosVersions = []string{"v0.42.4", "v0.36.1", "v0.32.5"}

// Nodes of all versions are taken for what they are.
func TestGoldenInfo(t *testing.T) {
	a, b := labels.FromStrings("cluster", "a"), labels.FromStrings("cluster", "b")
	from := func(start int64) remote.Intervals { return remote.Intervals{{Start: start, End: math.MaxInt64}} }
	for _, version := range thanosVersions {
		messages := golden(t, version)
		evaluates, queries := remote.Capabilities{LanguageLevel: thanosLevel, WholeSeconds: true}, thanos
		if version != "v0.42.4" { // of before v0.40
			evaluates, queries = remote.Capabilities{SamplesOnly: true}, none
		}
		for name, want := range map[string]struct {
			names            []string
			coverage         []remote.Coverage
			capabilities     remote.Capabilities
			queries, selects api
		}{
			"info of a querier": {
				[]string{"cluster"},
				[]remote.Coverage{{Labels: a, Intervals: remote.Intervals{{Start: 1000, End: 7199999}, {Start: 14400000, End: math.MaxInt64}}}, {Labels: b, Intervals: remote.Intervals{{Start: 500, End: 599}}}},
				evaluates, queries, thanos,
			},
			"info of a sidecar":            {[]string{"cluster"}, []remote.Coverage{{Labels: a, Intervals: from(1000)}}, remote.Capabilities{SamplesOnly: true}, none, thanos},
			"info without data sets":       {[]string{"cluster"}, []remote.Coverage{{Labels: a, Intervals: remote.Intervals{{Start: 1000, End: 4999}}}}, evaluates, queries, thanos},
			"info without external labels": {nil, []remote.Coverage{{Intervals: from(1000)}}, remote.Capabilities{SamplesOnly: true}, none, thanos},
		} {
			t.Run(version+"/"+name, func(t *testing.T) {
				got, err := readInfo(unmarshal[thanospb.InfoResponse](t, messages, name)[0])
				require.NoError(t, err)
				require.Equal(t, want.names, got.labels)
				require.Equal(t, want.coverage, got.coverage)
				require.Equal(t, want.capabilities, got.capabilities)
				require.Equal(t, want.queries, got.queries)
				require.Equal(t, want.selects, got.selects)
			})
		}
	}
}

// Answers of all versions are the same, in batches or not, with statistics or without.
func TestGoldenAnswers(t *testing.T) {
	metric := labels.FromStrings("__name__", "m", "pod", "1", "raw", "\xff\xfe")
	for _, version := range thanosVersions {
		t.Run(version, func(t *testing.T) {
			messages := golden(t, version)
			p := &peer{answer: func(_ any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
				return sendAll(out, unmarshal[thanospb.QueryResponse](t, messages, "warnings of an instant query", "floats of an instant query",
					"integer histograms of a range query", "batch of an instant query", "statistics of an instant query")...)
			}}
			info := unmarshal[thanospb.InfoResponse](t, messages, "info of a querier")[0]
			info.Status = &thanospb.StatusInfo{} // v0.40 answers as v0.36 does
			c := connect(t, p, info, Options{})
			require.NoError(t, c.Refresh(t.Context()))
			q, err := c.NewRangeQuery(t.Context(), nil, &remote.Text{Query: "m"}, time.Unix(1, 0), time.Unix(3, 0), time.Second)
			require.NoError(t, err)
			stream, err := q.(remote.Streamer).Stream(t.Context())
			require.NoError(t, err)
			defer stream.Close()
			var floats, histograms int
			for {
				columns, err := stream.Next(t.Context())
				if err != nil {
					require.EqualError(t, err, "EOF")
					break
				}
				for row, s := range columns.Series {
					require.Equal(t, metric, s.Labels)
					for p := row * columns.Steps; p < (row+1)*columns.Steps; p++ {
						switch {
						case columns.Valid.Get(p):
							floats++
						case columns.H != nil && columns.HValid.Get(p):
							histograms++
						}
					}
				}
			}
			_, batches := messages["batch of an instant query"]
			_, statistics := messages["statistics of an instant query"]
			require.Equal(t, version == "v0.42.4", batches)
			require.Equal(t, version != "v0.32.5", statistics)
			trailer := stream.Trailer()
			if batches {
				require.Equal(t, []int{6, 3}, []int{floats, histograms})
			} else {
				require.Equal(t, []int{3, 1}, []int{floats, histograms})
			}
			if statistics {
				require.Equal(t, remote.Stats{Total: []int64{12345}, PeakSamples: 67}, trailer.Stats)
			} else {
				require.Zero(t, trailer.Stats)
			}
			warnings, infos := trailer.Annotations.AsStrings("", 0, 0)
			require.Equal(t, []string{"remote engine leaf: one"}, warnings)
			require.Equal(t, []string{"PromQL info: two, \xff\xfe"}, infos)
		})
	}
}

// Samples of all versions are the same, whether series come in batches or one by one.
func TestGoldenSeries(t *testing.T) {
	for _, version := range thanosVersions {
		t.Run(version, func(t *testing.T) {
			messages := golden(t, version)
			names := []string{"series without chunks", "raw series", "hints of a store", "warning of a store"}
			p := &peer{series: func(_ *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
				return sendAll(out, unmarshal[thanospb.SeriesResponse](t, messages, names...)...)
			}}
			c := connect(t, p, unmarshal[thanospb.InfoResponse](t, messages, "info of a sidecar")[0], Options{})
			require.NoError(t, c.Refresh(t.Context()))
			all := func() (out []promql.FPoint, warnings []string, err error) {
				q, err := c.Querier(0, math.MaxInt64)
				require.NoError(t, err)
				defer q.Close()
				set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m"))
				for set.Next() {
					require.Equal(t, `{__name__="m", pod="1", raw="\xff\xfe"}`, set.At().Labels().String())
					for it := set.At().Iterator(nil); it.Next() == chunkenc.ValFloat; {
						at, v := it.At()
						out = append(out, promql.FPoint{T: at, F: v})
					}
				}
				for w := range set.Warnings() {
					warnings = append(warnings, w)
				}
				return out, warnings, set.Err()
			}
			samples, warnings, err := all()
			require.NoError(t, err)
			require.Equal(t, []promql.FPoint{{T: 1000, F: 1}, {T: 16000, F: 2.5}}, samples)
			require.Equal(t, []string{"remote engine leaf: one"}, warnings)

			names = []string{"downsampled series"}
			_, _, err = all()
			require.ErrorContains(t, err, "downsampled")
			if _, ok := messages["batch of series"]; ok {
				names = []string{"batch of series"}
				samples, _, err = all()
				require.ErrorContains(t, err, "downsampled", "of the second series")
				require.Len(t, samples, 2, "of the first one")
			}
		})
	}
}
