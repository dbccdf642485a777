package tracing

import (
	"fmt"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/sdk/trace"
)

// sampler is the sampler of a name that Thanos has for it. Without one all traces are kept but those whose parent is not.
func sampler(name, param string) (trace.Sampler, error) {
	ratio := 1.0
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "traceidratiobased") {
		var err error
		if ratio, err = strconv.ParseFloat(param, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, fmt.Errorf("sampler_param %q: a number between 0 and 1 is needed", param)
		}
	}
	switch name {
	case "alwayssample":
		return trace.AlwaysSample(), nil
	case "neversample":
		return trace.NeverSample(), nil
	case "traceidratiobased":
		return trace.TraceIDRatioBased(ratio), nil
	case "", "parentbasedalwayssample":
		return trace.ParentBased(trace.AlwaysSample()), nil
	case "parentbasedneversample":
		return trace.ParentBased(trace.NeverSample()), nil
	case "parentbasedtraceidratiobased":
		return trace.ParentBased(trace.TraceIDRatioBased(ratio)), nil
	}
	return nil, fmt.Errorf("sampler_type %q is not known", name)
}
