package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/replica"
	"github.com/stride-promql/stride/remote/server"
)

// BenchmarkTailLatency is how long queries of a group of two nodes take, over gRPC and 16 at once, with no slow node and with one that takes 25 times
// as long. The first hundred, by which the group learns who is slow, do not count. Run it with -benchtime 5000x.
func BenchmarkTailLatency(b *testing.B) {
	for _, strategy := range []replica.Strategy{replica.Hedge, replica.Race} {
		for _, slow := range []int{1, 25} {
			b.Run(fmt.Sprintf("%s/slow=%dx", strategy, slow), func(b *testing.B) {
				g := replica.New("group", []remote.RemoteEngine{delayed(b, "a", 1), delayed(b, "b", slow)}, replica.Options{Strategy: strategy})
				for range 100 {
					askOnce(b, g)
				}
				var mu sync.Mutex
				var took []time.Duration
				b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						began := time.Now()
						askOnce(b, g)
						d := time.Since(began)
						mu.Lock()
						took = append(took, d)
						mu.Unlock()
					}
				})
				slices.Sort(took)
				for _, p := range []int{50, 95, 99} {
					b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
				}
			})
		}
	}
}

// delayed is a client of a node that takes 20 to 25 ms to answer, or some times as long.
func delayed(b *testing.B, name string, times int) *client.Client {
	f := &fake{caps: remote.Capabilities{LanguageLevel: "3.16"}, stream: func(ctx context.Context, _ asked) (remote.ColumnStream, error) {
		select {
		case <-time.After(time.Duration(times) * (20*time.Millisecond + rand.N(5*time.Millisecond))):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return &columnStream{columns: []*remote.Columns{columns(0, 4, "x", "y")}}, nil
	}}
	_, to := listen(b, f, server.Options{})
	return connect(b, to, client.Options{Name: name})
}

func askOnce(b *testing.B, g *replica.Group) {
	q, err := g.NewRangeQuery(b.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(1000), time.UnixMilli(1006), 2*time.Millisecond)
	require.NoError(b, err)
	s, err := q.(remote.Streamer).Stream(b.Context())
	require.NoError(b, err)
	defer s.Close()
	_, err = drain(b.Context(), s)
	require.NoError(b, err)
}
