package api

import (
	"net/http"
	"strings"
)

// targets answers that there are none: a node scrapes nothing.
func (a *API) targets(r *http.Request) answer {
	list := struct {
		Active  []struct{}     `json:"activeTargets"`
		Dropped []struct{}     `json:"droppedTargets"`
		Counts  map[string]int `json:"droppedTargetCounts"`
	}{Active: []struct{}{}, Dropped: []struct{}{}}
	switch strings.ToLower(r.FormValue("state")) {
	case "", "any", "dropped":
		list.Counts = map[string]int{}
	}
	return answer{data: list}
}

// scrapePools answers that there are none.
func (a *API) scrapePools(*http.Request) answer {
	return answer{data: struct {
		Pools []string `json:"scrapePools"`
	}{[]string{}}}
}
