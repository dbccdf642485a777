package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEndpointsThatAreReachedShow(t *testing.T) {
	c := newCluster(t, "eu")
	leaf := serve(t, c.dirs[0], "--external-label=cluster=eu", "--store-group-id=g")
	const nobody = "127.0.0.1:1"
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	require.NoError(t, os.WriteFile(file, []byte("endpoints:\n- address: "+nobody+"\n  group: configured\n"), 0o600))
	root := serveArgs(t, "--endpoint="+leaf.nodes, "--endpoint.sd-config-file="+file, "--endpoint.info-timeout=1s")
	metrics := root.body(t, "/metrics")
	require.Contains(t, metrics, `stride_endpoint_up{endpoint="`+leaf.nodes+`",group="g"} 1`)
	require.Contains(t, metrics, `stride_endpoint_up{endpoint="`+nobody+`",group="configured"} 0`)
	require.Contains(t, metrics, `stride_endpoint_request_duration_seconds_count{code="DeadlineExceeded",endpoint="`+nobody+`",method="/thanos.info.Info/Info"} 1`)
}
