package function

import (
	"fmt"
	"testing"
)

func TestSort(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorld(t, seed)
		w.gauges()
		// Enough equal values for the places of equals to tell one sorting algorithm from another.
		for i := range 40 {
			w.add(func(int) any { return w.hole(5, float64(w.rnd.IntN(3))) }, "__name__", "tie", "i", fmt.Sprint(i))
		}
		w.compare(true, `sort(g)`, `sort_desc(g)`, `sort(tie)`, `sort_desc(tie)`, `sort(mixed)`, `sort_desc(mixed)`, `sort(native)`,
			`sort({zone!=""})`, `sort_desc({i!=""})`)
	}
}

func TestSortByLabel(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, seed)
		w.gauges()
		for i := range 20 {
			w.add(func(int) any { return w.hole(5, 1) }, "__name__", "tie", "i", fmt.Sprint(i), "v", fmt.Sprintf("v%d.%02d", w.rnd.IntN(12), w.rnd.IntN(3)))
		}
		for _, name := range []string{"sort_by_label", "sort_by_label_desc"} {
			w.compare(true, name+`(g, "zone")`, name+`(g, "j", "i")`, name+`(mixed, "i")`, name+`(tie, "v")`, name+`(tie, "none")`,
				name+`({i!=""}, "zone", "i")`)
		}
	}
}
