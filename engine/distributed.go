package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/physicalplan"
	"github.com/stride-promql/stride/remote"
)

// NewDistributed makes an engine that lets the engines of endpoints evaluate what they can without seeing each other's data, and
// the rest itself. endpoints are asked for their engines once for each query. What has to be evaluated here reads from the
// query's storage or, if that is nil, from the engines that are a remote.Selector.
//
// An engine that fails makes the query fail, unless opts or the query's options (WithPartialResponse) allow a partial response:
// then there is a warning that names it, and what may be missing.
func NewDistributed(opts Opts, endpoints remote.RemoteEndpoints) *Engine {
	e := New(opts)
	e.distribution = &distribution{
		endpoints: endpoints,
		optimizer: logicalplan.NewDistributedExecutionOptimizer(endpoints),
	}
	if endpoints == nil {
		e.err = errors.Join(e.err, errors.New("engine: NewDistributed needs endpoints; without any, use New"))
	}
	return e
}

// distribution is what makes an engine a distributed one.
type distribution struct {
	endpoints remote.RemoteEndpoints
	optimizer *logicalplan.DistributedExecutionOptimizer
}

// partialResponder is implemented by query options that say whether a partial response is wanted.
type partialResponder interface{ PartialResponse() bool }

type partialOpts struct {
	promql.QueryOpts
	partial bool
}

// PartialResponse is what WithPartialResponse was told.
func (o partialOpts) PartialResponse() bool { return o.partial }

// WithPartialResponse says of one query whether engines that fail become warnings. opts may be nil.
func WithPartialResponse(opts promql.QueryOpts, partial bool) promql.QueryOpts {
	if opts == nil {
		opts = promql.NewPrometheusQueryOpts(false, 0, nil)
	}
	return partialOpts{opts, partial}
}

// passes are the optimizers for a query: with distribution, those that cut it come before the first that leaves no PromQL. For a part of
// another engine's query, those before that have run there.
func (q *query) passes() []logicalplan.Optimizer {
	own := q.engine.opts.Optimizers
	at := len(own)
	for i, p := range own {
		if _, ok := p.(logicalplan.DAGPass); ok {
			at = i
			break
		}
	}
	var passes []logicalplan.Optimizer
	if q.fragment == nil {
		passes = append(passes, own[:at]...)
	}
	if d := q.engine.distribution; d != nil {
		if q.engines == nil {
			q.engines = d.endpoints.Engines()
		}
		c := logicalplan.Conditions{Unsplit: q.unsplit, DelayedNames: q.switches().DelayedNameRemoval, StartTimestamps: q.useST}
		passes = append(passes, d.optimizer.PassthroughWithEngines(q.engines, c), d.optimizer.WithEngines(q.engines, c))
	}
	for _, p := range own[at:] {
		if _, ok := p.(logicalplan.DAGPass); ok || q.fragment == nil {
			passes = append(passes, p)
		}
	}
	return passes
}

// switches are those of the engine at the root of the query.
func (q *query) switches() logicalplan.FragmentOptions {
	if q.fragment != nil {
		return q.fragment.Options
	}
	o := &q.engine.opts
	return logicalplan.FragmentOptions{
		DelayedNameRemoval: o.EnableDelayedNameRemoval,
		TypeAndUnitLabels:  o.EnableTypeAndUnitLabels,
		UseStartTimestamps: q.useST,
		PerStepStats:       q.samples.EnablePerStepStats,
	}
}

// withRequest gives the query an id, if nobody has, by which other nodes know its parts as parts of one query. What allows the query to
// go without engines that fail allows its parts to do so, too, and storages that look at the Request.
func (q *query) withRequest(ctx context.Context) context.Context {
	r := remote.RequestFrom(ctx)
	if r.ID == "" {
		r.ID = rand.Text()
	}
	q.partial = q.partial || r.PartialResponse
	r.PartialResponse = q.partial
	return remote.WithRequest(ctx, r)
}

// maxRemotes is the most parts of one query that are on their way at once.
const maxRemotes = 64

// remotes says how parts of the query reach other engines.
func (q *query) remotes() *physicalplan.Remote {
	if q.engine.distribution == nil {
		return nil
	}
	return &physicalplan.Remote{Start: q.send, Failed: q.failed, Check: q.checkPart, Slots: make(chan struct{}, maxRemotes)}
}

// failed says what an error of another engine is to the query. Errors of the query itself, which would have come from here as well, stay what
// they are.
func (q *query) failed(r *logicalplan.Remote, err error) (warning, failure error) {
	var own *remote.QueryError
	if errors.As(err, &own) {
		return nil, own.Err
	}
	if own := errorOfQuery(err); own != nil {
		return nil, own
	}
	if q.partial && !remote.Blameless(err) {
		return missing(r, err), nil
	}
	if errors.Is(err, operators.ErrShortOfMemory) {
		err = errors.New(err.Error()) // that engine is short of memory: this query need not do with less
	}
	return nil, remote.EngineError(r.Engine.Name(), err)
}

// missing is the warning for an engine that failed to evaluate a part.
func missing(r *logicalplan.Remote, err error) error {
	return remote.Missing(r.Engine, r.Times.Start+int64(r.Steps.From)*r.Times.Interval, r.Times.Start+int64(r.Steps.To-1)*r.Times.Interval, err)
}

