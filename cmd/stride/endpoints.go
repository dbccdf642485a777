package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"google.golang.org/grpc"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/discovery"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/remote/replica"
	"github.com/stride-promql/stride/source/dedup"
	"github.com/stride-promql/stride/source/selection"
)

// endpointFlags say which other nodes a node asks, and how.
type endpointFlags struct {
	addresses []string
	servers   remoteReadFlags
	file      string
	reload    model.Duration
	timeout   model.Duration
	mode      string
	replicas  []string
	dedup     string
	strategy  string
	tls       clientTLS

	compression  string
	silence      model.Duration
	maxSeries    int64
	maxSamples   int64
	maxSelection units.Base2Bytes
}

const (
	modeLocal       = "local"
	modeDistributed = "distributed"
)

func (f *endpointFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("endpoint", "Another Stride node or Thanos querier to ask, by gRPC: HOST:PORT, or dns+HOST:PORT or dnssrv+NAME for all addresses of a name.").
		PlaceHolder("ADDRESS").StringsVar(&f.addresses)
	cmd.Flag("endpoint.sd-config-file", "YAML file with further endpoints, and with groups of such that hold the same data.").StringVar(&f.file)
	cmd.Flag("endpoint.sd-config-reload-interval", "How often to read that file, and to look names up.").Default("30s").SetValue(&f.reload)
	cmd.Flag("endpoint.info-timeout", "How long another node may take to say what data it has.").Default("5s").SetValue(&f.timeout)
	cmd.Flag("query.mode", "distributed: other nodes evaluate what they can of a query; local: their samples are fetched.").
		Default(modeDistributed).EnumVar(&f.mode, modeDistributed, modeLocal)
	cmd.Flag("query.replica-label", "External label that tells apart copies of the same data only, and that series come without.").PlaceHolder("NAME").StringsVar(&f.replicas)
	cmd.Flag("deduplication.func", "How samples of copies become one series: penalty, as Thanos; chain: all samples; interval: penalty that fills single missed scrapes.").
		Default(string(dedup.Penalty)).EnumVar(&f.dedup, string(dedup.Penalty), string(dedup.Chain), string(dedup.Interval))
	cmd.Flag("query.replica-strategy", "Of nodes that hold the same data: hedge asks a second one when the first is late, race two at once.").
		Default(string(replica.Hedge)).EnumVar(&f.strategy, string(replica.Hedge), string(replica.Race))
	cmd.Flag("grpc-compression", "How messages to other nodes, and theirs, are compressed: "+wire.Snappy+" or none.").Default("none").EnumVar(&f.compression, wire.Snappy, "none")
	cmd.Flag("store.response-timeout", "How long a Thanos node, or a Prometheus server that is read, may be silent while it sends samples; 0s: no limit.").Default("0s").SetValue(&f.silence)
	cmd.Flag("endpoint.limits.select-series", "Most series that another node may send for one selector; more make the query fail; 0: no limit.").Default("0").Int64Var(&f.maxSeries)
	cmd.Flag("endpoint.limits.select-samples", "Most samples that another node may send for one selector; 0: no limit.").Default("0").Int64Var(&f.maxSamples)
	cmd.Flag("endpoint.limits.select-bytes", "Most bytes of labels and chunks that another node may send for one selector, such as 1GB; 0: no limit.").Default("0").BytesVar(&f.maxSelection)
	f.tls.register(cmd)
	f.servers.register(cmd)
}

// some tells whether there are any other nodes.
func (f *endpointFlags) some() bool {
	return len(f.addresses) > 0 || len(f.servers.urls) > 0 || f.file != ""
}

