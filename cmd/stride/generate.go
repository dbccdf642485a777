package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/stride-promql/stride/internal/gendata"
)

// profiles are the kinds of sample data by name, as changes to gendata.DefaultProfile.
var profiles = map[string]func(*gendata.Profile){
	"default": func(*gendata.Profile) {},
	"steady": func(p *gendata.Profile) {
		p.PodLifetime, p.RestartEvery, p.DownEvery, p.PauseEvery = 0, 0, 0, 0
		p.Jitter, p.Missed, p.Special = 0, 0, 0
	},
	"churn": func(p *gendata.Profile) {
		p.PodLifetime, p.RestartEvery = 30*time.Minute, 20*time.Minute
	},
	"floats": func(p *gendata.Profile) {
		p.Mix.NativeHistograms = 0
	},
	"classic-histograms": func(p *gendata.Profile) {
		p.Mix = gendata.Mix{ClassicHistograms: 1}
	},
	"native-histograms": func(p *gendata.Profile) {
		p.Mix = gendata.Mix{NativeHistograms: 1}
	},
}

// generateCommand writes sample data.
type generateCommand struct {
	out      string
	series   int
	duration model.Duration
	interval model.Duration
	end      string
	profile  string
	seed     uint64
}

func registerGenerate(app *kingpin.Application) (string, command) {
	var g generateCommand
	cmd := app.Command("generate", "Write sample data as a data directory that stride and Prometheus can read.")
	cmd.Flag("out", "Directory to write, which must be empty or not there.").Required().StringVar(&g.out)
	cmd.Flag("series", "Number of series at any one time; replaced pods make it more over all the time.").Default("1000").IntVar(&g.series)
	cmd.Flag("duration", "How much time the samples cover.").Default("6h").SetValue(&g.duration)
	cmd.Flag("interval", "Time between two samples of a series.").Default("15s").SetValue(&g.interval)
	cmd.Flag("end", "Where the samples end: RFC 3339, unix seconds, or relative to the clock.").Default("now").StringVar(&g.end)
	names := slices.Sorted(maps.Keys(profiles))
	cmd.Flag("profile", "What is in the data: "+strings.Join(names, ", ")+".").Default("default").EnumVar(&g.profile, names...)
	cmd.Flag("seed", "Number that the data follows from.").Default("1").Uint64Var(&g.seed)
	return cmd.FullCommand(), g.run
}

func (g *generateCommand) run(ctx context.Context, c *console) error {
	end, err := parseMoment(g.end)
	if err == nil && end.anchor == atLast {
		err = errors.New("there is no newest sample yet")
	}
	if err != nil {
		return withCode(exitTime, fmt.Errorf("--end %q: %w", g.end, err))
	}
	p := gendata.DefaultProfile(time.Time{})
	p.Series, p.Seed = g.series, g.seed
	p.Interval, p.Duration = time.Duration(g.interval), time.Duration(g.duration)
	profiles[g.profile](&p)
	p.Start = end.resolve(time.Now(), time.Time{}).Add(-p.Duration)
	sum, err := generate(ctx, c.stderr, g.out, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "%s: %s\n", g.out, sum)
	return err
}

// generate writes the data of p into dir and shows how it goes. It returns what was written, in words.
func generate(ctx context.Context, stderr io.Writer, dir string, p gendata.Profile) (string, error) {
	if err := p.Validate(); err != nil {
		return "", withCode(exitUsage, err)
	}
	show := newProgress(stderr, "generating")
	sum, err := gendata.Generate(ctx, dir, p, show.update)
	show.end()
	if err != nil {
		return "", withCode(exitStorage, err)
	}
	return fmt.Sprintf("%d series, %d float and %d histogram samples in %d blocks from %s to %s",
		sum.Series, sum.FloatSamples, sum.HistogramSamples, sum.Blocks, formatTime(sum.MinTime), formatTime(sum.MaxTime)), nil
}
