package client

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// goodColumns are columns of one series that a peer may send.
func goodColumns() *stridepb.QueryResponse {
	return &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Columns{Columns: &stridepb.Columns{Series: wire.AppendSeries(nil, remote.Series{}), Steps: 3, Values: make([]byte, 24)}}}
}

var (
	trailer      = &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Trailer{Trailer: &stridepb.Trailer{}}}
	thanosColumn = func(t *testing.T) *thanospb.QueryResponse {
		return &thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: encoded(t, "x", 10_000)}}
	}
)

// Whatever a node does wrong is an error that names it.
func TestNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		frames []*stridepb.QueryResponse
		want   string
	}{
		"no end":                {[]*stridepb.QueryResponse{goodColumns()}, "the answer broke off"},
		"nothing":               {nil, "the answer broke off"},
		"a frame without kind":  {[]*stridepb.QueryResponse{{}}, "a frame of an unknown kind"},
		"columns of nonsense":   {[]*stridepb.QueryResponse{{Frame: &stridepb.QueryResponse_Columns{Columns: &stridepb.Columns{Steps: 4}}}}, "columns make no sense"},
		"a trailer of nonsense": {[]*stridepb.QueryResponse{{Frame: &stridepb.QueryResponse_Trailer{Trailer: &stridepb.Trailer{Stats: &stridepb.Stats{Total: make([]int64, 9)}}}}}, "statistics of 9 steps"},
		"an empty error":        {[]*stridepb.QueryResponse{{Frame: &stridepb.QueryResponse_Error{Error: &stridepb.Error{}}}}, "remote engine leaf: "},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peer{query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
				for _, f := range c.frames {
					if err := out.Send(f); err != nil {
						return err
					}
				}
				return nil
			}}
			client := connect(t, p, strideInfo, Options{})
			require.NoError(t, client.Refresh(t.Context()))
			_, _, err := read(t, client)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "remote engine leaf: ")
			res := rangeQuery(t, client, nil).Exec(t.Context())
			require.ErrorContains(t, res.Err, c.want)
		})
	}
	for name, c := range map[string]struct {
		message *thanospb.QueryResponse
		want    string
	}{
		"bytes":        {&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: []byte{0xff}}}, "a series makes no sense"},
		"a time":       {&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: encoded(t, "x", 13_000)}}, "none of the steps asked for"},
		"between":      {&thanospb.QueryResponse{Result: &thanospb.QueryResponse_Timeseries{Timeseries: encoded(t, "x", 10_500)}}, "none of the steps asked for"},
		"in the batch": {&thanospb.QueryResponse{Result: &thanospb.QueryResponse_TimeseriesBatch{TimeseriesBatch: &thanospb.TimeSeriesBatch{Series: [][]byte{encoded(t, "x", 10_000, 10_000)}}}}, "two samples"},
	} {
		t.Run("thanos "+name, func(t *testing.T) {
			p := &peer{answer: func(_ any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error { return out.Send(c.message) }}
			client := connect(t, p, thanosInfo, Options{})
			require.NoError(t, client.Refresh(t.Context()))
			_, _, err := read(t, client)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "remote engine leaf: ")
		})
	}
}

// A node that dies while it answers is an error on either wire, and is asked again once it is back.
func TestDies(t *testing.T) {
	block := make(chan struct{})
	p := &peer{}
	p.query = func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
		if err := out.Send(goodColumns()); err != nil {
			return err
		}
		<-block
		<-out.Context().Done()
		return nil
	}
	client := connect(t, p, strideInfo, Options{})
	require.NoError(t, client.Refresh(t.Context()))
	s, err := rangeQuery(t, client, nil).(remote.Streamer).Stream(t.Context())
	require.NoError(t, err)
	_, err = s.Next(t.Context())
	require.NoError(t, err)
	close(block)
	p.stop()
	_, err = s.Next(t.Context())
	require.ErrorContains(t, err, "remote engine leaf: ")
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.NoError(t, s.Close())

	// While it is away it is an error as well, and keeps its coverage.
	_, _, err = read(t, client)
	require.ErrorContains(t, err, "remote engine leaf: ")
	require.Len(t, client.Coverage(), 1)
	require.Equal(t, "3.16", client.Capabilities().LanguageLevel)

	p.query = func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error { return out.Send(trailer) }
	p.start()
	require.NoError(t, client.Refresh(t.Context()), "waits for the connection")
	_, _, err = read(t, client)
	require.NoError(t, err)
}

func TestThanosDies(t *testing.T) {
	sent := make(chan struct{})
	p := &peer{}
	p.answer = func(_ any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
		if err := out.Send(thanosColumn(t)); err != nil {
			return err
		}
		close(sent)
		<-out.Context().Done()
		return nil
	}
	client := connect(t, p, thanosInfo, Options{})
	require.NoError(t, client.Refresh(t.Context()))
	s, err := rangeQuery(t, client, nil).(remote.Streamer).Stream(t.Context())
	require.NoError(t, err)
	<-sent
	p.stop()
	_, err = s.Next(t.Context())
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "remote engine leaf: ")
	p.start()
}

