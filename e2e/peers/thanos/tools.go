//go:build tools

// Package thanos pins the Thanos that tests run Stride beside.
package thanos

import (
	_ "github.com/thanos-io/thanos/cmd/thanos"
)
