package wire

import (
	"io"
	"sync"

	"github.com/golang/snappy"
	"google.golang.org/grpc/encoding"
)

// Snappy is the name of the compression that Thanos' peers know: snappy's framing format.
const Snappy = "snappy"

func init() { encoding.RegisterCompressor(&snappyCompressor{}) }

// snappyCompressor implements encoding.Compressor. gRPC bounds what it reads from it.
type snappyCompressor struct {
	writers, readers sync.Pool
}

// Name implements encoding.Compressor.
func (*snappyCompressor) Name() string { return Snappy }

// Compress implements encoding.Compressor.
func (c *snappyCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	if s, ok := c.writers.Get().(*snappyWriter); ok {
		s.Reset(w)
		return s, nil
	}
	return &snappyWriter{snappy.NewBufferedWriter(w), &c.writers}, nil
}

// Decompress implements encoding.Compressor.
func (c *snappyCompressor) Decompress(r io.Reader) (io.Reader, error) {
	if s, ok := c.readers.Get().(*snappyReader); ok {
		s.Reset(r)
		return s, nil
	}
	return &snappyReader{snappy.NewReader(r), &c.readers}, nil
}

type snappyWriter struct {
	*snappy.Writer
	pool *sync.Pool
}

// Close writes what is left, and lets the writer be used again.
func (w *snappyWriter) Close() error {
	defer w.pool.Put(w)
	return w.Writer.Close()
}

type snappyReader struct {
	*snappy.Reader
	pool *sync.Pool
}

// Read lets the reader be used again at the end.
func (r *snappyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.pool.Put(r)
	}
	return n, err
}