// set makes the endpoints; nil without any.
func (f *endpointFlags) set(logger *slog.Logger, r prometheus.Registerer, t *traffic, selector *selection.Selector) (*discovery.Set, error) {
	if !f.some() {
		return nil, nil
	}
	if min(f.maxSeries, f.maxSamples, int64(f.maxSelection)) < 0 {
		return nil, withCode(exitUsage, errors.New("--endpoint.limits... must not be negative"))
	}
	var static discovery.Config
	for _, a := range slices.Concat(f.addresses, f.servers.urls) {
		static.Endpoints = append(static.Endpoints, discovery.Endpoint{Address: a})
	}
	dial, err := f.tls.options()
	if err != nil {
		return nil, err
	}
	servers, err := f.servers.options(f)
	if err != nil {
		return nil, err
	}
	s, err := discovery.New(discovery.Options{
		Static: static, File: f.file, Refresh: time.Duration(f.reload), Logger: logger,
		Replicas: replica.Options{Strategy: replica.Strategy(f.strategy), Metrics: replica.NewMetrics(r)},
		Dial: func(e discovery.Endpoint) (discovery.Engine, error) {
			if discovery.IsURL(e.Address) {
				return dialServer(e, servers, f.replicas, selector)
			}
			of := t.of(e.Address)
			c, err := client.New(e.Address, f.options(append(slices.Clip(dial), grpc.WithStatsHandler(of))))
			if err != nil {
				of.close()
				return nil, err
			}
			return &endpoint{selection.Of(c, f.replicas, selector), counted{c, of}, c.Status}, nil
		},
	})
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	r.MustRegister(newReachable(s))
	return s, nil
}

// options are those of the client of another node.
func (f *endpointFlags) options(dial []grpc.DialOption) client.Options {
	o := client.Options{
		ReplicaLabels: f.replicas, RawReplicas: true, InfoTimeout: time.Duration(f.timeout), SampleTimeout: time.Duration(f.silence),
		Limits: client.Limits{Series: f.maxSeries, Samples: f.maxSamples, Bytes: int64(f.maxSelection)}, Dial: dial,
	}
	if f.compression != "none" {
		o.Compression = f.compression
	}
	return o
}

// endpoint is another node. It counts as ready even while it does not answer: queries of its data fail then, or warn, and do not go without it.
type endpoint struct {
	*selection.Engine // what is selected of it
	io.Closer
	status func() client.Status
}

// Ready implements discovery.Engine.
func (*endpoint) Ready() bool { return true }

// LastCheck implements discovery.Engine.
func (e *endpoint) LastCheck() time.Time { return e.status().LastCheck }

// LastError implements discovery.Engine.
func (e *endpoint) LastError() error { return e.status().LastError }

// awaitEndpoints waits until all other nodes have been asked once what they have, which may have failed.
func awaitEndpoints(ctx context.Context, s *discovery.Set) {
	select {
	case <-s.Begun():
	case <-ctx.Done():
		return
	}
	for {
		if !slices.ContainsFunc(s.Statuses(), func(st discovery.Status) bool { return st.LastCheck.IsZero() }) {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// kind is what an endpoint is, in the words of Thanos.
func kind(e remote.RemoteEngine) string {
	if c, ok := e.(*endpoint); ok && c.status().Component != "" {
		return c.status().Component
	}
	return "query"
}

// endpointStatuses are the other nodes as sources of data.
func endpointStatuses(s *discovery.Set) []api.Endpoint {
	if s == nil {
		return nil
	}
	var out []api.Endpoint
	for _, st := range s.Statuses() {
		e := api.Endpoint{Kind: kind(st.Engine), Name: st.Address, LastCheck: st.LastCheck.UTC(), LastError: st.Err, MinTime: remote.Always.End, MaxTime: remote.Always.Start}
		for _, c := range st.Engine.Coverage() {
			if len(c.Intervals) == 0 {
				continue
			}
			e.LabelSets = append(e.LabelSets, c.Labels)
			e.MinTime, e.MaxTime = min(e.MinTime, c.Intervals[0].Start), max(e.MaxTime, c.Intervals.End())
		}
		out = append(out, e)
	}
	return out
}
