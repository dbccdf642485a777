package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/source/extlabels"
)

// cluster is data directories of several clusters, with their external labels.
type cluster struct {
	dirs   []string
	labels []string
}

func newCluster(t *testing.T, names ...string) cluster {
	t.Helper()
	var c cluster
	for i, n := range names {
		c.dirs, c.labels = append(c.dirs, seededDir(t, uint64(i+1))), append(c.labels, n)
	}
	return c
}

// leaves starts a node for each directory, and gives flags by which another node finds them.
func (c cluster) leaves(t *testing.T) (leaves []*serving, flags []string) {
	t.Helper()
	for i, dir := range c.dirs {
		leaf := serve(t, dir, "--external-label=cluster="+c.labels[i])
		leaves, flags = append(leaves, leaf), append(flags, "--endpoint="+leaf.nodes)
	}
	return leaves, flags
}

// merged is all data in one storage.
func (c cluster) merged(t *testing.T) storage.Queryable {
	t.Helper()
	var all []storage.Queryable
	for i, dir := range c.dirs {
		d := livedata.New(dir, slog.New(slog.DiscardHandler), nil)
		require.NoError(t, d.Load())
		t.Cleanup(d.Close)
		all = append(all, extlabels.New(d, labels.FromStrings("cluster", c.labels[i])))
	}
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		var qs []storage.Querier
		for _, q := range all {
			querier, err := q.Querier(mint, maxt)
			if err != nil {
				return nil, err
			}
			qs = append(qs, querier)
		}
		return storage.NewMergeQuerier(qs, nil, storage.ChainedSeriesMerge), nil
	})
}

var clusterQueries = []string{
	"up", "sum(up)", "count by (cluster) (up)", "sum by (job) (rate(http_requests_total[5m]))", "avg(up)",
	"topk(3, http_requests_total)", "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
	"rpc_duration_seconds", "histogram_quantile(0.9, sum(rate(rpc_duration_seconds[5m])))", "stddev by (job) (up)", "absent(nothing)", "absent(up)",
	"max_over_time(sum(up)[10m:1m])", "sum by (cluster, job) (up) / on (cluster, job) count by (cluster, job) (up)",
	`count_values("v", up)`, "quantile(0.5, http_requests_total)", `label_replace(up, "cluster", "x", "job", ".*")`, "1 + 1", "time()", "nothing", "up offset 10m",
	"sum(up @ end())", "scalar(sum(up))", "sort_desc(sum by (cluster) (up))",
}

func requireSame(t *testing.T, want, got parser.Value, expr string) {
	t.Helper()
	d := differ{tolerance: defaultTolerance}
	d.values(got, want)
	require.Empty(t, d.found, expr)
}

// requireAnswers compares what a node answers with what Prometheus' engine says of the same data.
func requireAnswers(t *testing.T, node *serving, data storage.Queryable) {
	t.Helper()
	end, err := time.Parse(time.RFC3339, sampleEnd)
	require.NoError(t, err)
	start, step := end.Add(-30*time.Minute), time.Minute
	oracle := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e8, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	asked, err := client.New(node.url, nil)
	require.NoError(t, err)
	defer asked.Close()
	for _, expr := range clusterQueries {
		instant, err := oracle.NewInstantQuery(t.Context(), data, nil, expr, end)
		require.NoError(t, err)
		ranged, err := oracle.NewRangeQuery(t.Context(), data, nil, expr, start, end, step)
		require.NoError(t, err)
		for q, of := range map[promql.Query]client.Query{
			instant: {Expr: expr, Instant: true, Start: end, End: end},
			ranged:  {Expr: expr, Start: start, End: end, Step: step},
		} {
			want := q.Exec(t.Context())
			require.NoError(t, want.Err)
			got, err := asked.Query(t.Context(), of)
			require.NoError(t, err, expr)
			requireSame(t, want.Value, got.Value, expr)
			warnings, infos := want.Warnings.AsStrings(expr, 0, 0)
			require.ElementsMatch(t, warnings, got.Warnings, expr)
			require.ElementsMatch(t, infos, got.Infos, expr)
			q.Close()
		}
	}
}

