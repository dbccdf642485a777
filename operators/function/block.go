package function

import "github.com/stride-promql/stride/operators"

// blocks is the number of morsels that n rows over the steps r are cut into.
func blocks(q *operators.Query, r operators.StepRange, n int) int {
	size := q.MorselSize(r.Len())
	return (n + size - 1) / size
}

// block is the first of n rows in morsel m, and the number of rows in it.
func block(q *operators.Query, r operators.StepRange, n, m int) (first, rows int) {
	size := q.MorselSize(r.Len())
	return m * size, min(size, n-m*size)
}
