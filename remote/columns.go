package remote

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/internal/bitmap"
)

// Columns are some series of a result, each with its samples at a run of the steps of the query.
//
//	            step From    From+1  ...  From+Steps-1
//	Series[0]   F[0]         F[1]    ...  F[Steps-1]
//	Series[1]   F[Steps]     ...
//
// Position p = row*Steps + step - From has a float where bit p of Valid is set, and a histogram where bit p of HValid is; never both.
// Columns behind one another bring series that are different, or the same again at steps that have no sample yet.
type Columns struct {
	Series      []Series
	From, Steps int

	F      []float64
	Valid  bitmap.Bitmap
	H      []*histogram.FloatHistogram // nil without any
	HValid bitmap.Bitmap               // nil without any
}

// Series is one series of a result. DropName says that its metadata labels are to be removed at the end of the query (see
// Prometheus' delayed name removal).
type Series struct {
	Labels   labels.Labels
	DropName bool
}

// NewColumns makes room for the samples of series at the steps [from, from+steps), of which there are none yet.
func NewColumns(series []Series, from, steps int) *Columns {
	n := len(series) * steps
	return &Columns{Series: series, From: from, Steps: steps, F: make([]float64, n), Valid: make(bitmap.Bitmap, bitmap.Words(n))}
}

// SetHistogram puts a histogram at position p.
func (c *Columns) SetHistogram(p int, h *histogram.FloatHistogram) {
	if c.H == nil {
		n := len(c.Series) * c.Steps
		c.H, c.HValid = make([]*histogram.FloatHistogram, n), make(bitmap.Bitmap, bitmap.Words(n))
	}
	c.H[p] = h
	c.HValid.Set(p)
}

// Trailer comes behind the last columns.
type Trailer struct {
	// Annotations are warnings and infos. Their positions, where they have one, point into the text of the whole query.
	Annotations annotations.Annotations
	Stats       Stats
	// Analysis is the other engine's account of what it did, one line an operator; "" without.
	Analysis string
}

// Stats are the sample statistics of a part of a query.
type Stats struct {
	// Total and Read count samples as Prometheus' TotalSamples and SamplesRead do, at each step; with one element, for all steps
	// together.
	Total, Read []int64
	// Series is the number of series touched.
	Series int64
	// PeakSamples and PeakBytes are the most that was held at once.
	PeakSamples, PeakBytes int64
}
