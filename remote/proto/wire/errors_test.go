package wire

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

func TestErrors(t *testing.T) {
	for _, err := range []error{
		promql.ErrQueryTimeout("query queue"),
		promql.ErrQueryCanceled("expression evaluation"),
		promql.ErrTooManySamples("query execution"),
		promql.ErrTooManySeries("x"),
		promql.ErrTooManySamplesRead("y"),
		promql.ErrStorage{Err: errors.New("block \xff is gone")},
		errors.New("found duplicate series for the match group"),
		errors.New(""),
		fmt.Errorf("selector 1: %w", promql.ErrTooManySamples("z")),
		&remote.QueryError{Err: promql.ErrQueryTimeout("a")},
		&remote.QueryError{Err: errors.New("b")},
		&remote.QueryError{Err: fmt.Errorf("c: %w", promql.ErrStorage{Err: errors.New("d")})},
	} {
		b, bad := proto.Marshal(EncodeError(err))
		require.NoError(t, bad)
		var m stridepb.Error
		require.NoError(t, proto.Unmarshal(b, &m))
		got := DecodeError(&m)
		require.Equal(t, err.Error(), got.Error())

		var want, is *remote.QueryError
		require.Equal(t, errors.As(err, &want), errors.As(got, &is))
		for _, typed := range []any{
			new(promql.ErrQueryTimeout), new(promql.ErrQueryCanceled), new(promql.ErrTooManySamples), new(promql.ErrTooManySeries),
			new(promql.ErrTooManySamplesRead), new(promql.ErrStorage),
		} {
			wanted := errors.As(err, typed)
			text := fmt.Sprint(reflect.ValueOf(typed).Elem())
			require.Equal(t, wanted, errors.As(got, typed), "%v %T", err, typed)
			require.Equal(t, text, fmt.Sprint(reflect.ValueOf(typed).Elem()))
		}
	}
	// A kind of a newer version.
	require.EqualError(t, DecodeError(&stridepb.Error{Kind: 77, Text: []byte("x")}), "x")
}
