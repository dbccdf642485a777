package selection

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Selector has the rules as they are at the time: those of a file change with it. A nil Selector has none.
type Selector struct {
	file    string
	content []byte
	logger  *slog.Logger
	rules   atomic.Pointer[Rules]
}

// New takes rules from content or, if it is not "", from a file.
func New(content, file string, logger *slog.Logger) (*Selector, error) {
	s := &Selector{file: file, content: []byte(content), logger: logger}
	if file != "" {
		var err error
		if s.content, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return s, s.take(s.content)
}

func (s *Selector) take(content []byte) error {
	r, err := Parse(content)
	if err != nil && s.file != "" {
		err = fmt.Errorf("%s: %w", s.file, err)
	}
	if err != nil {
		return err
	}
	s.content = content
	s.rules.Store(r)
	return nil
}

// Rules are the rules now.
func (s *Selector) Rules() *Rules {
	if s == nil {
		return nil
	}
	return s.rules.Load()
}

// Follow reads the file again every interval until ctx ends. A file that cannot be read or understood changes nothing, which is logged.
func (s *Selector) Follow(ctx context.Context, interval time.Duration) {
	if s == nil || s.file == "" {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		content, err := os.ReadFile(s.file)
		if err == nil && !bytes.Equal(content, s.content) {
			if err = s.take(content); err == nil {
				s.logger.Info("Data sets are selected by other rules now", "file", s.file)
			}
		}
		if err != nil {
			s.logger.Error("Reading the rules that select data sets failed; those known stay", "file", s.file, "err", err)
		}
	}
}
