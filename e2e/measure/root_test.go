package measure

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/containers"
)

// root is a root in one of the modes, that has answered nothing before the query that is measured.
type root struct {
	mode   string
	node   *containers.Node
	pid    int
	leaves []*leaf
	client *client.Client
	idle   int64
	// differs says in what its answer is another one than that of the first root.
	differs string

	took              []time.Duration
	rootCPU, leafCPU  time.Duration
	leafPeak, arrived int64
}

type leaf struct {
	node *containers.Node
	pid  int
}

// enough runs have a 95th percentile that says something.
const enough = 100

func startRoot(t *testing.T, e *containers.Environment, mode string, n int, endpoints []*containers.Node, leaves []*leaf, flags []string) *root {
	t.Helper()
	r := &root{mode: mode, leaves: leaves}
	name, o := fmt.Sprintf("root%d", n), containers.Options{CPUs: Quota(len(leaves))}
	switch mode {
	case Distributed, Local:
		r.node = e.StrideOf("stride", name, o, append(append(containers.Endpoints(endpoints...), "--query.mode="+mode[len("stride "):]), flags...)...)
	default:
		r.node = e.ThanosQueryOf(name, o, endpoints, append([]string{"--query.promql-engine=thanos", "--query.mode=" + mode[len("thanos "):], "--query.timeout=5m"}, flags...)...)
	}
	r.pid = r.node.PID()
	usage, err := containers.UsageOf(r.pid)
	require.NoError(t, err)
	r.idle = usage.Resident
	r.node.ResetPeak(r.pid)
	r.client, err = client.New(r.node.URL, nil)
	require.NoError(t, err)
	return r
}

// time runs the query once, and notes what it took until the last byte of the answer, which nobody reads further.
func (r *root) time(t *testing.T, q client.Query) error {
	t.Helper()
	cpu := func(pid int) time.Duration {
		u, err := containers.UsageOf(pid)
		require.NoError(t, err)
		return u.CPU
	}
	leaves := func() (sum time.Duration) {
		for _, l := range r.leaves {
			sum += cpu(l.pid)
		}
		return sum
	}
	for _, l := range r.leaves {
		l.node.ResetPeak(l.pid)
	}
	form := url.Values{"query": {q.Expr}, "time": {fmt.Sprint(q.End.Unix())}}
	path := "/api/v1/query?"
	if !q.Instant {
		path = "/api/v1/query_range?"
		form = url.Values{"query": {q.Expr}, "start": {fmt.Sprint(q.Start.Unix())}, "end": {fmt.Sprint(q.End.Unix())}, "step": {fmt.Sprint(q.Step.Seconds())}}
	}
	rootBefore, leavesBefore, arrived := cpu(r.pid), leaves(), received(t, r.pid)
	began := time.Now()
	res, err := http.Get(r.node.URL + path + form.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	r.took = append(r.took, time.Since(began))
	r.rootCPU += cpu(r.pid) - rootBefore
	r.leafCPU += leaves() - leavesBefore
	r.arrived += received(t, r.pid) - arrived
	for _, l := range r.leaves {
		u, err := containers.UsageOf(l.pid)
		require.NoError(t, err)
		r.leafPeak = max(r.leafPeak, u.Peak)
	}
	return nil
}

func received(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := containers.Received(pid)
	require.NoError(t, err)
	return n
}

func (r *root) result(t *testing.T) (out Result) {
	t.Helper()
	slices.Sort(r.took)
	n := len(r.took)
	out = Result{Mode: r.mode, Differs: r.differs, Runs: n, P50: r.took[n/2], Max: r.took[n-1], RootCPU: r.rootCPU / time.Duration(n), LeafCPU: r.leafCPU / time.Duration(n), LeafPeak: r.leafPeak, Received: r.arrived / int64(n)}
	if n >= enough {
		out.P95 = r.took[n*95/100]
	}
	u, err := containers.UsageOf(r.pid)
	require.NoError(t, err)
	out.RootPeak = u.Peak - r.idle
	// The next collection begins when the heap has twice what lived at the last one.
	out.RootHeap = int64(r.node.Metric("go_memstats_next_gc_bytes", "")) / 2
	return out
}
