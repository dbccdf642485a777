// Package tracing sends the spans of this process to a collector by OTLP, by gRPC or HTTP.
package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Config says where spans are sent and which are kept.
type Config struct {
	// exporter is the client of the collector; nil: no spans are sent.
	exporter otlptrace.Client
	sampler  trace.Sampler // nil: what the environment says, or else all whose parent is kept
	resource []attribute.KeyValue
}

// Start sends spans from now on, if the configuration says so. Traces that requests come with go on to the nodes that are asked in any case.
// The function that it returns sends what is left, as long as its context lasts, and ends it.
func Start(ctx context.Context, c *Config, version string, logger *slog.Logger) (stop func(context.Context), err error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	if c.exporter == nil {
		return func(context.Context) {}, nil
	}
	exporter, err := otlptrace.New(ctx, c.exporter)
	if err != nil {
		return nil, err
	}
	attributes := append([]attribute.KeyValue{attribute.String("service.name", "stride"), attribute.String("service.version", version)}, c.resource...)
	// The environment comes last, so that it counts.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		logger.Warn("Not all that describes this process in traces is known", "err", err)
	}
	opts := []trace.TracerProviderOption{trace.WithBatcher(exporter), trace.WithResource(about)}
	if c.sampler != nil {
		opts = append(opts, trace.WithSampler(c.sampler))
	}
	provider := trace.NewTracerProvider(opts...)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("Tracing failed", "err", err) }))
	otel.SetTracerProvider(provider)
	logger.Info("Traces are sent", "by", exporter)
	return func(ctx context.Context) {
		if err := provider.Shutdown(ctx); err != nil {
			logger.Warn("The last spans were not sent", "err", err)
		}
	}, nil
}
