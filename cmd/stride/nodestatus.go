package main

import (
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/cmd/stride/livedata"
)

func buildInfo() api.BuildInfo {
	return api.BuildInfo{
		Version:   version.Version,
		Revision:  version.GetRevision(),
		Branch:    version.Branch,
		BuildUser: version.BuildUser,
		BuildDate: version.BuildDate,
		GoVersion: version.GoVersion,
	}
}

// runtimeInfo returns what tells how a process does that started then.
func runtimeInfo(started time.Time) func() api.RuntimeInfo {
	// What cannot be found out stays empty: it is for people to look at.
	dir, _ := os.Getwd()
	host, _ := os.Hostname()
	return func() api.RuntimeInfo {
		return api.RuntimeInfo{
			StartTime:           started.UTC(),
			CWD:                 dir,
			Hostname:            host,
			ServerTime:          time.Now().UTC(),
			ReloadConfigSuccess: true,
			LastConfigTime:      started.UTC(),
			GoroutineCount:      runtime.NumGoroutine(),
			GOMAXPROCS:          runtime.GOMAXPROCS(0),
			GOMEMLIMIT:          debug.SetMemoryLimit(-1),
			GOGC:                os.Getenv("GOGC"),
			GODEBUG:             os.Getenv("GODEBUG"),
		}
	}
}

// localEndpoint is the node's own data as a source of data.
func localEndpoint(data *livedata.Directory, external labels.Labels, now time.Time) []api.Endpoint {
	mint, maxt, ok := data.Bounds()
	if !ok {
		return nil
	}
	e := api.Endpoint{Kind: "store", Name: "local", LastCheck: now.UTC(), MinTime: mint, MaxTime: maxt}
	if !external.IsEmpty() {
		e.LabelSets = []labels.Labels{external}
	}
	return []api.Endpoint{e}
}

// configYAML is a node's configuration in the form of Prometheus', of which there are the external labels alone.
func configYAML(external labels.Labels) string {
	if external.IsEmpty() {
		return "global: {}\n"
	}
	var b strings.Builder
	b.WriteString("global:\n  external_labels:\n")
	external.Range(func(l labels.Label) {
		b.WriteString("    " + quoteYAML(l.Name) + ": " + quoteYAML(l.Value) + "\n")
	})
	return b.String()
}

// quoteYAML quotes as JSON does, which YAML understands.
func quoteYAML(s string) string {
	q, err := json.Marshal(s)
	if err != nil {
		panic(err) // A string has an encoding.
	}
	return string(q)
}
