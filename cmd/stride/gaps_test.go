package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/source/extlabels"
)

// Directories of the same data with blocks missing in each, which another one has, are together as one directory of all blocks.
func TestGapsThatOthersFill(t *testing.T) {
	end := time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC)
	p := gendata.DefaultProfile(end)
	p.Series, p.Duration, p.Interval = 100, 8*time.Hour, time.Minute
	p.Start = end.Add(-p.Duration)
	whole := filepath.Join(t.TempDir(), "data")
	_, err := gendata.Generate(t.Context(), whole, p, nil)
	require.NoError(t, err)
	blocks, err := filepath.Glob(filepath.Join(whole, "*"))
	require.NoError(t, err)
	require.Len(t, blocks, 4, "names of blocks begin with their time")
	part := func(of ...int) string {
		dir := t.TempDir()
		for _, i := range of {
			require.NoError(t, os.CopyFS(filepath.Join(dir, filepath.Base(blocks[i])), os.DirFS(blocks[i])))
		}
		return dir
	}
	const external = "--external-label=cluster=eu"
	a, b := part(0, 1, 3), part(1, 2, 3)
	leafA, leafB := serve(t, a, external), serve(t, b, external)
	all := livedata.New(whole, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, all.Load())
	t.Cleanup(all.Close)
	data := extlabels.New(all, labels.FromStrings("cluster", "eu"))
	oracle := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e8, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})

	between := serveArgs(t, "--endpoint="+leafA.nodes, "--tsdb.path="+b, external)
	for name, flags := range map[string][]string{
		"two leaves":                   {"--endpoint=" + leafA.nodes, "--endpoint=" + leafB.nodes},
		"samples of two leaves":        {"--endpoint=" + leafA.nodes, "--endpoint=" + leafB.nodes, "--query.mode=local"},
		"own data and a leaf":          {"--endpoint=" + leafB.nodes, "--tsdb.path=" + a, external},
		"own data and a leaf, between": {"--endpoint=" + between.nodes},
	} {
		t.Run(name, func(t *testing.T) {
			asked, err := client.New(serveArgs(t, flags...).url, nil)
			require.NoError(t, err)
			defer asked.Close()
			same := func(q promql.Query, of client.Query) {
				t.Helper()
				defer q.Close()
				want := q.Exec(t.Context())
				require.NoError(t, want.Err)
				got, err := asked.Query(t.Context(), of)
				require.NoError(t, err)
				requireSame(t, want.Value, got.Value, fmt.Sprint(of.Expr, " ", of.End))
				require.Empty(t, got.Warnings)
			}
			exprs := []string{"sum(up)", "sum(sum_over_time(up[3h:10m]))"}
			for _, window := range []string{"5m", "1h", "150m", "5h"} {
				exprs = append(exprs, "sum(rate(http_requests_total["+window+"]))", "sum by (job) (count_over_time(up["+window+"]))", "max_over_time(up["+window+"])")
			}
			for _, expr := range exprs {
				q, err := oracle.NewRangeQuery(t.Context(), data, nil, expr, p.Start, end, 10*time.Minute)
				require.NoError(t, err)
				same(q, client.Query{Expr: expr, Start: p.Start, End: end, Step: 10 * time.Minute})
				for _, after := range []time.Duration{110 * time.Minute, 2*time.Hour + 30*time.Second, 4 * time.Hour, 270 * time.Minute, 6*time.Hour + time.Minute, 390 * time.Minute} {
					at := p.Start.Add(after)
					q, err := oracle.NewInstantQuery(t.Context(), data, nil, expr, at)
					require.NoError(t, err)
					same(q, client.Query{Expr: expr, Instant: true, Start: at, End: at})
				}
			}
		})
	}
}
