package aggregate

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/kahansum"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators/operatortest"
)

var contents = map[string]content{
	"any":         {floats: anyValues, holes: 0.3},
	"finite":      {floats: finiteValues, holes: 0.1},
	"dense":       {floats: finiteValues},
	"huge":        {floats: hugeValues, holes: 0.2},
	"ties":        {floats: fewValues, holes: 0.2},
	"ties, NaN":   {floats: nanOrFew, holes: 0.1},
	"histograms":  {floats: finiteValues, histograms: 1, holes: 0.3},
	"custom":      {floats: finiteValues, histograms: 1, custom: true, holes: 0.5},
	"overflow":    {floats: finiteValues, histograms: 1, extreme: true, custom: true, holes: 0.3},
	"mixed":       {floats: finiteValues, histograms: 0.3, extreme: true, custom: true, holes: 0.6},
	"late floats": {floats: finiteValues, histograms: 0.85, custom: true, holes: 0.2},
	"few mixed":   {floats: nanOrFew, histograms: 0.1, holes: 0.4},
}

var groupings = []string{"", " by (g)", " by (z, g, g)", " by (i, __name__)", " without (g)", " without (i)", " without (i, z)", " without (g, i, __name__)", " by (nope)"}

func forAll(t *testing.T, f func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int)) {
	for name, c := range contents {
		t.Run(name, func(t *testing.T) {
			for seed := range operatortest.Rounds(3) {
				rnd := rand.New(rand.NewSource(int64(seed)))
				steps := []int{1, 1, 2, 5, 70, 130}[rnd.Intn(6)]
				rows := randomRows(rnd, 1+rnd.Intn(20), steps, c)
				f(t, rnd, rows, groupings[rnd.Intn(len(groupings))], steps)
			}
		})
	}
}

func TestAccumulate(t *testing.T) {
	for _, op := range []string{"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"} {
		t.Run(op, func(t *testing.T) {
			forAll(t, func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int) {
				check(t, rnd, rows, nil, op+grouping+" (m)", steps)
			})
		})
	}
}

func randomParam(rnd *rand.Rand, steps int, values []float64) []float64 {
	p := make([]float64, steps)
	for i := range p {
		p[i] = values[rnd.Intn(len(values))]
	}
	return p
}

func TestQuantile(t *testing.T) {
	inf := math.Inf(1)
	forAll(t, func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int) {
		for _, q := range []string{"0.5", "0", "1", "0.37", "-1", "1.5", "NaN", "-Inf"} {
			check(t, rnd, rows, nil, "quantile"+grouping+" ("+q+", m)", steps)
		}
		check(t, rnd, rows, randomParam(rnd, steps, []float64{0, 0.2, 0.5, 1}), "quantile"+grouping+" (scalar(p), m)", steps)
		check(t, rnd, rows, randomParam(rnd, steps, []float64{0, -2, 3, inf, math.NaN(), 0.1}), "quantile"+grouping+" (scalar(p), m)", steps)
	})
}

func TestPick(t *testing.T) {
	for _, op := range []string{"topk", "bottomk", "limitk"} {
		t.Run(op, func(t *testing.T) {
			forAll(t, func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int) {
				for _, k := range []string{"1", "2", "3", "5", "100", "0", "0.9", "-3", "NaN", "Inf", "-Inf", "1e30"} {
					check(t, rnd, rows, nil, op+grouping+" ("+k+", m)", steps)
				}
				check(t, rnd, rows, randomParam(rnd, steps, []float64{0, 1, 2, 3.7, 4, 30}), op+grouping+" (scalar(p), m)", steps)
				check(t, rnd, rows, randomParam(rnd, steps, []float64{1, 2, math.NaN(), -1e30}), op+grouping+" (scalar(p), m)", steps)
			})
		})
	}
	t.Run("limit_ratio", func(t *testing.T) {
		forAll(t, func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int) {
			for _, r := range []string{"0", "0.5", "-0.5", "1", "-1", "1.5", "-2", "NaN", "Inf"} {
				check(t, rnd, rows, nil, "limit_ratio"+grouping+" ("+r+", m)", steps)
			}
			check(t, rnd, rows, randomParam(rnd, steps, []float64{0, 0.3, -0.3, -3, 3}), "limit_ratio"+grouping+" (scalar(p), m)", steps)
		})
	})
}

