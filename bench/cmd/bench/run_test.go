package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/run"
)

// TestCheck: a peer may lack a query, but not be missing; nothing of ours may go wrong.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		cell record.Cell
		bad  bool
	}{
		"ok":                        {record.Cell{Engine: run.Stride, Status: record.OK}, false},
		"ours differs":              {record.Cell{Engine: run.Stride1, Status: record.Differs}, true},
		"ours cannot read":          {record.Cell{Engine: run.Stride, Status: record.Unsupported}, true},
		"the floor fails":           {record.Cell{Engine: run.Floor, Status: record.Failed}, true},
		"the reference fails":       {record.Cell{Engine: run.Prometheus, Status: record.Failed}, true},
		"the peer lacks a function": {record.Cell{Engine: run.Thanos, Status: record.Failed}, false},
		"the peer differs":          {record.Cell{Engine: run.Thanos, Status: record.Differs}, false},
		"the peer does not start":   {record.Cell{Engine: run.Thanos, Status: record.Failed, NotStarted: true}, true},
		"the peer hangs":            {record.Cell{Engine: run.Thanos, Status: record.TimedOut}, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := check([]record.Cell{{Engine: run.Stride, Status: record.OK}, c.cell})
			if c.bad {
				require.ErrorContains(t, err, "1 of 2 cells are not ok")
			} else {
				require.NoError(t, err)
			}
		})
	}
}
