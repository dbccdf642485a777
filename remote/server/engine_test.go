package server_test

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/server"
)

// asThanos makes a node look like one of Thanos.
var asThanos = grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	if info, ok := res.(*thanospb.InfoResponse); ok {
		info.Stride, info.Status = nil, &thanospb.StatusInfo{}
	}
	return res, err
})

// textOnly is an engine that is asked as one of Thanos.
type textOnly struct{ remote.RemoteEngine }

func (textOnly) Capabilities() remote.Capabilities {
	return remote.Capabilities{LanguageLevel: "3.9", WholeSeconds: true}
}

const clusterData = `load 30s
  reqs_total{pod="1",cluster=%[1]q} 0+%[2]dx200
  reqs_total{pod="2",cluster=%[1]q} 0+%[2]d.5x90 stale 5+3x80
  hist{cluster=%[1]q} {{schema:1 count:5 sum:2 buckets:[1 2 2]}}+{{schema:1 count:5 sum:2 buckets:[1 2 2]}}x200
  le_bucket{le="1",cluster=%[1]q} 3+%[2]dx200
  le_bucket{le="2",cluster=%[1]q} 1+%[2]dx200
  le_bucket{le="+Inf",cluster=%[1]q} 5+%[2]dx200
`

// Engines answer over the network as they do within the process, on either wire.
func TestEngines(t *testing.T) {
	opts := engine.Opts{EngineOpts: promql.EngineOpts{MaxSamples: math.MaxInt, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true}}
	var sources []remote.RemoteEngine
	for i, name := range []string{"a", "b"} {
		st := promqltest.LoadedStorage(t, fmt.Sprintf(clusterData, name, 2+i))
		defer st.Close()
		sources = append(sources, engine.NewRemoteEngine(engine.New(opts), st, engine.RemoteOpts{
			Name: name, PartitionLabels: []string{"cluster"},
			Coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", name), Intervals: remote.Intervals{remote.Always}}},
		}))
	}
	for wire, o := range map[string]server.Options{"stride": {}, "thanos": {GRPC: []grpc.ServerOption{asThanos}}} {
		var here, there remote.StaticEndpoints
		for _, s := range sources {
			_, to := listen(t, s, o)
			c := connect(t, to, client.Options{Name: s.Name()})
			require.Equal(t, wire == "thanos", c.Capabilities().WholeSeconds)
			there = append(there, c)
			if wire == "thanos" {
				s = textOnly{s}
			}
			here = append(here, s)
		}
		within, over := engine.NewDistributed(opts, here), engine.NewDistributed(opts, there)
		for _, query := range []string{
			`sum(rate(reqs_total[2m]))`, `sum by (pod) (reqs_total)`, `avg(reqs_total)`, `reqs_total`, `topk(1, reqs_total)`, `quantile(0.5, reqs_total)`,
			`hist`, `sum(rate(hist[5m]))`, `histogram_quantile(0.5, sum(hist))`, `histogram_quantile(0.9, le_bucket)`, `reqs_total / on (cluster) group_left () sum by (cluster) (reqs_total)`,
			`rate(hist[2m]) > 0`, `absent(nothing)`, `max_over_time(sum(reqs_total)[10m:1m])`, `rate(le_bucket[5m] offset 1m)`, `count_values("x", reqs_total)`, `reqs_total * reqs_total`,
			`{cluster="b"}`, `label_replace(reqs_total, "pod", "x", "", "")`, `{__name__=~"reqs_total|hist"} == 0`,
		} {
			t.Run(wire+" "+query, func(t *testing.T) {
				ask := func(e promql.QueryEngine, at int64) (string, []string) { // ms; 0: a range
					var asked promql.Query
					var err error
					if at == 0 {
						asked, err = e.NewRangeQuery(t.Context(), nil, nil, query, time.Unix(600, 0), time.Unix(6000, 0), time.Minute)
					} else {
						asked, err = e.NewInstantQuery(t.Context(), nil, nil, query, time.UnixMilli(at))
					}
					require.NoError(t, err)
					defer asked.Close()
					res := asked.Exec(t.Context())
					w, i := res.Warnings.AsStrings(query, 0, 0)
					slices.Sort(w)
					slices.Sort(i)
					if res.Err != nil {
						engineName := regexp.MustCompile(`^(remote engine \w+: )*`)
						return engineName.ReplaceAllString(res.Err.Error(), ""), nil
					}
					if v, ok := res.Value.(promql.Vector); ok {
						slices.SortFunc(v, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
					}
					return res.Value.String(), slices.Concat(w, i)
				}
				for _, at := range []int64{0, 3_000_000, 3_000_642, 642} {
					want, wantTexts := ask(within, at)
					got, gotTexts := ask(over, at)
					require.Equal(t, want, got)
					require.Equal(t, wantTexts, gotTexts)
				}
			})
		}
	}
}

// Engines that hold different times of the same series are asked for some of the steps each.
func TestEnginesCutByTime(t *testing.T) {
	opts := engine.Opts{EngineOpts: promql.EngineOpts{MaxSamples: math.MaxInt, Timeout: time.Minute}}
	st := promqltest.LoadedStorage(t, fmt.Sprintf(clusterData, "a", 2))
	defer st.Close()
	for wire, o := range map[string]server.Options{"stride": {}, "thanos": {GRPC: []grpc.ServerOption{asThanos}}} {
		t.Run(wire, func(t *testing.T) {
			var engines remote.StaticEndpoints
			for i, times := range []remote.Interval{{Start: 0, End: 3_000_000}, {Start: 2_000_000, End: math.MaxInt64}} {
				e := engine.NewRemoteEngine(engine.New(opts), st, engine.RemoteOpts{
					Name: fmt.Sprint(i), PartitionLabels: []string{"cluster"},
					Coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", "a"), Intervals: remote.Intervals{times}}},
				})
				_, to := listen(t, e, o)
				engines = append(engines, connect(t, to, client.Options{Name: e.Name()}))
			}
			ask := func(e promql.QueryEngine) string {
				q, err := e.NewRangeQuery(t.Context(), st, nil, "reqs_total", time.Unix(600, 0), time.Unix(6000, 0), time.Minute)
				require.NoError(t, err)
				defer q.Close()
				res := q.Exec(t.Context())
				require.NoError(t, res.Err)
				return res.Value.String()
			}
			require.Equal(t, ask(engine.New(opts)), ask(engine.NewDistributed(opts, engines)))
		})
	}
}
