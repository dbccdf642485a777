package remote

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/util/annotations"
)

// Missing is the warning for an engine that failed, so that its data of the times from..to, in ms, is missing.
func Missing(e RemoteEngine, from, to int64, err error) error {
	var sets []string
	more := 0
	for _, c := range e.Coverage() {
		if len(sets) == 5 {
			more++
			continue
		}
		sets = append(sets, c.Labels.String())
	}
	if more > 0 {
		sets = append(sets, fmt.Sprintf("and %d more", more))
	}
	at := func(t int64) string { return time.UnixMilli(t).UTC().Format(time.RFC3339) }
	return fmt.Errorf("%w: remote engine %s failed, so that results from %s to %s of series with the external labels %s may be missing: %s",
		annotations.PromQLWarning, e.Name(), at(from), at(to), strings.Join(sets, ", "), strings.TrimPrefix(err.Error(), prefix(e.Name())))
}
