package logicalplan

import "math"

// TimeRange are the least and greatest time (ms) that selectors tell the storage they need; if there is none, both are the
// plan's start.
func (p *Plan) TimeRange() (mint, maxt int64) {
	mint, maxt = math.MaxInt64, math.MinInt64
	Walk(p.Root, func(n Node) bool {
		switch n := n.(type) {
		case *VectorSelector:
			mint, maxt = min(mint, n.Hints.Start), max(maxt, n.Hints.End)
		case *Call:
			if n.Info != nil {
				mint, maxt = min(mint, n.Info.Hints.Start), max(maxt, n.Info.Hints.End)
			}
		}
		return true
	})
	if mint > maxt {
		return p.Start, p.Start
	}
	return mint, maxt
}
