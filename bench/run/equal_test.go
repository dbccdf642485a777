package run

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/peer"
)

func answer(series ...peer.Series) *peer.Answer { return &peer.Answer{Series: series} }

func floats(labels string, v ...float64) peer.Series {
	s := peer.Series{Labels: labels, F: v}
	for i := range v {
		s.T = append(s.T, int64(i))
	}
	return s
}

func TestDifference(t *testing.T) {
	want := answer(floats(`{a="1"}`, 1, math.NaN(), math.Inf(1)), floats(`{a="2"}`, 0))
	same := func() *peer.Answer {
		return answer(floats(`{a="1"}`, 1, math.NaN(), math.Inf(1)), floats(`{a="2"}`, 0))
	}
	require.Empty(t, difference(want, same(), 0, false))
	for name, change := range map[string]func(a *peer.Answer){
		"1 series instead of 2":                                                                   func(a *peer.Answer) { a.Series = a.Series[:1] },
		`series {a="3"} instead of {a="2"}`:                                                       func(a *peer.Answer) { a.Series[1].Labels = `{a="3"}` },
		`series {a="1"} is 1.1 instead of 1 at 0`:                                                 func(a *peer.Answer) { a.Series[0].F[0] = 1.1 },
		`series {a="1"} is 0 instead of NaN at 1`:                                                 func(a *peer.Answer) { a.Series[0].F[1] = 0 },
		`series {a="1"} is -Inf instead of +Inf at 2`:                                             func(a *peer.Answer) { a.Series[0].F[2] = math.Inf(-1) },
		`series {a="2"} has samples at other times: 1 floats and 0 histograms instead of 1 and 0`: func(a *peer.Answer) { a.Series[1].T[0] = 5 },
	} {
		got := same()
		change(got)
		require.Equal(t, name, difference(want, got, 1e-9, false))
	}
	near := same()
	near.Series[0].F[0] = 1 + 1e-12
	require.Empty(t, difference(want, near, 1e-9, false))
	require.NotEmpty(t, difference(want, near, 1e-13, false))
}

func TestDifferenceOfHistograms(t *testing.T) {
	h := func(s string) *peer.Answer { return answer(peer.Series{Labels: "{}", HT: []int64{1}, H: []string{s}}) }
	want := h("count:3 sum:1.5 (0.1,0.2]:3")
	require.Empty(t, difference(want, h("count:3 sum:1.5000000000000002 (0.1,0.2]:3"), 1e-12, false))
	require.NotEmpty(t, difference(want, h("count:3 sum:1.6 (0.1,0.2]:3"), 1e-12, false))
	require.NotEmpty(t, difference(want, h("count:3 sum:1.5"), 1e-12, false))
}

func TestDifferenceWithTies(t *testing.T) {
	want := answer(floats("{a=1}", 5, 5), floats("{a=2}", 4, 4))
	require.Empty(t, difference(want, answer(floats("{a=1}", 5, 4), floats("{a=3}", 4, 5)), 0, true), "other series with the same values")
	require.NotEmpty(t, difference(want, answer(floats("{a=1}", 5, 5), floats("{a=2}", 4, 3)), 0, true))
	require.NotEmpty(t, difference(want, answer(floats("{a=1}", 5, 5)), 0, true))
	h := answer(peer.Series{Labels: "{}", HT: []int64{1}, H: []string{"count:1"}})
	require.Empty(t, difference(h, answer(peer.Series{Labels: "{a=1}", HT: []int64{1}, H: []string{"count:2"}}), 0, true))
	require.NotEmpty(t, difference(h, answer(), 0, true))
}
