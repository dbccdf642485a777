package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/cmd/stride/tracing"
)

// serveCommand is a node: a process that answers queries by HTTP. Flags are named as those of Prometheus or Thanos where these
// have them.
type serveCommand struct {
	cmd *kingpin.CmdClause

	engine          engineFlags
	maxConcurrency  int
	memoryLimit     units.Base2Bytes
	partialResponse bool

	autoDownsampling bool

	dir      string
	dirSet   bool
	refresh  model.Duration
	external []string

	endpoints endpointFlags
	limits    limitFlags
	selector  selectorFlags
	group     string

	listen      string
	listenGRPC  string
	tls         serverTLS
	readTimeout model.Duration
	corsOrigin  string
	grace       model.Duration

	tracing tracingFlags

	logLevel, logFormat string
	slowQuery           model.Duration
}

func registerServe(app *kingpin.Application) (string, command) {
	s := newServeCommand(app)
	return s.cmd.FullCommand(), s.run
}

func newServeCommand(app *kingpin.Application) *serveCommand {
	s := &serveCommand{cmd: app.Command("serve", "Serve the HTTP API of Prometheus on a data directory.")}
	cmd := s.cmd
	cmd.Flag("web.listen-address", "Address to listen on.").Default("0.0.0.0:10902").StringVar(&s.listen)
	cmd.Flag("grpc-address", "Address to listen on for other nodes, and for Thanos queriers; empty: none.").Default("0.0.0.0:10901").StringVar(&s.listenGRPC)
	s.tls.register(cmd)
	cmd.Flag("web.read-timeout", "Longest time to read a request, and for which an idle connection is kept.").Default("5m").SetValue(&s.readTimeout)
	cmd.Flag("web.cors.origin", "Regular expression, anchored, for the origins whose scripts may read answers, such as 'https?://(domain1|domain2)\\.com'.").
		Default(".*").StringVar(&s.corsOrigin)
	cmd.Flag("http-grace-period", "How long to wait for queries to end when interrupted.").Default("2m").SetValue(&s.grace)
	cmd.Flag("tsdb.path", "Data directory of a Prometheus server, which may be running, or a directory of blocks. It is only read. With endpoints it may be left out.").
		Default(defaultPath).IsSetByUser(&s.dirSet).StringVar(&s.dir)
	cmd.Flag("tsdb.refresh-interval", "How often to read the data directory again, if something in it has changed; 0s: never.").Default("1m").SetValue(&s.refresh)
	cmd.Flag("external-label", "Label that all series of the data directory are to have, which tells them from those of other nodes.").
		PlaceHolder("NAME=VALUE").StringsVar(&s.external)
	cmd.Flag("store-group-id", "Id of the data directory: of nodes with the same external labels and id, which hold the same data, one is asked. Default: host and path of a directory of blocks, none of one that a server writes to.").StringVar(&s.group)
	s.endpoints.register(cmd)
	s.limits.register(cmd)
	s.selector.register(cmd)
	s.engine.register(cmd)
	cmd.Flag("query.max-concurrency", "Most queries that run at once; others wait.").Default("20").IntVar(&s.maxConcurrency)
	cmd.Flag("query.memory-limit", "Most memory for the columns of all queries together, such as 8GB; 0: half of GOMEMLIMIT, if that is set, else no limit.").
		Default("0").BytesVar(&s.memoryLimit)
	cmd.Flag("query.partial-response", "Answer with a warning where a source of data fails, unless a request says otherwise.").
		Default("true").BoolVar(&s.partialResponse)
	cmd.Flag("query.auto-downsampling", "Let downsampled data do of a fifth of the step or finer, unless a request says otherwise.").BoolVar(&s.autoDownsampling)
	cmd.Flag("query.log-queries-longer-than", "Log queries that take longer than this; 0s: none.").Default("10s").SetValue(&s.slowQuery)
	s.tracing.register(cmd)
	cmd.Flag("log.level", "Least level of what is logged: "+strings.Join(promslog.LevelFlagOptions, ", ")+".").
		Default("info").EnumVar(&s.logLevel, promslog.LevelFlagOptions...)
	cmd.Flag("log.format", "Format of the log: "+strings.Join(promslog.FormatFlagOptions, ", ")+".").
		Default("logfmt").EnumVar(&s.logFormat, promslog.FormatFlagOptions...)
	return s
}

func (s *serveCommand) run(ctx context.Context, c *console) error {
	traces, err := s.tracing.config()
	if err != nil {
		return err
	}
	n, err := s.newNode(c.stderr)
	if err != nil {
		return err
	}
	stopTracing, err := tracing.Start(ctx, traces, version.Version, n.logger)
	if err != nil {
		return withCode(exitServer, err)
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpans)
		defer cancel()
		stopTracing(last)
	}()
	if err := n.listen(ctx, s.listen, s.listenGRPC); err != nil {
		return err
	}
	return n.serve(ctx, time.Duration(s.refresh), time.Duration(s.grace))
}

// lastSpans is how long the spans that are left when a node ends may take to be sent.
const lastSpans = 5 * time.Second

// groupID is the id of the data directory; "": nobody else has its data. A directory that a server writes to is seen
// by each node as it was some time ago.
func (s *serveCommand) groupID() string {
	if s.group != "" {
		return s.group
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	path, err := filepath.Abs(s.dir)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(path, "wal")); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return host + ":" + path
}

// externalLabels reads the flags of that name.
func (s *serveCommand) externalLabels() (labels.Labels, error) {
	b := labels.NewBuilder(labels.EmptyLabels())
	seen := map[string]bool{}
	for _, flag := range s.external {
		name, value, ok := strings.Cut(flag, "=")
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		var err error
		switch {
		case !ok || value == "":
			err = errors.New("write NAME=VALUE")
		case !model.UTF8Validation.IsValidLabelName(name):
			err = fmt.Errorf("%q is no name of a label", name)
		case name == model.MetricNameLabel:
			err = errors.New("the name of all metrics would be hidden")
		case seen[name]:
			err = errors.New("there is another one of that name")
		}
		if err != nil {
			return labels.EmptyLabels(), withCode(exitUsage, fmt.Errorf("--external-label %s: %w", flag, err))
		}
		seen[name] = true
		b.Set(name, value)
	}
	return b.Labels(), nil
}

// origins compiles the flag for CORS as Prometheus does.
func (s *serveCommand) origins() (*regexp.Regexp, error) {
	re, err := regexp.Compile("^(?:" + s.corsOrigin + ")$")
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--web.cors.origin: %w", err))
	}
	return re, nil
}

// flagValues are the values of all flags by name.
func (s *serveCommand) flagValues() map[string]string {
	values := map[string]string{}
	for _, f := range s.cmd.Model().Flags {
		values[f.Name] = f.Value.String()
		if f.Name == tracingText && values[f.Name] != "" {
			values[f.Name] = "<secret>"
		}
	}
	return values
}
