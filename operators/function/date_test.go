package function

import (
	"maps"
	"slices"
	"testing"
)

func TestDate(t *testing.T) {
	w := newWorld(t, 1)
	w.gauges()
	w.add(func(int) any { return w.hole(4, float64(w.rnd.Int64N(4e9)-1e9)) }, "__name__", "moment")
	for _, name := range slices.Sorted(maps.Keys(dateParts)) {
		w.compare(true, name+`()`, name+`(moment)`, name+`({__name__=~"mixed|g"})`)
	}
}

func TestTimestamp(t *testing.T) {
	w := newWorld(t, 2)
	w.gauges()
	// Of a selector itself it is the samples' time, which is not for this operator.
	for _, v := range []string{"g", "g2", "mixed", "native"} {
		w.compare(true, `timestamp(last_over_time(`+v+`[2m]))`, `start_timestamp(last_over_time(`+v+`[2m]))`)
	}
}
