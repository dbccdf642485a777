package difftest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/teststorage"
)

// Config says what to compare. The zero value of every field but Candidate
// has a sensible meaning.
type Config struct {
	// Seed decides data and queries, First is the index of the first case and
	// Queries the number of cases (1000 if 0). Seed and index of a mismatch
	// reproduce it with Queries set to 1.
	Seed    uint64
	First   int
	Queries int

	// Candidate makes the engines under test, Reference those that are right
	// (Prometheus if nil).
	Candidate, Reference EngineFactory

	// Datasets, Variants and Generators default to all of this package's.
	Datasets   []*Dataset
	Variants   []Variant
	Generators []Generator

	// MaxSteps bounds the steps of range queries (30 if 0).
	MaxSteps int
	// Tolerance replaces DefaultTolerance unless 0.
	Tolerance float64
	// Inexact lets instant queries differ by the tolerance too: sums are added up in another order.
	Inexact bool
	// Stats compares sample statistics too.
	Stats bool
	// SelfChecks compares every n-th range query of the candidate with its own
	// instant queries and halves; 0 is never.
	SelfChecks int
	// Explained lists accepted differences (Explanations() if nil).
	Explained []Explanation
	// MaxMismatches ends the run early (10 if 0).
	MaxMismatches int
}

func (cfg *Config) setDefaults() {
	if cfg.Queries == 0 {
		cfg.Queries = 1000
	}
	if cfg.Reference == nil {
		cfg.Reference = Prometheus
	}
	if cfg.Datasets == nil {
		cfg.Datasets = Datasets(cfg.Seed)
	}
	if cfg.Variants == nil {
		cfg.Variants = Variants()
	}
	if cfg.Generators == nil {
		cfg.Generators = []Generator{Grammar(4)}
	}
	if cfg.MaxSteps == 0 {
		cfg.MaxSteps = 30
	}
	if cfg.Tolerance == 0 {
		cfg.Tolerance = DefaultTolerance
	}
	if cfg.Explained == nil {
		cfg.Explained = Explanations()
	}
	if cfg.MaxMismatches == 0 {
		cfg.MaxMismatches = 10
	}
}

// Reproduction is a mismatch, as it was found and in its smallest form.
type Reproduction struct {
	Found, Shrunk         Case
	FoundDiff, ShrunkDiff Difference
	// Check names the self check that failed, empty for a comparison with the reference.
	Check string
}

func (r Reproduction) String() string {
	what := "differs from the reference"
	if r.Check != "" {
		what = "differs from its own " + r.Check
	}
	return fmt.Sprintf("%s in %s\nshrunk: %s\n  %s\nfound: %s\n  %s", what, r.ShrunkDiff.Part, r.Shrunk, r.ShrunkDiff.String(), r.Found, r.FoundDiff.String())
}

// Report is what a run found out.
type Report struct {
	// Queries ran, of which NonEmpty had samples in their result, Errors
	// failed (Unparsed of them in the parser, Panics in a runtime error that
	// the reference recovered from) and Annotated had annotations.
	Queries, NonEmpty, Errors, Unparsed, Panics, Annotated int
	// SelfChecked counts the queries compared with themselves.
	SelfChecked int
	// Unstable counts the queries to which the reference gave several answers
	// and the candidate one among or between them.
	Unstable int
	// Explained counts accepted differences by reason.
	Explained  map[string]int
	Coverage   Coverage
	ErrorTexts map[string]int
	Mismatches []Reproduction
	Took       time.Duration
}

func (r *Report) String() string {
	share := func(n int) float64 { return 100 * float64(n) / float64(max(r.Queries, 1)) }
	var b strings.Builder
	fmt.Fprintf(&b, "%d queries in %s (%.0f/s): %.1f%% non-empty, %.1f%% errors (%d unparsed, %d panics), %.1f%% annotated, %d unstable, %d self checks, %d mismatches\n",
		r.Queries, r.Took.Round(time.Millisecond), float64(r.Queries)/max(r.Took.Seconds(), 1e-9),
		share(r.NonEmpty), share(r.Errors), r.Unparsed, r.Panics, share(r.Annotated), r.Unstable, r.SelfChecked, len(r.Mismatches))
	for reason, n := range r.Explained {
		fmt.Fprintf(&b, "explained %d times: %s\n", n, reason)
	}
	fmt.Fprintf(&b, "coverage: %s\n", r.Coverage)
	for _, m := range r.Mismatches {
		fmt.Fprintf(&b, "%s\n", m)
	}
	return b.String()
}

