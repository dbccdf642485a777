// Command stride queries the data directory of a Prometheus server, explains how it would, serves Prometheus' HTTP API on it,
// compares servers, and makes sample data to try it on.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
)

func main() {
	// A reader of the output that goes away must end the command by an error, not by a signal: temporary
	// files have to be removed.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// console is where a command reads and writes.
type console struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// command runs one subcommand with the flags that were parsed into it.
type command func(ctx context.Context, c *console) error

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &console{stdin: stdin, stdout: stdout, stderr: stderr}
	app := kingpin.New("stride", "A columnar PromQL engine for the data directories of Prometheus servers.\n\n"+exitCodesHelp)
	app.HelpFlag.Short('h')
	app.Version(versionText())
	app.UsageWriter(stdout).ErrorWriter(stderr)
	commands := map[string]command{}
	for _, register := range []func(*kingpin.Application) (string, command){
		registerQuery, registerExplain, registerServe, registerCompare, registerGenerate, registerDemo, registerDemoCluster,
	} {
		name, cmd := register(app)
		commands[name] = cmd
	}
	name, done, err := parseArgs(app, args)
	switch {
	case err != nil:
		return report(stderr, withCode(exitUsage, fmt.Errorf("%w (see stride --help)", err)))
	case done:
		return exitOK
	}
	return report(stderr, commands[name](ctx, c))
}

// versionText is what --version prints.
func versionText() string {
	findVersion()
	return version.Print("stride")
}

// findVersion sees that the version is known. Released binaries have it linked in; for others it is what the toolchain knows.
func findVersion() {
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" {
		version.Version = info.Main.Version
	}
}

// terminated is what kingpin is made to panic with where it would end the process.
type terminated struct{}

// parseArgs returns the subcommand that args ask for. It reports done if they asked for help or the version, which
// then has been printed.
func parseArgs(app *kingpin.Application, args []string) (name string, done bool, err error) {
	app.Terminate(func(int) { panic(terminated{}) })
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(terminated); !ok {
				panic(r)
			}
			done = true
		}
	}()
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "-" {
			args[i] = fromStdin
		}
	}
	name, err = app.Parse(args)
	return name, false, err
}
