package wire

import (
	"errors"
	"strings"

	"github.com/prometheus/prometheus/util/annotations"
)

// DecodeThanosWarnings gives the annotations that a Thanos node sends as one text. Those of PromQL say at their beginning what they are; of
// all others nobody knows where one ends, and they are what other makes of them.
func DecodeThanosWarnings(text string, other func(error) error) annotations.Annotations {
	levels := []error{annotations.PromQLInfo, annotations.PromQLWarning}
	const separator = ", "
	var as annotations.Annotations
	for text != "" {
		end := len(text)
		for _, level := range levels {
			if i := strings.Index(text, separator+level.Error()+": "); i >= 0 {
				end = min(end, i)
			}
		}
		one := text[:end]
		err := other(errors.New(one))
		for _, level := range levels {
			if strings.HasPrefix(one, level.Error()) {
				err = &plain{one, level}
			}
		}
		as.Add(err)
		text = strings.TrimPrefix(text[end:], separator)
	}
	return as
}
