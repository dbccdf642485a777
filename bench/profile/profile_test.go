package profile

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/trace"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

// made is a profile of stacks, innermost first.
func made(stacks map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	fns := map[string]*profile.Location{}
	for stack, v := range stacks {
		s := &profile.Sample{Value: []int64{1, v}}
		for _, fn := range strings.Split(stack, " ") {
			if fns[fn] == nil {
				f := &profile.Function{ID: uint64(len(fns) + 1), Name: fn}
				fns[fn] = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
				p.Function, p.Location = append(p.Function, f), append(p.Location, fns[fn])
			}
			s.Location = append(s.Location, fns[fn])
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func TestAttribution(t *testing.T) {
	p, err := newProfile(made(map[string]int64{
		"github.com/s/internal/chunkdecode.(*xorDecoder).decode github.com/s/operators/scan.(*Window).Read main.main": 60,
		"runtime.memmove github.com/s/operators/aggregate.(*sums).add main.main":                                      20,
		"runtime.scanObject runtime.gcDrain runtime.gcBgMarkWorker":                                                   15,
		"main.main": 5,
	}))
	require.NoError(t, err)
	require.Equal(t, int64(100), p.Total)
	require.Equal(t, []Spent{{"decode", 60}, {"aggregate", 20}, {"garbage collection", 15}, {other, 5}}, p.ByKind())
	require.Equal(t, []Spent{{"github.com/s/internal/chunkdecode", 60}, {"runtime", 35}, {"main", 5}}, p.ByPackage())
	var b bytes.Buffer
	require.NoError(t, p.Print(&b))
	require.Contains(t, b.String(), "decode                              60.0%")
	b.Reset()
	require.NoError(t, p.WriteFlame(&b, "all <of it>"))
	require.Contains(t, b.String(), "all &lt;of it&gt;")
	require.Contains(t, b.String(), `(*sums).add 20.00%`)
}

func TestNoProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(file, []byte("no"), 0o666))
	_, err := Read(file)
	require.ErrorContains(t, err, "is not a profile")
	_, err = ReadTrace(file)
	require.Error(t, err)
	_, err = newProfile(&profile.Profile{SampleType: []*profile.ValueType{{Type: "contentions"}}})
	require.Error(t, err)
}

func TestTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.out")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, trace.Start(f))
	done := make(chan int)
	go func() {
		sum := 0
		for i := range 1_000_000 {
			sum += i
		}
		done <- sum
	}()
	<-done
	trace.Stop()
	require.NoError(t, f.Close())
	c, err := ReadTrace(file)
	require.NoError(t, err)
	require.Positive(t, c.Wall)
	require.NotEmpty(t, c.Busy)
}
