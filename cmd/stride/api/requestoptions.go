package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// autoResolution asks for a resolution that suits the steps.
const autoResolution = "auto"

// stepsPerResolution is how many samples of downsampled data there have to be in a step for it to suit.
const stepsPerResolution = 5

// requestOptions reads the parameters of RequestOptions. step is that of the query, 0 without one.
func (a *API) requestOptions(r *http.Request, step time.Duration) (RequestOptions, *apiError) {
	o := RequestOptions{Dedup: true, PartialResponse: a.opts.PartialResponse}
	if err := boolParam(r, "dedup", &o.Dedup); err != nil {
		return o, err
	}
	if err := boolParam(r, "partial_response", &o.PartialResponse); err != nil {
		return o, err
	}
	o.ReplicaLabels = r.Form["replicaLabels[]"]
	if match := r.Form["storeMatch[]"]; len(match) > 0 {
		var err error
		if o.StoreMatch, err = a.opts.Parser.ParseMetricSelectors(match); err != nil {
			return o, invalidParameter("storeMatch[]", err)
		}
	}
	switch v := r.FormValue("max_source_resolution"); {
	case v == "" && !a.opts.AutoResolution:
	case v == "" || v == autoResolution:
		o.MaxSourceResolution = step / stepsPerResolution
	default:
		var err error
		if o.MaxSourceResolution, err = parseDuration(v); err != nil {
			return o, invalidParameter("max_source_resolution", err)
		}
		if o.MaxSourceResolution < 0 {
			return o, invalidParameter("max_source_resolution", errors.New("must not be negative"))
		}
	}
	switch o.Engine = r.FormValue("engine"); o.Engine {
	case "", "prometheus", "thanos", "stride":
	default:
		return o, invalidParameter("engine", fmt.Errorf("unknown engine %q: use prometheus, thanos or stride, which give the same answers here", o.Engine))
	}
	return o, checkShard(r)
}

// checkShard refuses to answer for a part of the series alone: whoever asks would take an answer over all of them for a part and
// count them several times.
func checkShard(r *http.Request) *apiError {
	v := r.FormValue("shard_info")
	if v == "" {
		return nil
	}
	var shard struct {
		TotalShards int64 `json:"total_shards"`
	}
	if err := json.Unmarshal([]byte(v), &shard); err != nil {
		return invalidParameter("shard_info", err)
	}
	if shard.TotalShards > 0 {
		return invalidParameter("shard_info", errors.New("sharding is not supported: switch it off in the query frontend"))
	}
	return nil
}

// boolParam reads a parameter into to, which stays as it is if there is none.
func boolParam(r *http.Request, name string, to *bool) *apiError {
	v := r.FormValue(name)
	if v == "" {
		return nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return invalidParameter(name, fmt.Errorf("%q is not a boolean", v))
	}
	*to = b
	return nil
}
