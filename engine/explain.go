package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/physicalplan"
)

// ExplainableQuery is what every query of an Engine is.
type ExplainableQuery interface {
	promql.Query
	// Explain says how the query will be, or was, evaluated. It touches no storage.
	Explain() *Explanation
	// Analyze is Explain with what was measured, once Exec has returned; before that it is Explain.
	Analyze() *Explanation
}

var _ ExplainableQuery = (*query)(nil)

// Explanation is how a query is evaluated. String is a text for people, MarshalJSON the same for programs.
type Explanation struct {
	query     string
	logical   string
	optimized string
	passes    []string
	pipelines []physicalplan.Pipeline
	err       string

	analyzed  bool
	wall      time.Duration
	workers   int
	steps     int
	peak      int64
	peakBytes int64
	series    int64
	result    int64
	budget    int64
	ranges    int
	halved    int
}

// Explain implements ExplainableQuery.
func (q *query) Explain() *Explanation {
	e := &Explanation{
		query:     q.text,
		logical:   q.built.String(),
		optimized: q.plan.String(),
	}
	for _, p := range q.passes() {
		e.passes = append(e.passes, p.Name())
	}
	if err := q.explainPipelines(e); err != nil {
		e.err = err.Error()
	}
	return e
}

func (q *query) explainPipelines(e *Explanation) (err error) {
	defer operators.Recover(&err) // builders are the embedder's
	plan, err := q.physical(q.operatorQuery(), nil)
	if err == nil {
		e.pipelines = plan.Pipelines(false)
	}
	return err
}

// Analyze implements ExplainableQuery.
func (q *query) Analyze() *Explanation {
	e := q.Explain()
	q.mu.Lock()
	ran := q.ran
	q.mu.Unlock()
	if ran == nil {
		return e
	}
	e.analyzed = true
	e.wall = ran.Elapsed()
	e.workers = ran.Workers()
	e.steps = ran.Steps()
	e.peak, e.peakBytes = ran.Peak()
	e.series, e.result = ran.Fixed()
	e.budget = q.engine.opts.MemoryBudget
	e.ranges, e.halved = ran.Ranges()
	e.pipelines = ran.Pipelines(true)
	return e
}

// String is the explanation as a tree of text.
func (e *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Query: %s\n", e.query)
	fmt.Fprintf(&b, "\nLogical plan:\n%s", indent(e.logical))
	fmt.Fprintf(&b, "\nOptimized plan (%s):\n%s", strings.Join(e.passes, ", "), indent(e.optimized))
	if e.err != "" {
		fmt.Fprintf(&b, "\nThe query will fail: %s\n", e.err)
		return b.String()
	}
	fmt.Fprintf(&b, "\nPipelines (→ stage, ⇒ sink):\n%s", indent(physicalplan.FormatPipelines(e.pipelines)))
	if e.analyzed {
		fmt.Fprintf(&b, "\nRan in %s with up to %d workers over %d steps; operators held at most %d samples and %d bytes at once,\n"+
			"of which the labels of the series %d and the result %d.\n",
			e.wall.Round(time.Microsecond), e.workers, e.steps, e.peak, e.peakBytes, e.series, e.result)
		if e.ranges > 1 || e.halved > 0 {
			fmt.Fprintf(&b, "To fit into memory the steps were run in %d ranges; %d times one did not fit and was begun again with half its steps.\n", e.ranges, e.halved)
		}
		if e.budget > 0 {
			fmt.Fprintf(&b, "The memory budget is %d bytes.\n", e.budget)
		}
		b.WriteString("own is the time in an operator, total includes what it gets its input from; both are sums over workers, so that they may exceed\n" +
			"the time it took. bytes are those of the batches put out; peak is the operator's state and its largest batch. An operator\n" +
			"that is a sink here and a source there shows the same numbers in both places.\n")
	}
	return b.String()
}

// PeakBytes is, in an analysis, the most bytes that the query held at once.
func (e *Explanation) PeakBytes() int64 { return e.peakBytes }

func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return "  " + strings.Join(lines, "\n  ") + "\n"
}

// MarshalJSON is the explanation as JSON.
func (e *Explanation) MarshalJSON() ([]byte, error) {
	type analysis struct {
		Wall        time.Duration `json:"wallNanoseconds"`
		Workers     int           `json:"workers"`
		Steps       int           `json:"steps"`
		PeakSamples int64         `json:"peakSamples"`
		PeakBytes   int64         `json:"peakBytes"`
		SeriesBytes int64         `json:"seriesBytes"`
		ResultBytes int64         `json:"resultBytes"`
		Budget      int64         `json:"memoryBudget,omitempty"`
		Ranges      int           `json:"stepRanges"`
		Halved      int           `json:"stepRangesHalved"`
	}
	out := struct {
		Query     string                  `json:"query"`
		Logical   string                  `json:"logicalPlan"`
		Optimized string                  `json:"optimizedPlan"`
		Passes    []string                `json:"passes"`
		Pipelines []physicalplan.Pipeline `json:"pipelines"`
		Error     string                  `json:"error,omitempty"`
		Analysis  *analysis               `json:"analysis,omitempty"`
	}{e.query, e.logical, e.optimized, e.passes, e.pipelines, e.err, nil}
	if e.analyzed {
		out.Analysis = &analysis{e.wall, e.workers, e.steps, e.peak, e.peakBytes, e.series, e.result, e.budget, e.ranges, e.halved}
	}
	return json.Marshal(out)
}
