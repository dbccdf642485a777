package measure

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

var (
	results = flag.String("results", "", "file to add results to; what is there already is not measured again")
	runs    = flag.Int("runs", 20, "how often each query runs in each mode at least")
	spare   = flag.Duration("spare", 20*time.Second, "for how long a query may run more often than that, up to 100 times")
	only    = flag.String("only", "", "part of the names of the cases to measure, as in pairs/10000")
)

// cases are what is measured: all queries on small data, and some on large.
var cases = []struct {
	model   string
	network string
	series  int      // of all regions
	queries []string // nil for all
	modes   []string
}{
	{"pairs", "direct", 10_000, nil, Modes},
	{"block directories", "direct", 10_000, nil, []string{Distributed, Local}},
	{"block directories", "direct", 100_000, nil, []string{Distributed, Local}},
	{"sidecars by label", "direct", 100_000, []string{"sum, few groups", "histogram_quantile"}, Modes},
	{FourLeaves, "direct", 100_000, []string{"sum, few groups", "histogram_quantile", "topk", "avg"}, []string{Distributed, Local}},
	{"block directories", "direct", many, []string{"sum, few groups", "avg"}, []string{Distributed, Local}},
	{"gateways and pairs", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"sidecars by time", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"sidecars by label", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"receivers", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"gateway by hash", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"pairs", "1 Gbit/s, 2 ms", 10_000, []string{"sum, few groups", "sum, many groups", "series"}, Modes},
	{"block directories", "1 Gbit/s, 2 ms", 100_000, []string{"sum, few groups", "sum, many groups", "series"}, []string{Distributed, Local}},
	{"pairs apart", "direct", 10_000, []string{"sum, few groups", "sum, many groups", "avg"}, Modes},
	{"gateway by hash", "direct", 100_000, []string{"sum, few groups", "histogram_quantile"}, Modes},
	{"pairs", "direct", 100_000, []string{"sum, few groups"}, Modes},
}

func TestMeasure(t *testing.T) {
	if *results == "" {
		t.Skip("this measures, for tens of minutes: make bench-e2e runs it")
	}
	w := open(t)
	for _, c := range cases {
		name := fmt.Sprintf("%s/%d/%s", c.model, c.series, c.network)
		if *only != "" && !strings.Contains(name, *only) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			queries := Queries
			if c.queries != nil {
				queries = slices.DeleteFunc(slices.Clone(Queries), func(q Query) bool { return !slices.Contains(c.queries, q.Name) })
			}
			queries = slices.DeleteFunc(slices.Clone(queries), func(q Query) bool {
				return !slices.ContainsFunc(c.modes, func(mode string) bool {
					return !w.has(Result{Model: c.model, Network: c.network, Series: c.series, Query: q.Name, Mode: mode})
				})
			})
			if len(queries) == 0 {
				t.Skip("measured before")
			}
			e := containers.New(t, "measure")
			leaves, flags := deploy(t, e, c.model, c.series)
			endpoints := map[string][]*containers.Node{}
			nodes := map[string][]*leaf{}
			for _, l := range leaves {
				add := func(kind string, n *containers.Node) {
					nodes[kind] = append(nodes[kind], &leaf{n, n.PID()})
					if c.network != "direct" {
						n = e.Proxy(fmt.Sprintf("proxy%s%d", kind, len(nodes[kind])), n, "--rate=1e9", "--delay=2ms")
					}
					endpoints[kind] = append(endpoints[kind], n)
				}
				add("stride", l.Stride(e, containers.Options{CPUs: Quota(len(leaves))}))
				if slices.Contains(c.modes, ThanosLocal) {
					add("thanos", l.Thanos(e, containers.Options{CPUs: Quota(len(leaves))}, "--query.promql-engine=thanos", "--query.timeout=5m"))
				}
			}
			for n, q := range queries {
				var roots []*root
				for m, mode := range c.modes {
					kind, _, _ := strings.Cut(mode, " ")
					roots = append(roots, startRoot(t, e, mode, n*len(Modes)+m, endpoints[kind], nodes[kind], flags))
				}
				for _, r := range compare(t, roots, q, spanOf(c.model, c.series)) {
					r.Model, r.Network, r.Series, r.Query = c.model, c.network, c.series, q.Name
					w.add(r)
				}
				for _, r := range roots {
					r.client.Close()
					r.node.Crash()
				}
			}
		})
	}
}

