package deployments

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Receivers are two receivers with a TSDB for each tenant, which is a region here, and leaves in front of both of them, each of which has the tenants
// whose names hash to its number.
//
//	writer - receiver 0: eu us \ / leaf 0: us ap \
//	                            X                 root
//	writer - receiver 1: ap sa / \ leaf 1: eu sa /
func Receivers(t testing.TB, e *containers.Environment, all []Region) (leaves []Leaf) {
	t.Helper()
	var receivers []*containers.Node
	for i := range 2 {
		receivers = append(receivers, e.Receiver(fmt.Sprintf("receiver-%d", i), "--receive.tenant-label-name=region"))
	}
	for i, r := range all {
		to := receivers[i*len(receivers)/len(all)]
		write(t, to.Write()+"/api/v1/receive", r)
	}
	return ByHash(receivers, 2)
}

// ByHash are leaves in front of all stores, each of which has the regions whose names hash to its number.
func ByHash(stores []*containers.Node, n int) (leaves []Leaf) {
	for i := range n {
		leaves = append(leaves, Leaf{Name: fmt.Sprintf("shard%d", i), Stores: stores, Flags: []string{"--query.replica-label=receiver", fmt.Sprintf(
			"--selector.relabel-config=[{action: hashmod, source_labels: [region], modulus: %d, target_label: shard}, {action: keep, source_labels: [shard], regex: %d}]", n, i)}})
	}
	return leaves
}

// A receiver takes samples as they come about: those of all series of some time before later ones.
const (
	window = 10 * time.Minute
	batch  = 2000
)

func write(t testing.TB, url string, r Region) {
	t.Helper()
	first := oracle.FirstTime(t, r.Dir)
	for from := first; from.Before(End); from = from.Add(window) {
		q, err := r.Data.Querier(from.UnixMilli(), from.Add(window).UnixMilli()-1)
		require.NoError(t, err)
		set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
		req := &prompb.WriteRequest{}
		for set.Next() {
			s := set.At()
			series := prompb.TimeSeries{Labels: prompb.FromLabels(labels.NewBuilder(s.Labels()).Del("region").Labels(), nil)}
			add(t, &series, s)
			if req.Timeseries = append(req.Timeseries, series); len(req.Timeseries) == batch {
				send(t, url, r.Name, req)
				req.Timeseries = nil
			}
		}
		require.NoError(t, set.Err())
		send(t, url, r.Name, req)
		require.NoError(t, q.Close())
	}
}

func add(t testing.TB, to *prompb.TimeSeries, s storage.Series) {
	t.Helper()
	it := s.Iterator(nil)
	var h *histogram.Histogram
	var fh *histogram.FloatHistogram
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		var at int64
		switch typ {
		case chunkenc.ValFloat:
			var v float64
			at, v = it.At()
			to.Samples = append(to.Samples, prompb.Sample{Timestamp: at, Value: v})
		case chunkenc.ValHistogram:
			at, h = it.AtHistogram(nil)
			to.Histograms = append(to.Histograms, prompb.FromIntHistogram(at, h))
		case chunkenc.ValFloatHistogram:
			at, fh = it.AtFloatHistogram(nil)
			to.Histograms = append(to.Histograms, prompb.FromFloatHistogram(at, fh))
		}
	}
	require.NoError(t, it.Err())
}

func send(t testing.TB, url, tenant string, req *prompb.WriteRequest) {
	t.Helper()
	if len(req.Timeseries) == 0 {
		return
	}
	b, err := req.Marshal()
	require.NoError(t, err)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(snappy.Encode(nil, b)))
	require.NoError(t, err)
	post.Header.Set("Content-Encoding", "snappy")
	post.Header.Set("Content-Type", "application/x-protobuf")
	post.Header.Set("THANOS-TENANT", tenant)
	res, err := http.DefaultClient.Do(post)
	require.NoError(t, err)
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(said))
}
