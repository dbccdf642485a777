package remoteexec

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream gives columns, and then an error or io.EOF.
type stream struct {
	columns []*remote.Columns
	err     error
	hang    bool
	trailer remote.Trailer
	closed  *bool
}

func (s *stream) Next(ctx context.Context) (*remote.Columns, error) {
	switch {
	case len(s.columns) > 0:
		c := s.columns[0]
		s.columns = s.columns[1:]
		return c, nil
	case s.hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case s.err != nil:
		return nil, s.err
	}
	return nil, io.EOF
}
func (s *stream) Trailer() remote.Trailer { return s.trailer }
func (s *stream) Close() error            { *s.closed = true; return nil }

// columns has one series for each name, with the value of its step at the steps from..from+n.
func columns(from, n int, names ...string) *remote.Columns {
	var series []remote.Series
	for _, name := range names {
		series = append(series, remote.Series{Labels: labels.FromStrings("a", name)})
	}
	c := remote.NewColumns(series, from, n)
	for p := range c.F {
		c.F[p] = float64(from + p%n)
		c.Valid.Set(p)
	}
	return c
}

// result runs an Exec over the given ranges and gives the values of each series.
func result(t *testing.T, e *Exec, q *operators.Query, ranges ...operators.StepRange) (map[string][]float64, error) {
	t.Helper()
	q.Start(context.Background())
	defer e.Close()
	if err := e.Bind(context.Background()); err != nil {
		return nil, err
	}
	if err := e.Extend(); err != nil {
		return nil, err
	}
	out := map[string][]float64{}
	w := &operators.Worker{Poison: true}
	for _, r := range ranges {
		require.NoError(t, e.Open(r))
		for m := range e.Morsels() {
			b, err := e.Read(w, m)
			require.NoError(t, err)
			for row := range b.Rows {
				name := e.Schema().Labels(b.First + row).Get("a")
				for step := range b.Steps {
					if p := b.Pos(row, step); b.Valid.Get(p) {
						require.Equal(t, float64(b.From+step), b.F[p])
						out[name] = append(out[name], b.F[p])
					}
				}
			}
			w.Release(b)
		}
	}
	return out, nil
}

func newExec(q *operators.Query, s *stream, c Config) *Exec {
	s.closed = new(bool)
	c.Start = func(context.Context) (remote.ColumnStream, error) { return s, nil }
	return New(q.Account(), c, operators.Grid{Interval: 1, Steps: 6})
}

func TestExec(t *testing.T) {
	all := operators.StepRange{To: 6}
	for name, make := range map[string]func() []*remote.Columns{
		"whole columns": func() []*remote.Columns { return []*remote.Columns{columns(0, 6, "x", "y"), columns(0, 6, "z")} },
		"ranges of steps": func() []*remote.Columns {
			return []*remote.Columns{columns(0, 2, "x", "y"), columns(0, 2, "z"), columns(2, 4, "x", "y", "z")}
		},
		"whole, then not": func() []*remote.Columns {
			return []*remote.Columns{columns(0, 6, "x"), columns(0, 3, "y", "z"), columns(3, 3, "z", "y")}
		},
	} {
		for _, limited := range []int64{0, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				again := &stream{columns: make()}
				q := &operators.Query{Workers: 1, MemoryBudget: limited}
				got, err := result(t, newExec(q, again, Config{}), q, all)
				require.NoError(t, err)
				want := []float64{0, 1, 2, 3, 4, 5}
				require.Equal(t, map[string][]float64{"x": want, "y": want, "z": want}, got)
				require.True(t, *again.closed)
				require.Zero(t, q.Held())
				require.Zero(t, q.Bytes())
			})
		}
	}
	s := &stream{columns: []*remote.Columns{columns(0, 6, "x")}}
	q := &operators.Query{Workers: 1}
	got, err := result(t, newExec(q, s, Config{}), q, operators.StepRange{To: 4}, operators.StepRange{From: 4, To: 6})
	require.NoError(t, err)
	require.Equal(t, map[string][]float64{"x": {0, 1, 2, 3, 4, 5}}, got)
}

// Rows with equal labels and samples at one step are two series.
func TestExecKeepsDuplicates(t *testing.T) {
	q := &operators.Query{Workers: 1}
	e := newExec(q, &stream{columns: []*remote.Columns{columns(0, 2, "x", "x"), columns(2, 4, "x", "x")}}, Config{})
	_, err := result(t, e, q, operators.StepRange{To: 6})
	require.NoError(t, err)
	require.Equal(t, 2, e.Schema().Len())
}

func TestExecErrors(t *testing.T) {
	boom := errors.New("boom")
	t.Run("fails the query", func(t *testing.T) {
		q := &operators.Query{Workers: 1}
		s := &stream{columns: []*remote.Columns{columns(0, 6, "x")}, err: boom}
		_, err := result(t, newExec(q, s, Config{}), q)
		require.ErrorIs(t, err, boom)
		require.True(t, *s.closed)
		require.Zero(t, q.Bytes())
	})
	t.Run("becomes a warning, and what came before it is dropped", func(t *testing.T) {
		q := &operators.Query{Workers: 1}
		s := &stream{columns: []*remote.Columns{columns(0, 6, "x")}, err: boom}
		got, err := result(t, newExec(q, s, Config{Missing: func(err error) error { return errors.Join(annotations.PromQLWarning, err) }}), q, operators.StepRange{To: 6})
		require.NoError(t, err)
		require.Empty(t, got)
		require.Len(t, q.Annotations(), 1)
	})
	t.Run("nonsense", func(t *testing.T) {
		for _, c := range []*remote.Columns{columns(4, 4, "x"), {Series: make([]remote.Series, 2), Steps: 6}} {
			q := &operators.Query{Workers: 1}
			_, err := result(t, newExec(q, &stream{columns: []*remote.Columns{c}}, Config{}), q)
			require.ErrorContains(t, err, "make no sense")
		}
	})
	t.Run("more than the budget", func(t *testing.T) {
		q := &operators.Query{Workers: 1, MemoryBudget: 100}
		_, err := result(t, newExec(q, &stream{columns: []*remote.Columns{columns(0, 6, "x", "y", "z")}}, Config{Missing: func(err error) error { return err }}), q)
		require.ErrorIs(t, err, operators.ErrShortOfMemory)
	})
	t.Run("closed while it hangs", func(t *testing.T) {
		q := &operators.Query{Workers: 1}
		e := newExec(q, &stream{hang: true}, Config{})
		require.NoError(t, e.Bind(context.Background()))
		e.Close()
	})
	t.Run("panics", func(t *testing.T) {
		q := &operators.Query{Workers: 1}
		e := New(q, Config{Start: func(context.Context) (remote.ColumnStream, error) { panic("boom") }}, operators.Grid{Interval: 1, Steps: 6})
		_, err := result(t, e, q)
		require.EqualError(t, err, "boom")
	})
	t.Run("annotations that are refused", func(t *testing.T) {
		q := &operators.Query{Workers: 1}
		_, err := result(t, newExec(q, &stream{}, Config{Check: func(annotations.Annotations) error { return boom }}), q)
		require.ErrorIs(t, err, boom)
	})
}
