package tracing

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stride-promql/stride/cmd/stride/tracing/tracingtest"
)

// send makes a span inside of one inside of one that came from elsewhere, and gives what the collector gets.
func send(t *testing.T, c *Config, to *tracingtest.Collector) []tracingtest.Span {
	t.Helper()
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	stop, err := Start(t.Context(), c, "1.2.3", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx := otel.GetTextMapPropagator().Extract(t.Context(), propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	ctx, outer := otel.Tracer("").Start(ctx, "outer", trace.WithSpanKind(trace.SpanKindServer))
	_, inner := otel.Tracer("").Start(ctx, "inner")
	inner.End()
	outer.End()
	stop(t.Context())
	return to.Spans()
}

func requireSpans(t *testing.T, spans []tracingtest.Span, service string) {
	t.Helper()
	require.Len(t, spans, 2)
	for _, s := range spans {
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", s.Trace)
		require.Equal(t, service, s.Service)
	}
	require.Equal(t, "inner", spans[0].Name)
	require.Equal(t, spans[1].ID, spans[0].Parent)
	require.Equal(t, "b7ad6b7169203331", spans[1].Parent)
	require.Equal(t, "server", spans[1].Kind)
}

func TestFile(t *testing.T) {
	const all = `
type: OTLP
config:
  client_type: %s
  endpoint: %s
  insecure: true
  compression: gzip
  timeout: 5s
  reconnection_period: 1s
  retry_config: {retry_enabled: true, retry_initial_interval: 1s, retry_max_interval: 2s, retry_max_elapsed_time: 3s}
  headers: {x-token: secret}
  service_name: querier
  resource_attributes: {region: eu}
  sampler_type: PARENTBASEDTRACEIDRATIOBASED
  sampler_param: "0.5"
`
	for _, client := range []string{"http", "grpc"} {
		to := tracingtest.Start(t)
		c, err := Parse(fmt.Appendf(nil, all, client, map[string]string{"http": to.HTTP, "grpc": to.GRPC}[client]))
		require.NoError(t, err)
		spans := send(t, c, to)
		requireSpans(t, spans, "querier")
		require.Equal(t, "secret", spans[0].Token)
		require.Equal(t, client == "http", spans[0].Compressed) // what gRPC unpacks does not show
	}
}

func TestSamplers(t *testing.T) {
	for name, kept := range map[string]int{"": 2, "alwayssample": 2, "neversample": 0, "parentbasedneversample": 2, "parentbasedalwayssample": 2} {
		to := tracingtest.Start(t)
		c, err := Parse(fmt.Appendf(nil, "type: otlp\nconfig: {client_type: http, insecure: true, endpoint: %q, sampler_type: %q}", to.HTTP, name))
		require.NoError(t, err)
		require.Len(t, send(t, c, to), kept, name)
	}
}

func TestFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                           `type "" is not known`,
		"type: JAEGER":               `type "JAEGER" is not known: OTLP is`,
		"x: 1":                       `field x not found`,
		"type: OTLP\nconfig: {x: 1}": `field x not found`,
		"type: OTLP":                 `client_type "" is not known: grpc and http are`,
		"type: OTLP\nconfig: [":      `did not find expected node content`,
		"type: OTLP\nconfig: {client_type: grpc, compression: zip}":                                      `compression "zip" is not known`,
		"type: OTLP\nconfig: {client_type: grpc, sampler_type: some}":                                    `sampler_type "some" is not known`,
		"type: OTLP\nconfig: {client_type: grpc, sampler_type: traceidratiobased}":                       `sampler_param "": a number between 0 and 1`,
		"type: OTLP\nconfig: {client_type: grpc, sampler_type: traceidratiobased, sampler_param: \"2\"}": `sampler_param "2": a number between 0 and 1`,
		"type: OTLP\nconfig: {client_type: grpc, tls_config: {ca_file: /none}}":                          `tls_config: unable to read CA cert`,
		"type: OTLP\nconfig: {client_type: grpc, timeout: soon}":                                         `cannot unmarshal`,
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestEnvironment(t *testing.T) {
	to := tracingtest.Start(t)
	for _, tc := range []struct {
		env  map[string]string
		sent bool
	}{
		{nil, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.HTTP}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://" + to.HTTP + "/v1/traces"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.GRPC, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_TRACES_EXPORTER": "otlp"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.HTTP, "OTEL_TRACES_EXPORTER": "none"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.HTTP, "OTEL_SDK_DISABLED": "true"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + to.HTTP, "OTEL_TRACES_SAMPLER": "always_off"}, false},
	} {
		t.Run(fmt.Sprint(tc.env), func(t *testing.T) {
			t.Setenv("OTEL_SERVICE_NAME", "mine")
			for name, v := range tc.env {
				t.Setenv(name, v)
			}
			c, err := FromEnvironment()
			require.NoError(t, err)
			before := len(to.Spans())
			spans := send(t, c, to)[before:]
			if !tc.sent {
				require.Empty(t, spans)
				return
			}
			requireSpans(t, spans, "mine")
		})
	}
	for name, v := range map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+to.HTTP)
			t.Setenv(name, v)
			_, err := FromEnvironment()
			require.ErrorContains(t, err, name+"="+v)
		})
	}
}
