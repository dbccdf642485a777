package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/stride-promql/stride/remote"
)

func TestMetadata(t *testing.T) {
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.TraceContext{})
	defer otel.SetTextMapPropagator(before)

	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	for _, want := range []remote.Request{{}, {ID: "q1", Path: []string{"a", "b,c"}, Tenant: "team-a", PartialResponse: true, MaxSourceResolution: 5 * time.Minute}} {
		ctx := trace.ContextWithSpanContext(remote.WithRequest(t.Context(), want), sc)
		ctx = metadata.AppendToOutgoingContext(ctx, "own", "kept")
		md, ok := metadata.FromOutgoingContext(Outgoing(ctx))
		require.True(t, ok)
		require.Equal(t, []string{"kept"}, md.Get("own"))

		ctx, got := Incoming(metadata.NewIncomingContext(t.Context(), md))
		require.Equal(t, want, got)
		require.Equal(t, sc.TraceID(), trace.SpanContextFromContext(ctx).TraceID())
	}
	for _, text := range []string{"-1", "x", "", "9223372036854775807"} {
		_, got := Incoming(metadata.NewIncomingContext(t.Context(), metadata.Pairs(resolutionKey, text)))
		require.Zero(t, got.MaxSourceResolution, text)
	}
	_, got := Incoming(t.Context())
	require.Equal(t, remote.Request{}, got)
}
