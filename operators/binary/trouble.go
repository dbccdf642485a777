package binary

import (
	"sync"

	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/operators"
)

// lastTrouble remembers for each step of a range the trouble of the last sample, in Prometheus'
// order, that had any: it is the only one that Prometheus reports.
type lastTrouble struct {
	steps []uint64 // order<<8 | trouble, 0 for none
	any   bool
}

// record says that the sample with the given place in the order of its step was in trouble. n is
// the number of steps.
func (l *lastTrouble) record(n, step, order int, t trouble) {
	if len(l.steps) != n {
		l.steps = make([]uint64, n)
	}
	l.steps[step] = max(l.steps[step], uint64(order)<<8|uint64(t))
	l.any = true
}

// troubleLog joins what workers have met.
type troubleLog struct {
	mu  sync.Mutex
	all lastTrouble
}

// add takes in what a worker has met and leaves l empty.
func (log *troubleLog) add(l *lastTrouble) {
	if !l.any {
		return
	}
	log.mu.Lock()
	if len(log.all.steps) != len(l.steps) {
		log.all.steps = make([]uint64, len(l.steps))
	}
	for i, v := range l.steps {
		log.all.steps[i] = max(log.all.steps[i], v)
	}
	log.all.any = true
	log.mu.Unlock()
	clear(l.steps)
	l.any = false
}

func (log *troubleLog) reset() { log.all = lastTrouble{} }

// annotate adds to the query what its steps ended with, and empties the log.
func (log *troubleLog) annotate(q *operators.Query, e *elementwise, pos posrange.PositionRange) {
	var seen [troubles]bool
	for _, v := range log.all.steps {
		seen[v&0xff] = true
	}
	for t, ok := range seen {
		if !ok {
			continue
		}
		if err := e.annotation(trouble(t), pos); err != nil {
			q.Annotate(err)
		}
	}
	log.reset()
}
