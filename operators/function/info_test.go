package function

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// storedInfo looks info series up in a storage.
type storedInfo struct {
	t       *testing.T
	storage storage.Queryable
}

func (s storedInfo) Select(ctx context.Context, hints storage.SelectHints, matchers []*labels.Matcher, grid operators.Grid, r operators.StepRange, offset int64, at *int64) (*operators.Schema, *operators.Batch, error) {
	q, err := s.storage.Querier(hints.Start, hints.End)
	require.NoError(s.t, err)
	defer func() { _ = q.Close() }()
	schema := operators.NewSchema()
	var series []operatortest.Series
	set := q.Select(ctx, false, &hints, matchers...)
	for set.Next() {
		l := set.At().Labels()
		schema.Append(l, false)
		times := operatortest.NewSeries(l, r.Len())
		series = append(series, times)
		type sample struct {
			t     int64
			kind  chunkenc.ValueType
			stale bool
		}
		var all []sample
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			x := sample{t: it.AtT(), kind: kind}
			if kind == chunkenc.ValFloat {
				_, v := it.At()
				x.stale = value.IsStaleNaN(v)
			}
			all = append(all, x)
		}
		for i := range r.Len() {
			ref := grid.Time(r.From + i)
			if at != nil {
				ref = *at
			}
			ref -= offset
			var newest *sample
			for k := range all {
				if all[k].t <= ref && all[k].t > ref-lookback {
					newest = &all[k]
				}
			}
			if newest == nil || newest.stale {
				continue
			}
			if newest.kind != chunkenc.ValFloat {
				return nil, nil, fmt.Errorf("this should be an info metric, with float samples: %s", l)
			}
			times.Samples[i] = operatortest.Float(float64(newest.t))
		}
	}
	if err := operators.ContextError(ctx, operators.EnvExecution); err != nil {
		return nil, nil, err
	}
	require.NoError(s.t, set.Err())
	b := operators.NewBatch(0, len(series), r.From, r.Len())
	for k, times := range series {
		for i, x := range times.Samples {
			if x.Present {
				b.SetFloat(b.Pos(k, i), x.F)
			}
		}
	}
	return schema, b, nil
}

// targets adds two metrics of four targets, of which some lack an identifying label, and the info series of the targets.
// Info labels change with time; conflict says whether they may contradict each other.
func (w *world) targets(conflict bool) {
	targets := [][]string{{"job", "a", "instance", "1"}, {"job", "a", "instance", "2"}, {"job", "b.*"}, {"instance", "3|4"}, {"zone", "z"}}
	for _, metric := range []string{"m", "other"} {
		for _, target := range targets {
			w.add(w.anyMix, append([]string{"__name__", metric}, target...)...)
		}
		w.add(w.anyFloat, "__name__", metric, "job", "a", "instance", "1", "version", "base")
	}
	for _, target := range targets {
		info := func(name string, from, to int, l ...string) {
			w.add(func(i int) any {
				switch {
				case i < from || i >= to:
					return nil
				case i == to-1 && w.rnd.IntN(2) == 0:
					return math.Float64frombits(value.StaleNaN)
				}
				return w.hole(8, 1)
			}, append(append([]string{"__name__", name}, l...), target...)...)
		}
		cut := 1 + w.rnd.IntN(samples-2)
		overlap := 0
		if conflict {
			overlap = w.rnd.IntN(3)
		}
		info("target_info", 0, cut+overlap, "version", "1", "env", "x", "__type__", "info")
		info("target_info", cut, samples, "version", "2")
		env := "x"
		if conflict && w.rnd.IntN(2) == 0 {
			env = "y"
		}
		info("build_info", w.rnd.IntN(5), samples-w.rnd.IntN(5), "commit", "c", "env", env)
		info("build_size", 0, samples, "bytes", "17")
	}
	w.add(w.anyHistogram, "__name__", "histogram_info", "job", "a", "instance", "1")
}

