package engine_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

// Every query whose plan is tested in logicalplan has the answer that Prometheus gives over all data, also where engines evaluate text. What one data
// set cannot show another one does: for each query there is one whose answer is neither empty nor an error.
func TestDistributedPlansHold(t *testing.T) {
	content, err := os.ReadFile("../logicalplan/testdata/distribution.txt")
	require.NoError(t, err)
	var queries []string
	empty := map[string]bool{} // those for which nobody can have data
	for l := range strings.Lines(string(content)) {
		if query, plan, ok := strings.Cut(strings.TrimSpace(l), " => "); ok && !strings.HasPrefix(l, "#") {
			queries = append(queries, query)
			empty[query] = plan == "dedup(coalesce())"
		}
	}
	require.Greater(t, len(queries), 150)

	reference := prometheusEngine(t, baseOpts())
	shown := map[string]bool{}
	type adder func(k int, metric string, set ...string)
	for _, data := range []struct {
		name string
		of   string // what the queries have that are asked of it
		fill func(add adder)
	}{
		{"groups across clusters", "", func(add adder) {
			for k, cluster := range []string{"a", "b"} {
				for i, x := range []string{"1", "2"} {
					add(20*k+i, "foo", "cluster", cluster, "x", x, "y", x)
					add(20*k+i+5, "bar", "cluster", cluster, "x", x, "y", x)
				}
			}
		}},
		{"groups within clusters", "", func(add adder) {
			for k, cluster := range []string{"a", "b"} {
				for i, x := range []string{"1", "2"} {
					add(20*k+i, "foo", "cluster", cluster, "x", cluster+x, "y", cluster+x)
					add(20*k+i+5, "bar", "cluster", cluster, "x", cluster+x, "y", cluster+x)
				}
			}
		}},
		{"buckets", "histogram_", func(add adder) {
			for k, cluster := range []string{"a", "b"} {
				for i, le := range []string{"1", "2", "+Inf"} {
					add(20*k+i, "foo", "cluster", cluster, "x", cluster, "y", cluster, "le", le)
				}
			}
			add(1, "bar", "cluster", "b", "x", "b", "y", "b")
		}},
		{"one bar", "bar", func(add adder) {
			for i, cluster := range []string{"a", "b", "b"} {
				x := string(rune('1' + i))
				add(20*i, "foo", "cluster", cluster, "x", x, "y", x)
			}
			add(1, "bar", "cluster", "b", "x", "2", "y", "2")
		}},
		{"no foo", "", func(add adder) { add(1, "bar", "cluster", "a", "x", "1", "y", "1") }},
	} {
		t.Run(data.name, func(t *testing.T) {
			var asked []string
			for _, query := range queries {
				if strings.Contains(query, data.of) {
					asked = append(asked, query)
				}
			}
			all := memory(t, func(a storage.Appender) {
				data.fill(func(k int, metric string, set ...string) {
					series(t, a, labels.FromStrings(append(set, "__name__", metric)...), 0, 2*time.Hour+30*minute, waves(k))
				})
			})
			spread{all, byCluster(all, "a", "b")}.checkBoth(t, 100*minute, 2*time.Hour, asked...)
			for _, query := range asked {
				res, _ := execute(t, reference, all, nil, query, at(7200))
				shown[query] = shown[query] || res.Err == nil && res.Value.String() != ""
			}
		})
	}
	for _, query := range queries {
		require.Equal(t, !empty[query], shown[query], query)
	}
}
