package window

import "github.com/prometheus/prometheus/promql"

// Function is a range-vector function.
type Function struct {
	Name string
	// KeepName is set where the result keeps the metric name.
	KeepName bool
	// StartTimestamps is set where the function takes start timestamps into account, if the query does.
	StartTimestamps bool
	// HistogramValues is set where the function looks into histograms; else their times suffice (with any, or
	// nil, values) and only markers of staleness must be left out.
	HistogramValues bool

	kernel func() Kernel
}

// NewKernel makes a kernel for one worker.
func (f Function) NewKernel() Kernel { return f.kernel() }

// Anchored tells whether the function may be applied to an anchored selector.
func (f Function) Anchored() bool {
	_, ok := promql.AnchoredSafeFunctions[f.Name]
	return ok
}

// Smoothed tells whether the function may be applied to a smoothed range selector.
func (f Function) Smoothed() bool {
	_, ok := promql.SmoothedSafeFunctions[f.Name]
	return ok
}

// Lookup finds a function by its PromQL name. absent_over_time gives 1 wherever the window is not
// empty; the answer is made from that over all series.
func Lookup(name string) (Function, bool) {
	f, ok := functions[name]
	f.Name = name
	return f, ok
}

// Smooth is the function behind a smoothed instant selector: the value at the step, interpolated
// between the samples around it. Its Spec has Range 0 and Smoothed; annotations point to Pos.First.
var Smooth = Function{Name: "smoothed", KeepName: true, HistogramValues: true, kernel: func() Kernel { return &smooth{} }}

var functions = map[string]Function{
	"rate":     {StartTimestamps: true, HistogramValues: true, kernel: newRate(true, true)},
	"increase": {StartTimestamps: true, HistogramValues: true, kernel: newRate(true, false)},
	"delta":    {HistogramValues: true, kernel: newRate(false, false)},
	"irate":    {StartTimestamps: true, HistogramValues: true, kernel: func() Kernel { return &instantRate{rate: true} }},
	"idelta":   {HistogramValues: true, kernel: func() Kernel { return &instantRate{} }},
	"resets":   {StartTimestamps: true, HistogramValues: true, kernel: func() Kernel { return &transitions{resets: true} }},
	"changes":  {HistogramValues: true, kernel: func() Kernel { return &transitions{} }},

	"count_over_time":   {kernel: func() Kernel { return count{} }},
	"present_over_time": {kernel: func() Kernel { return present{} }},
	"absent_over_time":  {kernel: func() Kernel { return present{} }},

	"last_over_time":        {KeepName: true, HistogramValues: true, kernel: func() Kernel { return last{} }},
	"first_over_time":       {KeepName: true, HistogramValues: true, kernel: func() Kernel { return first{} }},
	"ts_of_last_over_time":  {kernel: func() Kernel { return lastTime{} }},
	"ts_of_first_over_time": {kernel: func() Kernel { return firstTime{} }},

	"sum_over_time": {HistogramValues: true, kernel: func() Kernel { return &sum{} }},
	"avg_over_time": {HistogramValues: true, kernel: func() Kernel { return &sum{avg: true} }},

	"max_over_time":       {kernel: func() Kernel { return &extreme{} }},
	"min_over_time":       {kernel: func() Kernel { return &extreme{min: true} }},
	"ts_of_max_over_time": {kernel: func() Kernel { return &extreme{time: true} }},
	"ts_of_min_over_time": {kernel: func() Kernel { return &extreme{min: true, time: true} }},

	"quantile_over_time": {kernel: func() Kernel { return &overTime{} }},
	"mad_over_time":      {kernel: func() Kernel { return &deviation{} }},

	"stddev_over_time": {kernel: func() Kernel { return &variance{root: true} }},
	"stdvar_over_time": {kernel: func() Kernel { return &variance{} }},
	"integral":         {kernel: newRescan(integral, 1)},
	"deriv":            {kernel: newRescan(deriv, 2)},
	"predict_linear":   {kernel: func() Kernel { return &rescan{eval: predictLinear, min: 2, timed: true} }},

	"double_exponential_smoothing": {kernel: newSmoothing},
}
