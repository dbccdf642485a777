package replica

import (
	"io"

	"github.com/stride-promql/stride/remote"
)

// stream is the answer of a group in columns. When another member takes over, they begin anew.
type stream struct{ *race[*remote.Columns] }

var _ remote.ColumnStream = (*stream)(nil)

// Trailer implements remote.ColumnStream.
func (s *stream) Trailer() remote.Trailer {
	if s.winner == nil || s.winner.err != io.EOF {
		return remote.Trailer{}
	}
	t := s.winner.answer.(remote.ColumnStream).Trailer()
	t.Annotations = withWarning(t.Annotations, s.winner.warning)
	return t
}
