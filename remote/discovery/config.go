// Package discovery keeps a set of engines up to date: addresses from flags and from a file that is read again when it changes, names that
// are looked up again and again, connections that are opened and closed as addresses come and go, and groups of replicas.
package discovery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Config are endpoints, as a file has them:
//
//	endpoints:
//	  - address: leaf-a:10901
//	  - address: dns+leaf-b.example.org:10901   # each address of the name is an endpoint
//	    group: b                                # all of them hold the same data
//	  - address: dnssrv+_grpc._tcp.leaf-c.example.org
//	  - address: http://prometheus:9090         # a Prometheus server, by remote read
//	    external_labels: {region: eu}           # besides those of its own configuration
type Config struct {
	Endpoints []Endpoint `yaml:"endpoints"`
}

// Endpoint is one address, or a name that stands for several.
type Endpoint struct {
	// Address is host:port, or a name to look up behind dns+ (A and AAAA records, with a port) or dnssrv+ (SRV records), or the http or
	// https URL of a server that is asked by other means than gRPC.
	Address string `yaml:"address"`
	// Group says that all endpoints with the same group hold the same data. Without, endpoints say so themselves.
	Group string `yaml:"group,omitempty"`
	// ExternalLabels are those of a server with a URL.
	ExternalLabels map[string]string `yaml:"external_labels,omitempty"`
}

// The prefixes of addresses that are looked up.
const (
	dnsPrefix    = "dns+"
	dnsSRVPrefix = "dnssrv+"
)

// Parse reads a file's content. Unknown fields are an error.
func Parse(content []byte) (Config, error) {
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("endpoints: %w", err)
	}
	return c, c.Validate()
}

// Validate says what is wrong with the endpoints.
func (c Config) Validate() error {
	seen := map[string]bool{}
	for _, e := range c.Endpoints {
		if seen[e.Address] {
			return fmt.Errorf("endpoints: %q is there twice; remove one", e.Address)
		}
		seen[e.Address] = true
		address := e.Address
		if IsURL(address) {
			if err := e.validateURL(); err != nil {
				return err
			}
			continue
		}
		if len(e.ExternalLabels) > 0 {
			return fmt.Errorf("endpoints: %q says itself which external labels it has; only http and https URLs take some", address)
		}
		switch {
		case strings.HasPrefix(address, dnsSRVPrefix):
			if strings.TrimPrefix(address, dnsSRVPrefix) == "" {
				return fmt.Errorf("endpoints: %q has no name to look up", address)
			}
			continue
		case strings.HasPrefix(address, dnsPrefix):
			address = strings.TrimPrefix(address, dnsPrefix)
		case strings.Contains(address, "+"):
			return fmt.Errorf("endpoints: %q begins with an unknown prefix; use dns+, dnssrv+ or none", e.Address)
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			return fmt.Errorf("endpoints: %q is not host:port", e.Address)
		}
	}
	return nil
}

func (e Endpoint) validateURL() error {
	u, err := url.Parse(e.Address)
	switch {
	case err != nil:
		return fmt.Errorf("endpoints: %w", err)
	case u.Host == "":
		return fmt.Errorf("endpoints: %q has no host", e.Address)
	case u.User != nil:
		return fmt.Errorf("endpoints: %q has a user name in it, which would show in errors and in the log", u.Redacted())
	}
	for name, value := range e.ExternalLabels {
		if !model.UTF8Validation.IsValidLabelName(name) || name == model.MetricNameLabel || value == "" {
			return fmt.Errorf("endpoints: %q cannot have the external label %s=%q", e.Address, name, value)
		}
	}
	return nil
}

// IsURL tells URLs from addresses of nodes that are asked by gRPC.
func IsURL(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// with are the endpoints of both, those of c first. One that is in both is one endpoint with what either says of it; that they say different things
// is an error.
func (c Config) with(o Config) (Config, error) {
	out := Config{Endpoints: slices.Clone(c.Endpoints)}
	for _, e := range o.Endpoints {
		i := slices.IndexFunc(out.Endpoints, func(x Endpoint) bool { return x.Address == e.Address })
		if i < 0 {
			out.Endpoints = append(out.Endpoints, e)
			continue
		}
		x := &out.Endpoints[i]
		if x.Group != "" && e.Group != "" && x.Group != e.Group {
			return Config{}, fmt.Errorf("endpoints: %q is of the group %q already, and not of %q; remove one", e.Address, x.Group, e.Group)
		}
		if len(x.ExternalLabels) > 0 && len(e.ExternalLabels) > 0 && !maps.Equal(x.ExternalLabels, e.ExternalLabels) {
			return Config{}, fmt.Errorf("endpoints: %q has other external labels already; remove one", e.Address)
		}
		x.Group = cmp.Or(x.Group, e.Group)
		if len(x.ExternalLabels) == 0 {
			x.ExternalLabels = e.ExternalLabels
		}
	}
	return out, nil
}
