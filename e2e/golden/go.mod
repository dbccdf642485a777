module github.com/stride-promql/stride/e2e/golden

go 1.26.0
