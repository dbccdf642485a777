package engine_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/stride-promql/stride/engine"
)

// The engine is a promql.QueryEngine: it goes wherever Prometheus' own would.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	app := db.Appender(context.Background())
	for i := range int64(11) {
		if _, err := app.Append(0, labels.FromStrings("__name__", "requests_total", "job", "api"), i*15_000, float64(30*i)); err != nil {
			panic(err)
		}
	}
	if err := app.Commit(); err != nil {
		panic(err)
	}

	var eng promql.QueryEngine = engine.New(engine.Opts{EngineOpts: promql.EngineOpts{MaxSamples: 50_000_000, Timeout: 2 * time.Minute}})
	qry, err := eng.NewRangeQuery(context.Background(), db, nil, `sum by (job) (requests_total) / 2`, time.Unix(90, 0), time.Unix(150, 0), 30*time.Second)
	if err != nil {
		panic(err)
	}
	defer qry.Close()
	fmt.Println(qry.Exec(context.Background()))
	// Output:
	// {job="api"} =>
	// 90 @[90000]
	// 120 @[120000]
	// 150 @[150000]
}