// A node that hangs is given up after a while.
func TestHangs(t *testing.T) {
	p := &peer{
		query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error { <-out.Context().Done(); return nil },
		samples: func(out grpc.ServerStreamingServer[stridepb.SelectResponse]) error {
			<-out.Context().Done()
			return nil
		},
	}
	client := connect(t, p, strideInfo, Options{Patience: 100 * time.Millisecond})
	require.NoError(t, client.Refresh(t.Context()))
	_, _, err := read(t, client)
	require.EqualError(t, err, "remote engine leaf: it has not given a sign of life for 100ms")
	q, err := client.Querier(0, 1)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil)
	require.False(t, set.Next())
	require.EqualError(t, set.Err(), "remote engine leaf: it has not given a sign of life for 100ms")
	require.NoError(t, q.Close())
}

// A Thanos node does not say that it works: how long it may be silent between samples is for who asks to say.
func TestThanosHangs(t *testing.T) {
	p := &peer{series: func(_ *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
		if err := sendAll(out, single(rawSeries(t, []string{"a", "x"}, chunk(t, 1))), single(rawSeries(t, []string{"a", "y"}, chunk(t, 1)))); err != nil {
			return err
		}
		<-out.Context().Done()
		return nil
	}}
	client := connect(t, p, thanosInfo, Options{SampleTimeout: 100 * time.Millisecond})
	require.NoError(t, client.Refresh(t.Context()))
	q, err := client.Querier(0, 1)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil)
	require.True(t, set.Next())
	require.Equal(t, labels.FromStrings("a", "x"), set.At().Labels())
	require.False(t, set.Next())
	require.EqualError(t, set.Err(), "remote engine leaf: it has not given a sign of life for 100ms")
	require.NoError(t, q.Close())
}

// One that shows that it lives is not, however long it takes.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		pause := 9 * time.Second
		s := &call[int]{client: &Client{opts: Options{Name: "leaf"}}, ctx: ctx, cancel: cancel, span: trace.SpanFromContext(ctx), patience: 10 * time.Second, recv: func() (*int, error) {
			select {
			case <-time.After(pause):
				return new(int), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		for range 100 {
			_, err := s.next(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Minute) // whoever reads may take his time
		}
		pause = 11 * time.Second
		_, err := s.next(t.Context())
		require.EqualError(t, s.error(err), "remote engine leaf: it has not given a sign of life for 10s")
	})
}

// The signs of life of a Stride node come in its order, before and between what it answers; of a Thanos node there are none.
func TestSigns(t *testing.T) {
	header := &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Header{Header: &stridepb.Header{}}}
	progress := &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Progress{Progress: &stridepb.Progress{}}}
	works := &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Progress{Progress: &stridepb.Progress{}}}
	p := &peer{
		query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
			return sendAll(out, progress, header, progress, goodColumns(), progress, trailer)
		},
		samples: func(out grpc.ServerStreamingServer[stridepb.SelectResponse]) error {
			return sendAll(out, works, &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Header{Header: &stridepb.Header{}}}, works,
				&stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Trailer{Trailer: &stridepb.SelectTrailer{}}})
		},
		answer: func(any, grpc.ServerStreamingServer[thanospb.QueryResponse]) error { return nil },
	}
	for _, info := range []*thanospb.InfoResponse{strideInfo, thanosInfo} {
		client := connect(t, &peer{query: p.query, samples: p.samples, answer: p.answer}, info, Options{})
		require.NoError(t, client.Refresh(t.Context()))
		s, err := rangeQuery(t, client, nil).(remote.Streamer).Stream(t.Context())
		require.NoError(t, err)
		defer s.Close()
		q, err := client.Querier(0, 1)
		require.NoError(t, err)
		defer q.Close()
		set := q.Select(t.Context(), true, nil)
		var got []remote.Sign
		note := func(sign remote.Sign) { got = append(got, sign) }
		require.Equal(t, info == strideInfo, set.(remote.Signaller).OnSign(note))
		signaller, ok := s.(remote.Signaller)
		require.Equal(t, info == strideInfo, ok)
		if !ok {
			continue
		}
		require.True(t, signaller.OnSign(note))
		_, err = s.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, []remote.Sign{remote.Alive, remote.Begun, remote.Alive}, got)
		_, err = s.Next(t.Context())
		require.Equal(t, io.EOF, err)
		require.Equal(t, []remote.Sign{remote.Alive, remote.Begun, remote.Alive, remote.Alive}, got)
		got = nil
		require.False(t, set.Next())
		require.NoError(t, set.Err())
		require.Equal(t, []remote.Sign{remote.Alive, remote.Begun, remote.Alive}, got)
	}
}

