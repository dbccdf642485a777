package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/discovery"
	"github.com/stride-promql/stride/source/remoteread"
	"github.com/stride-promql/stride/source/selection"
)

// remoteReadFlags say which Prometheus servers a node reads samples of, and how.
type remoteReadFlags struct {
	urls []string
	http string
}

func (f *remoteReadFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("remote-read.url", "Prometheus server to read samples of by its remote read API, such as http://localhost:9090. It says itself which external labels it has.").
		PlaceHolder("URL").StringsVar(&f.urls)
	cmd.Flag("remote-read.http-config-file", "YAML file with TLS, users and headers of requests to such servers, as Prometheus' http_config.").PlaceHolder("FILE").StringVar(&f.http)
}

// options are those of all servers; their limits are those of other endpoints.
func (f *remoteReadFlags) options(e *endpointFlags) (remoteread.Options, error) {
	for _, u := range f.urls {
		if _, err := remoteread.Parse(u); err != nil {
			return remoteread.Options{}, withCode(exitUsage, fmt.Errorf("--remote-read.url: %w", err))
		}
	}
	o := remoteread.Options{
		Timeout: time.Duration(e.timeout), Patience: time.Duration(e.silence),
		MaxSeries: e.maxSeries, MaxSamples: e.maxSamples, MaxBytes: int64(e.maxSelection),
		HTTP: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
	}
	if f.http == "" {
		return o, nil
	}
	c, _, err := config.LoadHTTPConfigFile(f.http)
	if err == nil {
		o.HTTP, err = config.NewClientFromConfig(*c, "remote_read")
	}
	if err != nil {
		return o, withCode(exitUsage, fmt.Errorf("--remote-read.http-config-file: %w", err))
	}
	return o, nil
}

// dialServer makes an endpoint of a Prometheus server.
func dialServer(e discovery.Endpoint, o remoteread.Options, replicas []string, selector *selection.Selector) (discovery.Engine, error) {
	o.External = labels.FromMap(e.ExternalLabels)
	c, err := remoteread.New(e.Address, o)
	if err != nil {
		return nil, err
	}
	return &endpoint{selection.Of(c, replicas, selector), c, func() client.Status {
		s := c.Status()
		return client.Status{Component: "prometheus", LastCheck: s.LastCheck, LastError: s.LastError}
	}}, nil
}
