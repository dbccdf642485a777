// Package binary holds PromQL's binary operations.
//
//	scalar OP scalar      ScalarScalar   source of one row
//	vector OP scalar      VectorScalar   stage
//	and, unless           SetFilter      stage over the left side, sink of the right one
//	or                    Or             blocking, both sides kept
//	vector OP vector      VectorVector   blocking join, both sides kept
//
// Floats go through kernels of up to 64 positions at a time, a word of validity bits each;
// histograms one by one.
package binary