func TestInfo(t *testing.T) {
	errors := map[bool]int{}
	for seed := range uint64(operatortest.Rounds(8)) {
		w := newWorld(t, seed)
		w.targets(seed%2 == 1)
		for _, query := range []string{
			`info(m)`, `info(m offset 3m)`, `info(m @ 600)`, `info(m @ 600 offset 2m)`, `info(nothing)`, `info(m{zone="z"})`, `info(target_info)`,
			`info(other, {version="1"})`, `info(other, {version=~"1|"})`, `info(m, {version=~".+", env="x"})`, `info(m, {none="x"})`, `info(m{zone="z"}, {none="x"})`,
			`info(m, {__name__="build_info"})`, `info(m, {__name__=~"build_info|target_info"})`, `info(m, {__name__!="target_info", __name__!="histogram_info"})`,
			`info(m, {__name__=~"build_.*", bytes!=""})`, `info(m, {__name__="nothing_info"})`, `info(m, {__name__="histogram_info"})`,
			`info({__name__=~"m|target_info"})`, `info({__name__=~"target_info|build_info", job="a"}, {__name__="build_info"})`,
			`info({__name__=~"m|other", version=""})`,
		} {
			for delayed := range w.engines {
				errors[w.oracle(query, evaluation{0, samples * every, every}, delayed).Err != nil]++
			}
			w.compare(false, query)
		}
	}
	// Neither side of the comparison is about errors, or results, alone.
	require.Greater(t, errors[true], 50)
	require.Greater(t, errors[false], 50)
}

// hintedInfo remembers what it was asked for.
type hintedInfo struct {
	hints    []storage.SelectHints
	matchers []string
}

func (s *hintedInfo) Select(_ context.Context, hints storage.SelectHints, matchers []*labels.Matcher, _ operators.Grid, r operators.StepRange, _ int64, _ *int64) (*operators.Schema, *operators.Batch, error) {
	s.hints = append(s.hints, hints)
	text := ""
	for _, m := range matchers {
		text += m.String() + " "
	}
	s.matchers = append(s.matchers, text)
	return operators.NewSchema(), operators.NewBatch(0, 0, r.From, r.Len()), nil
}

func TestInfoSelection(t *testing.T) {
	at := int64(500_000)
	for _, c := range []struct {
		config   InfoConfig
		from, to int64
	}{
		{InfoConfig{Start: 1_000_000, End: 1_130_000, Interval: 60_000}, 1_000_000 - lookback + 1, 1_130_000},
		{InfoConfig{Start: 1_000_000, End: 1_130_000, Interval: 60_000, Offset: 7000}, 993_000 - lookback + 1, 1_123_000},
		{InfoConfig{Start: 1_000_000, End: 1_130_000, Interval: 60_000, Offset: 7000, At: &at}, 493_000 - lookback + 1, 493_000},
	} {
		var in operatortest.Input
		for _, l := range []labels.Labels{
			labels.FromStrings("__name__", "m", "job", "b", "instance", "2"),
			labels.FromStrings("__name__", "m", "job", "a.", "instance", "1"),
			labels.FromStrings("__name__", "m", "instance", "3"),
			labels.FromStrings("__name__", "m", "job", "c"),
			labels.FromStrings("__name__", "m"),
			labels.FromStrings("__name__", "target_info", "job", "d"),
			labels.FromStrings("__name__", "absent", "job", "e"),
		} {
			x := operatortest.NewSeries(l, 1)
			x.Samples[0].Present = l.Get("__name__") != "absent"
			in.Series = append(in.Series, x)
		}
		grid := operators.Grid{Start: 1_000_000, Interval: 60_000, Steps: 1}
		c.config.Matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, "x", "y")}
		var sources []*hintedInfo
		res := operatortest.Run(t, func(q *operators.Query, inputs []*operators.Schema) operators.Operator {
			source := &hintedInfo{}
			sources = append(sources, source)
			return NewInfo(q, inputs[0], grid, c.config, source)
		}, operatortest.Options{Steps: 1, Setup: func(q *operators.Query) { q.Lookback = lookback }}, in)
		require.NoError(t, res.Err)
		h := storage.SelectHints{Start: c.from, End: c.to, Step: 60_000, Func: "info"}
		matchers := []string{
			`instance="" job=~"c" x!="y" __name__="target_info" `,
			`instance=~"3" job="" x!="y" __name__="target_info" `,
			`instance=~"1|2" job=~"a\\.|b" x!="y" __name__="target_info" `,
		}
		// The first operator was never bound, the last one did not come to its end.
		for _, source := range sources[1 : len(sources)-1] {
			require.Equal(t, []storage.SelectHints{h, h, h}, source.hints)
			require.Equal(t, matchers, source.matchers)
		}
	}
}
