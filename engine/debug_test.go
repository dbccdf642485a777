package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/stride-promql/stride/engine"
)

func TestDebug(t *testing.T) {
	st := promqltest.LoadedStorage(t, os.Getenv("LOAD"))
	o := suiteOpts()
	o.Workers = 1
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	e := engine.New(o)
	q, err := e.NewInstantQuery(context.Background(), st, nil, os.Getenv("Q"), time.Unix(300, 0))
	if err != nil {
		t.Fatal(err)
	}
	r := q.Exec(context.Background())
	fmt.Println(r.Err, r.Value, r.Warnings)
}