// Run executes the configuration and fails t for every mismatch.
func Run(t testing.TB, cfg Config) *Report {
	t.Helper()
	report, err := Execute(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range report.Mismatches {
		t.Error(m.String())
	}
	for _, e := range cfg.Explained {
		// A few are chance.
		if n := report.Explained[e.Reason]; e.Most > 0 && n > 3+2*report.Queries*e.Most/10_000 {
			t.Errorf("%d of %d differences explained, of %d in 10,000 at most: %s", n, report.Queries, e.Most, e.Reason)
		}
	}
	return report
}

// Execute runs the configuration. Its error tells that the run itself failed;
// mismatches are in the report.
func Execute(ctx context.Context, cfg Config) (_ *Report, err error) {
	s := newSession(cfg)
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	for i := range s.cfg.Queries {
		if ctx.Err() != nil || len(s.report.Mismatches) >= s.cfg.MaxMismatches {
			break
		}
		index := s.cfg.First + i
		c := s.choose(SeededChoices(s.cfg.Seed<<32 + uint64(index)))
		c.Index = index
		if err := s.check(ctx, c); err != nil {
			return s.report, err
		}
	}
	s.report.Took = time.Since(began)
	return s.report, ctx.Err()
}

// session is a run in progress: open storages and engines.
type session struct {
	cfg        Config
	parser     parser.Parser
	storages   map[*Dataset]*teststorage.TestStorage
	references map[string]promql.QueryEngine
	candidates map[string]promql.QueryEngine
	report     *Report
	ranges     int
}

func newSession(cfg Config) *session {
	cfg.setDefaults()
	s := &session{
		cfg:        cfg,
		parser:     Parser(),
		storages:   map[*Dataset]*teststorage.TestStorage{},
		references: map[string]promql.QueryEngine{},
		candidates: map[string]promql.QueryEngine{},
		report:     &Report{Explained: map[string]int{}, Coverage: Coverage{}, ErrorTexts: map[string]int{}},
	}
	for _, v := range cfg.Variants {
		s.references[v.Name] = cfg.Reference(v.Opts)
		s.candidates[v.Name] = cfg.Candidate(v.Opts)
	}
	return s
}

func (s *session) close() error {
	var errs []error
	for _, st := range s.storages {
		errs = append(errs, st.Close())
	}
	for _, engines := range []map[string]promql.QueryEngine{s.references, s.candidates} {
		for _, e := range engines {
			if c, ok := e.(interface{ Close() error }); ok {
				errs = append(errs, c.Close())
			}
		}
	}
	return errors.Join(errs...)
}

func (s *session) storage(d *Dataset) (*teststorage.TestStorage, error) {
	st, ok := s.storages[d]
	if !ok {
		var err error
		if st, err = d.Open(); err != nil {
			return nil, err
		}
		s.storages[d] = st
	}
	return st, nil
}

// choose decides for a case.
func (s *session) choose(c *Choices) Case {
	d := s.cfg.Datasets[c.N(len(s.cfg.Datasets))]
	out := Case{Seed: s.cfg.Seed, Dataset: d, Variant: s.cfg.Variants[c.N(len(s.cfg.Variants))]}
	out.Times = ChooseTimes(c, d, s.cfg.MaxSteps)
	if c.Chance(8) {
		out.Lookback = Pick(c, time.Minute, 90*time.Second, 15*time.Minute)
	}
	out.PerStep = s.cfg.Stats && c.Chance(50)
	out.Query = s.cfg.Generators[c.N(len(s.cfg.Generators))](c, d, out.Times)
	return out
}

// check runs a case, records what it shows and shrinks a mismatch.
func (s *session) check(ctx context.Context, c Case) error {
	st, err := s.storage(c.Dataset)
	if err != nil {
		return err
	}
	m, verdict := s.compare(ctx, c, st, maxRuns)
	defer m.close()
	s.count(m)
	switch verdict {
	case verdictUnstable:
		s.report.Unstable++
	case verdictMismatch:
		s.record(c, m.Diff, "", func(smaller Case, runs int) *Difference {
			m, verdict := s.compare(ctx, smaller, st, runs)
			defer m.close()
			if verdict != verdictMismatch {
				return nil
			}
			return m.Diff
		})
	case verdictExplained:
		s.report.Explained[m.reason]++
	}
	s.selfCheck(ctx, c, m.Expr, st)
	return nil
}

type verdict uint8

const (
	verdictEqual verdict = iota
	verdictUnstable
	verdictExplained
	verdictMismatch
)

type comparison struct {
	Mismatch
	reason string
}

func (m *comparison) close() {
	for _, o := range m.Runs {
		o.Close()
	}
	if m.Got != nil {
		m.Got.Close()
	}
}

// compare runs a case on both engines, and on the reference up to runs times
// where they differ.
func (s *session) compare(ctx context.Context, c Case, st *teststorage.TestStorage, runs int) (*comparison, verdict) {
	reference, candidate := s.references[c.Variant.Name], s.candidates[c.Variant.Name]
	m := &comparison{Mismatch: Mismatch{Case: c}}
	m.Runs = []*Outcome{c.Run(ctx, reference, st)}
	m.Got = c.Run(ctx, candidate, st)
	cmp := Comparer{Tolerance: s.cfg.Tolerance}
	if expr, err := s.parser.ParseExpr(c.Query); err == nil {
		m.Expr = expr
		cmp = s.comparer(expr, c.Times)
	}
	cmp.merged = c.Dataset.arrange != nil
	m.Diff = cmp.Compare(m.Runs[0], m.Got)
	if m.Diff == nil {
		return m, verdictEqual
	}
	for len(m.Runs) < runs {
		m.Runs = append(m.Runs, c.Run(ctx, reference, st))
		if len(m.Runs)%runBatch == 0 {
			if m.Diff = cmp.settle(m.Runs, m.Got); m.Diff == nil {
				return m, verdictUnstable
			}
		}
	}
	m.Unstable = !cmp.stable(m.Runs)
	m.Comparer = cmp
	m.Rerun = Rerunning(ctx, c, func(ctx context.Context, c Case) *Outcome { return c.Run(ctx, reference, st) })
	for _, e := range s.cfg.Explained {
		if m.Expr != nil && e.Matches(&m.Mismatch) {
			m.reason = e.Reason
			return m, verdictExplained
		}
	}
	return m, verdictMismatch
}

func (s *session) count(m *comparison) {
	r, first := s.report, m.Runs[0]
	r.Queries++
	switch {
	case first.Err != nil || first.Panic != "":
		r.Errors++
		if m.Expr == nil {
			r.Unparsed++
		}
		if panicked(first) {
			r.Panics++
		}
		r.ErrorTexts[fmt.Sprint(first.Err)]++
	case !first.Empty():
		r.NonEmpty++
	}
	if len(first.Warnings)+len(first.Infos) > 0 {
		r.Annotated++
	}
	if m.Expr != nil {
		r.Coverage.add(m.Expr)
	}
}

// selfCheck compares some of the candidate's range queries with themselves.
func (s *session) selfCheck(ctx context.Context, c Case, expr parser.Expr, st *teststorage.TestStorage) {
	if s.cfg.SelfChecks == 0 || c.Times.Instant || expr == nil || !Stepwise(expr, c.Variant.Opts) {
		return
	}
	if s.ranges++; s.ranges%s.cfg.SelfChecks != 0 {
		return
	}
	s.report.SelfChecked++
	candidate := s.candidates[c.Variant.Name]
	for name, check := range map[string]func(context.Context, Case, promql.QueryEngine, *teststorage.TestStorage) *Difference{
		"instant queries": func(ctx context.Context, c Case, e promql.QueryEngine, st *teststorage.TestStorage) *Difference {
			return CheckInstants(ctx, c, e, st)
		},
		"halves": func(ctx context.Context, c Case, e promql.QueryEngine, st *teststorage.TestStorage) *Difference {
			return CheckHalves(ctx, c, e, st)
		},
	} {
		if diff := check(ctx, c, candidate, st); diff != nil {
			s.record(c, diff, name, func(smaller Case, _ int) *Difference {
				if smaller.Times.Instant {
					return nil
				}
				if expr, err := s.parser.ParseExpr(smaller.Query); err != nil || !Stepwise(expr, c.Variant.Opts) {
					return nil
				}
				return check(ctx, smaller, candidate, st)
			})
		}
	}
}

// record shrinks a mismatch and adds it to the report. On the way down a batch
// of reference runs has to do; the result has to stand up to all of them.
func (s *session) record(c Case, diff *Difference, check string, again func(c Case, runs int) *Difference) {
	r := Reproduction{Found: c, FoundDiff: *diff, Shrunk: c, ShrunkDiff: *diff, Check: check}
	shrunk := Shrink(c, func(smaller Case) bool {
		d := again(smaller, runBatch)
		return d != nil && d.Part == diff.Part
	})
	if d := again(shrunk, maxRuns); d != nil && d.Part == diff.Part {
		r.Shrunk, r.ShrunkDiff = shrunk, *d
	}
	s.report.Mismatches = append(s.report.Mismatches, r)
}

// ErrorKinds lists the reference's error texts, the most frequent first.
func (r *Report) ErrorKinds(n int) []string {
	texts := make([]string, 0, len(r.ErrorTexts))
	for t := range r.ErrorTexts {
		texts = append(texts, t)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if r.ErrorTexts[a] != r.ErrorTexts[b] {
			return r.ErrorTexts[b] - r.ErrorTexts[a]
		}
		return strings.Compare(a, b)
	})
	out := make([]string, 0, n)
	for _, t := range texts[:min(n, len(texts))] {
		out = append(out, fmt.Sprintf("%d: %s", r.ErrorTexts[t], t))
	}
	return out
}

// comparer is the one that a query and the configuration ask for.
func (s *session) comparer(expr parser.Expr, times Times) Comparer {
	c := NewComparer(expr, times, s.cfg.Tolerance, s.cfg.Stats)
	if s.cfg.Inexact {
		c.Tolerance = s.cfg.Tolerance
	}
	return c
}
