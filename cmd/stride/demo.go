package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/stride-promql/stride/internal/gendata"
)

// demoCommand makes sample data once and shows what queries on it look like.
type demoCommand struct {
	cache    string
	series   int
	duration model.Duration
	engine   engineFlags
}

func registerDemo(app *kingpin.Application) (string, command) {
	var d demoCommand
	cmd := app.Command("demo", "Make sample data, unless it is there, and run some queries on it.")
	cmd.Flag("cache", "Directory that keeps the sample data.").Default(defaultCache()).StringVar(&d.cache)
	cmd.Flag("series", "Number of series at any one time.").Default("3000").IntVar(&d.series)
	cmd.Flag("duration", "How much time the samples cover.").Default("6h").SetValue(&d.duration)
	d.engine.register(cmd)
	return cmd.FullCommand(), d.run
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "stride", "demo")
}

func (d *demoCommand) run(ctx context.Context, c *console) (err error) {
	opts, _, err := d.engine.options()
	if err != nil {
		return err
	}
	dir, err := d.data(ctx, c)
	if err != nil {
		return err
	}
	s, err := openSession(ctx, dir, opts, &d.engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintf(c.stdout, "Sample data from %s to %s in %s\n", formatTime(s.db.MinTime()), formatTime(s.db.MaxTime()), dir)
	for _, q := range demoQueries {
		if err := d.show(ctx, c, s, q); err != nil {
			return fmt.Errorf("%s: %w", q.expr, err)
		}
	}
	_, err = fmt.Fprint(c.stdout, nextSteps(programName(os.Args[0]), dir))
	return err
}

// data returns the directory of the sample data.
func (d *demoCommand) data(ctx context.Context, c *console) (string, error) {
	p := gendata.DefaultProfile(time.Now().Truncate(time.Minute))
	p.Start = p.Start.Add(p.Duration - time.Duration(d.duration))
	p.Series, p.Duration = d.series, time.Duration(d.duration)
	p.PodLifetime = 90 * time.Minute // several versions of the software at the end
	return keptData(ctx, c, d.cache, fmt.Sprintf("%dseries-%s", d.series, d.duration), p)
}

// keptData returns the directory with a name in a cache, which it makes by a profile if it is not there. It gets its name only
// when it is complete, so that what an interrupted run leaves is not taken for it.
func keptData(ctx context.Context, c *console, cache, name string, p gendata.Profile) (_ string, err error) {
	dir := filepath.Join(cache, name)
	switch _, err := os.Stat(dir); {
	case err == nil:
		return dir, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", withCode(exitStorage, err)
	}
	if err := os.MkdirAll(cache, 0o777); err != nil {
		return "", withCode(exitStorage, err)
	}
	unfinished, err := os.MkdirTemp(cache, ".unfinished-")
	if err != nil {
		return "", withCode(exitStorage, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }()
	made := filepath.Join(unfinished, "data")
	sum, err := generate(ctx, c.stderr, made, p)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(c.stderr, "generated %s\n", sum)
	if err := os.Rename(made, dir); err != nil {
		// Somebody else may have made it meanwhile.
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", withCode(exitStorage, err)
		}
	}
	return dir, nil
}

// show runs one query and shows its result as a table and as a chart.
func (d *demoCommand) show(ctx context.Context, c *console, s *session, q demoQuery) error {
	g, err := s.grid(q.times)
	if err != nil {
		return err
	}
	query, err := s.newQuery(ctx, q.expr, g)
	if err != nil {
		return err
	}
	defer query.Close()
	started := time.Now()
	r, err := s.exec(ctx, query, q.expr, g)
	if err != nil {
		return err
	}
	took := time.Since(started)
	fmt.Fprintf(c.stdout, "\n── %s\n   %s\n\n", q.title, q.expr)
	v := viewOf(c.stdout, 0)
	v.height, v.lines = 9, 4 // small ones
	if err := writeTable(c.stdout, r, v); err != nil {
		return err
	}
	writeNotes(c.stderr, r)
	fmt.Fprintf(c.stdout, "evaluated in %s\n", took.Round(10*time.Microsecond))
	if drawn := chart(r, v); drawn != "" {
		fmt.Fprint(c.stdout, "\n"+drawn)
	}
	return nil
}

// programName is how a user can start this program again.
func programName(arg0 string) string {
	if strings.Contains(arg0, "go-build") {
		return "go run ./cmd/stride"
	}
	return arg0
}