// The query's own end is no fault of the node, on either wire.
func TestEnds(t *testing.T) {
	p := &peer{
		query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
			<-out.Context().Done()
			return out.Context().Err()
		},
		answer: func(_ any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
			<-out.Context().Done()
			return out.Context().Err()
		},
	}
	for name, info := range map[string]*thanospb.InfoResponse{"stride": strideInfo, "thanos": thanosInfo} {
		t.Run(name, func(t *testing.T) {
			p := &peer{query: p.query, answer: p.answer}
			client := connect(t, p, info, Options{})
			require.NoError(t, client.Refresh(t.Context()))
			for want, end := range map[error]func() (context.Context, context.CancelFunc){
				context.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
					return context.WithTimeout(t.Context(), 10*time.Millisecond)
				},
				context.Canceled: func() (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(10*time.Millisecond, cancel)
					return ctx, cancel
				},
			} {
				ctx, cancel := end()
				s, err := rangeQuery(t, client, nil).(remote.Streamer).Stream(ctx)
				if err == nil { // it may have ended before
					_, err = s.Next(ctx)
				}
				require.Equal(t, want, err)
				cancel()
			}
		})
	}
}

// What a node refuses keeps its code and its words.
func TestRefusal(t *testing.T) {
	refusal := status.Error(codes.ResourceExhausted, "too many queries")
	p := &peer{
		query:  func(grpc.ServerStreamingServer[stridepb.QueryResponse]) error { return refusal },
		answer: func(any, grpc.ServerStreamingServer[thanospb.QueryResponse]) error { return refusal },
	}
	for _, info := range []*thanospb.InfoResponse{strideInfo, thanosInfo} {
		p := &peer{query: p.query, answer: p.answer}
		client := connect(t, p, info, Options{})
		require.NoError(t, client.Refresh(t.Context()))
		_, _, err := read(t, client)
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.ErrorContains(t, err, "too many queries")
		require.ErrorContains(t, err, "remote engine leaf: ")
	}
}

// Messages are bounded.
func TestTooLarge(t *testing.T) {
	p := &peer{query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
		return out.Send(&stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Trailer{Trailer: &stridepb.Trailer{Analysis: make([]byte, 2000)}}})
	}}
	client := connect(t, p, strideInfo, Options{MaxMessageBytes: 1000})
	require.NoError(t, client.Refresh(t.Context()))
	_, _, err := read(t, client)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}

// A query says which one it is, also if nobody else does.
func TestIdentity(t *testing.T) {
	p := &peer{query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error { return out.Send(trailer) }}
	client := connect(t, p, strideInfo, Options{})
	require.NoError(t, client.Refresh(t.Context()))
	_, _, err := read(t, client)
	require.NoError(t, err)
	require.Len(t, p.metadata.Get("stride-query-id"), 1)
	ctx := remote.WithRequest(t.Context(), remote.Request{ID: "q", Path: []string{"a", "b"}, Tenant: "team"})
	require.NoError(t, rangeQuery(t, client, nil).Exec(ctx).Err)
	require.Equal(t, []string{"q"}, p.metadata.Get("stride-query-id"))
	require.Equal(t, []string{"a", "b"}, p.metadata.Get("stride-path"))
	require.Equal(t, []string{"team"}, p.metadata.Get("thanos-tenant"))
}

// A node that nobody has heard of yet may have any data, and asking it fails.
func TestSilence(t *testing.T) {
	p := &peer{info: func() (*thanospb.InfoResponse, error) { return nil, status.Error(codes.Unavailable, "not ready") }}
	client := connect(t, p, nil, Options{})
	require.ErrorContains(t, client.Refresh(t.Context()), "not ready")
	require.Len(t, client.Coverage(), 1)
	require.Equal(t, remote.Intervals{remote.Always}, client.Coverage()[0].Intervals)
	require.Empty(t, client.Labels())
	_, err := client.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.Unix(1, 0))
	const want = "remote engine leaf: it cannot be asked, because it has not said what it is: not ready (Unavailable)"
	require.EqualError(t, err, want)
	_, err = client.Querier(0, math.MaxInt64)
	require.EqualError(t, err, want)
	require.EqualError(t, client.Status().LastError, "not ready (Unavailable)")

	_, err = New("passthrough:///x", Options{Compression: "zip"})
	require.ErrorContains(t, err, `unknown compression "zip"`)
}

// Closing the client ends what runs.
func TestClose(t *testing.T) {
	p := &peer{query: func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error { <-out.Context().Done(); return nil }}
	p.info = func() (*thanospb.InfoResponse, error) { return strideInfo, nil }
	p.start()
	defer p.stop()
	c, err := New("passthrough:///leaf", Options{Dial: []grpc.DialOption{grpc.WithContextDialer(p.dial)}})
	require.NoError(t, err)
	require.NoError(t, c.Refresh(t.Context()))
	s, err := rangeQuery(t, c, nil).(remote.Streamer).Stream(t.Context())
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := s.Next(t.Context())
		done <- err
	}()
	require.NoError(t, c.Close())
	require.Error(t, <-done)
	var engine *remote.QueryError
	require.False(t, errors.As(err, &engine))
}
