package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"google.golang.org/grpc"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/discovery"
	nodeserver "github.com/stride-promql/stride/remote/server"
	"github.com/stride-promql/stride/source/dedup"
	"github.com/stride-promql/stride/source/extlabels"
	"github.com/stride-promql/stride/source/selection"
)

// node is what a serving process is made of.
type node struct {
	logger         *slog.Logger
	data           *livedata.Directory // nil without data of its own
	set            *discovery.Set      // nil without other nodes
	selector       *selection.Selector // nil: all data sets are selected
	selectorReload time.Duration
	engine         *engine.Engine
	server         *http.Server
	grpc           *nodeserver.Server
	ready          atomic.Bool

	webConfig          string // file with TLS and users
	traffic            *traffic
	forUsers, forNodes net.Listener // once listening; the latter may be nil
}

// newNode makes a node that neither listens nor has read its data yet.
func (s *serveCommand) newNode(stderr io.Writer) (*node, error) {
	opts, parserOpts, err := s.engine.options()
	if err != nil {
		return nil, err
	}
	if err := s.limits.check(); err != nil {
		return nil, err
	}
	whole, err := s.externalLabels()
	if err != nil {
		return nil, err
	}
	// Copies of the same data are not told apart.
	external := labels.NewBuilder(whole).Del(s.endpoints.replicas...).Labels()
	origins, err := s.origins()
	if err != nil {
		return nil, err
	}
	if s.maxConcurrency < 1 || s.memoryLimit < 0 {
		return nil, withCode(exitUsage, errors.New("--query.max-concurrency must be at least 1, and --query.memory-limit not negative"))
	}
	findVersion()
	registry := newRegistry()
	n := &node{logger: s.newLogger(stderr), webConfig: s.tls.http, traffic: newTraffic(registry), selectorReload: time.Duration(s.selector.reload)}
	if n.selector, err = s.selector.selector(n.logger); err != nil {
		return nil, err
	}
	active := api.NewActiveQueries(s.maxConcurrency, time.Now)

	opts.Logger, opts.Reg, opts.ActiveQueryTracker = n.logger, registry, active
	opts.PartialResponse = s.partialResponse
	opts.Limiter = s.newLimiter(registry)
	if n.set, err = s.endpoints.set(n.logger, registry, n.traffic, n.selector); err != nil {
		return nil, err
	}
	secure, err := s.tls.options()
	if err != nil {
		return nil, err
	}
	b := s.assemble(n, opts, active, external, whole, registry, secure)

	handlers := api.New(api.Options{
		Backend:         b,
		Parser:          parser.NewParser(parserOpts),
		Endpoints:       func() []api.Endpoint { return n.endpoints(external, whole) },
		Active:          active,
		Build:           buildInfo(),
		Runtime:         runtimeInfo(time.Now()),
		Flags:           s.flagValues(),
		Config:          func() string { return configYAML(external) },
		PartialResponse: s.partialResponse,
		AutoResolution:  s.autoDownsampling,
		CORSOrigin:      origins,
		Ready:           n.ready.Load,
		Registerer:      registry,
		Logger:          n.logger,
	})
	mux := http.NewServeMux()
	handlers.Register(mux)
	handlers.RegisterAdmin(mux, registry)
	n.server = &http.Server{
		Handler:           n.traced(mux),
		ReadTimeout:       time.Duration(s.readTimeout),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(n.logger.Handler(), slog.LevelError),
	}
	return n, nil
}

// readHeaderTimeout is short, so that connections on which nothing comes are not kept for long.
const readHeaderTimeout = 10 * time.Second

