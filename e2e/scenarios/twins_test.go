package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// twins are the two members of a group, and a root that asks them. As long as one of them answers, so does the root, and rightly.
type twins struct {
	t     *testing.T
	right *oracle.Oracle
	root  *containers.Node
	a, b  twin
	// races says that the root asks both at once. Who of them counts as the second one is chance then.
	races bool
}

// twin is a member, which the root knows by the proxy in front of it.
type twin struct{ node, proxy *containers.Node }

func newTwin(e *containers.Environment, node *containers.Node) twin {
	return twin{node, e.Proxy("proxy-of-"+node.Name, node)}
}

// late lets everything to and from a member take longer.
func (w twin) late(by time.Duration) { w.proxy.Get("/delay?is=" + by.String()) }

func (w *twins) counts(metric string, of twin) float64 {
	w.t.Helper()
	return w.root.Metric("stride_replica_"+metric+"_total", fmt.Sprintf("member=%q", of.proxy.GRPC()))
}

// outrun is how often a member was asked and the other one, which was asked because it was late, answered first.
func (w *twins) outrun(of, other twin) float64 {
	w.t.Helper()
	n := w.counts("hedges_won", other)
	if w.races {
		n += w.counts("hedges_lost", of)
	}
	return n
}

// requests are those to a member that ended with a code, without those of what it has.
func (w *twins) requests(of twin, code string) float64 {
	w.t.Helper()
	ended := func(more string) float64 {
		return w.root.Metric("stride_endpoint_request_duration_seconds_count", fmt.Sprintf("code=%q,endpoint=%q", code, of.proxy.GRPC())+more)
	}
	return ended("") - ended(`,method="/thanos.info.Info/Info"`)
}

const (
	// patience is how long it may take until something has happened to a member of a group while queries are asked: one that failed, or was slow, is left
	// alone for a while.
	patience = 2 * time.Minute
	// longest is what a query may take at most, half of the time after which it would fail. What it took shows in the log.
	longest = time.Minute
)

// eventually waits until something is so, while queries are asked.
func (w *twins) eventually(what string, is func() bool) {
	w.t.Helper()
	require.Eventually(w.t, is, patience, 20*time.Millisecond, what)
}

// while asks queries while something is done, and wants right answers without warnings in time.
func (w *twins) while(what string, workers int, during func()) {
	w.t.Helper()
	got := askWhile(w.t, w.right, w.root.URL, replicaQueries, workers, during)
	got.report(w.t, what)
	require.Empty(w.t, got.errors, what)
	require.Empty(w.t, got.warnings, what)
	require.Less(w.t, got.took[len(got.took)-1], longest, what)
}

// settle lets queries be asked for a while.
func settle() { time.Sleep(3 * time.Second) }

// afresh starts the root again, so that it knows of each member what it has, and nothing of how it does: whoever it has not heard an answer of is asked
// first.
func (w *twins) afresh() {
	w.t.Helper()
	w.root.Crash()
	w.root.Boot()
}

// unwell asks queries of a fresh root of which one member is broken: first one by one, until it has happened that this member was asked and the other one
// saved the query; then some at once.
func (w *twins) unwell(what string, of twin, breaks func(), saved func() float64) {
	w.t.Helper()
	w.afresh()
	breaks()
	w.while(what+", one by one", 1, func() {
		w.eventually(what+": it is not asked", func() bool { return w.counts("picks", of) > 0 })
		w.eventually(what+": no query needed the other one", func() bool { return saved() > 0 })
	})
	w.while(what, 2, settle)
}

// killedInMidQuery kills a member while it works on queries, which takes long enough for that: on so many that not all of them were hedged.
func (w *twins) killedInMidQuery(of, other twin) {
	w.t.Helper()
	const atOnce, requests = 20, 30
	w.afresh()
	for _, x := range []twin{of, other} {
		x.late(2 * time.Second)
	}
	w.while("killed in mid-query", atOnce, func() {
		w.eventually("queries are not asked", func() bool { return w.counts("picks", of)+w.counts("picks", other) >= requests })
		broken := w.requests(of, "Unavailable")
		of.node.Crash()
		w.eventually("no answer of it broke off", func() bool { return w.requests(of, "Unavailable") > broken })
		if !w.races { // else the other one has been asked, too
			w.eventually("no query needed the other one", func() bool { return w.counts("failovers", of) > 0 })
		}
		for _, x := range []twin{of, other} {
			x.late(0)
		}
		settle()
	})
}
