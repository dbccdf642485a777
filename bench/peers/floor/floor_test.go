package main

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/peer"
)

// TestSelections: from and to are seconds.
func TestSelections(t *testing.T) {
	type times struct{ from, to int64 }
	for expr, want := range map[string][]times{
		`a`:                                  {{700, 2000}},
		`a offset 5m`:                        {{400, 1700}},
		`a offset -5m`:                       {{1000, 2300}},
		`a @ 5000`:                           {{4700, 5000}},
		`a @ end() offset 10s`:               {{1690, 1990}},
		`rate(a[10m])`:                       {{400, 2000}},
		`rate(a[10m] @ start())`:             {{400, 1000}},
		`max_over_time(a[1h:1m])`:            {{-2900, 2000}},
		`max_over_time(rate(a[10m])[1h:1m])`: {{-3200, 2000}},
		`max_over_time(rate(a[10m] @ 9000)[1h:1m])`:                 {{8400, 9000}},
		`max_over_time(a[10m:1m] @ 5000 offset 1m)`:                 {{4040, 4940}},
		`max_over_time(max_over_time(a[10m:1m] offset 1m)[20m:1m])`: {{-1160, 1940}},
		`rate(a[10m] anchored)`:                                     {{100, 2000}},
		`rate(a[10m] smoothed)`:                                     {{100, 2300}},
		`rate(a[5m*2] offset (1m+1m))`:                              {{280, 1880}},
		`a + a`:                                                     {{700, 2000}},
		`a + a{x="1"} + a offset 5m`:                                {{700, 2000}, {700, 2000}, {400, 1700}},
		`1 + time()`:                                                nil,
		`sum by (x) (rate(a[10m])) / on (x) group_left () sum by (x) (a) > b{}`: {{400, 2000}, {700, 2000}, {700, 2000}},
	} {
		got, err := selections(peer.Query{Expr: expr, Start: 1_000_000, End: 2_000_000, Step: 15_000})
		require.NoError(t, err, expr)
		require.Len(t, got, len(want), expr)
		for i, w := range want {
			require.Equal(t, w, times{(got[i].mint - 1) / 1000, got[i].maxt / 1000}, expr)
		}
	}
	got, err := selections(peer.Query{Expr: "a", Start: 1_000_000})
	require.NoError(t, err)
	require.Equal(t, int64(700_001), got[0].mint)
	require.Equal(t, int64(1_000_000), got[0].maxt, "an instant query has no end")
	_, err = selections(peer.Query{Expr: "a +"})
	require.Error(t, err)
}

// TestDecoded: every sample of the chunks is decoded once, from blocks and from a head, by one worker or more.
func TestDecoded(t *testing.T) {
	const series, samples = 150, 300
	for _, flush := range []bool{false, true} {
		dir := t.TempDir()
		opts := tsdb.DefaultOptions()
		opts.RetentionDuration = 0
		db, err := tsdb.Open(dir, nil, nil, opts, nil)
		require.NoError(t, err)
		for n := range samples {
			app := db.Appender(context.Background())
			for i := range series {
				name := "floats"
				if i%3 == 0 {
					name = "histograms"
				}
				l := labels.FromStrings("__name__", name, "i", strings.Repeat("x", i))
				at := int64(n) * 15_000
				if i%3 == 0 {
					_, err = app.AppendHistogram(0, l, at, tsdbutil.GenerateTestHistogram(int64(n)), nil)
				} else {
					_, err = app.Append(0, l, at, float64(n*i))
				}
				require.NoError(t, err)
			}
			require.NoError(t, app.Commit())
		}
		if flush {
			require.NoError(t, db.CompactHead(tsdb.NewRangeHead(db.Head(), 0, samples*15_000)))
			require.NotEmpty(t, db.Blocks())
		}
		require.NoError(t, db.Close())

		for _, workers := range []int{1, 3} {
			f := &floor{}
			require.NoError(t, f.Open(dir, workers))
			for expr, want := range map[string]int64{
				`floats[100d]`:                           100 * samples,
				`{__name__=~"floats|histograms"}[100d]`:  series * samples,
				`count_over_time(nothing[100d])`:         0,
				`rate(floats[100d]) + rate(floats[90d])`: 2 * 100 * samples,
			} {
				r, err := f.Execute(context.Background(), peer.Query{Expr: expr, Start: (samples - 1) * 15_000})
				require.NoError(t, err)
				require.Equal(t, want, r.(peer.Decoder).Decoded(), "%s, flushed %t, %d workers", expr, flush, workers)
				r.Close()
			}
			require.NoError(t, f.Close())
		}
	}
}
