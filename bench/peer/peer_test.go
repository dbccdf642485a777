package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fake answers with the number of its execution, fails for "bad", panics for "panic" and never ends for "slow".
type fake struct{ runs, closed int }

func (*fake) Open(dir string, _ int) error {
	if dir == "" {
		return errors.New("no directory")
	}
	return nil
}
func (f *fake) Close() error {
	f.closed++
	return nil
}
func (f *fake) Execute(ctx context.Context, q Query) (Result, error) {
	switch q.Expr {
	case "bad":
		return nil, errors.New("bad query")
	case "panic":
		panic("oh")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.runs++
	return fakeResult(f.runs), nil
}

type fakeResult int

func (r fakeResult) Answer() (*Answer, error) {
	return &Answer{Series: []Series{{Labels: "{}", T: []int64{1}, F: []float64{float64(r)}}}}, nil
}
func (fakeResult) Close()           {}
func (r fakeResult) Decoded() int64 { return 7 }

func talk(t *testing.T, requests ...Request) []Response {
	t.Helper()
	var in, out bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, r := range requests {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := serve(&fake{}, &in, &out); err != nil {
		t.Fatal(err)
	}
	var responses []Response
	for dec := json.NewDecoder(&out); dec.More(); {
		var r Response
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		responses = append(responses, r)
	}
	return responses
}

func TestServe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answer")
	got := talk(t,
		Request{Op: Run},
		Request{Op: Open, Dir: "d", Query: &Query{Expr: "good"}},
		Request{Op: Run}, Request{Op: Check, File: file}, Request{Op: Memory}, Request{Op: "what"}, Request{Op: Close}, Request{Op: Run})
	if len(got) != 7 {
		t.Fatalf("%d responses, want one for each request until close", len(got))
	}
	if !strings.Contains(got[0].Error, "the first request must be open") {
		t.Error(got[0].Error)
	}
	if got[2].Error != "" || got[2].Sample == nil || got[2].Sample.Wall <= 0 || got[2].Decoded != 7 {
		t.Errorf("run: %+v", got[2])
	}
	a, err := ReadAnswer(file)
	if err != nil || a.Points() != 1 || a.Series[0].F[0] != 2 {
		t.Errorf("answer: %+v, %v", a, err)
	}
	if got[4].Error != "" || got[4].Sample == nil {
		t.Errorf("memory: %+v", got[4])
	}
	if !strings.Contains(got[5].Error, "unknown operation") {
		t.Error(got[5].Error)
	}
}

// TestClosed: the data is let go of once, also when the harness has gone, and not when it was never opened.
func TestClosed(t *testing.T) {
	open := `{"op":"open","dir":"d","query":{"expr":"good"}}` + "\n"
	for in, want := range map[string]int{
		open: 1, open + `{"op":"close"}` + "\n": 1, `{"op":"close"}` + "\n": 0, `{"op":"open","query":{}}` + "\n": 0, "": 0,
	} {
		e := &fake{}
		if err := serve(e, strings.NewReader(in), &bytes.Buffer{}); err != nil || e.closed != want {
			t.Errorf("%q: closed %d times instead of %d, %v", in, e.closed, want, err)
		}
	}
}

func TestAnswerFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answer")
	want := &Answer{Series: []Series{
		{Labels: `{a="1"}`, T: []int64{-1, 2}, F: []float64{0.1, math.Inf(-1)}},
		{Labels: `{}`, T: []int64{3}, F: []float64{4}, HT: []int64{5}, H: []string{"count:1 sum:2"}},
		{Labels: `{b="ü\n"}`},
	}}
	if err := WriteAnswer(file, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAnswer(file)
	if err != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("%+v, %v", got, err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(file, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := ReadAnswer(file)
		if err == nil && len(a.Series) == len(want.Series) {
			t.Errorf("the first %d of %d bytes were taken for the whole", n, len(whole))
		}
	}
	// A number of floats that cannot be.
	if err := os.WriteFile(file, append(make([]byte, 8), 255, 255, 255, 255, 255, 255, 255, 255), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAnswer(file); !errors.Is(err, errShort) {
		t.Error(err)
	}
}

func TestServeFailures(t *testing.T) {
	for expr, want := range map[string]string{"bad": "bad query", "panic": "panic: oh", "slow": "context deadline exceeded"} {
		got := talk(t, Request{Op: Open, Dir: "d", Query: &Query{Expr: expr}}, Request{Op: Run, Timeout: time.Millisecond})
		if got[1].Error != want || got[1].Timeout != (expr == "slow") && expr == "slow" {
			t.Errorf("%s: %+v", expr, got[1])
		}
	}
	if got := talk(t, Request{Op: Open, Query: &Query{}}); got[0].Error != "no directory" {
		t.Error(got[0].Error)
	}
	if err := serve(&fake{}, strings.NewReader("no\n"), &bytes.Buffer{}); err == nil {
		t.Error("nonsense was taken for a request")
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	got := talk(t, Request{Op: Open, Dir: "d", Query: &Query{Expr: "good"}}, Request{Op: Profile, File: dir, Duration: time.Millisecond, Trace: true})
	if got[1].Error != "" {
		t.Fatal(got[1].Error)
	}
	for _, name := range []string{"cpu.pprof", "heap.pprof", "trace.out"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusField(t *testing.T) {
	v, err := statusField("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t    8 kB\n", "VmHWM")
	if err != nil || v != 12<<10 {
		t.Error(v, err)
	}
	if _, err := statusField("", "VmHWM"); err == nil {
		t.Error("a field that is not there was found")
	}
}
