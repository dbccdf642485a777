package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/gendata"
)

// demoClusterCommand starts several nodes and shows what distributing a query over them does.
type demoClusterCommand struct {
	cache    string
	series   int
	duration model.Duration
	listen   string
	wait     bool
}

func registerDemoCluster(app *kingpin.Application) (string, command) {
	var d demoClusterCommand
	cmd := app.Command("demo-cluster", "Start a root and three leaves on sample data, run some queries with and without distribution, and serve until interrupted.")
	cmd.Flag("cache", "Directory that keeps the sample data.").Default(defaultCache()).StringVar(&d.cache)
	cmd.Flag("series", "Number of series at any one time at each leaf.").Default("3000").IntVar(&d.series)
	cmd.Flag("duration", "How much time the samples cover.").Default("2h").SetValue(&d.duration)
	cmd.Flag("web.listen-address", "Address of the root.").Default("127.0.0.1:10902").StringVar(&d.listen)
	cmd.Flag("wait", "Go on serving when the queries have run.").Default("true").BoolVar(&d.wait)
	return cmd.FullCommand(), d.run
}

// demoRegions are the values of the external label of the leaves.
var demoRegions = []string{"africa", "europe", "oceania"}

var demoClusterQueries = []string{
	`sum by (job) (rate(http_requests_total[5m]))`,
	`avg by (namespace) (memory_usage_bytes)`,
	`histogram_quantile(0.99, sum by (job, le) (rate(request_duration_seconds_bucket[5m])))`,
	`topk(5, sum by (namespace, pod) (rate(process_cpu_seconds_total[5m])))`,
	`sum by (region) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (region) (rate(http_requests_total[5m]))`,
	`max_over_time(sum(rate(http_requests_total[5m]))[30m:1m])`,
}

func (d *demoClusterCommand) run(ctx context.Context, c *console) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nodes := &demoNodes{}
	defer func() {
		cancel()
		err = errors.Join(err, nodes.stop())
	}()
	var endpoints []string
	fmt.Fprintln(c.stdout, "Leaves, each with data of its own:")
	for i, region := range demoRegions {
		p := gendata.DefaultProfile(time.Now().Truncate(time.Minute))
		p.Start = p.Start.Add(p.Duration - time.Duration(d.duration))
		p.Series, p.Duration, p.Seed = d.series, time.Duration(d.duration), uint64(i+1)
		dir, err := keptData(ctx, c, d.cache, fmt.Sprintf("%s-%dseries-%s", region, d.series, d.duration), p)
		if err != nil {
			return err
		}
		n, err := nodes.start(ctx, c.stderr, "127.0.0.1:0", "--tsdb.path", dir, "--external-label", "region="+region)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "  %s   region=%q   %s\n", n.forNodes.Addr(), region, dir)
		endpoints = append(endpoints, "--endpoint", n.forNodes.Addr().String())
	}
	distributed, err := nodes.start(ctx, c.stderr, d.listen, endpoints...)
	if err != nil {
		return err
	}
	local, err := nodes.start(ctx, c.stderr, "127.0.0.1:0", append(endpoints, "--query.mode", modeLocal)...)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Root, which asks them: %s\n", distributed.url())
	end := nodes.all[0].newest()
	if err := d.explain(ctx, c.stdout, distributed, end); err != nil {
		return err
	}
	if err := d.compare(ctx, c.stdout, distributed, local, end); err != nil {
		return err
	}
	if !d.wait {
		return nil
	}
	program := programName(os.Args[0])
	fmt.Fprintf(c.stdout, `
Serving until Ctrl-C. Grafana's data source of type Prometheus: %[1]s

  curl '%[1]s/api/v1/query?query=sum+by+(region)+(up)&time=%[2]d'
  %[3]s query --url %[1]s --time %[2]d 'sum by (region, job) (up)'
`, distributed.url(), end.Unix(), program)
	return nodes.wait(ctx)
}

