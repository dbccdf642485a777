package run

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/suite"
)

// Engine is a program to measure, see package peer.
type Engine struct {
	Name string
	// Program is the directory of its source, in the harness' own.
	Program string
	// OneWorker makes it use one core instead of all.
	OneWorker bool
	// Optional is set for a module of its own that a run does without when it cannot be built.
	Optional bool
	// Reference is set for the engine whose answers are right; NoAnswers for what is no engine.
	Reference, NoAnswers bool
	// Tolerance is by how much a value may differ, relative to the larger of the two.
	Tolerance float64
	// XOR2 and Head tell whether it can read such data.
	XOR2, Head bool
}

// Names of engines that reports speak of.
const (
	Stride     = "stride"
	Stride1    = "stride-1"
	Prometheus = "prometheus"
	Thanos     = "thanos"
	Floor      = "floor"
	Floor1     = "floor-1"
)

// Engines are all engines. To add one, write a program that speaks package peer's protocol, in a folder below peers, and a line here.
func Engines() []Engine {
	return []Engine{
		{Name: Prometheus, Program: "peers/prometheus", Reference: true, XOR2: true, Head: true},
		{Name: Thanos, Program: "peers/thanos", Optional: true, Tolerance: 1e-9},
		{Name: Stride, Program: "peers/stride", Tolerance: 1e-12, XOR2: true, Head: true},
		{Name: Stride1, Program: "peers/stride", OneWorker: true, Tolerance: 1e-12, XOR2: true, Head: true},
		{Name: Floor, Program: "peers/floor", NoAnswers: true, XOR2: true, Head: true},
		{Name: Floor1, Program: "peers/floor", OneWorker: true, NoAnswers: true, XOR2: true, Head: true},
	}
}

// cannotRead is why an engine cannot read a data set, or empty.
func (e Engine) cannotRead(d suite.Dataset) string {
	switch {
	case d.Encoding == "xor2" && !e.XOR2:
		return "its version of Prometheus does not know chunks of encoding XOR2"
	case d.Head && !e.Head:
		return "its version of Prometheus does not read what a newer one has left in a head"
	}
	return ""
}

// programs are what was built.
type programs struct {
	files   map[string]string // by engine
	missing map[string]string // engine -> why it could not be built
}

// build compiles the programs of engines into dir. source is the harness' own directory.
func build(ctx context.Context, source, dir string, engines []Engine) (programs, error) {
	out := programs{files: map[string]string{}, missing: map[string]string{}}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return out, errors.Wrap(err, "make directory of programs")
	}
	built := map[string]error{}
	for _, e := range engines {
		file := filepath.Join(dir, filepath.Base(e.Program))
		err, known := built[file]
		if !known {
			err = compile(ctx, filepath.Join(source, e.Program), file)
			built[file] = err
		}
		switch {
		case err == nil:
			out.files[e.Name] = file
		case e.Optional && ctx.Err() == nil:
			out.missing[e.Name] = err.Error()
		default:
			return out, err
		}
	}
	return out, nil
}

// compile builds in the program's own directory, as it may be a module of its own. Without the state of the repository in it, a
// program stays the same when nothing that it is made of changes.
func compile(ctx context.Context, dir, file string) error {
	c := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", file, ".")
	c.Dir = dir
	out, err := c.CombinedOutput()
	return errors.Wrapf(err, "build %s: %s", dir, bytes.TrimSpace(out))
}
