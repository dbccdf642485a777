package api

import (
	"math"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What Prometheus' tests expect.
func TestParseTime(t *testing.T) {
	at := time.Date(2015, 6, 3, 13, 21, 58, 555e6, time.UTC)
	for s, want := range map[string]time.Time{
		"123":                           time.Unix(123, 0),
		"123.123":                       time.Unix(123, 123e6),
		"1543578564.705":                time.Unix(1543578564, 705e6),
		"2015-06-03T13:21:58.555Z":      at,
		"2015-06-03T14:21:58.555+01:00": at,
		minTimeFormatted:                minTime,
		maxTimeFormatted:                maxTime,
	} {
		got, err := parseTime(s)
		require.NoError(t, err, s)
		require.True(t, got.Equal(want), "%s: %s", s, got)
	}
	for _, s := range []string{"", "abc", "30s"} {
		_, err := parseTime(s)
		require.EqualError(t, err, `cannot parse "`+s+`" to a valid timestamp`)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"123":                    123 * time.Second,
		"123.333":                123*time.Second + 333*time.Millisecond,
		"15s":                    15 * time.Second,
		"5m":                     5 * time.Minute,
		"9223372036.85477":       9223372036854770688,
		"-9223372036.854775808":  math.MinInt64,
		"-1":                     -time.Second,
		"0.0000000001":           0,
		"1e-3":                   time.Millisecond,
		"1d":                     24 * time.Hour,
		"-9223372036.8547754764": -9223372036854775808,
	} {
		got, err := parseDuration(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "abc", "2015-06-03T13:21:58.555Z", "-5m"} {
		_, err := parseDuration(s)
		require.EqualError(t, err, `cannot parse "`+s+`" to a valid duration`)
	}
	for _, s := range []string{"-148966367200.372", "148966367200.372", "9223372036.854776", "NaN", "Inf"} {
		_, err := parseDuration(s)
		require.EqualError(t, err, `cannot parse "`+s+`" to a valid duration. It overflows int64`)
	}
}

func TestHintLimit(t *testing.T) {
	require.Equal(t, 0, hintLimit(0))
	require.Equal(t, 2, hintLimit(1))
	require.Equal(t, math.MaxInt, hintLimit(math.MaxInt))
}

func TestRequestOptions(t *testing.T) {
	b := newBackend(t)
	mux := newMux(Options{Backend: b, PartialResponse: true})
	for _, tc := range []struct {
		params []string
		want   RequestOptions
	}{
		{nil, RequestOptions{Dedup: true, PartialResponse: true}},
		{[]string{"dedup", "false", "partial_response", "0", "engine", "thanos"}, RequestOptions{Engine: "thanos"}},
		{[]string{"dedup", "true", "replicaLabels[]", "replica", "replicaLabels[]", "prometheus"}, RequestOptions{
			Dedup: true, PartialResponse: true, ReplicaLabels: []string{"replica", "prometheus"},
		}},
		{[]string{"max_source_resolution", "5m", "engine", "prometheus"}, RequestOptions{
			Dedup: true, PartialResponse: true, MaxSourceResolution: 5 * time.Minute, Engine: "prometheus",
		}},
		{[]string{"max_source_resolution", "3600"}, RequestOptions{Dedup: true, PartialResponse: true, MaxSourceResolution: time.Hour}},
		{[]string{"max_source_resolution", "auto"}, RequestOptions{Dedup: true, PartialResponse: true, MaxSourceResolution: 12 * time.Second}},
		{[]string{"shard_info", `{"shard_index":0,"total_shards":0}`}, RequestOptions{Dedup: true, PartialResponse: true}},
	} {
		params := values(t, append(tc.params, "query", "1", "start", "0", "end", "60", "step", "60")...)
		w := get(mux, "query_range", params)
		require.Equal(t, 200, w.Code, "%v: %s", tc.params, w.Body)
		require.Equal(t, tc.want, b.asked, "%v", tc.params)
	}

	auto := newMux(Options{Backend: b, AutoResolution: true})
	for given, want := range map[string]time.Duration{"": 12 * time.Second, "auto": 12 * time.Second, "0s": 0, "1h": time.Hour} {
		require.Equal(t, 200, get(auto, "query_range", values(t, "max_source_resolution", given, "query", "1", "start", "0", "end", "60", "step", "60")).Code)
		require.Equal(t, want, b.asked.MaxSourceResolution, given)
	}

	w := get(mux, "labels", values(t, "storeMatch[]", `{__address__="a:1"}`, "storeMatch[]", `{__address__=~"b.*"}`, "partial_response", "false"))
	require.Equal(t, 200, w.Code, w.Body)
	require.Len(t, b.asked.StoreMatch, 2)
	require.Equal(t, `__address__="a:1"`, b.asked.StoreMatch[0][0].String())
	require.False(t, b.asked.PartialResponse)

	for _, tc := range []struct{ name, value, text string }{
		{"dedup", "maybe", `invalid parameter "dedup": "maybe" is not a boolean`},
		{"partial_response", "maybe", `invalid parameter "partial_response": "maybe" is not a boolean`},
		{"analyze", "maybe", `invalid parameter "analyze": "maybe" is not a boolean`},
		{"max_source_resolution", "coarse", `invalid parameter "max_source_resolution": cannot parse "coarse" to a valid duration`},
		{"max_source_resolution", "-1", `invalid parameter "max_source_resolution": must not be negative`},
		{"engine", "mimir", `invalid parameter "engine": unknown engine "mimir": use prometheus, thanos or stride, which give the same answers here`},
		{"storeMatch[]", "{", `invalid parameter "storeMatch[]": 1:2: parse error: unexpected end of input inside braces`},
		{"shard_info", "{", `invalid parameter "shard_info": unexpected end of JSON input`},
		{"shard_info", `{"total_shards":2}`, `invalid parameter "shard_info": sharding is not supported: switch it off in the query frontend`},
	} {
		w := get(mux, "query", values(t, "query", "1", tc.name, tc.value))
		require.Equal(t, 400, w.Code, "%s=%s", tc.name, tc.value)
		require.Equal(t, failure(errorBadData, tc.text), w.Body.String())
	}
}

func TestQueryOpts(t *testing.T) {
	r := httptest.NewRequest("GET", "/?"+url.Values{"lookback_delta": {"90s"}, "stats": {"all"}}.Encode(), nil)
	r.Header.Set("X-Prometheus-Use-Start-Timestamps", "true")
	o, err := queryOpts(r)
	require.NoError(t, err)
	require.True(t, o.EnablePerStepStats())
	require.Equal(t, 90*time.Second, o.LookbackDelta())
	require.True(t, *o.UseStartTimestamps())

	o, err = queryOpts(httptest.NewRequest("GET", "/?stats=true", nil))
	require.NoError(t, err)
	require.False(t, o.EnablePerStepStats())
	require.Zero(t, o.LookbackDelta())
	require.Nil(t, o.UseStartTimestamps())
}
