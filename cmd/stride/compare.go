package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/cmd/stride/client"
)

// compareCommand runs queries at a server and at another, or on a data directory, and says where the answers differ.
type compareCommand struct {
	server    serverFlags
	reference serverFlags
	dir       string
	dirSet    bool
	times     timeFlags
	engine    engineFlags
	queries   string
	tolerance toleranceFlag
	most      int
	quiet     bool // no annotations
}

func registerCompare(app *kingpin.Application) (string, command) {
	var x compareCommand
	cmd := app.Command("compare", "Run queries at a server with the HTTP API of Prometheus and at another one, or on a data directory, and compare answers and latencies.")
	cmd.Flag("against", "Address of the server whose answers are the reference.").Required().PlaceHolder("URL").StringVar(&x.reference.url)
	cmd.Flag("against-header", "Header for requests to --against.").PlaceHolder("NAME:VALUE").StringsVar(&x.reference.headers)
	cmd.Flag("queries", "File with a query on each line, or - for standard input. Empty lines and those that begin with # are skipped.").
		Required().PlaceHolder("FILE").StringVar(&x.queries)
	x.server.register(cmd)
	cmd.Flag("tsdb.path", "Data directory to evaluate on where there is no --url. It is only read.").
		Default(defaultPath).IsSetByUser(&x.dirSet).StringVar(&x.dir)
	x.times.register(cmd, "last, or with --url now-5m, when samples should have arrived everywhere")
	cmd.Flag("tolerance", "How far values may be apart, relative to the larger one. Default: 1e-12, and 0 for instant queries without sums and averages over time.").
		PlaceHolder("NUMBER").SetValue(&x.tolerance)
	cmd.Flag("max-differences", "Most differences to print for a query; 0: all.").Default("5").IntVar(&x.most)
	cmd.Flag("ignore-annotations", "Do not compare what PromQL warns of or informs of, whose texts differ from version to version. Warnings of the servers count in any case.").
		BoolVar(&x.quiet)
	x.engine.register(cmd)
	return cmd.FullCommand(), x.run
}

// settling is how long after its time a sample should be there in both of two servers.
const settling = 5 * time.Minute

// evaluator evaluates queries somewhere.
type evaluator interface {
	fmt.Stringer
	evaluate(ctx context.Context, expr string, g grid) (*result, error)
}

func (x *compareCommand) run(ctx context.Context, c *console) (err error) {
	times, err := x.times.parse()
	if err != nil {
		return err
	}
	queries, err := x.readQueries(c.stdin)
	if err != nil {
		return err
	}
	reference, err := x.reference.open(&x.engine)
	if err != nil {
		return err
	}
	defer reference.Close()
	tested, g, closeTested, err := x.open(ctx, times)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTested()) }()
	fmt.Fprintf(c.stdout, "tested:    %s\nreference: %s\nat:        %s\n\n", tested, reference, g)
	sum := &comparison{most: x.most}
	for i, expr := range queries {
		pair, err := runBoth(ctx, tested, reference, expr, g, i%2 == 1)
		if err != nil {
			return err
		}
		if x.quiet {
			pair.tested.result.dropAnnotations()
			pair.reference.result.dropAnnotations()
		}
		pair.differences = differences(pair.tested, pair.reference, x.tolerance.of(expr, g.instant), ordering(expr, g.instant))
		sum.add(c.stdout, pair)
	}
	return sum.end(c.stdout)
}

// open makes what is compared with the reference, and the times of the queries.
func (x *compareCommand) open(ctx context.Context, times schedule) (evaluator, grid, func() error, error) {
	if x.server.url != "" {
		if x.dirSet {
			return nil, grid{}, nil, withCode(exitUsage, errors.New("--url and --tsdb.path exclude each other: give the one that is to be compared"))
		}
		g, err := times.withoutLast(moment{anchor: atNow, offset: -settling}).resolveAtServer(time.Now())
		if err != nil {
			return nil, grid{}, nil, err
		}
		s, err := x.server.open(&x.engine)
		if err != nil {
			return nil, grid{}, nil, err
		}
		return s, g, func() error { s.Close(); return nil }, nil
	}
	opts, _, err := x.engine.options()
	if err != nil {
		return nil, grid{}, nil, err
	}
	s, err := openSession(ctx, x.dir, opts, &x.engine)
	if err != nil {
		return nil, grid{}, nil, err
	}
	g, err := s.grid(times)
	if err != nil {
		return nil, grid{}, nil, errors.Join(err, s.Close())
	}
	return s, g, s.Close, nil
}

// readQueries reads the file of queries.
func (x *compareCommand) readQueries(stdin io.Reader) (queries []string, err error) {
	in := stdin
	if x.queries != fromStdin {
		f, openErr := os.Open(x.queries)
		if openErr != nil {
			return nil, withCode(exitUsage, fmt.Errorf("--queries: %w", openErr))
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxQueryLength)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			queries = append(queries, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--queries: %w", err))
	}
	if len(queries) == 0 {
		return nil, withCode(exitUsage, errors.New("--queries: there is no query in it"))
	}
	return queries, nil
}

// maxQueryLength is that of the longest line of a file of queries.
const maxQueryLength = 1 << 20

// outcome is what one side made of a query: a result, or an error that is an answer.
type outcome struct {
	result *result
	err    string
	took   time.Duration
}

// queryPair is a query and what both sides made of it.
type queryPair struct {
	expr              string
	tested, reference outcome
	differences       []string
}

// runBoth runs a query on both sides, one after the other. Which is first changes, so that what both read, such as files, does not
// always come to the other's good. An error is one that ends the comparison.
func runBoth(ctx context.Context, tested, reference evaluator, expr string, g grid, referenceFirst bool) (*queryPair, error) {
	p := &queryPair{expr: expr}
	sides := []struct {
		at evaluator
		to *outcome
	}{{tested, &p.tested}, {reference, &p.reference}}
	if referenceFirst {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		started := time.Now()
		r, err := s.at.evaluate(ctx, expr, g)
		s.to.result, s.to.took = r, time.Since(started)
		if err == nil {
			continue
		}
		var answered *client.Error
		var failed *queryError
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &answered):
			s.to.err = strings.TrimPrefix(answered.Error(), invalidQuery)
		case errors.As(err, &failed):
			s.to.err = failed.Error()
		default:
			return nil, withCode(exitServer, err)
		}
	}
	return p, nil
}

// queryError is an error that is the answer to a query.
type queryError struct{ err error }

func (e *queryError) Error() string { return e.err.Error() }
func (e *queryError) Unwrap() error { return e.err }

// String names what a session evaluates on.
func (s *session) String() string { return s.dir }

// evaluate evaluates a query. An error that is an answer to it is a *queryError.
func (s *session) evaluate(ctx context.Context, expr string, g grid) (*result, error) {
	q, err := s.makeQuery(ctx, expr, g)
	if err != nil {
		return nil, &queryError{err}
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, &queryError{res.Err}
	}
	return newResult(res, expr, g), nil
}
