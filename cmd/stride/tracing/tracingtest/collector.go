// Package tracingtest is a collector of traces for tests.
package tracingtest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // which clients may use
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans by OTLP.
type Collector struct {
	// HTTP and GRPC are the addresses, host and port.
	HTTP, GRPC string

	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []Span
}

// Span is a span that has come.
type Span struct {
	Service, Name, Kind string
	Trace, ID, Parent   string
	Failed              bool
	// Token is the header x-token of the request that it came with, and Compressed whether that was.
	Token      string
	Compressed bool
}

// Start starts a collector, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	web := httptest.NewServer(http.HandlerFunc(c.serveHTTP))
	t.Cleanup(web.Close)
	c.HTTP = strings.TrimPrefix(web.URL, "http://")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	t.Cleanup(server.Stop)
	go func() { _ = server.Serve(l) }()
	c.GRPC = l.Addr().String()
	return c
}

// Export is called by gRPC.
func (c *Collector) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c.add(req, strings.Join(md.Get("x-token"), ","), false)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *Collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	var req collector.ExportTraceServiceRequest
	body, compressed := io.Reader(r.Body), r.Header.Get("Content-Encoding") == "gzip"
	var err error
	if compressed {
		if body, err = gzip.NewReader(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	text, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(text, &req)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.add(&req, r.Header.Get("x-token"), compressed)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) add(req *collector.ExportTraceServiceRequest, token string, compressed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range req.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, Span{
					Service: service, Name: s.Name, Kind: strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
					Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Failed: s.Status.GetCode() == 2, Token: token, Compressed: compressed,
				})
			}
		}
	}
}

// Spans are those that have come.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Within are the spans of a name, or of all names if it is empty, within another one, the nearest first.
func (c *Collector) Within(of Span, name string) (found []Span) {
	all := c.Spans()
	for next := []string{of.ID}; len(next) > 0; {
		parent := next[0]
		next = next[1:]
		for _, s := range all {
			if s.Parent == parent && s.Trace == of.Trace {
				next = append(next, s.ID)
				if name == "" || s.Name == name {
					found = append(found, s)
				}
			}
		}
	}
	return found
}
