// Package api is the HTTP API of a node: that of Prometheus, with the parameters that Thanos adds to it. Paths, parameters,
// status codes, error texts and the bytes of the answers are Prometheus', so that what talks to a Prometheus server talks to a node.
package api

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/httputil"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Options are what the handlers work with. Only Backend is needed; what is left out is answered as if there were none of it.
type Options struct {
	// Backend evaluates queries and reads series.
	Backend Backend
	// Parser reads expressions where nothing is evaluated. nil: one without experimental functions.
	Parser parser.Parser
	// Endpoints are the sources of data that /api/v1/stores lists.
	Endpoints func() []Endpoint
	// Active are the queries that run now.
	Active *ActiveQueries

	// Build, Runtime, Flags and Config tell of the program: its version, its process, the values of its flags by name, and
	// its configuration as YAML.
	Build   BuildInfo
	Runtime func() RuntimeInfo
	Flags   map[string]string
	Config  func() string

	// PartialResponse is whether sources that fail become warnings where a request does not say.
	PartialResponse bool
	// AutoResolution is whether downsampled data that suits the steps will do where a request does not say.
	AutoResolution bool
	// CORSOrigin are the origins whose scripts may read answers. nil: all.
	CORSOrigin *regexp.Regexp
	// Ready tells whether requests can be answered; until then their status is 503. nil: always.
	Ready func() bool
	// Registerer takes the metrics of requests. nil: none are kept.
	Registerer prometheus.Registerer
	// Logger takes what cannot be answered to the client. nil: no log.
	Logger *slog.Logger
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// API answers the requests below /api/v1.
type API struct {
	opts    Options
	metrics *requestMetrics
}

// New makes the handlers. Metrics are registered with it, so it is made once for a registry.
func New(o Options) *API {
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	if o.Endpoints == nil {
		o.Endpoints = func() []Endpoint { return nil }
	}
	if o.Runtime == nil {
		o.Runtime = func() RuntimeInfo { return RuntimeInfo{} }
	}
	if o.Flags == nil {
		o.Flags = map[string]string{}
	}
	if o.Config == nil {
		o.Config = func() string { return "" }
	}
	if o.CORSOrigin == nil {
		// What httputil.SetCORS takes for all of them.
		o.CORSOrigin = regexp.MustCompile("^(?:.*)$")
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &API{opts: o, metrics: newRequestMetrics(o.Registerer)}
}

// answer is what a handler came to: an error, data, or neither, which is the empty answer.
type answer struct {
	data     any
	warnings annotations.Annotations
	err      *apiError
	// free frees what data points into, once it has been written. It may be nil.
	free func()
}

// handler answers a request.
type handler func(*http.Request) answer

// Register adds the paths below /api/v1 to mux.
func (a *API) Register(mux *http.ServeMux) {
	routes := http.NewServeMux()
	for _, route := range []struct {
		path, name string
		handle     handler
		post       bool // parameters may come as a form, because they may be too long for an address
	}{
		{"query", "query", a.query, true},
		{"query_range", "query_range", a.queryRange, true},
		{"query_explain", "query_explain", a.queryExplain, true},
		{"query_range_explain", "query_range_explain", a.queryRangeExplain, true},
		{"query_exemplars", "query_exemplars", a.queryExemplars, true},
		{"format_query", "format_query", a.formatQuery, true},
		{"parse_query", "parse_query", a.parseQuery, true},
		{"series", "series", a.series, true},
		{"labels", "label_names", a.labelNames, true},
		{"label/{name}/values", "label_values", a.labelValues, false},
		{"metadata", "metadata", a.metricMetadata, false},
		{"stores", "stores", a.stores, false},
		{"rules", "rules", a.rules, false},
		{"alerts", "alerts", a.alerts, false},
		{"alertmanagers", "alertmanagers", a.alertmanagers, false},
		{"targets", "targets", a.targets, false},
		{"scrape_pools", "scrape_pools", a.scrapePools, false},
		{"status/buildinfo", "status_buildinfo", a.buildInfo, false},
		{"status/runtimeinfo", "status_runtimeinfo", a.runtimeInfo, false},
		{"status/flags", "status_flags", a.flags, false},
		{"status/config", "status_config", a.config, false},
		{"status/active_queries", "status_active_queries", a.activeQueries, false},
	} {
		h := a.metrics.instrument(route.name, a.wrap(route.name, route.handle))
		methods := "GET, HEAD, OPTIONS"
		routes.Handle("GET /api/v1/"+route.path, h)
		if route.post {
			methods += ", POST"
			routes.Handle("POST /api/v1/"+route.path, h)
		}
		routes.HandleFunc("/api/v1/"+route.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", methods)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		})
	}
	options := a.wrap("options", func(*http.Request) answer { return answer{} })
	mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions { // of any path, known or not
			options.ServeHTTP(w, r)
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// wrap is what all handlers have around them. A request is a span of the name.
func (a *API) wrap(name string, h handler) http.Handler {
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httputil.SetCORS(w, a.opts.CORSOrigin, r)
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := otel.Tracer("").Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		r = r.WithContext(httputil.ContextWithPath(ctx, r.URL.Path))
		res := h(r)
		if res.free != nil {
			defer res.free()
		}
		switch {
		case res.err != nil:
			span.RecordError(res.err.err)
			span.SetStatus(codes.Error, res.err.err.Error())
			a.respondError(w, r, res.err)
		case res.data != nil:
			a.respond(w, r, res)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	compressed := httputil.CompressionHandler{Handler: serve}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.opts.Ready() {
			unavailable(w)
			return
		}
		compressed.ServeHTTP(w, r)
	})
}
