module github.com/stride-promql/stride/bench/peer

go 1.26.7
