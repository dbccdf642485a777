package difftest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
)

// Kind says what the samples of a metric mean, so that a generator can choose
// functions that suit them.
type Kind uint8

const (
	// Counter is a float that only grows, resets aside.
	Counter Kind = iota
	// Gauge is a float that goes anywhere.
	Gauge
	// NativeHistogram is a metric of native histograms (of any schema).
	NativeHistogram
	// ClassicBucket is a counter with an le label.
	ClassicBucket
	// Info is a metric that carries labels and the value 1.
	Info
	// Mixed has floats and native histograms, in one series or in several.
	Mixed
)

// Sample is one sample of a series: H or FH if set, else F. Times are in
// milliseconds; ST is the start timestamp, 0 for none.
type Sample struct {
	T, ST int64
	F     float64
	H     *histogram.Histogram
	FH    *histogram.FloatHistogram
}

// SeriesData is one series of a data set, with its samples in time order.
type SeriesData struct {
	Labels  labels.Labels
	Samples []Sample
}

// Dataset is a named set of series and how they are stored.
type Dataset struct {
	// Name identifies the data set in reproductions.
	Name string
	// Series are appended in this order, which decides the order in which a
	// single head returns them.
	Series []SeriesData
	// Kinds holds the kind of every metric name.
	Kinds map[string]Kind
	// Start and End bound the samples, Interval is their usual distance, all
	// in milliseconds.
	Start, End, Interval int64

	options []teststorage.Option
	// arrange brings the stored data into shape: blocks, tombstones, late samples.
	arrange func(context.Context, *teststorage.TestStorage) error
	blocks  bool // arrange by compactFirst
	words   *vocabulary
	// external are labels that series get where the data set is queried.
	external []external
}

// Open writes the data set into a new storage. The caller closes it. Its
// queriers must not be used by several goroutines at once.
func (d *Dataset) Open() (*teststorage.TestStorage, error) {
	st, err := teststorage.NewWithError(d.options...)
	if err != nil {
		return nil, err
	}
	if err := d.load(st); err != nil {
		_ = st.Close()
		return nil, fmt.Errorf("loading data set %s: %w", d.Name, err)
	}
	return st, nil
}

func (d *Dataset) load(st *teststorage.TestStorage) error {
	ctx := context.Background()
	if err := appendSeries(ctx, st, d.Series); err != nil {
		return err
	}
	if d.arrange == nil {
		return nil
	}
	return d.arrange(ctx, st)
}

// compactFirst brings the older two thirds of the samples into a block, where chunks are closed and read as they are.
func (d *Dataset) compactFirst(_ context.Context, st *teststorage.TestStorage) error {
	return st.CompactHead(tsdb.NewRangeHead(st.Head(), d.Start, d.Start+(d.End-d.Start)/3*2))
}

func appendSeries(ctx context.Context, st *teststorage.TestStorage, series []SeriesData) error {
	app := st.AppenderV2(ctx)
	for _, s := range series {
		for _, p := range s.Samples {
			if _, err := app.Append(0, s.Labels, p.ST, p.T, p.F, p.H, p.FH, storage.AppendV2Options{}); err != nil {
				_ = app.Rollback()
				return fmt.Errorf("%s at %d: %w", s.Labels, p.T, err)
			}
		}
	}
	return app.Commit()
}

// Datasets returns all data sets of a seed.
func Datasets(seed uint64) []*Dataset {
	builders := []func(*rand.Rand) *Dataset{
		counterData, gaugeData, duplicateData, tieData, churnData, irregularData,
		startTimestampData, blockData,
		exponentialData, customBucketData, mixedData,
		classicData, metadataData, infoData,
	}
	sets := make([]*Dataset, 0, len(builders))
	for i, build := range builders {
		d := build(rand.New(rand.NewPCG(seed, uint64(i))))
		d.bound()
		if d.blocks {
			d.arrange = d.compactFirst
		}
		d.words = newVocabulary(d)
		sets = append(sets, d)
	}
	return sets
}

// DatasetNamed returns the data set of that name and seed, as named in a
// reproduction.
func DatasetNamed(seed uint64, name string) (*Dataset, error) {
	for _, d := range Datasets(seed) {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("no data set %q", name)
}

func (d *Dataset) bound() {
	first := true
	for _, s := range d.Series {
		for _, p := range s.Samples {
			if first || p.T < d.Start {
				d.Start = p.T
			}
			if first || p.T > d.End {
				d.End = p.T
			}
			first = false
		}
	}
}

// add appends a series of the given kind. Labels are name and value in turn,
// the metric name first.
func (d *Dataset) add(kind Kind, name string, samples []Sample, lbls ...string) {
	if d.Kinds == nil {
		d.Kinds = map[string]Kind{}
	}
	d.Kinds[name] = kind
	d.Series = append(d.Series, SeriesData{
		Labels:  labels.FromStrings(append([]string{model.MetricNameLabel, name}, lbls...)...),
		Samples: samples,
	})
}

// MetricNames returns all metric names of the data set, sorted.
func (d *Dataset) MetricNames() []string {
	names := make([]string, 0, len(d.Kinds))
	for n := range d.Kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func withXOR2(o *tsdb.Options) { o.FloatChunkEncoding = chunkenc.EncXOR2 }

func withStartTimestamps(o *tsdb.Options) {
	o.EnableSTStorage = true
	o.FloatChunkEncoding = chunkenc.EncXOR2
	o.EnableHistogramSTEncoding = true
}
