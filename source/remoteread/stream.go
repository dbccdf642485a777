package remoteread

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"

	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/source/chunkseries"
)

// stream is an answer of chunks: frames, each of which has its length and its checksum in front of it.
type stream struct {
	in      *bufio.Reader
	strip   stripper
	chunks  wire.ChunkReader
	frame   []byte
	pending []*prompb.ChunkedSeries // received, not given
	ended   bool
}

func newStream(body io.Reader, own labels.Labels) *stream {
	return &stream{in: bufio.NewReaderSize(body, 64<<10), strip: newStripper(own)}
}

// next puts a series together, which may come in several frames. Only what follows it tells that it is whole.
func (s *stream) next() (out *chunkseries.Series, err error) {
	for {
		if len(s.pending) == 0 {
			if s.ended && out != nil {
				return out, nil
			}
			if s.ended {
				return nil, io.EOF
			}
			if err := s.receive(); err != nil {
				return nil, err
			}
			continue
		}
		m := s.pending[0]
		l, err := s.strip.labels(m.Labels)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = &chunkseries.Series{Labels: l}
		} else if !labels.Equal(out.Labels, l) {
			return out, nil
		}
		s.pending = s.pending[1:]
		if n := len(out.Chunks); n > 0 && len(m.Chunks) > 0 && m.Chunks[0].MinTimeMs <= out.Chunks[n-1].MinTime {
			return nil, fmt.Errorf("several series become %s, because external labels hide labels of their own", l)
		}
		for _, c := range m.Chunks {
			// Encodings have the numbers that Prometheus' own chunks have.
			meta, err := s.chunks.Read(&stridepb.Chunk{Encoding: uint32(c.Type), Data: c.Data, MinMs: c.MinTimeMs, MaxMs: c.MaxTimeMs})
			if err != nil {
				return nil, fmt.Errorf("series %s: %w", l, err)
			}
			out.Chunks = append(out.Chunks, meta)
		}
	}
}

// maxFrame is the largest frame that is read. Servers send frames of 1 MiB.
const maxFrame = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// receive takes in the next frame, or notes the end, which is between two frames only: anything else is an answer that was cut off.
func (s *stream) receive() error {
	if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
		s.ended = true
		return nil
	}
	size, err := binary.ReadUvarint(s.in)
	if err != nil {
		return cutOff(err)
	}
	if size > maxFrame {
		return fmt.Errorf("the answer has a frame of %d bytes", size)
	}
	var sum [crc32.Size]byte
	if _, err := io.ReadFull(s.in, sum[:]); err != nil {
		return cutOff(err)
	}
	if uint64(cap(s.frame)) < size {
		s.frame = make([]byte, size)
	}
	s.frame = s.frame[:size]
	if _, err := io.ReadFull(s.in, s.frame); err != nil {
		return cutOff(err)
	}
	if crc32.Checksum(s.frame, castagnoli) != binary.BigEndian.Uint32(sum[:]) {
		return errors.New("the answer is damaged: the checksum of a frame is wrong")
	}
	var m prompb.ChunkedReadResponse
	if err := m.Unmarshal(s.frame); err != nil {
		return fmt.Errorf("the answer makes no sense: %w", err)
	}
	if m.QueryIndex != 0 {
		return fmt.Errorf("the answer is to a query %d, and there is but one", m.QueryIndex)
	}
	s.pending = m.ChunkedSeries
	return nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the answer was cut off")
	}
	return err
}

// stripper reads labels and leaves out the server's external labels, which it adds to all series that have none of the same name of their own.
type stripper struct {
	own     labels.Labels
	scratch labels.ScratchBuilder
	names   map[string]struct{}
}

func newStripper(own labels.Labels) stripper {
	return stripper{own: own, scratch: labels.NewScratchBuilder(16), names: map[string]struct{}{}}
}

func (s *stripper) labels(in []prompb.Label) (labels.Labels, error) {
	s.scratch.Reset()
	sorted := true
	for i, l := range in {
		if i > 0 && in[i-1].Name >= l.Name {
			sorted = false
		}
		if l.Value != "" && s.own.Get(l.Name) != l.Value {
			s.scratch.Add(l.Name, l.Value)
		}
	}
	if !sorted {
		clear(s.names)
		for _, l := range in {
			if _, twice := s.names[l.Name]; twice {
				return labels.EmptyLabels(), fmt.Errorf("a series has the label %q twice", l.Name)
			}
			s.names[l.Name] = struct{}{}
		}
		s.scratch.Sort()
	}
	return s.scratch.Labels(), nil
}
