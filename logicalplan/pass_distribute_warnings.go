package logicalplan

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/util/annotations"
)

// ErrNoEngines is the warning of a distributed query for which there is no engine at all.
var ErrNoEngines = fmt.Errorf("%w: no remote engine is known: the query was evaluated over local data alone", annotations.PromQLWarning)

// errSilent is the warning for an engine that does not say what data it has.
func errSilent(engine string) error {
	return fmt.Errorf("%w: remote engine %s announces no data, so that it was not asked", annotations.PromQLWarning, engine)
}

// errBehindCoverage is the warning for a part of a query of which nobody announces data, though somebody had such data up to some time
// (ms): what was announced may be older than the data.
func errBehindCoverage(of Node, end int64) error {
	return fmt.Errorf("%w: no remote engine was asked for %s: what they announce ends at %s", annotations.PromQLWarning,
		Text(of), time.UnixMilli(end).UTC().Format(time.RFC3339))
}

// notAsked are the warnings for engines that are never asked.
func (t *topology) notAsked() (notes annotations.Annotations) {
	for i, a := range t.announced {
		if len(a.coverage) == 0 {
			notes.Add(errSilent(t.engines[i].Name()))
		}
	}
	return notes
}
