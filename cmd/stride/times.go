package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"
)

// Where the times of a range query are not given.
const (
	defaultRange = time.Hour
	defaultSteps = 250
	minStep      = time.Second
)

// anchor is what a time is relative to.
type anchor uint8

const (
	absolute anchor = iota
	atNow           // the clock
	atLast          // the newest sample
)

// moment is a time as given on the command line.
type moment struct {
	anchor anchor
	at     time.Time     // if absolute
	offset time.Duration // to the anchor
}

// parseMoment reads RFC 3339, unix seconds, or "now" or "last" with an optional offset.
func parseMoment(s string) (moment, error) {
	for _, a := range []struct {
		name   string
		anchor anchor
	}{{"now", atNow}, {"last", atLast}} {
		if rest, ok := strings.CutPrefix(s, a.name); ok {
			offset, err := parseOffset(rest)
			return moment{anchor: a.anchor, offset: offset}, err
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return moment{at: t.Round(time.Millisecond).UTC()}, nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) {
		return moment{}, errors.New("not RFC 3339 (2006-01-02T15:04:05Z), unix seconds, now or last (now-1h)")
	}
	const year0, year10000 = -62167219200, 253402300800
	if seconds < year0 || seconds >= year10000 {
		return moment{}, errors.New("outside the years 0 to 9999: unix times are in seconds")
	}
	return moment{at: time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()}, nil
}

// parseOffset reads "", "-1h" or "+1h".
func parseOffset(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	sign := time.Duration(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, fmt.Errorf("%q is no offset such as -1h or +30m", s)
	}
	d, err := model.ParseDuration(s[1:])
	if err != nil {
		return 0, err
	}
	return sign * time.Duration(d), nil
}

// resolve returns the time that m is.
func (m moment) resolve(now, last time.Time) time.Time {
	switch m.anchor {
	case atNow:
		return now.Round(time.Millisecond).UTC().Add(m.offset)
	case atLast:
		return last.UTC().Add(m.offset)
	}
	return m.at
}

// parseStep reads a duration as Prometheus writes them, or seconds.
func parseStep(s string) (time.Duration, error) {
	var step time.Duration
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if !(seconds < math.MaxInt64/1e9) {
			return 0, errors.New("too long")
		}
		step = time.Duration(seconds * float64(time.Second))
	} else {
		d, err := model.ParseDuration(s)
		if err != nil {
			return 0, err
		}
		step = time.Duration(d)
	}
	if step < time.Millisecond {
		return 0, errors.New("shorter than 1ms")
	}
	return step, nil
}

// timeFlags are the flags that say at which times to evaluate; empty ones were not given.
type timeFlags struct {
	time, start, end, step string
}

func (f *timeFlags) register(cmd *kingpin.CmdClause, defaultEnd string) {
	cmd.Flag("time", "When to evaluate an instant query: RFC 3339, unix seconds, or relative to the clock (now, now-1h) or to the newest sample (last, last-1h). Default: "+defaultEnd+".").
		PlaceHolder("TIME").StringVar(&f.time)
	cmd.Flag("start", "First time of a range query. Default: an hour before --end.").
		PlaceHolder("TIME").StringVar(&f.start)
	cmd.Flag("end", "Last time of a range query. Default: "+defaultEnd+".").
		PlaceHolder("TIME").StringVar(&f.end)
	cmd.Flag("step", "Step of a range query, such as 30s or 5m. Default: a 250th of the range, at least 1s.").
		PlaceHolder("DURATION").StringVar(&f.step)
}

// schedule is what timeFlags mean while the newest sample is not known.
type schedule struct {
	instant  bool
	end      moment // the time of an instant query
	hasEnd   bool
	start    moment
	hasStart bool
	step     time.Duration // 0: not given
}

// parse makes out whether the query is an instant or a range query and reads all times.
func (f *timeFlags) parse() (schedule, error) {
	s := schedule{
		instant: f.start == "" && f.end == "" && f.step == "",
		end:     moment{anchor: atLast},
	}
	if !s.instant && f.time != "" {
		return s, withCode(exitUsage, errors.New("--time is for instant queries, --start, --end and --step for range queries: give one or the others"))
	}
	for _, flag := range []struct {
		name, value string
		to          *moment
	}{{"time", f.time, &s.end}, {"start", f.start, &s.start}, {"end", f.end, &s.end}} {
		if flag.value == "" {
			continue
		}
		var err error
		if *flag.to, err = parseMoment(flag.value); err != nil {
			return s, withCode(exitTime, fmt.Errorf("--%s %q: %w", flag.name, flag.value, err))
		}
	}
	s.hasStart, s.hasEnd = f.start != "", f.time != "" || f.end != ""
	if f.step != "" {
		var err error
		if s.step, err = parseStep(f.step); err != nil {
			return s, withCode(exitTime, fmt.Errorf("--step %q: %w", f.step, err))
		}
	}
	return s, nil
}

// needsLast reports whether the newest sample decides when to evaluate.
func (s schedule) needsLast() bool {
	return s.end.anchor == atLast || s.hasStart && s.start.anchor == atLast
}

// withoutLast is s where the newest sample is not known, as it is not of a server: otherwise is the end if none was given.
func (s schedule) withoutLast(otherwise moment) schedule {
	if !s.hasEnd {
		s.end = otherwise
	}
	return s
}

// resolveAtServer returns the times of s, or an error if the newest sample decides on them.
func (s schedule) resolveAtServer(now time.Time) (grid, error) {
	if s.needsLast() {
		return grid{}, withCode(exitTime, errors.New("the newest sample of a server is not known: write now instead of last"))
	}
	return s.resolve(now, time.Time{})
}

// grid is when to evaluate: at start and every step after it up to end. An instant query has both at the same time.
type grid struct {
	instant    bool
	start, end time.Time
	step       time.Duration
}

// resolve returns the times of s, with defaults where there are none.
func (s schedule) resolve(now, last time.Time) (grid, error) {
	g := grid{instant: s.instant, end: s.end.resolve(now, last), step: s.step}
	if s.instant {
		g.start = g.end
		return g, nil
	}
	g.start = g.end.Add(-defaultRange)
	if s.hasStart {
		g.start = s.start.resolve(now, last)
	}
	if g.end.Before(g.start) {
		return g, withCode(exitTime, fmt.Errorf("the end %s is before the start %s", formatTime(g.end.UnixMilli()), formatTime(g.start.UnixMilli())))
	}
	if g.step == 0 {
		g.step = max(minStep, (g.end.Sub(g.start) / defaultSteps).Truncate(time.Second))
	}
	return g, nil
}
