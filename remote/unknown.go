package remote

import "github.com/prometheus/prometheus/model/labels"

var unknown = []Coverage{{Labels: labels.EmptyLabels(), Intervals: Intervals{Always}}}

// Unknown is what an engine counts as that has not said anything yet: it may have data of all times and any labels, and of what it understands
// nothing is known. The coverage is the same slice each time.
func Unknown() ([]Coverage, Capabilities) { return unknown, Capabilities{Unheard: true} }