// On whose behalf a request is travels to all nodes that have a part in it, through those between.
func TestTenantReachesNodes(t *testing.T) {
	c := newCluster(t, "eu")
	var mu sync.Mutex
	var tenants []string
	store, _ := storeNode(t, c.dirs[0], labels.FromStrings("cluster", "eu"), grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		md, _ := metadata.FromIncomingContext(ss.Context())
		mu.Lock()
		tenants = append(tenants, strings.Join(md.Get("thanos-tenant"), " "))
		mu.Unlock()
		return handler(srv, ss)
	}))
	between := serveArgs(t, "--endpoint="+store)
	root := serveArgs(t, "--endpoint="+between.nodes)
	for _, path := range []string{"/api/v1/query?query=sum(up)&time=" + sampleEnd, "/api/v1/series?match[]=up"} {
		mu.Lock()
		tenants = nil
		mu.Unlock()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, root.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("THANOS-TENANT", "team-a")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode)
		mu.Lock()
		require.Equal(t, []string{"team-a"}, slices.Compact(tenants), path)
		mu.Unlock()
	}
}

// What other nodes did for a query is in its analysis.
func TestAnalysisOfOtherNodes(t *testing.T) {
	_, flags := newCluster(t, "eu").leaves(t)
	root := serveArgs(t, flags...)
	body := root.body(t, "/api/v1/query", "query", "sum(rate(http_requests_total[5m])) + sum(up)", "time", sampleEnd, "analyze", "true")
	require.Contains(t, body, `"remote":[`)
	require.Contains(t, body, `scan rate of http_requests_total[5m]`)
}

// A node that asks others answers as one engine over all their data does, whether they evaluate or only give samples.
func TestClusterAnswersAsOneEngine(t *testing.T) {
	c := newCluster(t, "eu", "us", "ap")
	data := c.merged(t)
	_, flags := c.leaves(t)
	root := func(args ...string) *serving { return serveArgs(t, args...) }
	t.Run("distributed", func(t *testing.T) { requireAnswers(t, root(flags...), data) })
	t.Run("local", func(t *testing.T) { requireAnswers(t, root(append(flags, "--query.mode=local")...), data) })
	t.Run("own data beside others'", func(t *testing.T) {
		requireAnswers(t, root(append(flags[1:], "--tsdb.path="+c.dirs[0], "--external-label=cluster=eu")...), data)
	})
	t.Run("a node between", func(t *testing.T) {
		requireAnswers(t, root("--endpoint="+root(flags[1:]...).nodes, flags[0]), data)
	})
	t.Run("two nodes on the same data", func(t *testing.T) {
		again := serve(t, c.dirs[1], "--external-label=cluster=us")
		r := root(append(flags, "--endpoint="+again.nodes)...)
		requireAnswers(t, r, data)
		require.Contains(t, r.body(t, "/metrics"), "stride_replica_picks_total{")
		require.Equal(t, exitOK, again.stop())
		requireAnswers(t, r, data)
	})
}

