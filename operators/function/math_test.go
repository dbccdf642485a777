package function

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

func TestMath(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, seed)
		w.gauges()
		for _, name := range slices.Sorted(maps.Keys(kernels)) {
			w.compare(true, name+`(g)`, name+`({__name__=~"g2|mixed"})`)
		}
		w.compare(true, `abs({i="0"})`, `abs(nothing)`, `-{i="0"}`)
	}
}

func TestRound(t *testing.T) {
	w := newWorld(t, 1)
	w.gauges()
	w.compare(true,
		`round(mixed)`, `round(g, 0.1)`, `round(g, 5)`, `round(g, 0)`, `round(g, -3)`, `round(g, NaN)`, `round(g, Inf)`,
		`round(g, scalar(unit))`, `round(g, scalar(single) / 10)`)
}

func TestClamp(t *testing.T) {
	w := newWorld(t, 2)
	w.gauges()
	for _, lo := range []string{"-1", "0", "Inf", "-Inf", "NaN", "scalar(unit)", "scalar(single) - 9"} {
		w.compare(true, `clamp_min(mixed, `+lo+`)`, `clamp_max(g, `+lo+`)`)
		for _, hi := range []string{"-1", "2", "Inf", "-Inf", "NaN", "scalar(unit)", "9 - scalar(single)"} {
			w.compare(true, `clamp({__name__=~"g|mixed"}, `+lo+`, `+hi+`)`)
		}
	}
}

func TestNegate(t *testing.T) {
	w := newWorld(t, 3)
	w.gauges()
	w.compare(true, `-g`, `-mixed`, `-native`, `-single`)
}

func TestUnknownNames(t *testing.T) {
	q := &operators.Query{Workers: 1}
	in := operators.ConstantSchema()
	_, err := NewMath(q, "rate", in, nil)
	require.EqualError(t, err, "rate is not an elementwise function")
	_, err = NewMath(q, "clamp", in, nil)
	require.EqualError(t, err, "clamp takes 2 to 2 scalar arguments, got 0")
	_, err = NewDate(q, "second", in)
	require.EqualError(t, err, "second is not a date function")
	_, err = NewDateOfStep(q, "second", operators.Grid{})
	require.EqualError(t, err, "second is not a date function")
	_, err = NewHistogram(q, "histogram_quantile", in)
	require.EqualError(t, err, "histogram_quantile is not an elementwise function of native histograms")
}
