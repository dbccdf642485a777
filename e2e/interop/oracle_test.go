package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/e2e/oracle"
)

// dataEnd is where the data ends.
var dataEnd = time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)

// regions are the values of the external label by which the data directories differ.
var regions = []string{"eu", "us"}

// dataset is a data directory for each region, and all of them as one storage.
type dataset struct {
	dirs   []string
	merged storage.Queryable
}

// Thanos' queriers evaluate rate and its like over running totals of counters instead of their samples where they read raw data, so that
// the extrapolation to zero after a reset is another one, and they drop stale markers there. Where Thanos evaluates, the data is steady.
const (
	everything = "default"
	steady     = "steady"
)

// generate makes the data with the program that users have.
func generate(t *testing.T, profile string) *dataset {
	t.Helper()
	d := &dataset{}
	var all []storage.Queryable
	for i, region := range regions {
		dir := filepath.Join(t.TempDir(), region)
		oracle.Generate(t, binary(t, "stride"), dir, "--profile", profile, "--series", "400", "--duration", "3h", "--end", dataEnd.Format(time.RFC3339), "--seed", fmt.Sprint(i+1))
		d.dirs = append(d.dirs, dir)
		all = append(all, oracle.Open(t, dir, labels.FromStrings("region", region)))
	}
	d.merged = oracle.Merge(all...)
	return d
}

// answers compares what a server says to queries, range and instant, with Prometheus' engine over all of the data.
func (d *dataset) answers(t *testing.T, url string, queries []string) {
	t.Helper()
	(&oracle.Oracle{Data: d.merged, Start: dataEnd.Add(-90 * time.Minute), End: dataEnd, Step: time.Minute}).Answers(t, url, queries)
}

func queries() []string { return oracle.Queries() }

// TestMain builds Stride from the checkout.
func TestMain(m *testing.M) {
	cmd := exec.Command("go", "build", "-o", ".cache/peers/stride", "./cmd/stride")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building stride:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