// assemble makes a node of its sources: its own data, other nodes, or both. It gives what the users' queries are evaluated with, and makes
// what other nodes ask.
func (s *serveCommand) assemble(n *node, opts engine.Opts, active *api.ActiveQueries, external, whole labels.Labels, registry prometheus.Registerer, secure []grpc.ServerOption) *backend {
	// Parts of queries have a place in a queue of their own, which a query keeps for all its parts: if each of them waited for one,
	// they would wait for each other.
	parts := opts
	parts.ActiveQueryTracker, parts.Reg = nil, nil
	// Whether sources may fail is for the query to say that they are parts of.
	parts.PartialResponse = false
	// Those that other nodes ask for are listed with the queries that run.
	forOthers := parts
	forOthers.ActiveQueryTracker = active.Parts()

	var own *selection.Storage
	if n.set == nil || s.dirSet {
		n.data = livedata.New(s.dir, n.logger, registry)
		own = selection.NewStorage(withExternalLabels(n.data, external), whole, n.selector)
	}
	announceOwn := func() ([]string, []remote.Coverage) {
		if !own.Selected() {
			return nil, nil
		}
		return localCoverage(n.data, external)
	}
	b := &backend{}
	var forNodes, downsampledForNodes *engine.Engine
	var asked remote.RemoteEngine
	if n.set == nil {
		b.data = own
		n.engine, forNodes = engine.New(opts), engine.New(forOthers)
		group, peer := s.groupID(), remote.PeerStore
		if group == "" {
			peer = remote.PeerSource
		}
		asked = newNodeEngine("stride", forNodes, own, group, peer, announceOwn)
	} else {
		within := engine.New(parts)
		var stores, everything union
		all := &sources{set: n.set, replicas: s.endpoints.replicas, dedup: dedup.Algorithm(s.endpoints.dedup)}
		if own != nil {
			all.own = newInnerEngine("own data", within, own, announceOwn)
		}
		all.stores = newInnerEngine("stores", within, all.samples(all.storesAlone, all.replicas), func() ([]string, []remote.Coverage) {
			return stores.announced(all.storesAlone())
		})
		local := opts
		local.Reg = nil // metrics are those of the other engine
		b.sources, b.local, b.data = all, engine.New(local), all.samples(all.all, all.replicas)
		b.downsampled, b.lookback = newDownsampledEngine(opts), opts.LookbackDelta
		if s.endpoints.mode == modeDistributed {
			n.engine, forNodes = engine.NewDistributed(opts, all), engine.NewDistributed(forOthers, all)
		} else {
			n.engine, forNodes = engine.New(opts), engine.New(forOthers)
		}
		downsampledForNodes = newDownsampledEngine(forOthers)
		asked = asNode(&byResolution{
			RemoteEngine: engine.NewRemoteEngine(forNodes, b.data, engine.RemoteOpts{Name: "stride", GroupID: s.group, PeerType: remote.PeerQuery}),
			downsampled:  engine.NewRemoteEngine(downsampledForNodes, b.data, engine.RemoteOpts{Name: "stride"}),
			lookback:     opts.LookbackDelta,
		}, b.data, func() ([]string, []remote.Coverage) { return everything.announced(all.Engines()) })
	}
	b.engine = n.engine
	if over := time.Duration(s.slowQuery); over > 0 {
		for _, e := range []*engine.Engine{n.engine, forNodes, b.local, b.downsampled, downsampledForNodes} {
			if e != nil {
				e.SetQueryLogger(&slowQueryLog{n.logger.Handler(), over})
			}
		}
	}
	n.grpc = nodeserver.New(asked, nodeserver.Options{
		MaxQueries: s.maxConcurrency, MaxQueued: s.limits.queued, MaxSeries: s.limits.series, MaxSamples: s.limits.samples,
		Timeout: time.Duration(s.engine.timeout), Registerer: registry, Logger: n.logger, GRPC: secure,
	})
	n.grpc.SetReady(false)
	return b
}

// localCoverage is what a data directory holds, without the gaps between its blocks: what is in them is somewhere else, if anywhere.
func localCoverage(data *livedata.Directory, external labels.Labels) (names []string, coverage []remote.Coverage) {
	external.Range(func(l labels.Label) { names = append(names, l.Name) })
	var intervals []remote.Interval
	for _, i := range data.Intervals() {
		intervals = append(intervals, remote.Interval{Start: i.MinTime, End: i.MaxTime})
	}
	if len(intervals) > 0 {
		coverage = []remote.Coverage{{Labels: external, Intervals: remote.Union(intervals...)}}
	}
	return names, coverage
}

// endpoints are all sources of data.
func (n *node) endpoints(external, whole labels.Labels) []api.Endpoint {
	out := endpointStatuses(n.set)
	if n.data != nil && n.selector.Rules().Keeps(whole) {
		out = append(out, localEndpoint(n.data, external, time.Now())...)
	}
	return out
}

// traced says of each request that it has passed this node, so that one that comes back is refused.
func (n *node) traced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := remote.WithRequest(r.Context(), remote.Request{Path: []string{n.grpc.NodeID()}, Tenant: r.Header.Get("THANOS-TENANT")})
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

func withExternalLabels(data storage.SampleAndChunkQueryable, external labels.Labels) storage.SampleAndChunkQueryable {
	if external.IsEmpty() {
		return data
	}
	return extlabels.New(data, external)
}

func (s *serveCommand) newLogger(w io.Writer) *slog.Logger {
	level, format := promslog.NewLevel(), promslog.NewFormat()
	// The flags take nothing but what these take.
	_ = level.Set(s.logLevel)
	_ = format.Set(s.logFormat)
	return promslog.New(&promslog.Config{Level: level, Format: format, Writer: w})
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("stride"),
	)
	return r
}

