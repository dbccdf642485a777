package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/stride-promql/stride/source/selection"
)

// selectorFlags say which data sets, of all that a node reaches, it looks at.
type selectorFlags struct {
	content, file string
	reload        model.Duration
}

func (f *selectorFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("selector.relabel-config", "YAML list of relabeling rules (keep, drop, hashmod) that choose data sets by their external labels. $(NAME) is a variable of the environment.").
		PlaceHolder("YAML").StringVar(&f.content)
	cmd.Flag("selector.relabel-config-file", "File with such rules.").PlaceHolder("FILE").StringVar(&f.file)
	cmd.Flag("selector.relabel-config-reload-interval", "How often to read that file.").Default("30s").SetValue(&f.reload)
}

// selector makes what chooses data sets; nil without rules.
func (f *selectorFlags) selector(logger *slog.Logger) (*selection.Selector, error) {
	switch {
	case f.content == "" && f.file == "":
		return nil, nil
	case f.content != "" && f.file != "":
		return nil, withCode(exitUsage, errors.New("--selector.relabel-config and --selector.relabel-config-file cannot go together"))
	case time.Duration(f.reload) <= 0:
		return nil, withCode(exitUsage, errors.New("--selector.relabel-config-reload-interval must be more than nothing"))
	}
	s, err := selection.New(f.content, f.file, logger)
	if err != nil {
		return nil, withCode(exitUsage, errors.Join(errors.New("the rules that select data sets are wrong"), err))
	}
	return s, nil
}
