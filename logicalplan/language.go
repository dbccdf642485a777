package logicalplan

import "github.com/stride-promql/stride/remote"

// OwnLanguageLevel is the language level of this package, ownLevel the same as remote.Level has it.
const OwnLanguageLevel = "3.16"

var ownLevel = remote.Level(OwnLanguageLevel)

// functionLevels are the levels that functions came with, of those that are newer than any engine that may be asked.
var functionLevels = map[string]int{
	"histogram_quantiles": 3011,
	"min_of":              3013,
	"max_of":              3013,
	"start_timestamp":     3014,
	"integral":            3016,
}

// needsLevel is the level that the node itself needs, its children aside; 0 for what all engines know.
func needsLevel(n Node) int {
	switch n := n.(type) {
	case *VectorSelector:
		if n.Anchored || n.Smoothed {
			return 3014
		}
	case *Call:
		return functionLevels[n.Func.Name]
	case *Binary:
		switch {
		case isTrim(n.Op):
			return 3011
		case n.Matching != nil && (n.Matching.FillValues.LHS != nil || n.Matching.FillValues.RHS != nil):
			return 3010
		}
	}
	return 0
}
