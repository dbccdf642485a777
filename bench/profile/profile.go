package profile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/efficientgo/core/errors"
	"github.com/google/pprof/profile"
)

// Spent is how much was spent on something.
type Spent struct {
	What  string
	Value int64
}

// Profile is a profile with stacks as names of functions, the innermost first.
type Profile struct {
	Unit    string
	Total   int64
	samples []sample
}

type sample struct {
	stack []string
	value int64
}

// Read reads a profile in pprof's format: time of a CPU profile, bytes allocated of one of allocations.
func Read(file string) (*Profile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Wrap(err, "read profile")
	}
	defer f.Close() //nolint:errcheck // It was only read.
	p, err := profile.Parse(f)
	if err != nil {
		return nil, errors.Wrapf(err, "%s is not a profile", file)
	}
	return newProfile(p)
}

func newProfile(p *profile.Profile) (*Profile, error) {
	at := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "cpu" || t.Type == "alloc_space" })
	if at < 0 {
		return nil, errors.New("the profile is neither of CPU time nor of allocations")
	}
	out := &Profile{Unit: p.SampleType[at].Unit}
	for _, s := range p.Sample {
		var stack []string
		for _, l := range s.Location {
			for _, line := range l.Line {
				if line.Function != nil {
					stack = append(stack, line.Function.Name)
				}
			}
		}
		out.samples = append(out.samples, sample{stack, s.Value[at]})
		out.Total += s.Value[at]
	}
	return out, nil
}

// ByKind is what was spent on each kind of work, the most first.
func (p *Profile) ByKind() []Spent {
	return p.by(kindOf)
}

// ByPackage is what was spent in the functions of each package themselves.
func (p *Profile) ByPackage() []Spent {
	return p.by(func(stack []string) string {
		if len(stack) == 0 {
			return other
		}
		return packageOf(stack[0])
	})
}

func (p *Profile) by(what func([]string) string) []Spent {
	sums := map[string]int64{}
	for _, s := range p.samples {
		sums[what(s.stack)] += s.value
	}
	var out []Spent
	for k, v := range sums {
		out = append(out, Spent{k, v})
	}
	slices.SortFunc(out, func(a, b Spent) int {
		if a.Value != b.Value {
			return int(min(1, max(-1, b.Value-a.Value)))
		}
		if a.What < b.What {
			return -1
		}
		return 1
	})
	return out
}

// Print writes both as tables of shares.
func (p *Profile) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, x := range []struct {
		title string
		rows  []Spent
	}{{"by work", p.ByKind()}, {"by package", p.ByPackage()}} {
		fmt.Fprintf(t, "%s\t\n", x.title)
		for i, s := range x.rows {
			const most = 15
			if i == most || s.Value == 0 {
				break
			}
			fmt.Fprintf(t, "  %s\t%5.1f%%\n", s.What, 100*float64(s.Value)/float64(p.Total))
		}
	}
	return t.Flush()
}
