package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/bench/profile"
	"github.com/stride-promql/stride/bench/run"
)

func addProfile(cmd *kingpin.CmdClause) func(context.Context) error {
	s := addSelection(cmd)
	out := cmd.Flag("out", "Folder for profiles and flame graphs, one folder in it for each query and engine.").Default("profiles").String()
	duration := cmd.Flag("duration", "Time to profile each engine for.").Default("5s").Duration()
	traced := cmd.Flag("trace", "Take an execution trace too.").Bool()
	return func(ctx context.Context) error {
		c, err := s.config()
		if err != nil {
			return err
		}
		r, err := run.New(ctx, c)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // The lock goes with the process, at the latest.
		return r.Profile(ctx, *out, *duration, *traced, func(name, dir string) error { return show(name, dir, *traced) })
	}
}

// show prints the profiles in a folder and draws their flame graphs.
func show(name, dir string, traced bool) error {
	for _, kind := range []string{"cpu", "heap"} {
		p, err := profile.Read(filepath.Join(dir, kind+".pprof"))
		if err != nil {
			return err
		}
		fmt.Printf("\n%s: %s\n", name, map[string]string{"cpu": "processor time", "heap": "bytes allocated"}[kind])
		if err := p.Print(os.Stdout); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(dir, kind+".svg"))
		if err != nil {
			return err
		}
		err = p.WriteFlame(f, name)
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	if traced {
		c, err := profile.ReadTrace(filepath.Join(dir, "trace.out"))
		if err != nil {
			return err
		}
		c.Print(os.Stdout)
	}
	fmt.Printf("flame graphs: %s\n", filepath.Join(dir, "{cpu,heap}.svg"))
	return nil
}
