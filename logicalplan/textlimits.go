package logicalplan

import (
	"github.com/prometheus/prometheus/promql/parser"
)

// textLimits are what engines cannot do that evaluate text (PromQL) and no plans, or no plans that have the newest nodes.
type textLimits struct {
	wholeSeconds bool // some engine knows times in whole seconds only
	lookback     bool // but the lookback is none
	names        bool // names go at the end of the query at the root, and at once at some engine
	starts       bool // rates at the root take start timestamps into account, those of some engine do not
	// hints are the selectors of histograms whose reset hints decide what is added up, and are others where buckets are read; see hintsOf.
	hints map[*VectorSelector]bool
}

// limitsOf are the limits for parts of root.
func limitsOf(t *topology, lookback int64, c Conditions, root Node) textLimits {
	var l textLimits
	newest := newestNodeVersion()
	for _, e := range t.engines {
		caps := e.Capabilities()
		l.wholeSeconds = l.wholeSeconds || caps.WholeSeconds
		if caps.PlanVersion >= newest {
			continue
		}
		l.names = l.names || c.DelayedNames
		l.starts = l.starts || c.StartTimestamps
		if l.hints == nil {
			l.hints = hintsOf(root)
		}
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
	case len(l.hints) > 0 && l.losesHints(n):
		return false
	}
	return !l.names || namesDoNotMatter(n)
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

// statsFunctions look at no more of a histogram than count and sum, so that its buckets are not read (VectorSelector.StatsOnly). Without buckets
// reset hints come from the samples that a query looks at, with them from the storage.
var statsFunctions = map[string]bool{
	"histogram_count": true, "histogram_sum": true, "histogram_avg": true, "timestamp": true, "start_timestamp": true, "absent": true,
}

// hintFunctions hand reset hints on.
var hintFunctions = map[string]bool{
	"first_over_time": true, "last_over_time": true, "sum_over_time": true, "avg_over_time": true,
	"label_replace": true, "label_join": true, "sort": true, "sort_desc": true, "sort_by_label": true, "sort_by_label_desc": true,
}

// hintsOf are the selectors in root of which no buckets are read and whose samples are added to or taken from others: where
// hints do not go together, such an operation has no result.
func hintsOf(root Node) map[*VectorSelector]bool {
	out := map[*VectorSelector]bool{}
	var walk func(n Node, decide bool)
	walk = func(n Node, decide bool) {
		switch n := n.(type) {
		case *VectorSelector:
			if decide && n.StatsOnly {
				out[n] = true
			}
		case *Call:
			decide = decide && hintFunctions[n.Func.Name]
		case *Binary:
			decide = decide || n.Matching != nil && (n.Op == parser.ADD || n.Op == parser.SUB)
		}
		for _, c := range n.Children() {
			walk(c, decide)
		}
	}
	walk(root, false)
	return out
}

// losesHints tells whether n as text does not say of one of the selectors that no buckets are read of it.
func (l textLimits) losesHints(n Node) bool {
	switch n := n.(type) {
	case *VectorSelector:
		return l.hints[n]
	case *Call:
		if statsFunctions[n.Func.Name] {
			return false
		}
	}
	for _, c := range n.Children() {
		if l.losesHints(c) {
			return true
		}
	}
	return false
}
