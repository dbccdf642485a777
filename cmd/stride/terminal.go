package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// defaultWidth is that of output that goes elsewhere than to a terminal.
const defaultWidth = 100

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// viewOf returns the view that w offers; a width other than 0 is the one wanted.
func viewOf(w io.Writer, width int) view {
	v := view{width: width, height: defaultHeight, lines: len(markers)}
	terminal := isTerminal(w)
	if width == 0 {
		v.width = defaultWidth
		if terminal {
			if columns, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil && columns > 0 {
				v.width = columns
			}
		}
	}
	// See no-color.org.
	v.color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return v
}
