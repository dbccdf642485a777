package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"

	"github.com/stride-promql/stride/remote"
)

// maxLabelBytes is the longest name or value that is read: some representations of labels cannot hold more than 16 MiB.
const maxLabelBytes = 1 << 20

var errLabels = errors.New("labels make no sense")

// AppendSeries appends a series as in stridepb.Columns.
func AppendSeries(b []byte, s remote.Series) []byte {
	head := uint64(s.Labels.Len()) << 1
	if s.DropName {
		head |= 1
	}
	b = binary.AppendUvarint(b, head)
	s.Labels.Range(func(l labels.Label) {
		b = appendText(b, l.Name)
		b = appendText(b, l.Value)
	})
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// SeriesReader reads series one after another, all with the same scratch space.
type SeriesReader struct {
	builder labels.ScratchBuilder
}

// NewSeriesReader makes a SeriesReader, for one goroutine.
func NewSeriesReader() *SeriesReader {
	r := &SeriesReader{builder: labels.NewScratchBuilder(16)}
	r.builder.SetUnsafeAdd(true) // what is added shares memory with what is read
	return r
}

// Read reads the first series of b and gives the rest of it. The series does not share memory with b.
func (r *SeriesReader) Read(b []byte) (remote.Series, []byte, error) {
	head, n := binary.Uvarint(b)
	if n <= 0 {
		return remote.Series{}, nil, errLabels
	}
	b = b[n:]
	r.builder.Reset()
	before := ""
	for range head >> 1 {
		var name, value string
		var ok bool
		if name, b, ok = readText(b); !ok || name <= before {
			return remote.Series{}, nil, errLabels
		}
		if value, b, ok = readText(b); !ok {
			return remote.Series{}, nil, errLabels
		}
		r.builder.Add(name, value)
		before = name
	}
	return remote.Series{Labels: r.builder.Labels(), DropName: head&1 != 0}, b, nil
}

// readText reads a text, which shares memory with b.
func readText(b []byte) (s string, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > maxLabelBytes || size > uint64(len(b)-n) {
		return "", nil, false
	}
	b = b[n:]
	return unsafe.String(unsafe.SliceData(b), int(size)), b[size:], true
}

// AppendThanosLabels appends labels as a prometheus.Labels, which thanos.ZLabelSet equals.
func AppendThanosLabels(l labels.Labels) ([]byte, error) {
	return (&prompb.Labels{Labels: prompb.FromLabels(l, nil)}).Marshal()
}

// ReadThanosLabels reads labels as AppendThanosLabels writes them.
func ReadThanosLabels(b []byte, builder *labels.ScratchBuilder) (labels.Labels, error) {
	var set prompb.Labels
	if err := set.Unmarshal(b); err != nil {
		return labels.EmptyLabels(), fmt.Errorf("%w: %w", errLabels, err)
	}
	return thanosLabels(set.Labels, builder)
}

// ReadThanosSeriesLabels reads the labels of a thanos.Series, each one a prometheus.Label.
func ReadThanosSeriesLabels(bs [][]byte, builder *labels.ScratchBuilder) (labels.Labels, error) {
	set := make([]prompb.Label, len(bs))
	for i, b := range bs {
		if err := set[i].Unmarshal(b); err != nil {
			return labels.EmptyLabels(), fmt.Errorf("%w: %w", errLabels, err)
		}
	}
	return thanosLabels(set, builder)
}

// ThanosSeriesLabels gives labels as ReadThanosSeriesLabels reads them.
func ThanosSeriesLabels(l labels.Labels) ([][]byte, error) {
	var (
		out [][]byte
		err error
	)
	l.Range(func(l labels.Label) {
		b, marshalErr := (&prompb.Label{Name: l.Name, Value: l.Value}).Marshal()
		err = errors.Join(err, marshalErr)
		out = append(out, b)
	})
	return out, err
}

// thanosLabels are labels in any order. Those without a value are as good as not there.
func thanosLabels(set []prompb.Label, builder *labels.ScratchBuilder) (labels.Labels, error) {
	builder.Reset()
	for _, l := range set {
		if l.Name == "" || max(len(l.Name), len(l.Value)) > maxLabelBytes {
			return labels.EmptyLabels(), errLabels
		}
		if l.Value != "" {
			builder.Add(l.Name, l.Value)
		}
	}
	builder.Sort()
	l := builder.Labels()
	if name, twice := l.HasDuplicateLabelNames(); twice {
		return labels.EmptyLabels(), fmt.Errorf("%w: %q is there twice", errLabels, name)
	}
	return l, nil
}
