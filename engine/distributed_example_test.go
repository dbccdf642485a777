package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
)

// Three storages hold the data of two clusters. That of cluster b has moved from one to another, and some of it is in both. An engine over each
// storage evaluates parts of the query; the one that is asked has no data of its own.
func ExampleNewDistributed() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var endpoints remote.StaticEndpoints
	for _, e := range []struct {
		name, cluster string
		from, to      int // minutes
	}{
		{"europe", "a", 0, 60},
		{"attic", "b", 0, 30},
		{"asia", "b", 20, 60},
	} {
		storage := requests(filepath.Join(dir, e.name), e.cluster, e.from, e.to)
		defer storage.Close()
		endpoints = append(endpoints, engine.NewRemoteEngine(engine.New(engine.Opts{}), storage, engine.RemoteOpts{
			Name:            e.name,
			PartitionLabels: []string{"cluster"},
			Coverage: []remote.Coverage{{
				Labels:    labels.FromStrings("cluster", e.cluster),
				Intervals: remote.Intervals{{Start: after(e.from).UnixMilli(), End: after(e.to).UnixMilli()}},
			}},
		}))
	}
	eng := engine.NewDistributed(engine.Opts{}, endpoints)

	query, err := eng.NewRangeQuery(context.Background(), nil, nil, `sum(rate(requests_total[5m]))`, after(10), after(60), 10*time.Minute)
	if err != nil {
		panic(err)
	}
	defer query.Close()
	_, plan, _ := strings.Cut(query.(engine.ExplainableQuery).Explain().String(), "Optimized plan")
	plan, _, _ = strings.Cut(plan, "\n\n")
	for _, line := range strings.Split(plan, "\n")[2:] {
		fmt.Println(line[2:])
	}
	fmt.Println(query.Exec(context.Background()))
	// Output:
	// sum
	//   dedup coalesce by (cluster)
	//     remote asia: sum by (cluster) (rate(requests_total[5m])) steps 2..5
	//     remote attic: sum by (cluster) (rate(requests_total[5m])) steps 0..2
	//     remote europe: sum by (cluster) (rate(requests_total[5m]))
	// {} =>
	// 4 @[600000]
	// 4 @[1200000]
	// 4 @[1800000]
	// 4 @[2400000]
	// 4 @[3000000]
	// 4 @[3600000]
}

// requests is a storage with two series of a cluster, which grow by one each second from one minute to another.
func requests(dir, cluster string, from, to int) *tsdb.DB {
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		panic(err)
	}
	app := db.Appender(context.Background())
	for m := from; m <= to; m++ {
		for _, pod := range []string{"x", "y"} {
			series := labels.FromStrings("__name__", "requests_total", "cluster", cluster, "pod", pod)
			if _, err := app.Append(0, series, after(m).UnixMilli(), float64(60*m)); err != nil {
				panic(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		panic(err)
	}
	return db
}

func after(minutes int) time.Time { return time.Unix(int64(60*minutes), 0) }
