//go:build olderplan

package logicalplan

// older makes a build that announces the last version before the newest one: what roots and leaves make of it when one of them is upgraded
// before the other is tested with it.
const older = 1
