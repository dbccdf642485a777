package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// exposed are the series that nodes show at /metrics, by name.
type exposed map[string][]labels.Labels

// add reads what a node shows. Histograms and summaries become the series that Prometheus makes of them.
func (x exposed) add(t *testing.T, text string) {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	for name, f := range families {
		for _, m := range f.Metric {
			b := labels.NewBuilder(labels.EmptyLabels())
			for _, l := range m.Label {
				b.Set(l.GetName(), l.GetValue())
			}
			x[name] = append(x[name], b.Labels())
			if m.Histogram != nil || m.Summary != nil {
				x[name+"_sum"], x[name+"_count"] = append(x[name+"_sum"], b.Labels()), append(x[name+"_count"], b.Labels())
			}
			if m.Histogram != nil {
				x[name+"_bucket"] = append(x[name+"_bucket"], b.Set(labels.BucketLabel, "1").Labels())
			}
		}
	}
}

// ofTheScrape are labels that series get when they are scraped, and outcomes are those whose values depend on what goes wrong.
var ofTheScrape, outcomes = []string{"job", "instance"}, []string{"code"}

// check says what is wrong with an expression over these series: names and labels that are not there, and matchers that nothing matches.
func (x exposed) check(expr parser.Expr) (wrong []string) {
	var known []string // labels of what is selected below a node
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok || v.Name == "up" {
			return nil
		}
		series := slices.Clone(x[v.Name])
		if len(series) == 0 {
			wrong = append(wrong, v.Name+" is not there")
		}
		for _, s := range series {
			s.Range(func(l labels.Label) { known = append(known, l.Name) })
		}
		for _, m := range v.LabelMatchers {
			if m.Name == model.MetricNameLabel || slices.Contains(ofTheScrape, m.Name) {
				continue
			}
			if !slices.ContainsFunc(series, func(s labels.Labels) bool { return s.Has(m.Name) }) {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s", v.Name, m.Name))
			}
			if !slices.Contains(outcomes, m.Name) {
				series = slices.DeleteFunc(series, func(s labels.Labels) bool { return !m.Matches(s.Get(m.Name)) })
			}
		}
		if len(series) == 0 {
			wrong = append(wrong, "nothing is "+v.String())
		}
		return nil
	})
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !slices.Contains(ofTheScrape, l) && !slices.Contains(known, l) {
					wrong = append(wrong, fmt.Sprintf("%s groups by %s, which nothing has", a, l))
				}
			}
		}
		return nil
	})
	return wrong
}

// nodesThatDoEverything are a root, with replicas, stores and data of its own, and leaves, of which one is lost after some queries.
func nodesThatDoEverything(t *testing.T) exposed {
	t.Helper()
	t.Setenv("GOMEMLIMIT", "")
	c := newCluster(t, "eu", "us", "ap")
	leaves, flags := c.leaves(t)
	again := serve(t, c.dirs[1], "--external-label=cluster=us")
	root := serveArgs(t, append(flags, "--endpoint="+again.nodes, "--tsdb.path="+c.dirs[0], "--external-label=cluster=sa", "--query.memory-limit=1GB")...)
	for _, partial := range []string{"0", "1"} {
		root.get(t, "/api/v1/query", "query", "sum(up)", "time", sampleEnd, "partial_response", partial)
		root.get(t, "/api/v1/query_range", "query", "sum(up)", "start", sampleEnd, "end", sampleEnd, "step", "1m", "partial_response", partial)
		leaves[2].stop()
	}
	x := exposed{}
	for _, n := range []*serving{root, leaves[0]} {
		x.add(t, n.body(t, "/metrics"))
	}
	return x
}

func deployed(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../deploy", name))
	require.NoError(t, err)
	return b
}

