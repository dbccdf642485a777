package window

import (
	"context"
	"math/rand"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

func TestExtendMatchesPrometheus(t *testing.T) {
	const start = 1_700_000_000_000
	for n, p := range profiles {
		for round := range 30 {
			rng := rand.New(rand.NewSource(int64(n*100 + round)))
			series := p.generate(rng, start, 5+rng.Intn(100))
			at := start + int64(rng.Intn(2_000_000)) - 400_000
			if rng.Intn(2) == 0 {
				at = pick(rng, series...).t
			}
			query := "x[" + pick(rng, "1m", "5m", "7s") + "] " + pick(rng, "anchored", "smoothed", "anchored offset 1m", "smoothed offset -1m")
			qry, err := oracle[p.st].NewInstantQuery(context.Background(), queryable(metrics[0], series), nil, query, time.UnixMilli(at))
			require.NoError(t, err)
			want := qry.Exec(context.Background())

			m := mustParse(t, query).(*parser.MatrixSelector)
			selector := m.VectorSelector.(*parser.VectorSelector)
			s := &Spec{
				Grid: operators.Grid{Start: at, Interval: 1, Steps: 1}, Range: m.Range.Milliseconds(), Offset: selector.OriginalOffset.Milliseconds(),
				Lookback: testLookback, Anchored: selector.Anchored, Smoothed: selector.Smoothed,
			}
			ts, fs, err := s.Extend(0, columns(series, true))
			if want.Err != nil {
				require.EqualError(t, err, want.Err.Error())
				continue
			}
			require.NoError(t, err)
			matrix, err := want.Matrix()
			require.NoError(t, err)
			if len(matrix) == 0 {
				require.Empty(t, ts)
				continue
			}
			require.Len(t, ts, len(matrix[0].Floats))
			require.Len(t, fs, len(ts))
			for i, w := range matrix[0].Floats {
				require.Equal(t, w.T, ts[i], query)
				require.True(t, sameFloat(w.F, fs[i], 0), "%s at %d: want %v, got %v", query, i, w.F, fs[i])
			}
		}
	}
}
