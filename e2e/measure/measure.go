// Package measure compares distributed with other execution of queries, in containers: latency, CPU time, memory and bytes on the wire.
// `make bench-e2e` runs it and writes its section of BENCHMARKS.md.
package measure

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"time"
)

// Modes are ways to run a query.
const (
	// Distributed: a Stride root gives parts of queries to its leaves.
	Distributed = "stride distributed"
	// Local: the same root fetches all samples from the same leaves.
	Local = "stride local"
	// ThanosDistributed and ThanosLocal are a Thanos root over Thanos leaves on the same stores.
	ThanosDistributed = "thanos distributed"
	ThanosLocal       = "thanos local"
)

// Modes are all modes, in the order of tables.
var Modes = []string{Distributed, Local, ThanosDistributed, ThanosLocal}

// Quota is how much of two cores a root, and each of its leaves, may use in all modes: none of them takes from the others.
func Quota(leaves int) float64 { return math.Floor(200/float64(leaves+1)) / 100 }

// FourLeaves is the deployment of block directories with four regions instead of two, and a leaf for each.
const FourLeaves = "block directories, four leaves"

// Query is what is asked.
type Query struct {
	Name, Expr string
	Instant    bool
}

// Queries are those that are measured.
var Queries = []Query{
	{"sum, few groups", `sum by (job) (rate(http_requests_total[5m]))`, false},
	{"sum, many groups", `sum by (instance, status) (rate(http_requests_total[5m]))`, false},
	{"histogram_quantile", `histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m])))`, false},
	{"topk", `topk(10, rate(http_requests_total[5m]))`, false},
	{"avg", `avg by (job) (memory_usage_bytes)`, false},
	{"instant sum", `sum by (job) (rate(http_requests_total[5m]))`, true},
	{"series", `http_requests_total{status="500"}`, false},
}

// Result is what one query took in one mode.
type Result struct {
	Model   string // of deployment
	Network string
	Series  int // of all regions, without copies
	Query   string
	Mode    string
	Runs    int

	// P50, P95 and Max are times of answers; P95 is 0 with fewer than 100 runs.
	P50, P95, Max time.Duration
	// RootCPU and LeafCPU are means of a run's CPU time, of the root and of all leaves together.
	RootCPU, LeafCPU time.Duration
	// RootPeak is the most memory that was resident at the root above what it had at rest before its first query, RootHeap what lived in its heap at
	// the last collection. LeafPeak is the most that was resident at any leaf.
	RootPeak, RootHeap, LeafPeak int64
	// Received are bytes that the root received per run.
	Received int64
	// Differs says in what the answer is another one than that of Stride's distributed execution.
	Differs string `json:",omitempty"`
	// Failed says why there are no numbers.
	Failed string `json:",omitempty"`
}

// Results are those of a run, and where they were made.
type Results struct {
	Started time.Time
	Machine string
	Command string
	Results []Result `json:"-"`
}

// Read reads a results file: a line with where and when, and one for each result.
func Read(path string) (*Results, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := &Results{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for first := true; lines.Scan(); first = false {
		if first {
			if err := json.Unmarshal(lines.Bytes(), out); err != nil {
				return nil, err
			}
			continue
		}
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		out.Results = append(out.Results, r)
	}
	return out, lines.Err()
}
