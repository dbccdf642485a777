package api

import (
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Endpoint is a source of data as it was when last asked.
type Endpoint struct {
	// Kind is the component that it is in the words of Thanos, such as query, sidecar or store.
	Kind string
	Name string // its address
	// LastCheck is when it was asked, LastError what came of that if it was no answer.
	LastCheck time.Time
	LastError error
	// LabelSets are the external labels of its data, MinTime and MaxTime the bounds of its samples in ms.
	LabelSets        []labels.Labels
	MinTime, MaxTime int64
}

// endpointJSON is an Endpoint as Thanos writes it.
type endpointJSON struct {
	Name      string          `json:"name"`
	LastCheck time.Time       `json:"lastCheck"`
	LastError *string         `json:"lastError"`
	LabelSets []labels.Labels `json:"labelSets"`
	MinTime   int64           `json:"minTime"`
	MaxTime   int64           `json:"maxTime"`
}

// stores lists the sources of data by kind.
func (a *API) stores(*http.Request) answer {
	byKind := map[string][]endpointJSON{}
	for _, e := range a.opts.Endpoints() {
		j := endpointJSON{Name: e.Name, LastCheck: e.LastCheck, LabelSets: e.LabelSets, MinTime: e.MinTime, MaxTime: e.MaxTime}
		if j.LabelSets == nil {
			j.LabelSets = []labels.Labels{}
		}
		if e.LastError != nil {
			text := e.LastError.Error()
			j.LastError = &text
		}
		byKind[e.Kind] = append(byKind[e.Kind], j)
	}
	return answer{data: byKind}
}
