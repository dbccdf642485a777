package main

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func codeOf(t *testing.T, err error) int {
	t.Helper()
	var coded *codedError
	require.True(t, errors.As(err, &coded), "%v has no exit code", err)
	return coded.code
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.FixedZone("", 3600))
	last := time.UnixMilli(1_700_000_000_500)
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z":          "2026-01-02T03:04:05Z",
		"2026-01-02T03:04:05.25+02:00":  "2026-01-02T01:04:05.25Z",
		"2026-01-02T03:04:05.00049999Z": "2026-01-02T03:04:05Z",
		"0":                             "1970-01-01T00:00:00Z",
		"1700000000.5":                  "2023-11-14T22:13:20.5Z",
		"1.7e9":                         "2023-11-14T22:13:20Z",
		"-1.001":                        "1969-12-31T23:59:58.999Z",
		"now":                           "2026-03-04T04:06:07.123Z",
		"now-1h30m":                     "2026-03-04T02:36:07.123Z",
		"now+1d":                        "2026-03-05T04:06:07.123Z",
		"last":                          "2023-11-14T22:13:20.5Z",
		"last-500ms":                    "2023-11-14T22:13:20Z",
	} {
		m, err := parseMoment(in)
		require.NoError(t, err, in)
		require.Equal(t, want, m.resolve(now, last).Format(time.RFC3339Nano), in)
	}
	for _, in := range []string{
		"", "yesterday", "NaN", "Inf", "-Inf", "1700000000500", "-99999999999999",
		"now-", "now1h", "now-1", "last-1.5h", "now--1h", "lastly", "2026-01-02", "2026-13-01T00:00:00Z",
	} {
		_, err := parseMoment(in)
		require.Error(t, err, in)
	}
}

func TestParseStep(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"15s": 15 * time.Second, "1h30m": 90 * time.Minute, "0.5": 500 * time.Millisecond, "60": time.Minute, "1d": 24 * time.Hour, "1ms": time.Millisecond,
	} {
		got, err := parseStep(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "0", "0s", "-1", "-1s", "NaN", "Inf", "1e300", "0.0001", "fast"} {
		_, err := parseStep(in)
		require.Error(t, err, in)
	}
}

func TestSchedule(t *testing.T) {
	last := time.UnixMilli(10_000_000)
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	for _, tc := range []struct {
		flags timeFlags
		want  grid
	}{
		{timeFlags{}, grid{instant: true, start: at(10_000), end: at(10_000)}},
		{timeFlags{time: "5"}, grid{instant: true, start: at(5), end: at(5)}},
		{timeFlags{step: "1m"}, grid{start: at(6_400), end: at(10_000), step: time.Minute}},
		{timeFlags{end: "4000"}, grid{start: at(400), end: at(4000), step: 14 * time.Second}},
		{timeFlags{start: "last-1m"}, grid{start: at(9_940), end: at(10_000), step: time.Second}},
		{timeFlags{start: "0", end: "0"}, grid{start: at(0), end: at(0), step: time.Second}},
	} {
		s, err := tc.flags.parse()
		require.NoError(t, err)
		got, err := s.resolve(at(0), last)
		require.NoError(t, err)
		require.Equal(t, tc.want, got, "%+v", tc.flags)
	}

	for flags, code := range map[timeFlags]int{
		{time: "1", step: "1s"}:  exitUsage,
		{time: "x"}:              exitTime,
		{start: "x"}:             exitTime,
		{end: "x"}:               exitTime,
		{step: "x"}:              exitTime,
		{start: "2", end: "1"}:   exitTime,
		{start: "now", end: "1"}: exitTime,
	} {
		s, err := flags.parse()
		if err == nil {
			_, err = s.resolve(at(3), last)
		}
		require.Equal(t, code, codeOf(t, err), "%+v", flags)
	}
}

func TestScheduleNeedsLast(t *testing.T) {
	for flags, want := range map[timeFlags]bool{
		{}:                          true,
		{time: "now"}:               false,
		{time: "last-1h"}:           true,
		{start: "1"}:                true,
		{start: "last", end: "now"}: true,
		{start: "now", end: "now"}:  false,
		{end: "now"}:                false,
	} {
		s, err := flags.parse()
		require.NoError(t, err)
		require.Equal(t, want, s.needsLast(), "%+v", flags)
	}
}