// explain prints the plan of the first query.
func (d *demoClusterCommand) explain(ctx context.Context, w io.Writer, root *node, end time.Time) error {
	q, err := root.engine.NewRangeQuery(ctx, nil, nil, demoClusterQueries[0], end.Add(-time.Hour), end, time.Minute)
	if err != nil {
		return err
	}
	defer q.Close()
	_, err = fmt.Fprintf(w, "\n%s\n", strings.TrimRight(q.(engine.ExplainableQuery).Explain().String(), "\n"))
	return err
}

// compare runs the queries both ways.
func (d *demoClusterCommand) compare(ctx context.Context, w io.Writer, distributed, local *node, end time.Time) error {
	fmt.Fprintf(w, "\nThe last hour by the minute, asked of two roots: one lets the leaves evaluate parts of the query, one fetches all their samples.\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  \tdistributed\t\tlocal\t\t")
	for _, expr := range demoClusterQueries {
		fmt.Fprint(table, "  ")
		var answers []*result
		for _, n := range []*node{distributed, local} {
			asked, err := client.New(n.url(), nil)
			if err != nil {
				return err
			}
			before, began := n.traffic.sum(), time.Now()
			a, err := asked.Query(ctx, client.Query{Expr: expr, Start: end.Add(-time.Hour), End: end, Step: time.Minute})
			took := time.Since(began)
			asked.Close()
			if err != nil {
				return fmt.Errorf("%s: %w", expr, err)
			}
			answers = append(answers, &result{value: a.Value, warnings: a.Warnings, infos: a.Infos})
			fmt.Fprintf(table, "\t%s\t%.1f KiB", took.Round(10*time.Microsecond), (n.traffic.sum()-before)/1024)
		}
		fmt.Fprintf(table, "\t%s\n", expr)
		if found := differences(outcome{result: answers[0]}, outcome{result: answers[1]}, 1e-9, unordered); len(found) > 0 {
			return fmt.Errorf("%s: the answers differ: %s", expr, found[0])
		}
	}
	return table.Flush()
}

// demoNodes are nodes within this process.
type demoNodes struct {
	all     []*node
	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
	failed  chan struct{} // closed at the first error
}

// start starts a node on loopback with the flags of serve, and waits until it is ready.
func (d *demoNodes) start(ctx context.Context, stderr io.Writer, address string, flags ...string) (*node, error) {
	app := kingpin.New("stride", "")
	s := newServeCommand(app)
	if _, err := app.Parse(append([]string{"serve", "--log.level=warn"}, flags...)); err != nil {
		return nil, err
	}
	n, err := s.newNode(stderr)
	if err != nil {
		return nil, err
	}
	if err := n.listen(ctx, address, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if d.failed == nil {
		d.failed = make(chan struct{})
	}
	d.all = append(d.all, n)
	d.running.Go(func() {
		if err := n.serve(ctx, 0, time.Second); err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.errs = append(d.errs, err); len(d.errs) == 1 {
				close(d.failed)
			}
		}
	})
	for !n.ready.Load() {
		select {
		case <-time.After(time.Millisecond):
		case <-d.failed:
			return nil, d.err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return n, nil
}

// wait waits until ctx ends or a node fails.
func (d *demoNodes) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.failed:
		return d.err()
	}
}

// stop waits until all nodes have ended.
func (d *demoNodes) stop() error {
	d.running.Wait()
	return d.err()
}

func (d *demoNodes) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.errs...)
}

// url is where users ask a node that listens.
func (n *node) url() string { return "http://" + n.forUsers.Addr().String() }

// newest is the time of the newest sample of a node's own data.
func (n *node) newest() time.Time {
	_, maxt, _ := n.data.Bounds()
	return time.UnixMilli(maxt)
}

// sum is how many bytes have gone over the wire, both ways.
func (t *traffic) sum() (bytes float64) {
	for _, c := range []*prometheus.CounterVec{t.sent, t.received} {
		metrics := make(chan prometheus.Metric)
		go func() {
			defer close(metrics)
			c.Collect(metrics)
		}()
		for m := range metrics {
			var out dto.Metric
			if err := m.Write(&out); err == nil {
				bytes += out.Counter.GetValue()
			}
		}
	}
	return bytes
}
