package run

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/peer"
)

// Profile takes profiles of the configured queries on the configured engines, into a folder for each below out, and tells
// each of them to done.
func (r *Runner) Profile(ctx context.Context, out string, d time.Duration, traced bool, done func(name, dir string) error) error {
	plan := r.plan()
	if len(plan) == 0 {
		return errors.New("no query matches: look at the names of data sets and queries")
	}
	for _, w := range plan {
		data, err := Data(ctx, r.config.Cache, w.dataset, r.config.Progress)
		if err != nil {
			return err
		}
		for _, c := range r.cells(w.dataset, w.query) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if c.engine.cannotRead(w.dataset) != "" {
				continue
			}
			name := w.dataset.Name + "/" + w.query.Name + " on " + c.engine.Name
			dir, err := filepath.Abs(filepath.Join(out, w.dataset.Name+"-"+w.query.Name, c.engine.Name))
			if err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return errors.Wrap(err, "folder of profiles")
			}
			if err := r.profile(ctx, c, data, dir, d, traced); err != nil {
				return errors.Wrap(err, name)
			}
			if err := done(name, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Runner) profile(ctx context.Context, c *cell, data, dir string, d time.Duration, traced bool) error {
	ready := c.start(ctx, data, r)
	if c.process != nil {
		defer c.process.close()
	}
	if !ready || c.ask(peer.Request{Op: peer.Profile, File: dir, Duration: d, Trace: traced, Timeout: r.config.Timeout}) == nil {
		return errors.Newf("%s: %s", c.record.Status, c.record.Reason)
	}
	return nil
}
