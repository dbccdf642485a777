package replica

import (
	"context"
	"errors"
	"io"
	"maps"

	"github.com/stride-promql/stride/remote"
)

// stream is the answer of a group. Columns of the member that began to answer first go straight through, so that nothing is held here that
// nobody accounts for.
type stream struct {
	*contest
	winner *attempt // the one that answers, or nil
	given  bool     // columns of it were handed out
}

// Next implements remote.ColumnStream.
func (s *stream) Next(ctx context.Context) (c *remote.Columns, err error) {
	for {
		if s.winner == nil {
			if s.winner, err = s.race(ctx); err != nil {
				return nil, err
			}
		}
		a := s.winner
		if a.err == nil {
			c, a.err = a.reply.(*columns).next(ctx)
		}
		switch {
		case a.err == nil:
			s.given = true
			return c, nil
		case !a.failed():
			a.end(whole)
			return nil, a.err
		}
		s.winner = nil
		if err := s.fail(ctx, a); err != nil {
			return nil, err
		}
		if s.given {
			s.given = false
			return nil, remote.ErrRestart
		}
	}
}

// Trailer implements remote.ColumnStream.
func (s *stream) Trailer() remote.Trailer {
	if s.winner == nil || s.winner.err != io.EOF {
		return remote.Trailer{}
	}
	t := s.winner.reply.(*columns).stream.Trailer()
	if s.winner.warning != nil {
		t.Annotations = maps.Clone(t.Annotations)
		t.Annotations.Add(s.winner.warning)
	}
	return t
}

// Close implements remote.ColumnStream. It waits for all members that were asked.
func (s *stream) Close() error {
	if s.winner != nil {
		s.drop(s.winner, cancelled)
	}
	s.contest.close()
	return nil
}

var errNoStream = errors.New("a member of a replica group has to answer as a stream")

// columns are the reply of one member to a query.
type columns struct {
	query  *query
	stream remote.ColumnStream
	first  *remote.Columns // received, not given
}

func (r *columns) begin(ctx context.Context, m *member) error {
	sent, err := r.query.ask(ctx, m.engine)
	if err != nil {
		return err
	}
	s, ok := sent.(remote.Streamer)
	if !ok {
		sent.Close()
		return errNoStream
	}
	if r.stream, err = s.Stream(ctx); err != nil {
		r.stream = nil
		sent.Close()
		return err
	}
	r.first, err = r.stream.Next(ctx)
	return err
}

// next gives the next columns.
func (r *columns) next(ctx context.Context) (c *remote.Columns, err error) {
	if c = r.first; c != nil {
		r.first = nil
		return c, nil
	}
	defer recovered(&err)
	return r.stream.Next(ctx)
}

func (r *columns) close() error {
	if r.stream == nil {
		return nil
	}
	return r.stream.Close()
}
