// Package record is what a run of the benchmark harness writes down, and what reports and comparisons read: a file of
// JSON lines, first a Run, then a Cell for each query on each engine as soon as it is finished.
package record

import (
	"time"

	"github.com/stride-promql/stride/bench/peer"
)

// Run describes the circumstances of a run. It is the first line of a results file.
type Run struct {
	Started  time.Time         `json:"started"`
	Command  string            `json:"command"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // engine, or "go", "linux", ... -> version
	Datasets []Dataset         `json:"datasets"`
}

// Machine is what the run ran on.
type Machine struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"` // that the engines could use
	MemoryBytes int64   `json:"memory_bytes"`
	Kernel      string  `json:"kernel"`
	LoadAverage float64 `json:"load_average"` // over a minute, before the run
}

// Dataset describes data that was queried.
type Dataset struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Series      int    `json:"series"`
	Samples     uint64 `json:"samples"`
	Bytes       int64  `json:"bytes"` // on disk
	Fingerprint string `json:"fingerprint"`
}

// Status is how a cell ended.
type Status string

// What can become of a cell.
const (
	OK          Status = "ok"
	Failed      Status = "error"       // the engine gave an error
	Differs     Status = "differs"     // its answer is not Prometheus'
	Unsupported Status = "unsupported" // it cannot read the data set
	TimedOut    Status = "timeout"
)

// Cell is one query on one engine.
type Cell struct {
	// Key identifies engine binary, data, query, settings and machine: a finished cell with the same
	// key need not be run again.
	Key string `json:"key"`

	Dataset string `json:"dataset"`
	Group   string `json:"group"`
	Query   string `json:"query"` // its name, unique in the data set
	Expr    string `json:"expr"`
	Start   int64  `json:"start"` // ms
	End     int64  `json:"end"`   // ms
	Step    int64  `json:"step"`  // ms; 0: an instant query at Start
	// Tags are the suite's, see suite.Query.
	Tags []string `json:"tags,omitempty"`

	Engine string `json:"engine"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"` // why it is not OK
	// NotStarted says that the program could not be built or started, or not open the data: no query is to blame.
	NotStarted bool `json:"not_started,omitempty"`

	Cold *Sample  `json:"cold,omitempty"` // the first execution in a new process
	Warm []Sample `json:"warm,omitempty"`
	// Memory are executions of which only the memory was measured, which costs time; in Cold and Warm it is not.
	Memory []Sample `json:"memory,omitempty"`

	// Series and Points are the size of the answer.
	Series int `json:"series"`
	Points int `json:"points"`
	// Decoded is, of the floor alone, the number of samples decoded.
	Decoded int64 `json:"decoded,omitempty"`
}

// Sample is what one execution took.
type Sample = peer.Sample
