package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/stride-promql/stride/engine"
)

// The engine takes the place of Prometheus' engine where recording and alerting rules are evaluated.
func Example_rules() {
	dir, err := os.MkdirTemp("", "rules")
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
	for i, job := range []string{"api", "web"} {
		if _, err := app.Append(0, labels.FromStrings("__name__", "up", "job", job), 60_000, float64(i)); err != nil {
			panic(err)
		}
	}
	if err := app.Commit(); err != nil {
		panic(err)
	}

	eng := engine.New(engine.Opts{EngineOpts: promql.EngineOpts{MaxSamples: 50_000_000, Timeout: 2 * time.Minute}})
	defer eng.Close()
	manager := rules.NewManager(&rules.ManagerOptions{
		Context:      context.Background(),
		QueryFunc:    rules.EngineQueryFunc(eng, db),
		AppendableV2: db,
		Queryable:    db,
		Logger:       slog.New(slog.DiscardHandler),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
	})

	file := dir + "/rules.yml"
	text := "groups: [{name: g, rules: [{record: 'job:up:not', expr: '1 - up'}, {record: 'up:sum', expr: 'sum(up)'}]}]"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, file)
	if len(errs) > 0 {
		panic(errs[0])
	}
	for _, g := range groups {
		g.Eval(context.Background(), time.Unix(60, 0))
	}

	qry, err := eng.NewInstantQuery(context.Background(), db, nil, `sort({__name__=~"job:up:not|up:sum"})`, time.Unix(60, 0))
	if err != nil {
		panic(err)
	}
	defer qry.Close()
	fmt.Println(qry.Exec(context.Background()))
	// Output:
	// {__name__="job:up:not", job="web"} => 0 @[60000]
	// {__name__="job:up:not", job="api"} => 1 @[60000]
	// {__name__="up:sum"} => 1 @[60000]
}
