package scenarios

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/oracle"
)

// asked is what came of queries that were asked again and again while something else went on.
type asked struct {
	right    int
	took     []time.Duration
	errors   []string
	warnings []string
}

// askWhile asks queries again and again, by so many workers at once, while something is done, and each of them once at least. A wrong answer without a
// warning fails the test; errors and warnings are the caller's to judge.
func askWhile(t *testing.T, right *oracle.Oracle, url string, queries []string, workers int, during func()) *asked {
	t.Helper()
	c, err := client.New(url, nil)
	require.NoError(t, err)
	defer c.Close()
	for _, expr := range queries {
		right.Right(t, expr, false)
	}
	var mu sync.Mutex
	out := &asked{}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; ; i++ {
				if i >= worker+len(queries) {
					select {
					case <-stop:
						return
					default:
					}
				}
				expr := queries[i%len(queries)]
				began := time.Now()
				got, err := c.Query(context.Background(), right.Query(expr, false))
				took := time.Since(began)
				mu.Lock()
				switch {
				case err != nil:
					out.errors = append(out.errors, fmt.Sprintf("%s: %v", expr, err))
				case len(got.Warnings) > 0:
					out.warnings = append(out.warnings, got.Warnings...)
				default:
					if diff := oracle.Difference(right.Right(t, expr, false), got.Value); diff != "" {
						t.Errorf("%s: %s", expr, diff)
					} else {
						out.right++
					}
				}
				out.took = append(out.took, took)
				mu.Unlock()
			}
		})
	}
	func() {
		defer all.Wait()
		defer close(stop) // also if the test ends there
		during()
	}()
	return out
}

// report logs how it went.
func (a *asked) report(t *testing.T, what string) {
	t.Helper()
	slices.Sort(a.took)
	t.Logf("%s: %d answers, %d right, %d errors, %d warnings; p50 %s, p99 %s, most %s", what, len(a.took), a.right, len(a.errors), len(a.warnings),
		a.quantile(0.5), a.quantile(0.99), a.took[len(a.took)-1].Round(time.Millisecond))
}

func (a *asked) quantile(q float64) time.Duration {
	return a.took[int(q*float64(len(a.took)-1))].Round(time.Millisecond)
}
