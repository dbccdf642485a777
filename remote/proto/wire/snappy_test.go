package wire

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
)

func TestSnappy(t *testing.T) {
	c := encoding.GetCompressor(Snappy)
	require.NotNil(t, c)
	for range 3 { // writers and readers are used again
		for _, text := range []string{"", "x", strings.Repeat("abc", 100_000)} {
			var b bytes.Buffer
			w, err := c.Compress(&b)
			require.NoError(t, err)
			_, err = io.WriteString(w, text)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			if text != "" {
				require.Equal(t, "\xff\x06\x00\x00sNaPpY", b.String()[:10], "the framing format's first bytes")
			}
			r, err := c.Decompress(&b)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, text, string(got))
		}
	}
	r, err := c.Decompress(strings.NewReader("nonsense"))
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.Error(t, err)
}
