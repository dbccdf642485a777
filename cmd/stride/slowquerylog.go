package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/stats"
)

// slowQueryLog is a query log that keeps queries that took longer than over, and warns of them in the log of the process.
type slowQueryLog struct {
	to   slog.Handler
	over time.Duration
}

var _ promql.QueryLogger = (*slowQueryLog)(nil)

// Enabled implements slog.Handler: how long a query took is not known yet.
func (l *slowQueryLog) Enabled(ctx context.Context, _ slog.Level) bool {
	return l.to.Enabled(ctx, slog.LevelWarn)
}

// Handle implements slog.Handler.
func (l *slowQueryLog) Handle(ctx context.Context, query slog.Record) error {
	var took time.Duration
	r := slog.NewRecord(query.Time, slog.LevelWarn, "slow query", 0)
	query.Attrs(func(a slog.Attr) bool {
		if s, ok := a.Value.Any().(stats.QueryStats); ok && a.Key == "stats" {
			took = time.Duration(s.Builtin().Timings.ExecTotalTime * float64(time.Second))
		}
		r.AddAttrs(a)
		return true
	})
	if took <= l.over {
		return nil
	}
	r.AddAttrs(slog.Duration("duration", took))
	return l.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *slowQueryLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &slowQueryLog{l.to.WithAttrs(attrs), l.over}
}

// WithGroup implements slog.Handler.
func (l *slowQueryLog) WithGroup(name string) slog.Handler {
	return &slowQueryLog{l.to.WithGroup(name), l.over}
}

// Close implements io.Closer. The log of the process stays open.
func (*slowQueryLog) Close() error { return nil }
