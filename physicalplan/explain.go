package physicalplan

import (
	"fmt"
	"strings"
	"time"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/remoteexec"
)

// Pipeline is a pipeline as Explain and Analyze show it.
type Pipeline struct {
	// Operators are the source, and what its batches flow through, each behind what it takes them from.
	Operators []Operator `json:"operators"`
}

// Operator is an operator's place in a pipeline. An operator that is a sink of one pipeline and the source
// of another stands in both.
type Operator struct {
	ID    int    `json:"id"`
	Role  string `json:"role"`  // source, stage, sink, or "merge" for one that is a stage unless labels collide
	Depth int    `json:"depth"` // below the source
	Input int    `json:"input"` // of the operator, that is fed here
	Name  string `json:"name"`
	// Measured is nil in an Explain.
	Measured *Measured `json:"measured,omitempty"`
	// Remote is what another engine says of a part of the query that it evaluated, one line an operator; "" if it says nothing.
	Remote string `json:"remote,omitempty"`
}

// Measured is what Analyze knows of an operator after the query ran. Times are summed over workers.
type Measured struct {
	Own       time.Duration `json:"ownNanoseconds"`   // in the operator itself, wherever it stands
	Total     time.Duration `json:"totalNanoseconds"` // and in all that it gets its input from
	Series    int           `json:"series"`           // of its output
	Batches   int64         `json:"batches"`          // it put out
	Samples   int64         `json:"samples"`          // in these
	Bytes     int64         `json:"bytes"`            // of these
	PeakBytes int64         `json:"peakBytes"`        // of its state and its largest batch
}

// Pipelines are the plan's pipelines in the order in which they run.
func (p *Plan) Pipelines(measured bool) []Pipeline {
	var out []Pipeline
	for _, n := range p.nodes {
		if n.streamed() >= 0 || n.adapts() {
			continue
		}
		if _, ok := n.op.(operators.Source); !ok && p.raw == nil {
			continue
		}
		pl := Pipeline{Operators: []Operator{n.explain("source", 0, 0, measured)}}
		n.follow(&pl, 1, measured)
		out = append(out, pl)
	}
	return out
}

func (n *node) follow(p *Pipeline, depth int, measured bool) {
	for _, e := range n.consumers {
		role := "sink"
		streams := e.to.op.Takes(e.input) == operators.Stream
		if streams {
			role = "stage"
		}
		if e.to.adapts() {
			role, streams = "merge", true
		}
		p.Operators = append(p.Operators, e.to.explain(role, depth, e.input, measured))
		if streams {
			e.to.follow(p, depth+1, measured)
		}
	}
}

func (n *node) explain(role string, depth, input int, measured bool) Operator {
	o := Operator{ID: n.id, Role: role, Depth: depth, Input: input, Name: n.op.Describe()}
	if measured {
		m := &Measured{
			Own:     time.Duration(n.stats.self.Load()),
			Total:   n.total(map[*node]bool{}),
			Series:  n.op.Schema().Len(),
			Batches: n.stats.batches.Load(),
			Samples: n.stats.samples.Load(),
			Bytes:   n.stats.bytes.Load(),
		}
		m.PeakBytes = n.stats.largest.Load()
		if n.account != nil {
			m.PeakBytes += n.account.PeakBytes()
		}
		o.Measured = m
		if x, ok := n.op.(*remoteexec.Exec); ok && role == "source" {
			o.Remote = x.Analysis()
		}
	}
	return o
}

// total is the time of the node and of all below it, each counted once.
func (n *node) total(seen map[*node]bool) time.Duration {
	if seen[n] {
		return 0
	}
	seen[n] = true
	t := time.Duration(n.stats.self.Load())
	for _, in := range n.inputs {
		t += in.total(seen)
	}
	return t
}

// FormatPipelines is the pipelines as text, a numbered tree each.
func FormatPipelines(ps []Pipeline) string {
	var b strings.Builder
	for i, p := range ps {
		for _, o := range p.Operators {
			line := fmt.Sprintf("%d. ", i+1)
			if o.Depth > 0 {
				arrow := map[string]string{"stage": "→ ", "sink": "⇒ ", "merge": "→ "}[o.Role]
				line = strings.Repeat("   ", o.Depth) + arrow
			}
			b.WriteString(line + o.Name)
			if o.Role == "merge" {
				b.WriteString(" (only where labels collide)")
			}
			if o.Input > 0 {
				fmt.Fprintf(&b, " (input %d)", o.Input)
			}
			if m := o.Measured; m != nil {
				fmt.Fprintf(&b, "  [own %s, total %s, series %d, samples %d, bytes %s, peak %s]",
					m.Own.Round(time.Microsecond), m.Total.Round(time.Microsecond), m.Series, m.Samples, formatBytes(m.Bytes), formatBytes(m.PeakBytes))
			}
			b.WriteByte('\n')
			for l := range strings.Lines(o.Remote) {
				b.WriteString("   │ " + strings.TrimRight(l, "\n") + "\n")
			}
		}
	}
	return b.String()
}

func formatBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 3 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[i])
}
