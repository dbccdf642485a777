package remoteexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream gives columns, where there are nil ones remote.ErrRestart, and then an error or io.EOF.
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
		if c == nil {
			return nil, remote.ErrRestart
		}
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
		e.Annotate()
		if err := e.Consume(); err != nil {
			return nil, err
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
		got, err := result(t, newExec(q, s, Config{Failed: func(err error) (error, error) { return errors.Join(annotations.PromQLWarning, err), nil }}), q, operators.StepRange{To: 6})
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
		_, err := result(t, newExec(q, &stream{columns: []*remote.Columns{columns(0, 6, "x", "y", "z")}}, Config{Failed: func(err error) (error, error) { return err, nil }}), q)
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

// What came before a stream begins anew is void.
func TestExecRestart(t *testing.T) {
	q := &operators.Query{Workers: 1}
	s := &stream{columns: []*remote.Columns{columns(0, 6, "x"), columns(0, 2, "y"), nil, columns(0, 6, "y")}}
	got, err := result(t, newExec(q, s, Config{}), q, operators.StepRange{To: 6})
	require.NoError(t, err)
	require.Equal(t, map[string][]float64{"y": {0, 1, 2, 3, 4, 5}}, got)
	require.Zero(t, q.Bytes())
}

// An error that wraps io.EOF, as that of a connection may, is not the end of the answer.
func TestExecWrappedEOF(t *testing.T) {
	q := &operators.Query{Workers: 1}
	s := &stream{columns: []*remote.Columns{columns(0, 6, "x")}, err: fmt.Errorf("connection: %w", io.EOF)}
	_, err := result(t, newExec(q, s, Config{}), q)
	require.EqualError(t, err, "connection: EOF")
}

// Whatever goes wrong at the other engine is said to be its: refusals, errors, nonsense and panics. What the query itself cannot hold is not.
func TestExecFailed(t *testing.T) {
	named := func(err error) (error, error) { return nil, fmt.Errorf("engine a: %w", err) }
	nonsense := remote.Trailer{Stats: remote.Stats{Total: make([]int64, 7)}}
	for want, s := range map[string]*stream{
		"engine a: boom": {err: errors.New("boom")},
		"engine a: columns of 1 series at steps 4..7 make no sense for 6 steps": {columns: []*remote.Columns{columns(4, 4, "x")}},
		"engine a: statistics of 7 steps make no sense for 6":                   {trailer: nonsense},
	} {
		q := &operators.Query{Workers: 1}
		_, err := result(t, newExec(q, s, Config{Failed: named, Scope: operators.NewScope(1, 6, true)}), q)
		require.EqualError(t, err, want)
	}
	q := &operators.Query{Workers: 1}
	e := New(q, Config{Failed: named, Start: func(context.Context) (remote.ColumnStream, error) { panic("boom") }}, operators.Grid{Interval: 1, Steps: 6})
	_, err := result(t, e, q)
	require.EqualError(t, err, "engine a: boom")

	q = &operators.Query{Workers: 1, MaxSamples: 3}
	_, err = result(t, newExec(q, &stream{columns: []*remote.Columns{columns(0, 6, "x")}}, Config{Failed: named}), q)
	require.Equal(t, promql.ErrTooManySamples(operators.EnvExecution), err)
}

// A part does not wait for its engine when another part has failed already.
func TestExecHearsOfFailures(t *testing.T) {
	q := &operators.Query{Workers: 1}
	failures := NewFailures()
	hanging := newExec(q, &stream{hang: true}, Config{Failures: failures})
	failing := newExec(q, &stream{err: errors.New("boom")}, Config{Failures: failures})
	for _, e := range []*Exec{hanging, failing} {
		defer e.Close()
		require.NoError(t, e.Bind(t.Context()))
	}
	require.EqualError(t, hanging.Extend(), "boom")
	require.EqualError(t, failing.Extend(), "boom")
}

// What was said of a range that is run again is said when it is through.
func TestExecTellsOnce(t *testing.T) {
	q := &operators.Query{Workers: 1, MemoryBudget: 1 << 20}
	scope := operators.NewScope(1, 6, true)
	s := &stream{columns: []*remote.Columns{columns(0, 6, "x")}, trailer: remote.Trailer{
		Annotations: annotations.New().Add(annotations.PromQLWarning),
		Stats:       remote.Stats{Total: []int64{1, 2, 3, 4, 5, 6}, Read: []int64{0, 1, 0, 1, 0, 1}, Series: 2},
	}}
	e := newExec(q, s, Config{Scope: scope})
	defer e.Close()
	require.NoError(t, e.Bind(t.Context()))

	mark, counted := q.Mark(), scope.Mark()
	require.NoError(t, e.Open(operators.StepRange{To: 6}))
	require.NoError(t, e.Extend())
	q.Rewind(mark)
	scope.Rewind(counted)

	for _, r := range []operators.StepRange{{To: 3}, {From: 3, To: 6}} {
		mark = q.Mark()
		require.NoError(t, e.Open(r))
		require.NoError(t, e.Extend())
		e.Annotate()
		require.NoError(t, e.Consume())
		q.Commit(mark)
	}
	require.Len(t, q.Annotations(), 1)
	series, read := q.Consumed()
	require.Equal(t, [2]int64{2, 3}, [2]int64{series, read})
	qs := stats.NewQuerySamples(true)
	qs.InitStepTracking(0, 5, 1)
	scope.MergeInto(qs)
	require.EqualValues(t, 21, qs.TotalSamples)
}

// What other engines read counts for the limits of the query.
func TestExecConsumes(t *testing.T) {
	for _, c := range []struct {
		q    *operators.Query
		want error
	}{
		{&operators.Query{Workers: 1, MaxSeries: 1}, promql.ErrTooManySeries(operators.EnvExecution)},
		{&operators.Query{Workers: 1, MaxSamplesRead: 6}, promql.ErrTooManySamplesRead(operators.EnvExecution)},
		{&operators.Query{Workers: 1, MaxSeries: 2, MaxSamplesRead: 7}, nil},
	} {
		s := &stream{trailer: remote.Trailer{Stats: remote.Stats{Read: []int64{3, 4}, Series: 2}}}
		_, err := result(t, newExec(c.q, s, Config{}), c.q, operators.StepRange{To: 6})
		require.Equal(t, c.want, err)
	}
}

// An answer that found no memory is asked for again when the range is run again, and an answer is never half there.
func TestExecTriesAgain(t *testing.T) {
	q := &operators.Query{Workers: 1, MemoryBudget: 300}
	sent := 0
	e := New(q.Account(), Config{Start: func(context.Context) (remote.ColumnStream, error) {
		sent++
		return &stream{columns: []*remote.Columns{columns(0, 6, "x", "y")}, closed: new(bool)}, nil
	}}, operators.Grid{Interval: 1, Steps: 6})
	defer e.Close()
	require.NoError(t, q.Grow(200)) // by another operator
	require.NoError(t, e.Bind(t.Context()))
	require.ErrorIs(t, e.Extend(), operators.ErrShortOfMemory)
	require.EqualValues(t, 200, q.Bytes())
	require.NoError(t, q.Grow(-200))
	require.NoError(t, e.Extend())
	require.Equal(t, 2, e.Schema().Len())
	require.Equal(t, 2, sent)

	q = &operators.Query{Workers: 1, MemoryBudget: 100}
	sent = 0
	e = New(q.Account(), e.c, e.grid)
	defer e.Close()
	require.NoError(t, e.Bind(t.Context()))
	for range 5 {
		require.ErrorIs(t, e.Extend(), operators.ErrShortOfMemory)
	}
	require.Equal(t, maxSent, sent)
}

// With step ranges a part that is constant is read in each of them.
func TestExecInRanges(t *testing.T) {
	q := &operators.Query{Workers: 1}
	all := operators.StepRange{To: 6}
	got, err := result(t, newExec(q, &stream{columns: []*remote.Columns{columns(0, 6, "x")}}, Config{Ranges: true}), q, all, all)
	require.NoError(t, err)
	require.Equal(t, map[string][]float64{"x": {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}}, got)
}

// Histograms count, however they come, and all that was counted is given back.
func TestExecAccountsForHistograms(t *testing.T) {
	var bytes [2]int64
	for i, steps := range []int{6, 3} {
		var cs []*remote.Columns
		for from := 0; from < 6; from += steps {
			c := remote.NewColumns([]remote.Series{{Labels: labels.FromStrings("a", "x")}}, from, steps)
			for p := range steps {
				c.SetHistogram(p, tsdbutil.GenerateTestFloatHistogram(int64(p)))
			}
			cs = append(cs, c)
		}
		q := &operators.Query{Workers: 1}
		e := newExec(q, &stream{columns: cs}, Config{})
		require.NoError(t, e.Bind(t.Context()))
		require.NoError(t, e.Extend())
		bytes[i] = q.Bytes()
		require.NoError(t, e.Open(operators.StepRange{To: 6}))
		b, err := e.Read(&operators.Worker{}, 0)
		require.NoError(t, err)
		require.NotNil(t, b)
		e.Close()
		require.Zero(t, q.Bytes())
		require.Zero(t, q.Held())
	}
	require.Equal(t, bytes[0], bytes[1])
}
