package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/cmd/stride/client"
)

// serverFlags say which server to ask.
type serverFlags struct {
	url     string
	headers []string
}

func (f *serverFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("url", "Address of a server with the HTTP API of Prometheus, which is asked instead of reading --tsdb.path. Its limits apply then; "+
		"of the flags of the engine --query.timeout and --query.lookback-delta count, if they are given. Default of --time and --end: now.").
		PlaceHolder("URL").StringVar(&f.url)
	cmd.Flag("header", "Header for requests to --url, such as 'Authorization: Bearer TOKEN'.").
		PlaceHolder("NAME:VALUE").StringsVar(&f.headers)
}

// server is a server that evaluates queries.
type server struct {
	*client.Client
	timeout, lookback time.Duration // 0: the server's
}

// open makes a client; it does not connect yet.
func (f *serverFlags) open(flags *engineFlags) (*server, error) {
	header := http.Header{}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, withCode(exitUsage, fmt.Errorf("header %q: write NAME:VALUE", h))
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	c, err := client.New(f.url, header)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	s := &server{Client: c}
	if flags.timeoutSet {
		s.timeout = time.Duration(flags.timeout)
	}
	if flags.lookbackSet {
		s.lookback = time.Duration(flags.lookback)
	}
	return s, nil
}

// evaluate asks the server. Its errors are those of client.Client.
func (s *server) evaluate(ctx context.Context, expr string, g grid) (*result, error) {
	a, err := s.Query(ctx, client.Query{
		Expr:    expr,
		Instant: g.instant, Start: g.start, End: g.end, Step: g.step,
		Timeout: s.timeout, Lookback: s.lookback,
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(a.Warnings)
	slices.Sort(a.Infos)
	return &result{grid: g, value: a.Value, warnings: a.Warnings, infos: a.Infos}, nil
}
