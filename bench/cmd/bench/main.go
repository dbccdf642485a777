// Command bench compares PromQL engines. See the README of the directory above.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := kingpin.New("bench", "Compares PromQL engines: speed, processor time and memory, on answers that are equal.")
	app.HelpFlag.Short('h')
	commands := map[string]func(context.Context) error{}
	for _, c := range []struct {
		name, help string
		add        func(*kingpin.CmdClause) func(context.Context) error
	}{
		{"run", "Run queries on engines and add what they took to a results file. Cells that are there already are not run again.", addRun},
		{"report", "Write BENCHMARKS.md and its charts from results files.", addReport},
		{"compare", "Say what got slower or heavier between two results files. The exit status is 1 if anything did.", addCompare},
		{"profile", "Profile one query on engines and print who spent what.", addProfile},
		{"data", "Make data sets, and print where they are.", addData},
		{"crowd", "Run many heavy queries at once on Stride with a limit on memory, and fail if it does not hold.", addCrowd},
		{"list", "List data sets and queries.", addList},
	} {
		cmd := app.Command(c.name, c.help)
		commands[c.name] = c.add(cmd)
	}
	name := kingpin.MustParse(app.Parse(os.Args[1:]))
	if err := commands[name](ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// cacheFlag is where programs, data sets and results are kept.
func cacheFlag(cmd *kingpin.CmdClause) *string {
	return cmd.Flag("cache", "Directory that keeps programs, data sets and results.").Default(filepath.Join("..", ".cache", "bench")).String()
}

// commandLine is what the user gave, for the report.
func commandLine() string { return strings.Join(append([]string{"bench"}, os.Args[1:]...), " ") }