// Nodes that ask each other in a circle say so.
func TestCircleOfNodes(t *testing.T) {
	c := newCluster(t, "eu", "us")
	leaves, _ := c.leaves(t)
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(addresses ...string) {
		text := "endpoints:\n"
		for _, a := range addresses {
			text += "- address: " + a + "\n"
		}
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	write(leaves[0].nodes)
	first := serveArgs(t, "--endpoint.sd-config-file="+file, "--endpoint.sd-config-reload-interval=10ms")
	second := serveArgs(t, "--endpoint="+first.nodes, "--endpoint="+leaves[1].nodes)
	require.Contains(t, first.body(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd), `"success"`)
	write(leaves[0].nodes, second.nodes)
	for {
		status, body := first.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", "0")
		if status == 200 || strings.Contains(body, "it has not answered yet") {
			runtime.Gosched() // the file has not been read, or the second node not been spoken to
			continue
		}
		require.Contains(t, body, "in a circle")
		return
	}
}

// Whatever is evaluated is among the active queries: parts at the nodes that are asked for them, and what is evaluated in another way because of
// its parameters.
func TestActiveQueriesOfACluster(t *testing.T) {
	leaves, flags := newCluster(t, "eu", "us").leaves(t)
	root := serveArgs(t, flags...)
	for _, tc := range []struct {
		at     *serving
		params []string
	}{
		{root, nil}, {leaves[0], nil}, {leaves[1], nil}, {root, []string{"dedup", "0"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		asking.Go(func() {
			for ctx.Err() == nil {
				root.get(t, "/api/v1/query", append(tc.params, "query", "count(sum_over_time(http_requests_total[1h:1s]))", "time", sampleEnd)...)
			}
		})
		for !strings.Contains(tc.at.body(t, "/api/v1/status/active_queries"), "sum_over_time") {
			require.NoError(t, t.Context().Err())
		}
		cancel()
		asking.Wait()
	}
}

// What a node that is lost had is missing with a warning that names it, or not at all.
func TestLostNode(t *testing.T) {
	c := newCluster(t, "eu", "us")
	_, flags := c.leaves(t)
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			leaf := serve(t, c.dirs[0], "--external-label=cluster=ap")
			root := serveArgs(t, append(flags, "--endpoint="+leaf.nodes, "--query.mode="+mode)...)
			ask := func(partial string) (int, string) {
				return root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", partial)
			}
			status, whole := ask("0")
			require.Equal(t, 200, status, whole)
			require.NotContains(t, whole, "warnings")
			leaf.stop()
			status, body := ask("0")
			require.NotEqual(t, 200, status, body)
			require.Contains(t, body, leaf.nodes)
			status, body = ask("1")
			require.Equal(t, 200, status, body)
			require.Contains(t, body, `"warnings":[`)
			require.Contains(t, body, leaf.nodes)
			require.Regexp(t, `results from 20\S+Z to 20\S+Z of series with the external labels {cluster=\\"ap\\"} may be missing`, body)
		})
	}
}

// A node whose name cannot be looked up is missing in the same way from the beginning on, and shows.
func TestNodeWithoutAddress(t *testing.T) {
	const nobody = "dns+leaf-us.invalid:10901"
	c := newCluster(t, "eu")
	_, flags := c.leaves(t)
	for _, mode := range []string{"distributed", "local"} {
		for _, flags := range [][]string{flags, nil} {
			root := serveArgs(t, append([]string{"--endpoint=" + nobody, "--query.mode=" + mode}, flags...)...)
			ask := func(partial string) (int, string) {
				return root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", partial)
			}
			status, body := ask("0")
			require.NotEqual(t, 200, status, body)
			require.Contains(t, body, "remote engine "+nobody+": ")
			require.Contains(t, body, "its address is not known: ")
			status, body = ask("1")
			require.Equal(t, 200, status, body)
			require.Contains(t, body, "remote engine "+nobody+" failed, so that results from ")
			require.Equal(t, flags != nil, strings.Contains(body, `"value":[`), body)
			require.Regexp(t, `"name":"dns\+leaf-us.invalid:10901","lastCheck":"2[^"]+","lastError":"its address is not known: `, root.body(t, "/api/v1/stores"))
			require.Contains(t, root.body(t, "/metrics"), `stride_endpoint_up{endpoint="`+nobody+`",group=""} 0`)
		}
	}
}

