package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// comparison writes how queries compare, one after the other, and sums up.
type comparison struct {
	most int // differences to print for a query; 0: all

	same, different   int
	tested, reference []time.Duration
}

func (s *comparison) add(w io.Writer, p *queryPair) {
	s.tested = append(s.tested, p.tested.took)
	s.reference = append(s.reference, p.reference.took)
	verdict := "same"
	switch {
	case len(p.differences) > 0:
		verdict = "DIFFERENT"
		s.different++
	case p.tested.err != "":
		verdict = "same error"
		s.same++
	default:
		s.same++
	}
	fmt.Fprintf(w, "%-10s  tested %8s  reference %8s  %s\n", verdict, latency(p.tested.took), latency(p.reference.took), printable(p.expr))
	for i, d := range p.differences {
		if s.most > 0 && i == s.most {
			fmt.Fprintf(w, "    and %d more differences\n", len(p.differences)-i)
			break
		}
		fmt.Fprintf(w, "    %s\n", printable(d))
	}
}

// end writes the sum and returns an error if there were differences.
func (s *comparison) end(w io.Writer) error {
	n := s.same + s.different
	if _, err := fmt.Fprintf(w, "\n%d queries: %d the same, %d different\ntested:    %s\nreference: %s\n",
		n, s.same, s.different, latencies(s.tested), latencies(s.reference)); err != nil {
		return err
	}
	if s.different > 0 {
		return withCode(exitDifferent, fmt.Errorf("%d of %d queries differ", s.different, n))
	}
	return nil
}

func latency(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// latencies sums up how long queries took.
func latencies(all []time.Duration) string {
	sorted := slices.Sorted(slices.Values(all))
	var total time.Duration
	for _, d := range sorted {
		total += d
	}
	return fmt.Sprintf("%s in all, median %s, longest %s", latency(total), latency(sorted[len(sorted)/2]), latency(sorted[len(sorted)-1]))
}

// String says when queries are evaluated.
func (g grid) String() string {
	if g.instant {
		return formatTime(g.end.UnixMilli())
	}
	return fmt.Sprintf("%s to %s, step %s", formatTime(g.start.UnixMilli()), formatTime(g.end.UnixMilli()), model.Duration(g.step))
}
