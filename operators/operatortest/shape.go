package operatortest

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"github.com/stride-promql/stride/operators"
)

// Rounds is n times the number in the environment variable STRIDE_TEST_ROUNDS, n without one: the
// rounds of a random test, of which there may be more where time does not matter.
func Rounds(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("STRIDE_TEST_ROUNDS")); err == nil && factor > 0 {
		return n * factor
	}
	return n
}

// shape is one way to run an operator.
type shape struct {
	Seed       uint64
	Workers    int
	MorselRows int                   // of the operator's own output
	Rows       int                   // most rows of an input batch; 0 is all
	Segments   int                   // step segments of a batch
	Ranges     []operators.StepRange // that the grid is cut into; they may overlap
	Shared     bool                  // others see some of the input batches
	Holes      bool                  // series without samples among the others, morsels without rows
	Late       bool                  // input schemas grow from batch to batch, and from range to range
	Together   bool                  // inputs are fed at the same time
	Delayed    bool                  // output batches are looked at when all are there
}

// plain is the simplest shape.
func plain(steps int) shape {
	return shape{Workers: 1, Segments: 1, Ranges: []operators.StepRange{{To: steps}}}
}

func (s shape) oneRange() bool { return len(s.Ranges) == 1 }

func randomShape(rnd *rand.Rand, o Options) shape {
	coin := func() bool { return rnd.IntN(2) == 0 }
	s := shape{
		Seed:       rnd.Uint64(),
		Workers:    1 + rnd.IntN(4),
		MorselRows: rnd.IntN(4),
		Rows:       rnd.IntN(8),
		Segments:   1 + rnd.IntN(4),
		Ranges:     []operators.StepRange{{To: o.Steps}},
		Shared:     coin(),
		Holes:      coin(),
		Late:       rnd.IntN(3) == 0,
		Together:   coin(),
		Delayed:    coin(),
	}
	if !o.OneRange && coin() {
		s.Ranges = cut(rnd, o.Steps, rnd.IntN(4))
		for i := 1; i < len(s.Ranges); i++ {
			// A subquery needs some steps again for the next range of the query around it.
			if !o.Disjoint && rnd.IntN(3) == 0 {
				s.Ranges[i].From -= rnd.IntN(s.Ranges[i].From + 1)
			}
		}
		if !o.Disjoint && rnd.IntN(4) == 0 {
			// Of a subquery there may be nothing to evaluate for a range of the query around it.
			i := rnd.IntN(len(s.Ranges))
			at := s.Ranges[i].From
			s.Ranges = slices.Insert(s.Ranges, i, operators.StepRange{From: at, To: at})
		}
	}
	return s
}

// cut cuts [0, n) at up to k random places.
func cut(rnd *rand.Rand, n, k int) []operators.StepRange {
	at := []int{0, n}
	for range k {
		at = append(at, rnd.IntN(n+1))
	}
	slices.Sort(at)
	at = slices.Compact(at)
	if len(at) == 1 {
		return []operators.StepRange{{}}
	}
	var out []operators.StepRange
	for i := range len(at) - 1 {
		out = append(out, operators.StepRange{From: at[i], To: at[i+1]})
	}
	return out
}
