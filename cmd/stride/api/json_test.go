package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func writeResult(t *testing.T, v parser.Value) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, WriteResult(&b, v, nil, nil))
	return b.String()
}

// What Prometheus' tests of its JSON codec expect.
func TestWriteResult(t *testing.T) {
	foo, bar := labels.FromStrings("__name__", "foo"), labels.FromStrings("__name__", "bar")
	exponential := &histogram.FloatHistogram{
		Schema:          2,
		ZeroThreshold:   0.001,
		ZeroCount:       12,
		Count:           10,
		Sum:             20,
		PositiveSpans:   []histogram.Span{{Offset: 3, Length: 2}, {Offset: 1, Length: 3}},
		NegativeSpans:   []histogram.Span{{Offset: 2, Length: 2}},
		PositiveBuckets: []float64{1, 2, 2, 1, 1},
		NegativeBuckets: []float64{2, 1},
	}
	const exponentialJSON = `{"count":"10","sum":"20","buckets":[[1,"-1.6817928305074288","-1.414213562373095","1"],[1,"-1.414213562373095","-1.189207115002721","2"],[3,"-0.001","0.001","12"],[0,"1.414213562373095","1.6817928305074288","1"],[0,"1.6817928305074288","2","2"],[0,"2.378414230005442","2.82842712474619","2"],[0,"2.82842712474619","3.3635856610148576","1"],[0,"3.3635856610148576","4","1"]]}`
	for _, tc := range []struct {
		value parser.Value
		want  string
	}{
		{
			promql.Vector{{Metric: foo, T: 1000, F: 1}, {Metric: bar, T: 2000, F: 2}},
			`{"resultType":"vector","result":[{"metric":{"__name__":"foo"},"value":[1,"1"]},{"metric":{"__name__":"bar"},"value":[2,"2"]}]}`,
		},
		{
			promql.Matrix{{Metric: foo, Floats: []promql.FPoint{{F: 1, T: 1000}}}, {Metric: bar, Floats: []promql.FPoint{{F: 2, T: 2000}}}},
			`{"resultType":"matrix","result":[{"metric":{"__name__":"foo"},"values":[[1,"1"]]},{"metric":{"__name__":"bar"},"values":[[2,"2"]]}]}`,
		},
		{
			promql.Matrix{{Metric: foo, Histograms: []promql.HPoint{{T: 1000, H: exponential}}}},
			`{"resultType":"matrix","result":[{"metric":{"__name__":"foo"},"histograms":[[1,` + exponentialJSON + `]]}]}`,
		},
		{
			promql.Matrix{{Metric: foo, Floats: []promql.FPoint{{T: 0, F: 1}}, Histograms: []promql.HPoint{{T: 1000, H: &histogram.FloatHistogram{}}}}},
			`{"resultType":"matrix","result":[{"metric":{"__name__":"foo"},"values":[[0,"1"]],"histograms":[[1,{"count":"0","sum":"0"}]]}]}`,
		},
		{
			promql.Vector{{T: 1000, H: exponential}},
			`{"resultType":"vector","result":[{"metric":{},"histogram":[1,` + exponentialJSON + `]}]}`,
		},
		{promql.Vector(nil), `{"resultType":"vector","result":[]}`},
		{promql.Matrix{}, `{"resultType":"matrix","result":[]}`},
		{promql.Matrix{{Metric: foo}}, `{"resultType":"matrix","result":[{"metric":{"__name__":"foo"}}]}`},
		{promql.Scalar{T: 1500, V: math.Inf(1)}, `{"resultType":"scalar","result":[1.5,"+Inf"]}`},
		{promql.String{T: 1000, V: "<\b>"}, `{"resultType":"string","result":[1,"\u003c\b\u003e"]}`},
	} {
		require.Equal(t, success(tc.want), writeResult(t, tc.value))
	}
}

func TestWritePoint(t *testing.T) {
	for want, p := range map[string]promql.FPoint{
		`[0,"0"]`:                     {},
		`[0.001,"20"]`:                {T: 1, F: 20},
		`[0.010,"20"]`:                {T: 10, F: 20},
		`[0.100,"20"]`:                {T: 100, F: 20},
		`[1.001,"20"]`:                {T: 1001, F: 20},
		`[1.010,"20"]`:                {T: 1010, F: 20},
		`[1.100,"20"]`:                {T: 1100, F: 20},
		`[12345678123456.555,"20"]`:   {T: 12345678123456555, F: 20},
		`[-0.001,"20"]`:               {T: -1, F: 20},
		`[0,"NaN"]`:                   {F: math.NaN()},
		`[0,"+Inf"]`:                  {F: math.Inf(1)},
		`[0,"-Inf"]`:                  {F: math.Inf(-1)},
		`[0,"-0"]`:                    {F: math.Copysign(0, -1)},
		`[0,"1234567.8"]`:             {F: 1.2345678e6},
		`[0,"0.0000012345678"]`:       {F: 1.2345678e-6},
		`[0,"1.2345678e-67"]`:         {F: 1.2345678e-67},
		`[0,"1e+21"]`:                 {F: 1e21},
		`[0,"100000000000000000000"]`: {F: 1e20},
	} {
		e := &encoder{}
		e.float(p.T, p.F)
		require.Equal(t, want, string(e.buf))
	}
}

// In label sets Prometheus escapes no more than JSON needs; elsewhere what HTML understands as well.
func TestWriteText(t *testing.T) {
	const s = "a\"\\\n\r\t\b\x00<>&ü\u2028\xff"
	e := &encoder{}
	e.text(s)
	require.Equal(t, `"a\"\\\n\r\t\u0008\u0000<>&ü`+"\u2028\xff"+`"`, string(e.buf))
	e = &encoder{}
	e.htmlText(s)
	require.Equal(t, `"a\"\\\n\r\t\u0008\u0000\u003c\u003e\u0026ü\u2028\ufffd"`, string(e.buf))
	var back string
	require.NoError(t, json.Unmarshal(e.buf, &back))
	require.Equal(t, strings.ToValidUTF8(s, "\ufffd"), back)
}

func TestWriteNotes(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteResult(&b, promql.Vector{}, []string{"w<1>", "w2"}, []string{"i"}))
	require.Equal(t, `{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["w\u003c1\u003e","w2"],"infos":["i"]}`, b.String())
}

// failingWriter takes so many bytes.
type failingWriter struct{ left int }

var errFull = errors.New("full")

func (w *failingWriter) Write(b []byte) (int, error) {
	n := min(w.left, len(b))
	w.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestWriteLargeResult(t *testing.T) {
	m := promql.Matrix{}
	for range 100 {
		s := promql.Series{Metric: labels.FromStrings("a", "b")}
		for i := range int64(1000) {
			s.Floats = append(s.Floats, promql.FPoint{T: i, F: float64(i)})
		}
		m = append(m, s)
	}
	var whole bytes.Buffer
	require.NoError(t, WriteResult(&whole, m, nil, nil))
	require.True(t, json.Valid(whole.Bytes()))
	require.Greater(t, whole.Len(), 10*bufferedBytes)
	require.ErrorIs(t, WriteResult(&failingWriter{3 * bufferedBytes}, m, nil, nil), errFull)
}

type otherValue struct{}

func (otherValue) Type() parser.ValueType { return parser.ValueTypeNone }
func (otherValue) String() string         { return "" }

func TestWriteUnknownResult(t *testing.T) {
	require.ErrorContains(t, WriteResult(&strings.Builder{}, otherValue{}, nil, nil), "results of type api.otherValue cannot be written as JSON")
}
