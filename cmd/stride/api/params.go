package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// What stands for the start and the end of time where a request gives none. They are Prometheus', which clients send back.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()

	minTimeFormatted = minTime.Format(time.RFC3339Nano)
	maxTimeFormatted = maxTime.Format(time.RFC3339Nano)
)

// parseTime reads unix seconds or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if t, err := strconv.ParseFloat(s, 64); err == nil {
		s, ns := math.Modf(t)
		ns = math.Round(ns*1000) / 1000
		return time.Unix(int64(s), int64(ns*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	// Years of more than four digits, which the parser of package time does not know.
	switch s {
	case minTimeFormatted:
		return minTime, nil
	case maxTimeFormatted:
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// parseDuration reads seconds, or a duration as Prometheus writes them.
func parseDuration(s string) (time.Duration, error) {
	if d, err := strconv.ParseFloat(s, 64); err == nil {
		ns := d * float64(time.Second)
		// Not as ns > MaxInt64, which as a float is one more than there can be, and which NaN is not.
		if !(ns >= math.MinInt64 && ns < math.MaxInt64) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", s)
		}
		return time.Duration(ns), nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
}

// timeParam is a time that need not be given.
func timeParam(r *http.Request, name string, otherwise time.Time) (time.Time, *apiError) {
	v := r.FormValue(name)
	if v == "" {
		return otherwise, nil
	}
	t, err := parseTime(v)
	if err != nil {
		return t, invalidParameter(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// timeRange are the times that labels and series are asked for.
func timeRange(r *http.Request) (start, end time.Time, err *apiError) {
	if start, err = timeParam(r, "start", minTime); err != nil {
		return start, end, err
	}
	end, err = timeParam(r, "end", maxTime)
	return start, end, err
}

// limitParam is the most series, names or values that are wanted. 0: all.
func limitParam(r *http.Request) (int, *apiError) {
	v := r.FormValue("limit")
	if v == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(v)
	if err == nil && limit < 0 {
		err = errors.New("limit must be non-negative")
	}
	if err != nil {
		return 0, invalidParameter("limit", err)
	}
	return limit, nil
}

// hintLimit is what the storage is told of a limit: one more, so that it shows whether there would have been more.
func hintLimit(limit int) int {
	if limit > 0 && limit < math.MaxInt {
		return limit + 1
	}
	return limit
}

// timeoutParam is the longest time that a query may take. 0: as long as others.
func timeoutParam(r *http.Request) (time.Duration, *apiError) {
	v := r.FormValue("timeout")
	if v == "" {
		return 0, nil
	}
	timeout, err := parseDuration(v)
	if err == nil && timeout <= 0 {
		err = fmt.Errorf("timeout must be positive, got %s", timeout)
	}
	if err != nil {
		return 0, invalidParameter("timeout", err)
	}
	return timeout, nil
}

// matchParams are the selectors of match[].
func (a *API) matchParams(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := a.opts.Parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if !selective(set) {
			return nil, errors.New("match[] must contain at least one non-empty matcher")
		}
	}
	return sets, nil
}

// selective tells whether a selector leaves out series without any labels, as one has to.
func selective(matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if m != nil && !m.Matches("") {
			return true
		}
	}
	return false
}

// The values of the parameter stats: with statistics, and with those of each step.
const (
	statsTrue = "true"
	statsAll  = "all"
)

// queryOpts are the options that the engine is given.
func queryOpts(r *http.Request) (promql.QueryOpts, error) {
	var lookback time.Duration
	if v := r.FormValue("lookback_delta"); v != "" {
		var err error
		if lookback, err = parseDuration(v); err != nil {
			return nil, fmt.Errorf("error parsing lookback delta duration: %w", err)
		}
	}
	var useStartTimestamps *bool
	if v := r.Header.Get("X-Prometheus-Use-Start-Timestamps"); v != "" {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return nil, fmt.Errorf("error parsing X-Prometheus-Use-Start-Timestamps header: %w", err)
		}
		useStartTimestamps = &b
	}
	return promql.NewPrometheusQueryOpts(r.FormValue("stats") == statsAll, lookback, useStartTimestamps), nil
}

// statsWarning is a warning for values of stats that Prometheus is going to refuse.
func statsWarning(v string) error {
	switch v {
	case "", statsTrue, statsAll:
		return nil
	}
	return fmt.Errorf("value %q for parameter \"stats\" is deprecated and will be rejected in the next major release, use %q or %q", v, statsTrue, statsAll)
}