// Nodes and servers that have never answered are missed by name, and leave what is asked of others as it is.
func TestUnheardNodes(t *testing.T) {
	c := newCluster(t, "eu", "us")
	_, flags := c.leaves(t)
	nobody := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}
	node, server := nobody(), nobody()
	root := serveArgs(t, append(flags, "--endpoint="+node, "--remote-read.url=http://"+server, "--endpoint.info-timeout=100ms")...)
	ask := func(path, partial string) (int, string) {
		return root.get(t, path, "query", "count by (job) (rate(up[5m]))", "time", sampleEnd, "partial_response", partial)
	}
	status, plan := ask("/api/v1/query_explain", "0")
	require.Equal(t, 200, status, plan)
	require.Contains(t, plan, "count by (cluster, job) (rate(up[5m]))")
	require.Contains(t, plan, "remote "+node+": nothing was heard of it")
	status, body := ask("/api/v1/query", "0")
	require.NotEqual(t, 200, status, body)
	require.Contains(t, body, "it has not said yet what it is")
	status, body = ask("/api/v1/query", "1")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"value":[`)
	require.Contains(t, body, "remote engine "+node+" failed")
	require.Contains(t, body, "remote engine http://"+server+" failed")
}

// A node between has the choice of whoever asks it, whatever its own users have.
func TestLostNodeOfNodeBetween(t *testing.T) {
	c := newCluster(t, "eu", "us")
	leaves, flags := c.leaves(t)
	between := serveArgs(t, flags...)
	root := serveArgs(t, "--endpoint="+between.nodes)
	ask := func(partial string) (int, string) {
		return root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", partial)
	}
	status, whole := ask("0")
	require.Equal(t, 200, status, whole)
	leaves[0].stop()
	status, body := ask("0")
	require.NotEqual(t, 200, status, body)
	require.Contains(t, body, leaves[0].nodes)
	status, body = ask("1")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, leaves[0].nodes)

	// So it is for a Thanos querier, which sends text.
	conn, err := grpc.NewClient(between.nodes, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	at, err := time.Parse(time.RFC3339, sampleEnd)
	require.NoError(t, err)
	for _, allowed := range []bool{false, true} {
		in, err := thanospb.NewQueryClient(conn).QueryRange(t.Context(), &thanospb.QueryRangeRequest{
			Query: []byte("count(up)"), StartTimeSeconds: at.Unix(), EndTimeSeconds: at.Unix(), IntervalSeconds: 1, EnablePartialResponse: allowed,
		})
		require.NoError(t, err)
		res, err := in.Recv()
		if !allowed {
			require.ErrorContains(t, err, leaves[0].nodes)
			continue
		}
		require.NoError(t, err)
		require.Contains(t, string(res.GetWarnings()), leaves[0].nodes)
		_, err = in.Recv()
		require.NoError(t, err, "and what is left")
	}
}

// Limits on what a node gives are its own, and those on what it takes the query's, which no partial response makes good.
func TestLimitsBetweenNodes(t *testing.T) {
	c := newCluster(t, "eu")
	leaf := serve(t, c.dirs[0], "--external-label=cluster=eu", "--store.limits.request-series=1")
	ask := func(root *serving, query, partial string) (int, string) {
		return root.get(t, "/api/v1/query", "query", query, "time", sampleEnd, "partial_response", partial)
	}
	for _, mode := range []string{"distributed", "local"} {
		root := serveArgs(t, "--endpoint="+leaf.nodes, "--query.mode="+mode)
		status, body := ask(root, "up", "0")
		require.NotEqual(t, 200, status, body)
		require.Contains(t, body, "more than 1 series, the most that this node sends")
		status, body = ask(root, "up", "1")
		require.Equal(t, 200, status, body)
		require.Contains(t, body, leaf.nodes)
	}
	free := serve(t, c.dirs[0], "--external-label=cluster=eu")
	for _, partial := range []string{"0", "1"} {
		root := serveArgs(t, "--endpoint="+free.nodes, "--endpoint.limits.select-series=1", "--query.mode=local", "--grpc-compression=snappy")
		status, body := ask(root, "up", partial)
		require.Equal(t, 422, status, body)
		require.Contains(t, body, "gives more than 1 series for one selector, the limit here")
		status, body = ask(root, "sum(up{instance='none'})", partial)
		require.Equal(t, 200, status, body)
	}
}

func TestDemoCluster(t *testing.T) {
	got := stride(t, "demo-cluster", "--cache", t.TempDir(), "--series", "200", "--duration", "90m", "--web.listen-address", "127.0.0.1:0", "--no-wait")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "dedup coalesce by (region)")
	for _, expr := range demoClusterQueries {
		require.Regexp(t, `(?m)^ +\S+s +[0-9.]+ KiB +\S+s +[0-9.]+ KiB +`+regexp.QuoteMeta(expr)+`$`, got.stdout)
	}
	require.NotContains(t, got.stdout, "curl")
}