func TestCountValues(t *testing.T) {
	forAll(t, func(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, grouping string, steps int) {
		for _, label := range []string{"v", "g", "i", "__name__", "a b"} {
			check(t, rnd, rows, nil, fmt.Sprintf("count_values%s (%q, m)", grouping, label), steps)
		}
	})
	check(t, rand.New(rand.NewSource(1)), nil, nil, `count_values("", m)`, 1)
	check(t, rand.New(rand.NewSource(1)), nil, nil, `count_values("a\xff\"", m)`, 3)
}

// Where only some series have DropName, that of a group is settled by its last step.
func TestDropName(t *testing.T) {
	for seed := range operatortest.Rounds(30) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{1, 3, 70}[rnd.Intn(3)]
		c := content{floats: fewValues, holes: 0.6}
		if steps == 1 {
			// In range queries, Prometheus takes the series of "or" in random order, and that
			// decides whether a histogram is the first sample (hence no stddev here, either).
			c.histograms = 0.4
		}
		rows := randomRows(rnd, 1+rnd.Intn(12), steps, c)
		kept := rnd.Intn(len(rows) + 1)
		for i := range rows {
			r, s := &rows[i], "kept"
			if r.DropName = i >= kept; r.DropName {
				s = "dropped"
			}
			r.Labels = labels.NewBuilder(r.Labels).Set("s", s).Del("__unit__").Labels()
		}
		for _, op := range []string{"sum", "avg", "count", "min", "max", "quantile", "topk", "limitk"} {
			param := ""
			switch op {
			case "quantile":
				param = "0.5, "
			case "topk", "limitk":
				param = "30, "
			}
			check(t, rnd, rows, nil, op+` by (__name__, g) (`+param+`m{s="kept"} or (m{s="dropped"} * 1))`, steps)
		}
	}
}

// Once exponential and custom buckets have met, later floats do not make a mix.
func TestFloatAfterIncompatibleHistograms(t *testing.T) {
	custom := &histogram.FloatHistogram{Schema: histogram.CustomBucketsSchema, Count: 1, CustomValues: []float64{1}, PositiveBuckets: []float64{1}, PositiveSpans: []histogram.Span{{Length: 1}}}
	exponential := &histogram.FloatHistogram{Count: 1, ZeroCount: 1, ZeroThreshold: 0.001}
	samples := []*histogram.FloatHistogram{custom, exponential, nil}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {2, 0, 1}, {1, 0, 2}, {1, 2, 0}, {2, 1, 0}, {0, 1}, {0, 2}} {
		rows := make([]operatortest.Series, len(order))
		for i, k := range order {
			rows[i] = operatortest.NewSeries(labels.FromStrings("__name__", "m", "i", fmt.Sprint(i)), 1)
			if rows[i].Samples[0] = operatortest.Float(1); samples[k] != nil {
				rows[i].Samples[0] = operatortest.Histogram(samples[k])
			}
		}
		for _, op := range []string{"sum", "avg"} {
			check(t, rand.New(rand.NewSource(1)), rows, nil, op+" (m)", 1)
		}
	}
}

// A sum of equal bits must come out whatever the order of magnitude of the addends.
func TestSumsEqualKahanInc(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 1, -1, 0x1p970, -0x1p970, -0x1p969, 0x1p969, 0x1.8p970, -0x1.8p969}
	value := func() float64 {
		switch rnd.Intn(3) {
		case 0:
			return special[rnd.Intn(len(special))]
		case 1:
			return math.Float64frombits(rnd.Uint64())
		default:
			return rnd.NormFloat64() * 1e3
		}
	}
	same := func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
	}
	for range 200_000 {
		v, sum, c := value(), value(), value()
		if rnd.Intn(2) == 0 {
			c = 0
		}
		wantSum, wantC := kahansum.Inc(v, sum, c)
		for name, add := range map[string]func(s *sums){
			"add":     func(s *sums) { s.add(1, []float64{v}) },
			"addRows": func(s *sums) { s.addRows([]int32{1}, []float64{v}) },
		} {
			s := &sums{sum: []float64{0, sum}, c: []float64{0, c}}
			add(s)
			if !same(wantSum, s.sum[1]) || !same(wantC, s.c[1]) {
				require.Failf(t, "differs", "%s(%x, %x, %x) = %x, %x, want %x, %x", name, v, sum, c, s.sum[1], s.c[1], wantSum, wantC)
			}
		}
	}
}
