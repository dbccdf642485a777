package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A request whose answer was read to the end counts as one that went well.
func TestRequestsThatGoWell(t *testing.T) {
	_, flags := newCluster(t, "eu", "us").leaves(t)
	for mode, method := range map[string]string{"distributed": "Query", "local": "Select"} {
		root := serveArgs(t, append(flags, "--query.mode="+mode)...)
		for range 5 {
			root.body(t, "/api/v1/query", "query", "sum(up)", "time", sampleEnd)
		}
		metrics := root.body(t, "/metrics")
		for _, f := range flags {
			require.Contains(t, metrics, `stride_endpoint_request_duration_seconds_count{code="OK",endpoint="`+f[len("--endpoint="):]+`",method="/stride.v1.Engine/`+method+`"} 5`)
		}
		require.NotContains(t, metrics, `code="Canceled"`)
	}
}
