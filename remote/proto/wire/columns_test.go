package wire

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

// someFloat is any float, odd ones more often.
func someFloat(rng *rand.Rand) float64 {
	odd := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(value.StaleNaN), math.Float64frombits(0x7ff8dead0badc0de), math.SmallestNonzeroFloat64, math.MaxFloat64}
	if rng.Intn(3) == 0 {
		return odd[rng.Intn(len(odd))]
	}
	return rng.NormFloat64()
}

func someFloats(rng *rand.Rand, n int) []float64 {
	var out []float64
	for range n {
		out = append(out, someFloat(rng))
	}
	return out
}

// someHistogram is any histogram that a query can give.
func someHistogram(rng *rand.Rand) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(rng.Intn(4)),
		Count:            someFloat(rng), Sum: someFloat(rng), ZeroCount: someFloat(rng),
	}
	spans := func(first int) (spans []histogram.Span, n int) {
		for i := range rng.Intn(3) {
			s := histogram.Span{Offset: int32(rng.Intn(4)), Length: uint32(rng.Intn(3))}
			if i == 0 {
				s.Offset += int32(first)
			}
			spans = append(spans, s)
			n += int(s.Length)
		}
		return spans, n
	}
	if rng.Intn(3) == 0 {
		h.Schema, h.ZeroCount = histogram.CustomBucketsSchema, []float64{0, math.NaN()}[rng.Intn(2)]
		for i := range 16 {
			h.CustomValues = append(h.CustomValues, float64(i)-.5)
		}
		var n int
		h.PositiveSpans, n = spans(0)
		h.PositiveBuckets = someFloats(rng, n)
		return h
	}
	h.Schema = int32(rng.Intn(13) - 4)
	h.ZeroThreshold = rng.Float64()
	var p, n int
	h.PositiveSpans, p = spans(-2)
	h.NegativeSpans, n = spans(-300)
	h.PositiveBuckets, h.NegativeBuckets = someFloats(rng, p), someFloats(rng, n)
	return h
}

// someColumns have series with and without samples of both kinds.
func someColumns(rng *rand.Rand, rows, from, steps int) *remote.Columns {
	var series []remote.Series
	for i := range rows {
		l := []string{"__name__", "m", "row", fmt.Sprint(i)}
		for range rng.Intn(3) {
			l = append(l, fmt.Sprintf("l%d", len(l)), string([]byte{byte(rng.Intn(256)), 0xff}))
		}
		series = append(series, remote.Series{Labels: labels.FromStrings(l...), DropName: rng.Intn(2) == 0})
	}
	c := remote.NewColumns(series, from, steps)
	kind := rng.Intn(4)
	for p := range c.F {
		switch k := rng.Intn(4); {
		case kind == 0 || kind != 1 && k == 0: // kind 1 has no floats
			c.F[p] = someFloat(rng)
			c.Valid.Set(p)
		case kind != 2 && k == 1:
			c.SetHistogram(p, someHistogram(rng))
		}
	}
	return c
}

// same tells histograms apart that differ in any bit.
func same(a, b *histogram.FloatHistogram) bool {
	text := func(h *histogram.FloatHistogram) string {
		bits := func(fs ...float64) (out []uint64) {
			for _, f := range fs {
				out = append(out, math.Float64bits(f))
			}
			return out
		}
		return fmt.Sprint(h.CounterResetHint, h.Schema, bits(h.ZeroThreshold, h.ZeroCount, h.Count, h.Sum), h.PositiveSpans, h.NegativeSpans,
			bits(h.PositiveBuckets...), bits(h.NegativeBuckets...), bits(h.CustomValues...))
	}
	return text(a) == text(b)
}

// reassembled are columns that were cut, as one.
func reassembled(t *testing.T, parts []*remote.Columns, series []remote.Series, from, steps int) *remote.Columns {
	t.Helper()
	rows := map[string]int{}
	for i, s := range series {
		rows[s.Labels.String()] = i
	}
	out := remote.NewColumns(series, from, steps)
	for _, c := range parts {
		for row, s := range c.Series {
			i, ok := rows[s.Labels.String()]
			require.True(t, ok, s.Labels)
			require.Equal(t, series[i].DropName, s.DropName)
			for step := range c.Steps {
				p, to := row*c.Steps+step, i*steps+c.From+step-from
				if c.Valid.Get(p) {
					if out.Valid.Get(to) {
						t.Fatalf("position %d came twice", to)
					}
					out.F[to] = c.F[p]
					out.Valid.Set(to)
				}
				if c.H != nil && c.HValid.Get(p) {
					out.SetHistogram(to, c.H[p])
				}
			}
		}
	}
	return out
}

