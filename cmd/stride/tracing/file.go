package tracing

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/credentials"
)

// file is a configuration in the form that Thanos has for OTLP.
type file struct {
	Type string `yaml:"type"`
	OTLP otlp   `yaml:"config"`
}

type otlp struct {
	Client       string            `yaml:"client_type"`
	Endpoint     string            `yaml:"endpoint"`
	URLPath      string            `yaml:"url_path"`
	Insecure     bool              `yaml:"insecure"`
	TLS          config.TLSConfig  `yaml:"tls_config"`
	Headers      map[string]string `yaml:"headers"`
	Compression  string            `yaml:"compression"`
	Timeout      time.Duration     `yaml:"timeout"`
	Reconnection time.Duration     `yaml:"reconnection_period"`
	Retry        retry             `yaml:"retry_config"`
	ServiceName  string            `yaml:"service_name"`
	Attributes   map[string]string `yaml:"resource_attributes"`
	Sampler      string            `yaml:"sampler_type"`
	SamplerParam string            `yaml:"sampler_param"`
}

type retry struct {
	Enabled bool          `yaml:"retry_enabled"`
	First   time.Duration `yaml:"retry_initial_interval"`
	Longest time.Duration `yaml:"retry_max_interval"`
	InAll   time.Duration `yaml:"retry_max_elapsed_time"`
}

// Parse reads a configuration in the form of Thanos' --tracing.config, of which it knows the type OTLP.
func Parse(text []byte) (*Config, error) {
	var f file
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !strings.EqualFold(f.Type, "OTLP") {
		return nil, fmt.Errorf("type %q is not known: OTLP is, which all collectors take", f.Type)
	}
	c := &Config{}
	var err error
	if c.sampler, err = sampler(f.OTLP.Sampler, f.OTLP.SamplerParam); err != nil {
		return nil, err
	}
	if c.exporter, err = f.OTLP.exporter(); err != nil {
		return nil, err
	}
	if f.OTLP.ServiceName != "" {
		c.resource = append(c.resource, attribute.String("service.name", f.OTLP.ServiceName))
	}
	for k, v := range f.OTLP.Attributes {
		c.resource = append(c.resource, attribute.String(k, v))
	}
	return c, nil
}

func (o *otlp) exporter() (otlptrace.Client, error) {
	switch o.Compression {
	case "", "none", "gzip":
	default:
		return nil, fmt.Errorf("compression %q is not known: gzip and none are", o.Compression)
	}
	secure, err := config.NewTLSConfig(&o.TLS)
	if err != nil {
		return nil, fmt.Errorf("tls_config: %w", err)
	}
	switch o.Client {
	case "grpc":
		return otlptracegrpc.NewClient(o.grpc(secure)...), nil
	case "http":
		return otlptracehttp.NewClient(o.http(secure)...), nil
	}
	return nil, fmt.Errorf("client_type %q is not known: grpc and http are", o.Client)
}

func (o *otlp) grpc(secure *tls.Config) (opts []otlptracegrpc.Option) {
	if o.Endpoint != "" {
		opts = append(opts, otlptracegrpc.WithEndpoint(o.Endpoint))
	}
	if o.Insecure {
		opts = append(opts, otlptracegrpc.WithInsecure())
	} else {
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(secure)))
	}
	if o.Reconnection != 0 {
		opts = append(opts, otlptracegrpc.WithReconnectionPeriod(o.Reconnection))
	}
	if o.Timeout != 0 {
		opts = append(opts, otlptracegrpc.WithTimeout(o.Timeout))
	}
	if o.Compression == "gzip" {
		opts = append(opts, otlptracegrpc.WithCompressor(o.Compression))
	}
	if o.Retry.Enabled {
		opts = append(opts, otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig(o.Retry.orDefaults())))
	}
	if o.Headers != nil {
		opts = append(opts, otlptracegrpc.WithHeaders(o.Headers))
	}
	return opts
}

func (o *otlp) http(secure *tls.Config) (opts []otlptracehttp.Option) {
	if o.Endpoint != "" {
		opts = append(opts, otlptracehttp.WithEndpoint(o.Endpoint))
	}
	if o.URLPath != "" {
		opts = append(opts, otlptracehttp.WithURLPath(o.URLPath))
	}
	if o.Insecure {
		opts = append(opts, otlptracehttp.WithInsecure())
	} else {
		opts = append(opts, otlptracehttp.WithTLSClientConfig(secure))
	}
	if o.Timeout != 0 {
		opts = append(opts, otlptracehttp.WithTimeout(o.Timeout))
	}
	if o.Compression == "gzip" {
		opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if o.Retry.Enabled {
		opts = append(opts, otlptracehttp.WithRetry(o.Retry.orDefaults()))
	}
	if o.Headers != nil {
		opts = append(opts, otlptracehttp.WithHeaders(o.Headers))
	}
	return opts
}

// orDefaults are the times given, and for others those that the exporters have themselves.
func (r retry) orDefaults() otlptracehttp.RetryConfig {
	c := otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 5 * time.Second, MaxInterval: 30 * time.Second, MaxElapsedTime: time.Minute}
	if r.First != 0 {
		c.InitialInterval = r.First
	}
	if r.Longest != 0 {
		c.MaxInterval = r.Longest
	}
	if r.InAll != 0 {
		c.MaxElapsedTime = r.InAll
	}
	return c
}
