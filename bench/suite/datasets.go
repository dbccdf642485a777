package suite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/efficientgo/core/errors"
	"github.com/efficientgo/core/merrors"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stride-promql/stride/internal/gendata"
)

// layout counts the changes of how samples are stored that can be seen in neither a profile nor samples.
const layout = 1

// spec is a data set as a profile of the generator.
type spec struct {
	name, about string
	profile     gendata.Profile
	head        bool
}

// Datasets returns all data sets in the order in which they are shown.
func Datasets() []Dataset {
	res := make([]Dataset, 0, len(specs))
	for _, s := range specs {
		res = append(res, s.dataset())
	}
	return res
}

func (s spec) dataset() Dataset {
	d := Dataset{
		Name:        s.name,
		Description: fmt.Sprintf("%s (%d series at a time)", s.about, s.profile.Series),
		Version:     s.version(),
		Encoding:    "xor",
		Head:        s.head,
		End:         s.profile.Start.Add(s.profile.Duration).UnixMilli(),
		Build:       s.blocks,
	}
	if s.profile.XOR2 {
		d.Encoding = "xor2"
	}
	if s.head {
		d.Build = s.writeHead
	}
	return d
}

// version changes with the profile and, so that caches of an older generator are not taken for its own, with what the
// generator makes of it: the first hour of one pod shows.
func (s spec) version() string {
	h := sha256.New()
	fmt.Fprintf(h, "%+v\nhead %t, layout %d\n", s.profile, s.head, layout)
	excerpt := s.profile
	excerpt.Series, excerpt.Duration = s.profile.SeriesPerTarget, min(s.profile.Duration, time.Hour)
	for slot := range excerpt.Series {
		for _, series := range excerpt.Slot(slot) {
			fmt.Fprintln(h, series.Labels())
			it := series.Iterator(nil)
			for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
				switch typ {
				case chunkenc.ValFloat:
					t, v := it.At()
					fmt.Fprintln(h, it.AtST(), t, math.Float64bits(v))
				default:
					t, fh := it.AtFloatHistogram(nil)
					fmt.Fprintln(h, it.AtST(), t, fh)
				}
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func (s spec) blocks(ctx context.Context, dir string, progress func(done, total int64)) error {
	_, err := gendata.Generate(ctx, dir, s.profile, progress)
	return errors.Wrapf(err, "make data set %s", s.name)
}

// writeHead leaves dir as a server does that is stopped before it writes its first block.
func (s spec) writeHead(ctx context.Context, dir string, progress func(done, total int64)) (err error) {
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0 // The data is as old as it is.
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	if err != nil {
		return errors.Wrapf(err, "make data set %s", s.name)
	}
	defer func() { err = merrors.New(err, errors.Wrapf(db.Close(), "make data set %s", s.name)).Err() }()
	db.DisableCompactions()
	if progress != nil {
		progress(0, 1)
		defer func() { progress(1, 1) }()
	}
	_, err = gendata.Append(ctx, db, s.profile)
	return errors.Wrapf(err, "make data set %s", s.name)
}
