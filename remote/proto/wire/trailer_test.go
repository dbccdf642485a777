package wire

import (
	"testing"

	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

func TestTrailer(t *testing.T) {
	for _, want := range []remote.Trailer{
		{},
		{
			Annotations: annotated(annotations.NewPossibleNonCounterInfo("m", pos(1, 2))),
			Stats:       remote.Stats{Total: []int64{1, 0, 3}, Read: []int64{4, 5, 6}, Series: 7, PeakSamples: 8, PeakBytes: 9},
			Analysis:    "scan: 1 ms\xff\n",
		},
	} {
		b, err := proto.Marshal(EncodeTrailer(want))
		require.NoError(t, err)
		var m stridepb.Trailer
		require.NoError(t, proto.Unmarshal(b, &m))
		got, err := DecodeTrailer(&m, 3)
		require.NoError(t, err)
		requireEqualTexts(t, want.Annotations, got.Annotations)
		require.Equal(t, want.Stats, got.Stats)
		require.Equal(t, want.Analysis, got.Analysis)
	}
	_, err := DecodeTrailer(&stridepb.Trailer{}, 3)
	require.NoError(t, err)
	_, err = DecodeTrailer(&stridepb.Trailer{Stats: &stridepb.Stats{Total: make([]int64, 4)}}, 3)
	require.ErrorContains(t, err, "statistics of 4 steps")
}

// FuzzTrailer decodes any bytes.
func FuzzTrailer(f *testing.F) {
	for _, of := range allAnnotations {
		b, err := proto.Marshal(EncodeTrailer(remote.Trailer{Annotations: annotated(of(pos(1, 2))), Stats: remote.Stats{Total: []int64{1}}}))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		var m stridepb.Trailer
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		t, err := DecodeTrailer(&m, 10)
		if err != nil {
			return
		}
		again, err := DecodeTrailer(EncodeTrailer(t), 10)
		if err == nil {
			again.Annotations.Merge(t.Annotations)
			again.Annotations.AsStrings(queryText, 0, 0)
		}
	})
}
