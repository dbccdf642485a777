package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"
)

// metricMetadata answers that there is no metadata: a node has what the blocks of a TSDB hold, which is none.
func (a *API) metricMetadata(r *http.Request) answer {
	for _, name := range []string{"limit", "limit_per_metric"} {
		if v := r.FormValue(name); v != "" {
			if _, err := strconv.Atoi(v); err != nil {
				return answer{err: badData(errors.New(name + " must be a number"))}
			}
		}
	}
	return answer{data: struct{}{}}
}

// queryExemplars answers that there are no exemplars, which Prometheus holds in memory alone.
func (a *API) queryExemplars(r *http.Request) answer {
	start, end, apiErr := timeRange(r)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	if end.Before(start) {
		return answer{err: badData(errors.New("end timestamp must not be before start timestamp"))}
	}
	expr, err := a.opts.Parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return answer{err: badData(err)}
	}
	if len(parser.ExtractSelectors(expr)) == 0 {
		return answer{}
	}
	return answer{data: []struct{}{}}
}
