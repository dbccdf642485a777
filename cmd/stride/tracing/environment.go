package tracing

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// FromEnvironment reads the variables that OpenTelemetry specifies: spans are sent if there is an address of a collector, or OTEL_TRACES_EXPORTER is
// otlp. What it does not look at, such as headers and sampler, its libraries read themselves.
func FromEnvironment() (*Config, error) {
	c := &Config{}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return c, nil
	}
	switch name := os.Getenv("OTEL_TRACES_EXPORTER"); name {
	case "none":
		return c, nil
	case "":
		if os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
			return c, nil
		}
	case "otlp":
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%s: otlp and none are known", name)
	}
	switch protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")); protocol {
	case "", "http/protobuf":
		c.exporter = otlptracehttp.NewClient()
	case "grpc":
		c.exporter = otlptracegrpc.NewClient()
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL=%s: grpc and http/protobuf are known", protocol)
	}
	return c, nil
}
