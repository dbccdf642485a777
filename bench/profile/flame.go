package profile

import (
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
)

// frame is a node of a flame graph: a function as called by the one below it.
type frame struct {
	name     string
	value    int64
	children map[string]*frame
}

func (f *frame) child(name string) *frame {
	c := f.children[name]
	if c == nil {
		c = &frame{name: name, children: map[string]*frame{}}
		f.children[name] = c
	}
	return c
}

// Sizes of a flame graph in pixels.
const (
	flameWidth  = 1200
	frameHeight = 17
	leastWidth  = 0.4 // narrower frames are left out
	letter      = 6.5
)

// WriteFlame writes the profile as a flame graph, a picture that needs nothing else: width is what was spent, callers are below.
func (p *Profile) WriteFlame(w io.Writer, title string) error {
	root := &frame{name: title, value: p.Total, children: map[string]*frame{}}
	depth := 0
	for _, s := range p.samples {
		at := root
		for i := len(s.stack) - 1; i >= 0; i-- {
			at = at.child(s.stack[i])
			at.value += s.value
		}
		depth = max(depth, len(s.stack))
	}
	height := (depth + 2) * frameHeight
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="11">`+
		`<rect width="100%%" height="100%%" fill="white"/>`, flameWidth, height)
	if err != nil {
		return err
	}
	if err := root.write(w, 0, height-frameHeight, float64(flameWidth)/float64(max(1, p.Total)), p.Total); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "</svg>")
	return err
}

func (f *frame) write(w io.Writer, x float64, y int, scale float64, total int64) error {
	width := float64(f.value) * scale
	if width < leastWidth {
		return nil
	}
	name := f.name
	if room := int(width / letter); len(name) > room {
		name = name[len(name)-max(0, room):]
	}
	_, err := fmt.Fprintf(w, `<g><title>%s %.2f%%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="white"/><text x="%.1f" y="%d">%s</text></g>`,
		html.EscapeString(f.name), 100*float64(f.value)/float64(max(1, total)), x, y, width, frameHeight, color(f.name), x+2, y+12, html.EscapeString(name))
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(f.children)) {
		c := f.children[k]
		if err := c.write(w, x, y-frameHeight, scale, total); err != nil {
			return err
		}
		x += float64(c.value) * scale
	}
	return nil
}

// color of a function: the same for all of one package.
func color(fn string) string {
	h := uint32(2166136261)
	for _, c := range []byte(packageOf(fn)) {
		h = (h ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("hsl(%d,60%%,75%%)", h%360)
}
