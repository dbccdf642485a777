// Package operatortest is a test kit for operators, after the operator tests of CockroachDB's colexec:
// an operator has to give the same answer however its inputs are cut into batches, step ranges and
// segments, whoever else sees the batches, and however many workers carry them.
//
// Run plays the part of the physical plan for one operator: once in the plainest way, which gives the
// result to compare with an oracle, and then in random ways that must not change it. The environment
// variable STRIDE_TEST_ROUNDS multiplies the rounds of the tests that are built on it. It is for tests
// alone, as is Prometheus, which runs a query in Prometheus' engine over the same series.
package operatortest
