package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// rules answers that there are none: a node evaluates what it is asked, and nothing else. Parameters are checked as where there are some.
func (a *API) rules(r *http.Request) answer {
	if err := r.ParseForm(); err != nil {
		return answer{err: badData(fmt.Errorf("error parsing form values: %w", err))}
	}
	if _, err := a.matchParams(r); err != nil {
		return answer{err: badData(err)}
	}
	switch typ := strings.ToLower(r.FormValue("type")); typ {
	case "", "alert", "record":
	default:
		return answer{err: invalidParameter("type", fmt.Errorf("not supported value %q", typ))}
	}
	if v := strings.ToLower(r.FormValue("exclude_alerts")); v != "" {
		if _, err := strconv.ParseBool(v); err != nil {
			return answer{err: invalidParameter("exclude_alerts", fmt.Errorf("error converting exclude_alerts: %w", err))}
		}
	}
	if err := noNextRules(r.FormValue("group_limit"), r.FormValue("group_next_token")); err != nil {
		return answer{err: err}
	}
	return answer{data: struct {
		Groups []struct{} `json:"groups"`
	}{[]struct{}{}}}
}

// noNextRules is the error of asking for a page of rules.
func noNextRules(limit, token string) *apiError {
	switch {
	case limit == "" && token == "":
		return nil
	case limit == "":
		return invalidParameter("group_next_token", errors.New("group_limit needs to be present in order to paginate over the groups"))
	}
	n, err := strconv.ParseInt(limit, 10, 32)
	switch {
	case err != nil:
		return invalidParameter("group_limit", fmt.Errorf("group_limit needs to be a valid number: %w", err))
	case n <= 0:
		return invalidParameter("group_limit", errors.New("group_limit needs to be greater than 0"))
	case token != "":
		return invalidParameter("group_next_token", fmt.Errorf("invalid group_next_token '%v'. were rule groups changed?", token))
	}
	return nil
}

// alerts answers that there are none.
func (a *API) alerts(*http.Request) answer {
	return answer{data: struct {
		Alerts []struct{} `json:"alerts"`
	}{[]struct{}{}}}
}

// alertmanagers answers that there are none.
func (a *API) alertmanagers(*http.Request) answer {
	return answer{data: struct {
		Active  []struct{} `json:"activeAlertmanagers"`
		Dropped []struct{} `json:"droppedAlertmanagers"`
	}{[]struct{}{}, []struct{}{}}}
}
