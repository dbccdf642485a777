package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far long work has come: as a bar that moves on a terminal, else as a line for each quarter.
type progress struct {
	w        io.Writer
	what     string
	terminal bool
	started  time.Time
	drawn    time.Time
	quarters int64
}

const (
	barWidth    = 32
	redrawEvery = 100 * time.Millisecond
)

func newProgress(w io.Writer, what string) *progress {
	return &progress{w: w, what: what, terminal: isTerminal(w), started: time.Now()}
}

// update is told that so much of the work is done.
func (p *progress) update(done, total int64) {
	if total <= 0 {
		return
	}
	if !p.terminal {
		if q := done * 4 / total; q > p.quarters {
			p.quarters = q
			fmt.Fprintf(p.w, "%s: %d%%\n", p.what, q*25)
		}
		return
	}
	now := time.Now()
	if now.Sub(p.drawn) < redrawEvery && done < total {
		return
	}
	p.drawn = now
	fmt.Fprintf(p.w, "\r%s %s\x1b[K", p.what, bar(done, total, now.Sub(p.started)))
}

// end leaves the line that the bar is in.
func (p *progress) end() {
	if p.terminal && !p.drawn.IsZero() {
		fmt.Fprintln(p.w)
	}
}

// bar draws the share done of the work and estimates when the rest will be, after it took so long up to here.
func bar(done, total int64, took time.Duration) string {
	full := int(done * barWidth / total)
	s := fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done*100/total)
	// The first few say little about the rest.
	if done*20 >= total && done < total && took > time.Second {
		left := time.Duration(float64(took) * float64(total-done) / float64(done))
		s += fmt.Sprintf(" %s left", left.Round(time.Second))
	}
	return s
}
