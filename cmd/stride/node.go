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
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/cmd/stride/extlabels"
	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/engine"
)

// node is what a serving process is made of.
type node struct {
	logger *slog.Logger
	data   *livedata.Directory
	engine *engine.Engine
	server *http.Server
	ready  atomic.Bool
}

// newNode makes a node that neither listens nor has read its data yet.
func (s *serveCommand) newNode(stderr io.Writer) (*node, error) {
	opts, parserOpts, err := s.engine.options()
	if err != nil {
		return nil, err
	}
	external, err := s.externalLabels()
	if err != nil {
		return nil, err
	}
	origins, err := s.origins()
	if err != nil {
		return nil, err
	}
	if s.maxConcurrency < 1 || s.memoryLimit < 0 {
		return nil, withCode(exitUsage, errors.New("--query.max-concurrency must be at least 1, and --query.memory-limit not negative"))
	}
	findVersion()
	n := &node{logger: s.newLogger(stderr)}
	registry := newRegistry()
	active := api.NewActiveQueries(s.maxConcurrency, time.Now)

	opts.Logger, opts.Reg, opts.ActiveQueryTracker = n.logger, registry, active
	opts.PartialResponse = s.partialResponse
	opts.Limiter = s.newLimiter(registry)
	n.engine = newEngine(opts)
	if over := time.Duration(s.slowQuery); over > 0 {
		n.engine.SetQueryLogger(&slowQueryLog{n.logger.Handler(), over})
	}
	n.data = livedata.New(s.dir, n.logger, registry)

	handlers := api.New(api.Options{
		Backend:         &backend{n.engine, withExternalLabels(n.data, external)},
		Parser:          parser.NewParser(parserOpts),
		Endpoints:       func() []api.Endpoint { return localEndpoint(n.data, external, time.Now()) },
		Active:          active,
		Build:           buildInfo(),
		Runtime:         runtimeInfo(time.Now()),
		Flags:           s.flagValues(),
		Config:          func() string { return configYAML(external) },
		PartialResponse: s.partialResponse,
		CORSOrigin:      origins,
		Ready:           n.ready.Load,
		Registerer:      registry,
		Logger:          n.logger,
	})
	mux := http.NewServeMux()
	handlers.Register(mux)
	handlers.RegisterAdmin(mux, registry)
	n.server = &http.Server{
		Handler:           mux,
		ReadTimeout:       time.Duration(s.readTimeout),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(n.logger.Handler(), slog.LevelError),
	}
	return n, nil
}

// readHeaderTimeout is short, so that connections on which nothing comes are not kept for long.
const readHeaderTimeout = 10 * time.Second

// newEngine makes the engine that evaluates a node's queries. Here is the place for engines of other nodes to come in.
func newEngine(opts engine.Opts) *engine.Engine { return engine.New(opts) }

// backend evaluates everything here, so that nothing of what requests say about other sources of data makes a difference.
type backend struct {
	engine  *engine.Engine
	storage storage.Queryable
}

// Engine implements api.Backend.
func (b *backend) Engine(r api.RequestOptions, opts promql.QueryOpts) (promql.QueryEngine, storage.Queryable, promql.QueryOpts, error) {
	return b.engine, b.storage, engine.WithPartialResponse(opts, r.PartialResponse), nil
}

// Queryable implements api.Backend.
func (b *backend) Queryable(api.RequestOptions) (storage.Queryable, error) { return b.storage, nil }

func withExternalLabels(data storage.SampleAndChunkQueryable, external labels.Labels) storage.Queryable {
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

// serve listens, reads the data and answers requests until the context is done. Then requests that have come have the time grace to
// be answered; queries that take longer are cancelled.
func (n *node) serve(ctx context.Context, address string, refresh, grace time.Duration) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return withCode(exitServer, err)
	}
	queries, cancelQueries := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelQueries()
	n.server.BaseContext = func(net.Listener) context.Context { return queries }

	background, stopBackground := context.WithCancel(ctx)
	defer stopBackground()
	var running sync.WaitGroup
	failed := make(chan error, 2)
	running.Go(func() {
		if err := n.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- withCode(exitServer, err)
		}
	})
	n.logger.Info("Listening", "address", listener.Addr().String(), "version", version.Version)
	running.Go(func() {
		if err := n.load(); err != nil {
			failed <- withCode(exitStorage, err)
			return
		}
		if refresh > 0 {
			n.data.Follow(background, refresh)
		}
	})
	select {
	case <-ctx.Done():
		n.logger.Info("Shutting down", "grace", grace)
	case err = <-failed:
	}
	n.ready.Store(false)
	stopBackground()
	n.shutdown(grace, cancelQueries)
	running.Wait()
	n.data.Close() // waits for queries that have been cancelled
	return errors.Join(err, n.engine.Close())
}

// load reads the data for the first time.
func (n *node) load() error {
	started := time.Now()
	if err := n.data.Load(); err != nil {
		return err
	}
	n.ready.Store(true)
	mint, maxt, ok := n.data.Bounds()
	if !ok {
		n.logger.Warn("Ready, but the data directory holds no samples", "duration", time.Since(started))
		return nil
	}
	n.logger.Info("Ready", "oldestSample", formatTime(mint), "newestSample", formatTime(maxt), "duration", time.Since(started))
	return nil
}

// shutdown stops the server within grace, and queries that run longer.
func (n *node) shutdown(grace time.Duration, cancelQueries func()) {
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := n.server.Shutdown(deadline); err == nil {
		return
	}
	n.logger.Warn("Queries that run longer than the grace period are cancelled", "grace", grace)
	cancelQueries()
	if err := n.server.Close(); err != nil {
		n.logger.Warn("Closing connections failed", "err", err)
	}
}