// Dashboard and alerts ask for what nodes have.
func TestDeployedFilesNameMetricsThatAreThere(t *testing.T) {
	x := nodesThatDoEverything(t)
	p := parser.NewParser(parser.Options{})
	t.Run("alerts", func(t *testing.T) {
		groups, errs := rulefmt.Parse(deployed(t, "alerts.yaml"), false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
		require.Empty(t, errs)
		seen := map[string]bool{}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				require.False(t, seen[r.Alert], "%s is there twice", r.Alert)
				seen[r.Alert] = true
				expr, err := p.ParseExpr(r.Expr)
				require.NoError(t, err)
				require.Empty(t, x.check(expr), r.Alert)
				require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
				for _, a := range []string{"summary", "description", "runbook"} {
					require.NotEmpty(t, r.Annotations[a], "%s: %s", r.Alert, a)
				}
			}
		}
		require.NotEmpty(t, seen)
	})
	t.Run("dashboard", func(t *testing.T) {
		type panel struct {
			Title   string
			Type    string
			ID      int
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
		var d struct {
			Title      string
			UID        string
			Templating struct {
				List []struct{ Name, Type, Definition string }
			}
			Panels []panel
		}
		require.NoError(t, json.Unmarshal(deployed(t, "grafana-dashboard.json"), &d))
		var variables []string
		for _, v := range d.Templating.List {
			variables = append(variables, v.Name)
			if v.Type == "query" {
				require.Contains(t, v.Definition, "label_values(stride_build_info")
			}
		}
		require.Equal(t, []string{"datasource", "job", "instance"}, variables)
		ids := map[int]bool{}
		for i, panel := range d.Panels {
			require.False(t, ids[panel.ID], "id of %s", panel.Title)
			ids[panel.ID] = true
			for _, other := range d.Panels[:i] {
				a, b := panel.GridPos, other.GridPos
				require.False(t, a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H, "%s lies on %s", panel.Title, other.Title)
			}
			require.Equal(t, panel.Type == "row", len(panel.Targets) == 0, panel.Title)
			for _, target := range panel.Targets {
				text := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*").Replace(target.Expr)
				require.NotContains(t, text, "$", panel.Title)
				require.Contains(t, target.Expr, `{job=~"$job", instance=~"$instance"`, panel.Title)
				expr, err := p.ParseExpr(text)
				require.NoError(t, err, panel.Title)
				require.Empty(t, x.check(expr), panel.Title)
			}
		}
		require.NotEmpty(t, ids)
	})
	// Every metric of Stride's own, every alert and every flag is told of where operators look.
	t.Run("document", func(t *testing.T) {
		text, err := os.ReadFile("../../docs/operations.md")
		require.NoError(t, err)
		for name := range x {
			base := regexp.MustCompile("_(sum|count|bucket)$").ReplaceAllString(name, "")
			if strings.HasPrefix(name, "stride_") {
				require.True(t, strings.Contains(string(text), "`"+base+"`"), base)
			}
		}
		for _, m := range regexp.MustCompile("`(stride_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, x, m[1])
		}
		for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(deployed(t, "alerts.yaml")), -1) {
			require.True(t, strings.Contains(string(text), m[1]), m[1])
		}
		for _, f := range serveFlags(t) {
			require.True(t, strings.Contains(string(text), "`--"+f+"`"), f)
		}
	})
}

// What is wrong with an expression is found.
func TestExposedCheck(t *testing.T) {
	x := exposed{}
	x.add(t, "# TYPE a counter\na{kind=\"x\",code=\"OK\"} 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n")
	p := parser.NewParser(parser.Options{})
	for text, want := range map[string]string{
		`sum by (instance, kind) (rate(a{job="j",kind="x",code="None"}[5m]))`: "",
		`histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m]))) / h_count`: "",
		`up == 0`:            "",
		`b`:                  "b is not there",
		`a{kind="y"}`:        "nothing is ",
		`a{other="y"}`:       "a has no label other",
		`sum by (other) (a)`: "sum by (other) (a) groups by other, which nothing has",
	} {
		expr, err := p.ParseExpr(text)
		require.NoError(t, err)
		wrong := strings.Join(x.check(expr), "\n")
		if want == "" {
			require.Empty(t, wrong, text)
		}
		require.Contains(t, wrong, want, text)
	}
}

// serveFlags are the names of the flags of a node.
func serveFlags(t *testing.T) (names []string) {
	t.Helper()
	s := newServeCommand(kingpin.New("stride", ""))
	for _, f := range s.cmd.Model().Flags {
		names = append(names, f.Name)
	}
	require.NotEmpty(t, names)
	return names
}
