package function

import "testing"

func TestValues(t *testing.T) {
	w := newWorld(t, 1)
	w.gauges()
	w.compare(true, `time()`, `pi()`, `vector(time())`, `vector(3)`, `vector(scalar(unit))`,
		`max_of(1, 2)`, `max_of(scalar(unit), 0.5)`, `max_of(NaN, time())`, `max_of(scalar(unit), scalar(single) / 20)`,
		`min_of(2, 1)`, `min_of(0.5, scalar(unit))`, `min_of(time(), -Inf)`)
}

func TestScalar(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, seed)
		w.gauges()
		w.compare(true, `scalar(g)`, `scalar(single)`, `scalar(g2)`, `scalar(mixed)`, `scalar(native)`, `scalar(nothing)`,
			`scalar(mixed{i="0"})`, `scalar({i="1"})`)
	}
}

func TestAbsent(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, seed)
		w.gauges()
		w.compare(true,
			`absent(g)`, `absent(single)`, `absent(g2)`, `absent(mixed)`, `absent(native{i="1"})`, `absent(g2 > 0)`,
			`absent(nothing{a="1", b!="2", c=~"3", d="4", d="5", e="6", e!="7", __type__="x"})`,
			`absent_over_time(g2[1m])`, `absent_over_time(single[30s])`, `absent_over_time(native{i="1", j=~"|x"}[2m])`,
			`absent_over_time(nothing{a="1"}[1m])`)
	}
}
