package operators

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

// Environments that Prometheus names in its timeout, cancellation and limit errors.
const (
	EnvExecution  = "query execution"
	EnvEvaluation = "expression evaluation"
)

// Query is what all operators of one query share. All methods may be called concurrently.
type Query struct {
	// Workers is the most goroutines that carry morsels at once; scratch space is sized by it.
	Workers int
	// MorselRows is the number of rows in a morsel; 0 leaves it to MorselSize.
	MorselRows int
	// MaxSamples limits Hold; <= 0 is no limit.
	MaxSamples int64
	// MemoryBudget limits Grow in bytes; <= 0 is no limit.
	MemoryBudget int64
	// Shared is asked for what Grow takes, too: a limit that queries share. nil is no limit.
	Shared Memory

	Lookback           int64 // ms
	DelayedNameRemoval bool
	TypeAndUnitLabels  bool
	UseStartTimestamps bool

	// MaxSeries and MaxSamplesRead are the query-cost limits; <= 0 is no limit.
	MaxSeries, MaxSamplesRead int64

	ctx context.Context

	parent *Query // of an operator's account
	name   string // of the operator
	order  int    // of the operator in Prometheus' evaluation

	held, peak       atomic.Int64
	series, read     atomic.Int64
	bytes, peakBytes atomic.Int64

	mu          sync.Mutex
	annotations annotations.Annotations
	orders      map[string]evaluation   // order of the operator that an annotation is of
	aside       annotations.Annotations // from before a Mark that is open
}

// morselPoints is the aim for the number of positions in a batch: 256 KiB of values, so that
// a tile stays in the L2 cache while stages pass over it.
const morselPoints = 32 << 10

// MorselSize is the number of rows a source puts into a batch of the given number of steps.
func (q *Query) MorselSize(steps int) int {
	if q.MorselRows > 0 {
		return q.MorselRows
	}
	return max(1, min(1024, morselPoints/max(1, steps)))
}

// Account is a query for one operator: it has the settings, limits, context and annotations of q, and
// counts what that operator holds besides counting it for q.
func (q *Query) Account() *Query {
	return &Query{
		Workers:            q.Workers,
		MorselRows:         q.MorselRows,
		Lookback:           q.Lookback,
		DelayedNameRemoval: q.DelayedNameRemoval,
		TypeAndUnitLabels:  q.TypeAndUnitLabels,
		UseStartTimestamps: q.UseStartTimestamps,
		parent:             q,
	}
}

// SetName says whose account it is, for errors.
func (q *Query) SetName(operator string) { q.name = operator }

// SetOrder gives the account its operator's place in Prometheus' evaluation order. Of equal annotations
// at different places of the query the last one stays.
func (q *Query) SetOrder(order int) { q.order = order }

// evaluation is when an annotation was made: by which operator, and for which of its uses.
type evaluation struct{ operator, use int }

func (e evaluation) before(o evaluation) bool {
	return e.operator < o.operator || e.operator == o.operator && e.use < o.use
}

// Annotate adds an annotation (or merges it with an equal one).
func (q *Query) Annotate(err error) { q.AnnotateUse(err, 0) }

// AnnotateUse is Annotate for the use'th of the equal parts of the query that one operator stands for.
func (q *Query) AnnotateUse(err error, use int) {
	root := q
	for root.parent != nil {
		root = root.parent
	}
	root.annotate(err, evaluation{q.order, use})
}

func (q *Query) annotate(err error, order evaluation) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := err.Error()
	if prev, ok := q.annotations[key]; ok && order.before(q.orders[key]) {
		var later annotations.Annotations
		later.Add(err)
		later.Add(prev)
		q.annotations[key] = later[key]
		return
	}
	q.annotations.Add(err)
	if q.orders == nil {
		q.orders = map[string]evaluation{}
	}
	q.orders[key] = order
}

// AnnotateAll adds several annotations.
func (q *Query) AnnotateAll(a annotations.Annotations) {
	for _, err := range a {
		q.Annotate(err)
	}
}

// Annotations are all annotations so far. It must not be called while operators run.
func (q *Query) Annotations() annotations.Annotations {
	if q.parent != nil {
		return q.parent.Annotations()
	}
	if len(q.aside) == 0 {
		return q.annotations
	}
	all := annotations.Annotations{}
	all.Merge(q.aside)
	return all.Merge(q.annotations)
}

// Hold accounts for n samples that an operator's state, a kept scan or the result holds, and
// fails with promql.ErrTooManySamples when there are more than MaxSamples.
func (q *Query) Hold(n int64) error {
	v := q.held.Add(n)
	raise(&q.peak, v)
	if q.parent != nil {
		return q.parent.Hold(n)
	}
	if q.MaxSamples > 0 && v > q.MaxSamples {
		return promql.ErrTooManySamples(EnvExecution)
	}
	return nil
}

// Free takes back n samples of Hold.
func (q *Query) Free(n int64) {
	q.held.Add(-n)
	if q.parent != nil {
		q.parent.Free(n)
	}
}

// Held is the number of samples held now.
func (q *Query) Held() int64 { return q.held.Load() }

// PeakSamples is the most samples ever held.
func (q *Query) PeakSamples() int64 { return q.peak.Load() }

// Start gives the query the context that it runs under.
func (q *Query) Start(ctx context.Context) { q.ctx = ctx }

// Err is the error of a query that was cancelled or timed out, nil otherwise. Loops over many
// steps or series ask it now and then.
func (q *Query) Err() error {
	if q.parent != nil {
		return q.parent.Err()
	}
	if q.ctx == nil {
		return nil
	}
	return ContextError(q.ctx, EnvEvaluation)
}

