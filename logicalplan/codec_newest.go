//go:build !olderplan

package logicalplan

const older = 0
