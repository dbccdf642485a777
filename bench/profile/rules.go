// Package profile says who spent what in profiles of engines: by kind of work and by package, as tables and flame graphs.
package profile

import "strings"

// rule gives the functions whose names contain a text to a kind of work.
type rule struct{ text, kind string }

// rules are asked in order, for each frame from the innermost outwards: the first frame that one matches decides. Names are those of
// Stride, of Prometheus' engine and of the Thanos engine.
var rules = []rule{
	{"runtime.gcBgMarkWorker", "garbage collection"},
	{"runtime.gcAssist", "garbage collection"},
	{"runtime.bgsweep", "garbage collection"},
	{"runtime.bgscavenge", "garbage collection"},
	{"runtime.gcStart", "garbage collection"},
	{"runtime.GC", "garbage collection"},
	{"runtime.mallocgc", "allocation"},
	{"runtime.growslice", "allocation"},
	{"runtime.memclrNoHeapPointers", "allocation"},

	{"internal/chunkdecode", "decode"},
	{"tsdb/chunkenc", "decode"},
	{"tsdb/index", "index and labels"},
	{"tsdb/encoding", "index and labels"},
	{"model/labels", "index and labels"},
	{"tsdb/chunks", "fetch chunks"},
	{"operators/window", "windows"},
	{"promql-engine/ringbuffer", "windows"},
	{"promql.(*evaluator).matrixIterSlice", "windows"},
	{"promql.(*evaluator).matrixSelector", "windows"},
	{"promql.extrapolatedRate", "windows"},
	{"promql.histogramRate", "windows"},
	{"OverTime", "windows"},
	{"operators/aggregate", "aggregate"},
	{"promql-engine/execution/aggregate", "aggregate"},
	{"promql.(*evaluator).aggregation", "aggregate"},
	{"promql.(*evaluator).rangeEvalAgg", "aggregate"},
	{"operators/binary", "join"},
	{"promql-engine/execution/binary", "join"},
	{"promql.(*evaluator).VectorBinop", "join"},
	{"promql.(*evaluator).VectorscalarBinop", "join"},
	{"operators/function", "functions"},
	{"promql-engine/execution/function", "functions"},
	{"promql.func", "functions"},
	{"operators/result", "result"},
	{"operators/exchange", "exchange"},
	{"promql-engine/execution/exchange", "exchange"},
	{"operators/scan", "scan"},
	{"promql-engine/storage", "scan"},
	{"promql.(*evaluator)", "evaluate"},
	{"model/histogram", "histograms"},
	{"prometheus/storage", "storage"},
	{"prometheus/tsdb", "storage"},
	{"promql/parser", "parse and plan"},
	{"logicalplan", "parse and plan"},
	{"physicalplan", "driver"},
	{"runtime.mcall", "scheduler"},
	{"runtime.schedule", "scheduler"},
	{"runtime.findRunnable", "scheduler"},
}

// other is the kind of what no rule matches.
const other = "other"

// kindOf is the kind of work of a stack, whose innermost function is the first.
func kindOf(stack []string) string {
	for _, fn := range stack {
		for _, r := range rules {
			if strings.Contains(fn, r.text) {
				return r.kind
			}
		}
	}
	return other
}

// packageOf is the package of a function.
func packageOf(fn string) string {
	slash := strings.LastIndexByte(fn, '/')
	if dot := strings.IndexByte(fn[slash+1:], '.'); dot >= 0 {
		return fn[:slash+1+dot]
	}
	return fn
}
