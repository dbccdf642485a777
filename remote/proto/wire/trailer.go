package wire

import (
	"fmt"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

// EncodeTrailer gives a message that shares memory with t.
func EncodeTrailer(t remote.Trailer) *stridepb.Trailer {
	return &stridepb.Trailer{
		Stats: &stridepb.Stats{
			Total: t.Stats.Total, Read: t.Stats.Read, Series: t.Stats.Series,
			PeakSamples: t.Stats.PeakSamples, PeakBytes: t.Stats.PeakBytes,
		},
		Annotations: EncodeAnnotations(t.Annotations),
		Analysis:    []byte(t.Analysis),
	}
}

// DecodeTrailer reads the trailer of a query with the given number of steps. It takes over the memory of m.
func DecodeTrailer(m *stridepb.Trailer, steps int) (remote.Trailer, error) {
	as, err := DecodeAnnotations(m.Annotations)
	if err != nil {
		return remote.Trailer{}, err
	}
	s := m.GetStats()
	if len(s.GetTotal()) > max(1, steps) || len(s.GetRead()) > max(1, steps) {
		return remote.Trailer{}, fmt.Errorf("there are statistics of %d steps, which the query has not", max(len(s.GetTotal()), len(s.GetRead())))
	}
	return remote.Trailer{
		Annotations: as,
		Stats: remote.Stats{
			Total: s.GetTotal(), Read: s.GetRead(), Series: s.GetSeries(), PeakSamples: s.GetPeakSamples(), PeakBytes: s.GetPeakBytes(),
		},
		Analysis: string(m.Analysis),
	}, nil
}