// checkPart refuses a part of an aggregation that is of no use.
func (q *query) checkPart(r *logicalplan.Remote, a annotations.Annotations) error {
	if r.Unmixed && saysMixed(a) {
		return logicalplan.ErrMixed
	}
	return nil
}

// saysMixed tells whether annotations say that samples met in a group which do not go together. Other engines may give no more of
// an annotation than its text.
func saysMixed(a annotations.Annotations) bool {
	for _, err := range a {
		text := err.Error()
		if strings.Contains(text, "mix of histograms and floats for aggregation") ||
			strings.Contains(text, "mix of histograms with exponential and custom buckets") ||
			strings.Contains(text, "ignored histogram in") {
			return true
		}
	}
	return false
}

// mixed tells whether a query has to be done again because what met in a group of a split aggregation does not go together: only
// who sees all samples knows what is left of the group, and what to call it.
func (q *query) mixed(a annotations.Annotations) bool {
	return saysMixed(a) && q.splits()
}

// splits tells whether the plan has aggregations that are of no use if floats and histograms met in one of their groups.
func (q *query) splits() bool {
	if q.engine.distribution == nil || q.unsplit {
		return false
	}
	found := false
	logicalplan.Walk(q.plan.Root, func(n logicalplan.Node) bool {
		switch n := n.(type) {
		case *logicalplan.Remote:
			found = found || n.Unmixed
		case *logicalplan.Section:
			found = found || n.Unmixed
		}
		return !found
	})
	return found
}

// wholeSecond is one near t (ms), and not 0, which Thanos takes for now.
func wholeSecond(t int64) int64 {
	if t -= t % 1000; t != 0 {
		return t
	}
	return 1000
}

// send starts a part of the query at another engine.
func (q *query) send(ctx context.Context, r *logicalplan.Remote) (remote.ColumnStream, error) {
	if r.Unheard {
		return nil, remote.Unheard(r.Engine)
	}
	version, plan, err := r.Query.Encode(r.Times, q.stmt.LookbackDelta.Milliseconds(), r.Steps, q.switches())
	if err != nil {
		return nil, err
	}
	part := &remote.Text{Query: r.Query.Text, Version: version, Encoded: plan, Span: r.Query.Needs(r.Times, r.Steps)}
	opts := promql.NewPrometheusQueryOpts(q.samples.EnablePerStepStats, q.stmt.LookbackDelta, nil)
	caps := r.Engine.Capabilities()
	times, from := r.Times, 0
	if caps.PlanVersion < version {
		part.Version, part.Encoded = 0, nil
		// Only the steps asked for: text says nothing of others.
		from = r.Steps.From
		times.Start, times.End = r.Times.Start+int64(from)*r.Times.Interval, r.Times.Start+int64(r.Steps.To-1)*r.Times.Interval
		if caps.WholeSeconds && r.Query.Pinned != "" {
			part.Query = r.Query.Pinned
			times.Start = wholeSecond(times.Start)
			times.End = times.Start
		}
	}
	var sent promql.Query
	if q.instant && times.Start == times.End || caps.PlanVersion < version && times.Start == times.End {
		sent, err = r.Engine.NewInstantQuery(ctx, opts, part, time.UnixMilli(times.Start))
	} else {
		sent, err = r.Engine.NewRangeQuery(ctx, opts, part, time.UnixMilli(times.Start), time.UnixMilli(times.End), time.Duration(times.Interval)*time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	if s, ok := sent.(remote.Streamer); ok {
		stream, err := s.Stream(ctx)
		switch {
		case err != nil:
			sent.Close()
			return nil, err
		case caps.PlanVersion < version:
			stream = ofText{stream, from}
		}
		return stream, nil
	}
	res := sent.Exec(ctx)
	defer sent.Close()
	if res.Err != nil {
		return nil, res.Err
	}
	stream, err := remote.ResultStream(res, sent.Stats(), r.Times.Start, r.Times.Interval, from, r.Steps.To-from)
	if err == nil && caps.PlanVersion < version {
		stream = ofText{stream, 0}
	}
	return stream, err
}

// ofText is what an engine made of a text: it was asked for some of the steps only, from the one given on, and the places of its
// annotations point into the text.
type ofText struct {
	remote.ColumnStream
	from int
}

// Next implements remote.ColumnStream.
func (s ofText) Next(ctx context.Context) (*remote.Columns, error) {
	c, err := s.ColumnStream.Next(ctx)
	if c != nil {
		c.From += s.from
	}
	return c, err
}

// Trailer implements remote.ColumnStream.
func (s ofText) Trailer() remote.Trailer {
	t := s.ColumnStream.Trailer()
	before := make([]int64, s.from)
	t.Stats.Total, t.Stats.Read = slices.Concat(before, t.Stats.Total), slices.Concat(before, t.Stats.Read)
	var plain annotations.Annotations
	for _, err := range t.Annotations {
		if _, placed := err.(interface{ SetQuery(string) }); placed {
			err = errors.Unwrap(err)
		}
		plain.Add(err)
	}
	t.Annotations = plain
	return t
}

// replan plans the query again without what turned out not to hold. The first result is dropped.
func (q *query) replan() error {
	if q.memory != nil {
		q.memory.close()
	}
	q.unsplit = true
	*q.samples = *stats.NewQuerySamples(q.samples.EnablePerStepStats)
	return q.optimize()
}
