package remote_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// named is an engine that is nothing but a name and what it has.
type named struct {
	remote.RemoteEngine
	name string
}

func (n named) Name() string { return n.name }
func (n named) Coverage() []remote.Coverage {
	unknown, _ := remote.Unknown()
	return unknown
}

// A warning has the engine's name once, whether its error names it or not.
func TestMissing(t *testing.T) {
	const want = "PromQL warning: remote engine leaf failed, so that results from 1970-01-01T00:00:01Z to 1970-01-01T00:00:02Z " +
		"of series with the external labels {} may be missing: boom"
	boom := errors.New("boom")
	for _, err := range []error{boom, remote.EngineError("leaf", boom)} {
		require.EqualError(t, remote.Missing(named{name: "leaf"}, 1000, 2000, err), want)
	}
}