// ConsumeSeries accounts for n series selected and fails with promql.ErrTooManySeries over MaxSeries.
func (q *Query) ConsumeSeries(n int64) error {
	if q.parent != nil {
		return q.parent.ConsumeSeries(n)
	}
	if v := q.series.Add(n); q.MaxSeries > 0 && v > q.MaxSeries {
		return promql.ErrTooManySeries(EnvExecution)
	}
	return nil
}

// MaxSeriesLimited tells whether there is a limit on series: then each has to be accounted for by itself.
func (q *Query) MaxSeriesLimited() bool {
	if q.parent != nil {
		return q.parent.MaxSeriesLimited()
	}
	return q.MaxSeries > 0
}

// ConsumeSamples accounts for n samples read and fails with promql.ErrTooManySamplesRead over MaxSamplesRead.
func (q *Query) ConsumeSamples(n int64) error {
	if q.parent != nil {
		return q.parent.ConsumeSamples(n)
	}
	if v := q.read.Add(n); q.MaxSamplesRead > 0 && v > q.MaxSamplesRead {
		return promql.ErrTooManySamplesRead(EnvExecution)
	}
	return nil
}

// ForgetSamples takes back all that ConsumeSamples has accounted for. No operator may run.
func (q *Query) ForgetSamples() { q.read.Store(0) }

// Consumed are the series and samples accounted for so far by ConsumeSeries and ConsumeSamples.
func (q *Query) Consumed() (series, samplesRead int64) { return q.series.Load(), q.read.Load() }

// Grow accounts for n bytes taken (given back when negative) and fails with a *BudgetError over MemoryBudget.
func (q *Query) Grow(n int64) error {
	v := q.bytes.Add(n)
	raise(&q.peakBytes, v)
	if q.parent != nil {
		err := q.parent.Grow(n)
		if over, ok := err.(*BudgetError); ok {
			over.Operator, over.Held = q.name, v
		}
		return err
	}
	if q.MemoryBudget > 0 && n > 0 && v > q.MemoryBudget {
		// The shared limit keeps count of it all the same: it is given back with the rest.
		if q.Shared != nil {
			_ = q.Shared.Grow(n)
		}
		return &BudgetError{Budget: q.MemoryBudget, Held: v}
	}
	if q.Shared != nil {
		return q.Shared.Grow(n)
	}
	return nil
}

// Memory is a limit on bytes that several queries share.
type Memory interface {
	// Grow takes n bytes, or gives them back when negative. With an error, an ErrShortOfMemory, they are taken all the same.
	Grow(n int64) error
	// Wait is called after such an error, when what can be given back has been. It returns true once there is more than there
	// was then, and false if there is not, or will not be before this query goes on.
	Wait(ctx context.Context) bool
}

// ErrShortOfMemory is what errors wrap that say that a query needs more bytes than it may take. One that goes on with less may succeed.
var ErrShortOfMemory = errors.New("not enough memory")

// Is tells that it is an ErrShortOfMemory.
func (e *BudgetError) Is(target error) bool { return target == ErrShortOfMemory }

// Mark is how far a query's counters and annotations had come.
type Mark struct {
	annotations  annotations.Annotations
	orders       map[string]evaluation
	series, read int64
}

// Mark notes the state for Rewind or Commit, one of which has to follow, and sets the annotations so far aside: merging equal ones
// changes them. No operator may run.
func (q *Query) Mark() Mark {
	m := Mark{q.annotations, q.orders, q.series.Load(), q.read.Load()}
	q.annotations, q.orders, q.aside = nil, nil, m.annotations
	return m
}

// Commit adds what was annotated since a mark to what was set aside. No operator may run.
func (q *Query) Commit(m Mark) {
	fresh, orders := q.annotations, q.orders
	q.annotations, q.orders, q.aside = m.annotations, m.orders, nil
	for key, err := range fresh {
		q.annotate(err, orders[key])
	}
}

// Rewind goes back to a mark: what came after it is done again. No operator may run.
func (q *Query) Rewind(m Mark) {
	q.annotations, q.orders, q.aside = m.annotations, m.orders, nil
	q.series.Store(m.series)
	q.read.Store(m.read)
}

// MemoryLimited tells whether there is a limit on Grow.
func (q *Query) MemoryLimited() bool {
	if q.parent != nil {
		return q.parent.MemoryLimited()
	}
	return q.MemoryBudget > 0 || q.Shared != nil
}

// Bytes is the number of bytes accounted for now.
func (q *Query) Bytes() int64 { return q.bytes.Load() }

// PeakBytes is the most bytes ever accounted for.
func (q *Query) PeakBytes() int64 { return q.peakBytes.Load() }

// BudgetError is the error of a query that needs more bytes than its budget.
type BudgetError struct {
	Budget   int64
	Operator string // that asked for the bytes that were too many
	Held     int64  // bytes that the operator holds
}

// Error implements error.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("query needs more memory than its budget of %d bytes: %q holds %d; "+
		"select fewer series or steps, or raise the budget", e.Budget, e.Operator, e.Held)
}

// WarnedError is an error of a storage together with the warnings that the storage gave. Other errors
// come without annotations.
type WarnedError struct {
	Err      error
	Warnings annotations.Annotations
}

// Error implements error.
func (e *WarnedError) Error() string { return e.Err.Error() }

// Unwrap gives the error alone.
func (e *WarnedError) Unwrap() error { return e.Err }

func raise(peak *atomic.Int64, v int64) {
	for p := peak.Load(); v > p && !peak.CompareAndSwap(p, v); p = peak.Load() {
	}
}

// ContextError is ctx's error in Prometheus' words, nil while ctx is not done.
func ContextError(ctx context.Context, env string) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return promql.ErrQueryCanceled(env)
	case errors.Is(err, context.DeadlineExceeded):
		return promql.ErrQueryTimeout(env)
	default:
		return err
	}
}
