package logicalplan

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestFragmentsCrossTheWire(t *testing.T) {
	count := 0
	for _, q := range queries(t) {
		p, ok := tryBuild(t, q, testTimes[2])
		if !ok {
			continue
		}
		f := &Fragment{Plan: p, Steps: StepRange{0, p.steps()}, Options: FragmentOptions{DelayedNameRemoval: true}}
		version, encoded, err := f.Encode()
		require.NoError(t, err, q)
		require.LessOrEqual(t, version, PlanVersion)
		again, err := DecodeFragment(encoded)
		require.NoError(t, err, "%s\n%s", q, encoded)
		require.True(t, Equal(p.Root, again.Plan.Root), "%s\n%s\n%s", q, p, again.Plan)
		require.Equal(t, p.String(), again.Plan.String())
		require.Equal(t, f.Steps, again.Steps)
		require.Equal(t, f.Options, again.Options)
		places := func(n Node) (out []any) {
			Walk(n, func(n Node) bool {
				out = append(out, n.Pos())
				return true
			})
			return out
		}
		require.Equal(t, places(p.Root), places(again.Plan.Root), q)
		count++
	}
	require.Greater(t, count, 1000)
}

func TestOddValuesCrossTheWire(t *testing.T) {
	odd := math.Float64frombits(0x7ff0_0000_0000_0002)
	n := &Aggregate{Op: parser.SUM, Grouping: []string{}, Expr: &Binary{
		Op:  parser.MUL,
		LHS: &VectorSelector{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "a", "\xff\x00b")}},
		RHS: &NumberLiteral{Val: odd},
	}}
	f := &Fragment{Plan: &Plan{Root: n, Times: Times{Start: math.MinInt64 / 4, End: math.MinInt64 / 4, Interval: 1}}, Steps: StepRange{0, 1}}
	_, encoded, err := f.Encode()
	require.NoError(t, err)
	again, err := DecodeFragment(encoded)
	require.NoError(t, err)
	a := again.Plan.Root.(*Aggregate)
	require.NotNil(t, a.Grouping)
	b := a.Expr.(*Binary)
	require.Equal(t, "\xff\x00b", b.LHS.(*VectorSelector).Matchers[0].Value)
	require.Equal(t, math.Float64bits(odd), math.Float64bits(b.RHS.(*NumberLiteral).Val))
	require.Equal(t, f.Plan.Times, again.Plan.Times)
}

func TestOptimizedPlansStay(t *testing.T) {
	_, _, err := (&Fragment{Plan: &Plan{Root: &VectorSelector{Uses: 2}}}).Encode()
	require.ErrorContains(t, err, "was optimized for one engine")
	_, _, err = (&Fragment{Plan: &Plan{Root: &Dedup{Of: &VectorSelector{}}}}).Encode()
	require.ErrorContains(t, err, "cannot be sent")
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ encoded, want string }{
		"nothing":         {``, "decoding a plan"},
		"unknown field":   {`{"version":1,"interval":1,"root":{"type":"number","pos":[0,0],"value":1},"extra":1}`, `unknown field "extra"`},
		"newer version":   {`{"version":99,"interval":1,"root":{}}`, "it has version 99, the newest one known here is 1"},
		"no interval":     {`{"version":1,"root":{}}`, "its times make no sense"},
		"many steps":      {`{"version":1,"end":9000000000000,"interval":1,"root":{}}`, "more than"},
		"other steps":     {`{"version":1,"interval":1,"to":5,"root":{}}`, "not among its steps"},
		"unknown node":    {`{"version":1,"interval":1,"root":{"type":"magic","pos":[0,0]}}`, `node of type "magic"`},
		"unknown in node": {`{"version":1,"interval":1,"root":{"type":"number","pos":[0,0],"value":1,"sides":2}}`, `unknown field "sides"`},
		"bad matcher":     {`{"version":1,"interval":1,"root":{"type":"selector","pos":[0,0],"matchers":[{"type":"=~","name":"a","value":"("}],"hints":{"start":0,"end":0}}}`, "missing closing"},
		"wrong input":     {`{"version":1,"interval":1,"root":{"type":"aggregate","pos":[0,0],"op":"sum","in":[{"type":"number","pos":[0,0],"value":1}]}}`, "does not take these inputs"},
		"unknown call":    {`{"version":1,"interval":1,"root":{"type":"call","pos":[0,0],"name":"magic"}}`, "unknown function magic()"},
		"behind it":       {`{"version":1,"interval":1,"root":{"type":"number","pos":[0,0],"value":1}} 1`, "something follows it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeFragment([]byte(c.encoded))
			require.ErrorContains(t, err, c.want)
		})
	}
	deep := make([]byte, 0, 1<<20)
	for range 100_000 {
		deep = append(deep, `{"in":[`...)
	}
	_, err := DecodeFragment(append([]byte(`{"version":1,"interval":1,"root":`), deep...))
	require.Error(t, err)
}

func FuzzDecodeFragment(f *testing.F) {
	for _, q := range queries(f)[:200] {
		if p, ok := tryBuild(f, q, testTimes[2]); ok {
			_, encoded, err := (&Fragment{Plan: p, Steps: StepRange{0, p.steps()}}).Encode()
			require.NoError(f, err)
			f.Add(encoded)
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		d, err := DecodeFragment(encoded)
		if err != nil {
			return
		}
		_, again, err := d.Encode()
		require.NoError(t, err)
		_, err = DecodeFragment(again)
		require.NoError(t, err)
	})
}
