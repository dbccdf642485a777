package logicalplan

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// textLimits are what engines cannot do that evaluate text (PromQL) and no plans, or no plans that have the newest nodes.
type textLimits struct {
	wholeSeconds bool // some engine knows times in whole seconds only
	lookback     bool // but the lookback is none
	delayed      bool // names go at the end of the query at the root, and at once at some engine
	starts       bool // rates at the root take start timestamps into account, those of some engine do not
}

func limitsOf(t *topology, lookback int64, c Conditions) textLimits {
	var l textLimits
	newest := newestNodeVersion()
	for _, e := range t.engines {
		caps := e.Capabilities()
		l.wholeSeconds = l.wholeSeconds || caps.WholeSeconds
		l.delayed = l.delayed || c.DelayedNames && caps.PlanVersion < newest
		l.starts = l.starts || c.StartTimestamps && caps.PlanVersion < newest
	}
	l.lookback = l.wholeSeconds && lookback%1000 != 0
	return l
}

// allow tells whether all engines give what n is at the given times.
func (l textLimits) allow(n Node, at Times) bool {
	switch {
	case l.lookback:
		return false
	case l.wholeSeconds && at.Start == at.End && at.Start%1000 != 0 && calls(n, timeFunctions):
		return false
	case l.starts && calls(n, startFunctions):
		return false
	case l.wholeSeconds && at.Start != at.End && (at.Start%1000 != 0 || at.Interval%1000 != 0):
		return false
	}
	return !l.delayed || namesDoNotMatter(n)
}

// timeFunctions look at the time of the step itself, whatever their argument is pinned to.
var timeFunctions = map[string]bool{
	"time": true, "timestamp": true, "start_timestamp": true, "predict_linear": true, "vector": true,
	"days_in_month": true, "day_of_month": true, "day_of_week": true, "day_of_year": true, "hour": true, "minute": true, "month": true, "year": true,
}

// startFunctions take start timestamps into account where that is switched on.
var startFunctions = map[string]bool{"rate": true, "increase": true, "irate": true, "resets": true, "start_timestamp": true}

// calls tells whether a function is called in n.
func calls(n Node, functions map[string]bool) bool {
	found := false
	Walk(n, func(n Node) bool {
		if c, ok := n.(*Call); ok {
			found = found || functions[c.Func.Name]
		}
		return !found
	})
	return found
}

// pinnedText is n as text that means at any time what n does at one: selectors and subqueries that are not inside of another
// subquery have an `@`. It holds unless n calls one of timeFunctions.
func pinnedText(n Node, at int64) string {
	w := textWriter{pin: &at, steps: true}
	w.node(n)
	return w.String()
}

// namesDoNotMatter tells parts whose result is the same whether names are dropped at once or at the end: those that keep names, and aggregations
// that do not look at them, in which no two series of different names can become one.
func namesDoNotMatter(n Node) bool {
	switch n := n.(type) {
	case *VectorSelector:
		return true
	case *StepInvariant:
		return namesDoNotMatter(n.Expr)
	case *Aggregate:
		return !groupsByName(n.Grouping, n.Without) && oneName(n)
	case *Parts:
		return !groupsByName(n.Grouping, n.Without) && oneName(n)
	}
	return false
}

func groupsByName(grouping []string, without bool) bool {
	if without {
		return false // names go in any case
	}
	for _, l := range grouping {
		if l == model.MetricNameLabel || l == model.MetricTypeLabel || l == model.MetricUnitLabel {
			return true
		}
	}
	return false
}

// oneName tells whether all selectors ask for one name.
func oneName(n Node) bool {
	one := true
	Walk(n, func(n Node) bool {
		if s, ok := n.(*VectorSelector); ok {
			named := false
			for _, m := range s.Matchers {
				named = named || m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual
			}
			one = one && named
		}
		return one
	})
	return one
}
