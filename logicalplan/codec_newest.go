//go:build !olderplan

package logicalplan

// older is 0 in all builds but those of tests: codec_older.go.
const older = 0
