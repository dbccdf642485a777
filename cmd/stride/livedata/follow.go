package livedata

import (
	"context"
	"time"
)

// Follow loads the directory again and again until the context is done, so that its data is not much older than interval. It
// rests at least as long as the last time took, lest a large directory keep a processor busy.
func (d *Directory) Follow(ctx context.Context, interval time.Duration) {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		started := time.Now()
		if err := d.Load(); err != nil {
			d.logger.Error("Reading the data directory again failed: queries see it as it was", "dir", d.dir, "err", err)
		}
		timer.Reset(max(interval, time.Since(started)))
	}
}
