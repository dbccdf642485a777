package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBar(t *testing.T) {
	require.Equal(t, "[................................]   0%", bar(0, 10, time.Minute))
	require.Equal(t, "[########........................]  25% 3m0s left", bar(1, 4, time.Minute))
	require.Equal(t, "[################................]  50%", bar(1, 2, time.Millisecond))
	require.Equal(t, "[################################] 100%", bar(4, 4, time.Minute))
}

func TestProgressInLines(t *testing.T) {
	var b strings.Builder
	p := newProgress(&b, "working")
	for done := range int64(1001) {
		p.update(done, 1000)
	}
	p.end()
	require.Equal(t, "working: 25%\nworking: 50%\nworking: 75%\nworking: 100%\n", b.String())
}

func TestProgressOnTerminal(t *testing.T) {
	var b strings.Builder
	p := newProgress(&b, "working")
	p.terminal = true
	p.update(1, 2)
	p.update(2, 2)
	p.end()
	require.Equal(t, "\rworking [################................]  50%\x1b[K\rworking [################################] 100%\x1b[K\n", b.String())
}
