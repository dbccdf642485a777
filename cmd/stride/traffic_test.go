package main

import (
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/stats"
)

// Metrics of a node are there as long as there is a connection to it, and requests that end later bring none back.
func TestTrafficOfNodesThatLeave(t *testing.T) {
	reg := prometheus.NewRegistry()
	all := newTraffic(reg)
	count := func() int {
		n, err := testutil.GatherAndCount(reg)
		require.NoError(t, err)
		return n
	}
	use := func(e *endpointTraffic) {
		now := time.Now()
		ctx := e.TagRPC(t.Context(), &stats.RPCTagInfo{FullMethodName: "/m"})
		e.HandleRPC(ctx, &stats.OutPayload{WireLength: 1})
		e.HandleRPC(ctx, &stats.InPayload{WireLength: 1})
		e.HandleRPC(ctx, &stats.End{BeginTime: now, EndTime: now})
		e.HandleRPC(ctx, &stats.End{BeginTime: now, EndTime: now, Error: io.EOF})
	}
	before, after, other := all.of("a:1"), all.of("a:1"), all.of("b:1")
	for _, e := range []*endpointTraffic{before, after, other} {
		use(e)
	}
	require.Equal(t, 2*4, count())
	require.NoError(t, counted{io.NopCloser(nil), before}.Close())
	before.close()
	use(before)
	require.Equal(t, 2*4, count(), "there is another connection")
	require.EqualValues(t, 3, testutil.ToFloat64(all.sent.WithLabelValues("a:1")))
	after.close()
	use(after)
	require.Equal(t, 4, count())
	other.close()
	require.Zero(t, count())
}