// requireSame fails unless columns are equal bit by bit.
func requireSame(t *testing.T, want, got *remote.Columns) {
	t.Helper()
	require.Equal(t, want.Valid, got.Valid)
	require.Equal(t, want.H == nil, got.H == nil)
	require.Equal(t, want.HValid, got.HValid)
	for p := range want.F {
		if want.Valid.Get(p) && math.Float64bits(want.F[p]) != math.Float64bits(got.F[p]) {
			t.Fatalf("position %d: %x is not %x", p, math.Float64bits(got.F[p]), math.Float64bits(want.F[p]))
		}
		if want.H != nil && want.HValid.Get(p) && !same(want.H[p], got.H[p]) {
			t.Fatalf("position %d: %v is not %v", p, got.H[p], want.H[p])
		}
	}
}

// sent are columns after their way through the wire.
func sent(t *testing.T, c *remote.Columns, steps int) []*remote.Columns {
	t.Helper()
	var parts []*remote.Columns
	require.NoError(t, EncodeColumns(c, func(m *stridepb.Columns) error {
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		var in stridepb.Columns
		require.NoError(t, proto.Unmarshal(b, &in))
		got, err := DecodeColumns(&in, steps, NewSeriesReader())
		require.NoError(t, err)
		parts = append(parts, got)
		return nil
	}))
	return parts
}

func TestColumns(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 300 {
		rows, from, steps := rng.Intn(20), rng.Intn(5), 1+rng.Intn(100)
		c := someColumns(rng, rows, from, steps)
		parts := sent(t, c, from+steps+rng.Intn(3))
		requireSame(t, c, reassembled(t, parts, c.Series, from, steps))
	}
}

// Large columns are cut into fewer series, and into fewer steps only where one series is too large.
func TestColumnsAreCut(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	wide := someColumns(rng, 3, 2, 140_000)
	parts := sent(t, wide, 140_002)
	require.Len(t, parts, 3)
	requireSame(t, wide, reassembled(t, parts, wide.Series, 2, 140_000))

	many := remote.NewColumns(nil, 0, 10)
	for range 40_000 {
		many.Series = append(many.Series, remote.Series{})
	}
	many.F, many.Valid = make([]float64, 400_000), make(bitmap.Bitmap, bitmap.Words(400_000))
	many.Valid.SetRange(0, 400_000)
	parts = sent(t, many, 10)
	require.Len(t, parts, 4)
	for _, p := range parts {
		require.Equal(t, 10, p.Steps)
	}

	if testing.Short() {
		return
	}
	long := remote.NewColumns([]remote.Series{{Labels: labels.FromStrings("a", "b")}}, 0, 5<<20)
	for p := 0; p < len(long.F); p += 1000 {
		long.F[p] = float64(p)
		long.Valid.Set(p)
	}
	parts = sent(t, long, 5<<20)
	require.Len(t, parts, 4)
	requireSame(t, long, reassembled(t, parts, long.Series, 0, 5<<20))
}

func TestEncodeColumnsStops(t *testing.T) {
	boom := errors.New("boom")
	n := 0
	err := EncodeColumns(someColumns(rand.New(rand.NewSource(1)), 4, 0, 200_000), func(*stridepb.Columns) error { n++; return boom })
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, n)
}

func TestColumnsOfNonsense(t *testing.T) {
	series := AppendSeries(nil, remote.Series{Labels: labels.FromStrings("a", "b")})
	ok := func() *stridepb.Columns {
		return &stridepb.Columns{Series: series, Steps: 4, Valid: []byte{0b11}, Values: make([]byte, 16), HistogramValid: []byte{0b100}, Histograms: []*stridepb.Histogram{{}}}
	}
	_, err := DecodeColumns(ok(), 4, NewSeriesReader())
	require.NoError(t, err)
	for name, c := range map[string]func(m *stridepb.Columns){
		"no steps":                        func(m *stridepb.Columns) { m.Steps = 0 },
		"too many steps":                  func(m *stridepb.Columns) { m.Steps = 5 },
		"steps that wrap around":          func(m *stridepb.Columns) { m.From, m.Steps = math.MaxUint32, math.MaxUint32 },
		"steps behind the last":           func(m *stridepb.Columns) { m.From = 1 },
		"no bitmap":                       func(m *stridepb.Columns) { m.Valid = nil },
		"a short bitmap":                  func(m *stridepb.Columns) { m.Valid = []byte{} },
		"a long bitmap":                   func(m *stridepb.Columns) { m.Valid = []byte{0b11, 0} },
		"bits behind the last position":   func(m *stridepb.Columns) { m.Valid = []byte{0b10001} },
		"too few values":                  func(m *stridepb.Columns) { m.Values = m.Values[:8] },
		"half a value":                    func(m *stridepb.Columns) { m.Values = m.Values[:15] },
		"too many values":                 func(m *stridepb.Columns) { m.Values = append(m.Values, m.Values...) },
		"too few histograms":              func(m *stridepb.Columns) { m.Histograms = nil },
		"too many histograms":             func(m *stridepb.Columns) { m.Histograms = append(m.Histograms, m.Histograms...) },
		"histograms nowhere":              func(m *stridepb.Columns) { m.HistogramValid = nil },
		"a float and a histogram at once": func(m *stridepb.Columns) { m.HistogramValid = []byte{0b10} },
		"a series cut short":              func(m *stridepb.Columns) { m.Series = m.Series[:len(m.Series)-1] },
		"a series without end": func(m *stridepb.Columns) {
			m.Series = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
		},
		"a length without end": func(m *stridepb.Columns) {
			m.Series = []byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
		},
		"a label twice":          func(m *stridepb.Columns) { m.Series = []byte{4, 1, 'a', 1, 'x', 1, 'a', 1, 'x'} },
		"labels out of order":    func(m *stridepb.Columns) { m.Series = []byte{4, 1, 'b', 1, 'x', 1, 'a', 1, 'x'} },
		"a label without a name": func(m *stridepb.Columns) { m.Series = []byte{2, 0, 1, 'x'} },
		"a long label": func(m *stridepb.Columns) {
			m.Series = AppendSeries(nil, remote.Series{Labels: labels.FromStrings("a", string(make([]byte, maxLabelBytes+1)))})
		},
		"room without end": func(m *stridepb.Columns) {
			*m = stridepb.Columns{Series: make([]byte, 1<<20), Steps: 100}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := ok()
			c(m)
			_, err := DecodeColumns(m, 4, NewSeriesReader())
			if name == "room without end" {
				_, err = DecodeColumns(m, 100, NewSeriesReader())
			}
			require.Error(t, err)
		})
	}
}

