//go:build tools

// Package prometheus pins the Prometheus server that tests run Stride beside.
package prometheus

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
)
