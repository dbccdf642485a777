package replica

import (
	"slices"
	"time"
)

// times are the last ones that something took.
type times struct {
	recent [64]time.Duration
	count  int // of all
}

func (t *times) add(d time.Duration) {
	t.recent[t.count%len(t.recent)] = d
	t.count++
}

// p95 is what 19 of 20 took at most; 0 without any.
func (t *times) p95() time.Duration {
	n := min(t.count, len(t.recent))
	if n == 0 {
		return 0
	}
	sorted := slices.Clone(t.recent[:n])
	slices.Sort(sorted)
	return sorted[min(n-1, n*19/20)]
}
