package logicalplan

import (
	"strconv"
	"strings"
)

// languageLevel is a version of Prometheus whose language an engine speaks: major*1000 + minor, so that they compare.
type languageLevel int

// ownLevel is that of this package, OwnLanguageLevel its text.
const (
	ownLevel         languageLevel = 3016
	OwnLanguageLevel               = "3.16"
)

// parseLevel reads "3.9". What it cannot read is the least level.
func parseLevel(s string) languageLevel {
	major, minor, ok := strings.Cut(s, ".")
	x, err1 := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	if !ok || err1 != nil || err2 != nil {
		return 0
	}
	return languageLevel(x*1000 + y)
}

// functionLevels are the levels that functions came with, of those that are newer than any engine that may be asked.
var functionLevels = map[string]languageLevel{
	"histogram_quantiles": 3011,
	"min_of":              3013,
	"max_of":              3013,
	"start_timestamp":     3014,
	"integral":            3016,
}

// needsLevel is the level that the node itself needs, its children aside; 0 for what all engines know.
func needsLevel(n Node) languageLevel {
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
