package engine_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

func TestExplain(t *testing.T) {
	st := promqltest.LoadedStorage(t, `load 30s
  x_total{job="a",i="1"} 0+1x100
  x_total{job="a",i="2"} 0+2x100
  x_total{job="b",i="1"} 0+3x100
`)
	o := suiteOpts()
	o.Workers = 2
	e := engine.New(o)
	ctx := context.Background()
	q, err := e.NewRangeQuery(ctx, st, nil, `sum by (job) (rate(x_total[5m])) / on () group_left () sum(rate(x_total[5m])) > 0.1`, time.Unix(600, 0), time.Unix(1800, 0), time.Minute)
	require.NoError(t, err)
	defer q.Close()
	x := q.(engine.ExplainableQuery)
	text := x.Explain().String()
	t.Log(text)
	require.Equal(t, text, x.Analyze().String(), "before Exec there is nothing to add")
	require.Contains(t, text, "scan rate of x_total")
	require.Contains(t, text, "sum by (job)")

	require.NoError(t, q.Exec(ctx).Err)
	analyzed := x.Analyze()
	t.Log(analyzed.String())
	require.Equal(t, text, x.Explain().String())
	require.Contains(t, analyzed.String(), "samples 63")

	data, err := json.Marshal(analyzed)
	require.NoError(t, err)
	var got struct {
		Pipelines []struct {
			Operators []struct {
				Name     string
				Measured struct {
					Series, Samples, PeakBytes, TotalNanoseconds, OwnNanoseconds int64
				}
			}
		}
		Analysis struct{ Steps int }
	}
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, 21, got.Analysis.Steps)
	for _, p := range got.Pipelines {
		for _, o := range p.Operators {
			require.GreaterOrEqual(t, o.Measured.TotalNanoseconds, o.Measured.OwnNanoseconds, o.Name)
		}
	}
	scan := got.Pipelines[0].Operators[0].Measured
	require.EqualValues(t, 3, scan.Series)
	require.EqualValues(t, 63, scan.Samples)
	require.Positive(t, scan.PeakBytes)
}

// TestExplainEverything explains all expressions of Prometheus' test suite.
func TestExplainEverything(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 30s\n  metric{a=\"b\"} 0+1x10\n")
	o := suiteOpts()
	o.Workers = 2
	e := engine.New(o)
	exprs, err := promqltest.GetBuiltInExprs()
	require.NoError(t, err)
	explained := 0
	for _, expr := range exprs {
		q, err := e.NewInstantQuery(context.Background(), st, nil, expr, time.Unix(60, 0))
		if err != nil {
			continue // an expression that is meant to be refused
		}
		x := q.(engine.ExplainableQuery)
		before := x.Explain()
		require.NotEmpty(t, before.String())
		res := q.Exec(context.Background())
		after := x.Analyze()
		require.NotEmpty(t, after.String())
		_, err = json.Marshal(after)
		require.NoError(t, err)
		if res.Err == nil {
			require.NotContains(t, before.String(), "will fail", expr)
		}
		q.Close()
		explained++
	}
	require.Greater(t, explained, 1000)
}
