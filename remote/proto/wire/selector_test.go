package wire

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

func TestSelector(t *testing.T) {
	matchers := []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, "a", "\xff"), labels.MustNewMatcher(labels.MatchNotEqual, "b", ""),
		labels.MustNewMatcher(labels.MatchRegexp, "c", "x.*"), labels.MustNewMatcher(labels.MatchNotRegexp, "d", "y|z"),
	}
	hints := &storage.SelectHints{
		Start: -1, End: 2, Limit: 3, Step: 4, Func: "rate", Grouping: []string{"g", "\xff"}, By: true, Range: 5, ShardCount: 6, ShardIndex: 1, DisableTrimming: true,
	}
	b, err := proto.Marshal(&stridepb.SelectRequest{Matchers: EncodeMatchers(matchers), Hints: EncodeHints(hints)})
	require.NoError(t, err)
	var m stridepb.SelectRequest
	require.NoError(t, proto.Unmarshal(b, &m))
	got, err := DecodeMatchers(m.Matchers)
	require.NoError(t, err)
	require.Len(t, got, len(matchers))
	for i := range got {
		require.Equal(t, matchers[i].String(), got[i].String())
	}
	require.Equal(t, hints, DecodeHints(m.Hints))
	require.Nil(t, DecodeHints(EncodeHints(nil)))

	for _, m := range []*stridepb.Matcher{{Type: 4, Name: []byte("a")}, {Type: uint32(labels.MatchRegexp), Name: []byte("a"), Value: []byte("(")}} {
		_, err := DecodeMatchers([]*stridepb.Matcher{m})
		require.Error(t, err)
	}
}

func written(ms []*labels.Matcher) (out []string) {
	for _, m := range ms {
		out = append(out, m.String())
	}
	return out
}

// FuzzSelection decodes any bytes as what is selected, on either wire. What is understood is the same after it was sent again.
func FuzzSelection(f *testing.F) {
	matchers := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "a", "\xff"), labels.MustNewMatcher(labels.MatchNotRegexp, "d", "y|z")}
	own, err := proto.Marshal(&stridepb.SelectRequest{Matchers: EncodeMatchers(matchers), Hints: EncodeHints(&storage.SelectHints{Limit: -1, Grouping: []string{""}})})
	require.NoError(f, err)
	thanos, err := proto.Marshal(&thanospb.SeriesRequest{Matchers: EncodeThanosMatchers(matchers)})
	require.NoError(f, err)
	f.Add(own)
	f.Add(thanos)
	f.Fuzz(func(t *testing.T, in []byte) {
		var own stridepb.SelectRequest
		if proto.Unmarshal(in, &own) == nil {
			hints := DecodeHints(own.Hints)
			require.Equal(t, hints, DecodeHints(EncodeHints(hints)))
			if ms, err := DecodeMatchers(own.Matchers); err == nil {
				again, err := DecodeMatchers(EncodeMatchers(ms))
				require.NoError(t, err)
				require.Equal(t, written(ms), written(again))
			}
		}
		var thanos thanospb.SeriesRequest
		if proto.Unmarshal(in, &thanos) == nil {
			if ms, err := DecodeThanosMatchers(thanos.Matchers); err == nil {
				again, err := DecodeThanosMatchers(EncodeThanosMatchers(ms))
				require.NoError(t, err)
				require.Equal(t, written(ms), written(again))
			}
		}
	})
}
