// Package record is what a run of the benchmark harness writes down, and what reports and comparisons read: a file of
// JSON lines, first a Run, then a Cell for each query on each engine as soon as it is finished.
package record

import "time"

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

	Cold *Sample  `json:"cold,omitempty"` // the first execution in a new process
	Warm []Sample `json:"warm,omitempty"`

	// Series and Points are the size of the answer.
	Series int `json:"series"`
	Points int `json:"points"`
	// Decoded is, of the floor alone, the number of samples decoded.
	Decoded int64 `json:"decoded,omitempty"`
}

// Sample is what one execution took.
type Sample struct {
	Wall   time.Duration `json:"wall"`
	User   time.Duration `json:"user"`
	System time.Duration `json:"system"`
	// PeakGrowth is by how much the process' peak resident memory (VmHWM, reset before) rose over its resident
	// memory at rest, in bytes. It includes pages of the data set that were mapped in.
	PeakGrowth int64 `json:"peak_growth"`
	// PeakHeap is the same of the Go heap (sampled each ms), without mapped pages.
	PeakHeap   int64  `json:"peak_heap"`
	LiveHeap   int64  `json:"live_heap"` // after a garbage collection with the answer still held, over that before
	Allocs     uint64 `json:"allocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
}

// CPU is the time that all cores together worked.
func (s Sample) CPU() time.Duration { return s.User + s.System }