// newLimiter bounds the memory of all queries together, and shows how much of it is used. nil: there is no bound.
func (s *serveCommand) newLimiter(r prometheus.Registerer) *engine.Limiter {
	limit := int64(s.memoryLimit)
	if process := debug.SetMemoryLimit(-1); limit == 0 && process != math.MaxInt64 {
		// What queries hold is about half of what the process takes for them.
		limit = process / 2
	}
	if limit == 0 {
		return nil
	}
	l := engine.NewLimiter(limit)
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	r.MustRegister(
		gauge("stride_query_memory_limit_bytes", "Most bytes that all queries may hold together.", func() float64 { return float64(l.Limit()) }),
		gauge("stride_query_memory_used_bytes", "Bytes that queries hold or may count on.", func() float64 {
			used, _ := l.Used()
			return float64(used)
		}),
		gauge("stride_query_memory_waiting", "Number of queries that wait for memory.", func() float64 {
			_, waiting := l.Used()
			return float64(waiting)
		}),
	)
	return l
}

// listen opens the addresses at which the node is asked, by users and by other nodes; these may be none.
func (n *node) listen(ctx context.Context, address, grpcAddress string) (err error) {
	var config net.ListenConfig
	if n.forUsers, err = config.Listen(ctx, "tcp", address); err != nil {
		return withCode(exitServer, err)
	}
	if grpcAddress == "" {
		return nil
	}
	if n.forNodes, err = config.Listen(ctx, "tcp", grpcAddress); err != nil {
		_ = n.forUsers.Close()
		return withCode(exitServer, err)
	}
	return nil
}

// serve reads the data and answers requests until the context is done. Then requests that have come have the time grace to
// be answered; queries that take longer are cancelled.
func (n *node) serve(ctx context.Context, refresh, grace time.Duration) (err error) {
	queries, cancelQueries := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelQueries()
	n.server.BaseContext = func(net.Listener) context.Context { return queries }

	background, stopBackground := context.WithCancel(ctx)
	defer stopBackground()
	// Queries that are let finish need the connections to other nodes.
	connections, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	var running sync.WaitGroup
	failed := make(chan error, 3)
	if n.forNodes != nil {
		running.Go(func() {
			if err := n.grpc.Serve(n.forNodes); err != nil {
				failed <- withCode(exitServer, err)
			}
		})
		n.logger.Info("Listening for other nodes", "address", n.forNodes.Addr().String())
	}
	if n.set != nil {
		running.Go(func() { _ = n.set.Run(connections) })
	}
	running.Go(func() { n.selector.Follow(background, n.selectorReload) })
	running.Go(func() {
		if err := web.Serve(n.forUsers, n.server, &web.FlagConfig{WebConfigFile: &n.webConfig}, n.logger); !errors.Is(err, http.ErrServerClosed) {
			failed <- withCode(exitServer, err)
		}
	})
	n.logger.Info("Listening", "address", n.forUsers.Addr().String(), "version", version.Version)
	running.Go(func() {
		if err := n.load(background); err != nil {
			failed <- withCode(exitStorage, err)
			return
		}
		if refresh > 0 && n.data != nil {
			n.data.Follow(background, refresh)
		}
	})
	select {
	case <-ctx.Done():
		n.logger.Info("Shutting down", "grace", grace)
	case err = <-failed:
	}
	n.ready.Store(false)
	n.grpc.SetReady(false)
	stopBackground()
	n.shutdown(grace, cancelQueries)
	disconnect()
	running.Wait()
	if n.data != nil {
		n.data.Close() // waits for queries that have been cancelled
	}
	return errors.Join(err, n.engine.Close())
}

// load reads the data for the first time, and waits for the first answers of other nodes.
func (n *node) load(ctx context.Context) error {
	started := time.Now()
	if n.data != nil {
		if err := n.data.Load(); err != nil {
			return err
		}
	}
	if n.set != nil {
		awaitEndpoints(ctx, n.set)
	}
	if ctx.Err() != nil {
		return nil
	}
	n.ready.Store(true)
	n.grpc.SetReady(true)
	known := []any{"duration", time.Since(started)}
	if n.set != nil {
		known = append(known, "endpoints", len(n.set.Statuses()))
	}
	if n.data != nil {
		mint, maxt, ok := n.data.Bounds()
		if !ok {
			n.logger.Warn("Ready, but the data directory holds no samples", known...)
			return nil
		}
		known = append(known, "oldestSample", formatTime(mint), "newestSample", formatTime(maxt))
	}
	n.logger.Info("Ready", known...)
	return nil
}

// shutdown stops the server within grace, and queries that run longer.
func (n *node) shutdown(grace time.Duration, cancelQueries func()) {
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var nodes sync.WaitGroup
	defer nodes.Wait()
	nodes.Go(func() { n.grpc.Shutdown(deadline) })
	if err := n.server.Shutdown(deadline); err == nil {
		return
	}
	n.logger.Warn("Queries that run longer than the grace period are cancelled", "grace", grace)
	cancelQueries()
	if err := n.server.Close(); err != nil {
		n.logger.Warn("Closing connections failed", "err", err)
	}
}
