package wire

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stride-promql/stride/remote/proto/thanospb"
)

var update = flag.Bool("update", false, "write testdata/golden/stride.json; make golden does, and tells Thanos' types")

// goldenVersions are the versions of Thanos whose own types have made bytes. The newest one has all fields.
var goldenVersions = []string{"v0.42.4", "v0.36.1", "v0.32.5"}

const goldenDir = "testdata/golden/"

// goldenFile is a file that is made by e2e/golden.
type goldenFile struct {
	// Lacks are the fields that other versions have and this one has not.
	Lacks    []string `json:",omitempty"`
	Messages []goldenMessage
}

type goldenMessage struct {
	// Name says what it is for; Type is Thanos' name in Go.
	Name, Type string
	Bytes      []byte
	// Fields are what Thanos' types read from the bytes: those that are not zero, by name, numbers as texts, texts as Go writes them.
	Fields map[string]any `json:",omitempty"`
	// Same says that Thanos' types write the same bytes again.
	Same bool `json:",omitempty"`
}

func readGolden(t testing.TB, path string) (f goldenFile) {
	t.Helper()
	content, err := os.ReadFile(goldenDir + path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &f))
	require.NotEmpty(t, f.Messages)
	return f
}

// goldenBytes is what a version has written under a name.
func goldenBytes(t testing.TB, version, name string) []byte {
	t.Helper()
	for _, m := range readGolden(t, version+"/messages.json").Messages {
		if m.Name == name {
			return m.Bytes
		}
	}
	require.Fail(t, "no message", name)
	return nil
}

// types are ours for Thanos' types.
var types = map[string]proto.Message{
	"infopb.InfoRequest":          &thanospb.InfoRequest{},
	"infopb.InfoResponse":         &thanospb.InfoResponse{},
	"querypb.QueryRequest":        &thanospb.QueryRequest{},
	"querypb.QueryResponse":       &thanospb.QueryResponse{},
	"querypb.QueryRangeRequest":   &thanospb.QueryRangeRequest{},
	"querypb.QueryRangeResponse":  &thanospb.QueryResponse{},
	"storepb.SeriesRequest":       &thanospb.SeriesRequest{},
	"storepb.SeriesResponse":      &thanospb.SeriesResponse{},
	"storepb.LabelNamesRequest":   &thanospb.LabelNamesRequest{},
	"storepb.LabelNamesResponse":  &thanospb.LabelNamesResponse{},
	"storepb.LabelValuesRequest":  &thanospb.LabelValuesRequest{},
	"storepb.LabelValuesResponse": &thanospb.LabelValuesResponse{},
}

// leftOut are the fields of Thanos that ours do not have, and why.
var leftOut = map[protoreflect.FullName]string{
	"thanos.info.InfoResponse.rules":               "not served, nor asked for",
	"thanos.info.InfoResponse.metric_metadata":     "not served, nor asked for",
	"thanos.info.InfoResponse.targets":             "not served, nor asked for",
	"thanos.info.InfoResponse.exemplars":           "not served, nor asked for",
	"thanos.QueryRequest.queryPlan":                "Thanos evaluates the text, and so does a Stride node",
	"thanos.QueryRangeRequest.queryPlan":           "Thanos evaluates the text, and so does a Stride node",
	"thanos.QueryRequest.enableQueryPushdown":      "says how Thanos queriers of old read from stores",
	"thanos.QueryRangeRequest.enableQueryPushdown": "says how Thanos queriers of old read from stores",
	"thanos.SeriesRequest.hints":                   "blocks to read, of object storage",
	"thanos.SeriesRequest.step":                    "deprecated",
	"thanos.SeriesRequest.range":                   "deprecated",
	"thanos.SeriesRequest.query_hints":             "old sidecars take them for an order to evaluate",
	"thanos.SeriesResponse.hints":                  "blocks that were read",
	"thanos.Chunk.hash":                            "chunks that are alike are told by their bytes",
	"thanos.LabelNamesRequest.hints":               "blocks to read",
	"thanos.LabelNamesResponse.hints":              "blocks that were read",
	"thanos.LabelValuesRequest.hints":              "blocks to read",
	"thanos.LabelValuesResponse.hints":             "blocks that were read",
	"prometheus_copy.TimeSeries.exemplars":         "results of queries have none",
}

// What Thanos' types of several versions have written is read field by field, and where all is understood it is written the same again.
func TestGolden(t *testing.T) {
	for _, version := range goldenVersions {
		f := readGolden(t, version+"/messages.json")
		for _, m := range f.Messages {
			t.Run(version+"/"+m.Name, func(t *testing.T) {
				ours := types[m.Type].ProtoReflect().New()
				require.NoError(t, proto.Unmarshal(m.Bytes, ours.Interface()))
				if slices.Contains(f.Lacks, "prompb.Histogram.custom_values") && strings.HasPrefix(m.Name, "custom buckets") {
					b := labels.NewScratchBuilder(0)
					_, err := DecodeThanosSeries([][]byte{ours.Interface().(*thanospb.QueryResponse).GetTimeseries()}, goldenSteps, &b)
					require.ErrorContains(t, err, "custom bounds", "buckets that have lost their bounds are not taken for others")
					return
				}
				left := prune(t, ours.Descriptor(), m.Fields)
				require.Equal(t, m.Fields, described(t, ours))
				if left {
					return
				}
				again, err := proto.MarshalOptions{Deterministic: true}.Marshal(ours.Interface())
				require.NoError(t, err)
				require.Equal(t, m.Bytes, append([]byte{}, again...))
				if r, ok := ours.Interface().(*thanospb.QueryResponse); ok && r.GetTimeseries() != nil {
					again, err := EncodeThanosSeries(readSeries(t, r.GetTimeseries()))
					require.NoError(t, err)
					require.Equal(t, r.GetTimeseries(), again)
				}
			})
		}
	}
	require.Equal(t, []string{"querypb.QueryRangeRequest.enableQueryPushdown", "querypb.QueryRequest.enableQueryPushdown"}, readGolden(t, "v0.42.4/messages.json").Lacks,
		"the newest version has all fields but those of old")
}

// Chunks of Thanos' types are read: samples as they are, and of downsampled data what was asked for.
func TestGoldenChunks(t *testing.T) {
	for _, version := range goldenVersions {
		found := map[string]*thanospb.SeriesResponse{}
		for _, m := range readGolden(t, version+"/messages.json").Messages {
			if m.Type == "storepb.SeriesResponse" {
				found[m.Name] = &thanospb.SeriesResponse{}
				require.NoError(t, proto.Unmarshal(m.Bytes, found[m.Name]))
			}
		}
		var r ChunkReader
		for _, m := range found["raw series"].GetSeries().Chunks {
			c, err := r.ReadThanos(m)
			require.NoError(t, err)
			require.Equal(t, [2]int64{1000, 16000}, [2]int64{c.MinTime, c.MaxTime})
			require.Equal(t, []promql.FPoint{{T: 1000, F: 1}, {T: 16000, F: 2.5}}, floatsOf(t, c.Chunk))
		}
		_, err := r.ReadThanos(found["downsampled series"].GetSeries().Chunks[0])
		require.ErrorContains(t, err, "downsampled")
	}
}

func floatsOf(t *testing.T, c chunkenc.Chunk) (out []promql.FPoint) {
	t.Helper()
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		at, v := it.At()
		out = append(out, promql.FPoint{T: at, F: v})
	}
	require.NoError(t, it.Err())
	return out
}