func TestHistogramsOfNonsense(t *testing.T) {
	for name, m := range map[string]*stridepb.Histogram{
		"half a span":                     {PositiveSpans: []int64{1}},
		"a span without buckets":          {PositiveSpans: []int64{0, 5}},
		"buckets without a span":          {NegativeBuckets: []float64{1}},
		"a huge span":                     {PositiveSpans: []int64{0, math.MaxUint32}},
		"huge spans":                      {PositiveSpans: []int64{0, math.MaxUint32, 0, math.MaxUint32}},
		"a longer one than there can be":  {PositiveSpans: []int64{0, 1 << 40}},
		"an offset that is none":          {PositiveSpans: []int64{1 << 40, 0}},
		"an offset back":                  {PositiveSpans: []int64{0, 1, -1, 1}, PositiveBuckets: []float64{1, 1}},
		"indexes that wrap around":        {PositiveSpans: []int64{math.MaxInt32, 1, math.MaxInt32, 1}, PositiveBuckets: []float64{1, 1}},
		"an unknown schema":               {Schema: 100},
		"an unknown hint":                 {CounterResetHint: 4},
		"custom values nobody asked for":  {CustomValues: []float64{1}},
		"fewer custom values than needed": {Schema: histogram.CustomBucketsSchema, PositiveSpans: []int64{0, 3}, PositiveBuckets: []float64{1, 1, 1}, CustomValues: []float64{1}},
		"custom values out of order":      {Schema: histogram.CustomBucketsSchema, CustomValues: []float64{2, 1}},
		"a custom zero bucket":            {Schema: histogram.CustomBucketsSchema, ZeroCount: 1},
		"negative custom buckets":         {Schema: histogram.CustomBucketsSchema, NegativeSpans: []int64{0, 1}, NegativeBuckets: []float64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeHistogram(m)
			require.Error(t, err)
		})
	}
}

// FuzzColumns decodes any bytes: what decodes holds together and encodes to the same again.
func FuzzColumns(f *testing.F) {
	rng := rand.New(rand.NewSource(1))
	for range 20 {
		_ = EncodeColumns(someColumns(rng, 1+rng.Intn(3), rng.Intn(3), 1+rng.Intn(9)), func(m *stridepb.Columns) error {
			b, err := proto.Marshal(m)
			f.Add(b)
			return err
		})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m stridepb.Columns
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		const steps = 1000
		c, err := DecodeColumns(&m, steps, NewSeriesReader())
		if err != nil {
			return
		}
		n := len(c.Series) * c.Steps
		require.LessOrEqual(t, c.From+c.Steps, steps)
		require.LessOrEqual(t, n, len(b)*steps)
		require.Len(t, c.F, n)
		require.Len(t, c.Valid, bitmap.Words(n))
		for p := range n {
			if c.H != nil && c.HValid.Get(p) {
				require.False(t, c.Valid.Get(p))
				for it := c.H[p].AllBucketIterator(); it.Next(); {
					it.At()
				}
			}
		}
		if n > 1<<16 {
			return // it would be cut
		}
		require.NoError(t, EncodeColumns(c, func(m *stridepb.Columns) error {
			again, err := DecodeColumns(m, steps, NewSeriesReader())
			require.NoError(t, err)
			requireSame(t, c, again)
			return nil
		}))
	})
}
