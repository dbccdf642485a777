package api

import (
	"net/http"
	"time"
)

// BuildInfo says which program this is.
type BuildInfo struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Branch    string `json:"branch"`
	BuildUser string `json:"buildUser"`
	BuildDate string `json:"buildDate"`
	GoVersion string `json:"goVersion"`
}

// RuntimeInfo says how the process does. Its fields are those of Prometheus, of which some are empty here: a node keeps no samples
// and reloads no configuration.
type RuntimeInfo struct {
	StartTime           time.Time `json:"startTime"`
	CWD                 string    `json:"CWD"`
	Hostname            string    `json:"hostname"`
	ServerTime          time.Time `json:"serverTime"`
	ReloadConfigSuccess bool      `json:"reloadConfigSuccess"`
	LastConfigTime      time.Time `json:"lastConfigTime"`
	CorruptionCount     int64     `json:"corruptionCount"`
	GoroutineCount      int       `json:"goroutineCount"`
	GOMAXPROCS          int       `json:"GOMAXPROCS"`
	GOMEMLIMIT          int64     `json:"GOMEMLIMIT"`
	GOGC                string    `json:"GOGC"`
	GODEBUG             string    `json:"GODEBUG"`
	StorageRetention    string    `json:"storageRetention"`
}

func (a *API) buildInfo(*http.Request) answer { return answer{data: a.opts.Build} }

func (a *API) runtimeInfo(*http.Request) answer { return answer{data: a.opts.Runtime()} }

func (a *API) flags(*http.Request) answer { return answer{data: a.opts.Flags} }

func (a *API) config(*http.Request) answer {
	return answer{data: struct {
		YAML string `json:"yaml"`
	}{a.opts.Config()}}
}

// activeQueries has no counterpart in Prometheus, which keeps them in a file.
func (a *API) activeQueries(*http.Request) answer {
	list := struct {
		MaxConcurrent int           `json:"maxConcurrent"`
		Queries       []ActiveQuery `json:"queries"`
	}{Queries: []ActiveQuery{}}
	if t := a.opts.Active; t != nil {
		list.MaxConcurrent = t.GetMaxConcurrent()
		list.Queries = t.List()
	}
	return answer{data: list}
}
