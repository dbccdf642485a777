// Package peer is what a peer program of the benchmark harness needs: a program that runs one query on one engine whenever it is
// told to, and says what that took. The harness starts a process for each engine and query and speaks JSON lines with it:
// a Request on the program's standard input, a Response on its standard output, in turn. Between the two the program works,
// before and after it is idle. Standard error is for people. What the program leaves in os.TempDir, the harness removes.
//
// The package uses the standard library alone, so that programs with any dependencies can share it. A program is this:
//
//	func main() { peer.Serve(&engine{}) }
package peer

import (
	"context"
	"time"
)

// Op says what a request asks for.
type Op string

// The operations, in the order in which the harness asks for them.
const (
	// Open opens the data. It comes first, and once.
	Open Op = "open"
	// Check runs the query and writes its answer to the request's File, see WriteAnswer.
	Check Op = "check"
	// Run runs the query and measures time and allocations.
	Run Op = "run"
	// Memory runs the query and measures memory, which costs time.
	Memory Op = "memory"
	// Profile runs the query again and again for the request's Duration and writes profiles into the directory File:
	// cpu.pprof, heap.pprof and, with Trace, trace.out of one execution.
	Profile Op = "profile"
	// Close ends the program.
	Close Op = "close"
)

// Request is a line from the harness.
type Request struct {
	Op Op `json:"op"`
	// Dir is the data directory, Workers the number of cores to use: for Open.
	Dir     string `json:"dir,omitempty"`
	Workers int    `json:"workers,omitempty"`
	// Query is what to run: for Open, too.
	Query    *Query        `json:"query,omitempty"`
	File     string        `json:"file,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	Trace    bool          `json:"trace,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// Query is a query and its times in ms. With Step 0 it is an instant query at Start.
type Query struct {
	Expr  string `json:"expr"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Step  int64  `json:"step"`
}

// Response is a line from the program.
type Response struct {
	// Error is set when the request failed. The program goes on unless it was Open that failed.
	Error string `json:"error,omitempty"`
	// Timeout says that it failed because the time was up.
	Timeout bool    `json:"timeout,omitempty"`
	Sample  *Sample `json:"sample,omitempty"`
	// Decoded is the number of samples decoded, for programs that know it.
	Decoded int64 `json:"decoded,omitempty"`
}

// Sample is what one execution took. Run measures times and allocations, Memory the others.
type Sample struct {
	Wall       time.Duration `json:"wall"`
	User       time.Duration `json:"user"`
	System     time.Duration `json:"system"`
	Allocs     uint64        `json:"allocs"`
	AllocBytes uint64        `json:"alloc_bytes"`
	// PeakGrowth is by how many bytes the process' peak of resident memory rose over what it had before; PeakHeap the same of
	// the Go heap, looked at each ms; LiveHeap what is left of it after a collection while the answer is held.
	PeakGrowth int64 `json:"peak_growth"`
	PeakHeap   int64 `json:"peak_heap"`
	LiveHeap   int64 `json:"live_heap"`
}

// CPU is the time that all cores together worked.
func (s Sample) CPU() time.Duration { return s.User + s.System }

// Engine is what a program measures.
type Engine interface {
	// Open opens the data directory, which must not be written to. At most so many workers evaluate a query.
	Open(dir string, workers int) error
	// Execute makes and runs a query. All of it is timed: it should do what somebody has to do who wants the answer, and no more.
	Execute(ctx context.Context, q Query) (Result, error)
	Close() error
}

// Result is the answer of an execution, as the engine gives it.
type Result interface {
	// Answer converts it. That is not timed.
	Answer() (*Answer, error)
	// Close lets it go.
	Close()
}

// Decoder is a Result that knows how many samples were decoded for it.
type Decoder interface{ Decoded() int64 }
