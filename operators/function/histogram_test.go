package function

import (
	"maps"
	"slices"
	"testing"
)

func TestHistogram(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, seed)
		w.gauges()
		for _, name := range slices.Sorted(maps.Keys(histogramFunctions)) {
			w.compare(true, name+`(native)`, name+`(mixed)`, name+`(g)`)
		}
	}
}