// compare asks all roots in turn, after an answer each that does not count; it should be the same.
func compare(t *testing.T, roots []*root, q Query, s span) (out []Result) {
	t.Helper()
	asked := client.Query{Expr: q.Expr, Instant: q.Instant, Start: deployments.End.Add(10*time.Minute - s.length), End: deployments.End, Step: s.interval, Timeout: 5 * time.Minute}
	if q.Instant {
		asked.Start = asked.End
	}
	failed := map[*root]string{}
	var want parser.Value
	for _, r := range roots {
		got, err := r.client.Query(t.Context(), asked)
		switch {
		case err != nil:
			failed[r] = err.Error()
		case want == nil:
			want = got.Value
		default:
			r.differs = oracle.Difference(want, got.Value)
		}
	}
	began := time.Now()
	for i := 0; i < *runs || i < enough && time.Since(began) < *spare; i++ {
		for _, r := range roots {
			if failed[r] == "" {
				if err := r.time(t, asked); err != nil {
					failed[r] = err.Error()
				}
			}
		}
	}
	for _, r := range roots {
		if failed[r] != "" {
			t.Logf("%s: %s: %s", q.Name, r.mode, failed[r])
			out = append(out, Result{Mode: r.mode, Failed: failed[r]})
			continue
		}
		res := r.result(t)
		t.Logf("%s: %-18s p50 %8s, most %8s; CPU root %6s, leaves %6s; root peak %4d MiB; received %6d KiB", q.Name, r.mode,
			res.P50.Round(time.Millisecond), res.Max.Round(time.Millisecond), res.RootCPU.Round(time.Millisecond), res.LeafCPU.Round(time.Millisecond), res.RootPeak>>20, res.Received>>10)
		out = append(out, res)
	}
	return out
}

// many series are measured over less time.
const many = 1_000_000

// span is how much data there is, and how far apart samples are, and steps.
type span struct{ length, interval time.Duration }

func spanOf(model string, series int) span {
	switch {
	case series >= many:
		return span{20 * time.Minute, 30 * time.Second}
	case model == "gateways and pairs" || model == "sidecars by time": // blocks have two hours
		return span{6 * time.Hour, time.Minute}
	}
	return span{2 * time.Hour, 30 * time.Second}
}

func deploy(t *testing.T, e *containers.Environment, model string, series int) (leaves []deployments.Leaf, flags []string) {
	t.Helper()
	n, s := 2, spanOf(model, series)
	if model == "receivers" || model == "gateway by hash" || model == FourLeaves {
		n = 4
	}
	flags = []string{"--series", fmt.Sprint(series / n), "--duration", s.length.String(), "--interval", s.interval.String()}
	all := deployments.Regions(t, e, n, deployments.Steady, flags...)
	switch model {
	case "pairs apart":
		deployments.Twins(t, e, all, deployments.Steady, flags...)
		fallthrough
	case "pairs":
		return deployments.Pairs(t, e, all), []string{deployments.ByReplica}
	case "gateways and pairs":
		return deployments.GatewaysAndPairs(t, e, all), []string{deployments.ByReplica}
	case "sidecars by time":
		return deployments.SidecarsByTime(t, e, all, 3*time.Hour), nil
	case "sidecars by label":
		return deployments.SidecarsByLabel(t, e, all), nil
	case "receivers":
		return deployments.Receivers(t, e, all), nil
	case "gateway by hash":
		return deployments.ByHash([]*containers.Node{e.StoreGateway("gateway", deployments.Upload(t, e, all))}, 2), nil
	case "block directories", FourLeaves:
		return deployments.BlockDirectories(all), nil
	}
	t.Fatalf("no model %q", model)
	return nil, nil
}

// writer adds to the results file.
type writer struct {
	t    *testing.T
	f    *os.File
	have []Result
}

func open(t *testing.T) *writer {
	t.Helper()
	path, err := filepath.Abs(*results)
	require.NoError(t, err)
	w := &writer{t: t}
	if before, err := Read(path); err == nil {
		w.have = before.Results
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	w.f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	require.NoError(t, err)
	t.Cleanup(func() { w.f.Close() })
	if info, err := w.f.Stat(); err == nil && info.Size() == 0 {
		version, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").Output()
		require.NoError(t, err)
		w.line(Results{Started: time.Now().UTC(), Command: "make bench-e2e", Machine: fmt.Sprintf("%s, %d cores, Docker %s", cpu(t), runtime.NumCPU(), strings.TrimSpace(string(version)))})
	}
	return w
}

func cpu(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("/proc/cpuinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// has tells whether a result is there already. What failed is tried again.
func (w *writer) has(r Result) bool {
	return slices.ContainsFunc(w.have, func(h Result) bool {
		return h.Failed == "" && h.Model == r.Model && h.Network == r.Network && h.Series == r.Series && h.Query == r.Query && h.Mode == r.Mode
	})
}

func (w *writer) add(r Result) {
	w.t.Helper()
	if !w.has(r) {
		w.line(r)
	}
}

func (w *writer) line(v any) {
	w.t.Helper()
	b, err := json.Marshal(v)
	require.NoError(w.t, err)
	_, err = w.f.Write(append(b, '\n'))
	require.NoError(w.t, err)
}
