package function

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

func TestLabelReplace(t *testing.T) {
	w := newWorld(t, 1)
	w.gauges()
	w.compare(true,
		`label_replace(g, "new", "$1-x", "zone", "z(.*)")`,
		`label_replace(g, "i", "", "zone", ".*")`,
		`label_replace(g, "i", "same", "i", "[02]")`,
		`label_replace(g, "zone", "same", "i", ".*")`,
		`label_replace({__name__=~"g|mixed"}, "__name__", "renamed", "i", "0")`,
		`label_replace(g, "__name__", "${1}_$2", "zone", "(z)(.)")`,
		`label_replace(g, "dst", "$name", "zone", "(?P<name>..).*")`,
		`label_replace(g, "dst", "x", "nothing", "")`,
		`label_replace(g, "dst", "x", "nothing", "y")`,
		`label_replace(g, "dst", "x", "zone", "(")`,
		`label_replace(g, "", "x", "zone", "z")`,
	)
}

func TestLabelJoin(t *testing.T) {
	w := newWorld(t, 2)
	w.gauges()
	w.compare(true,
		`label_join(g, "new", "-", "i", "nothing", "zone")`,
		`label_join(g, "i", "", "j")`,
		`label_join(g, "i", "-")`,
		`label_join({__name__=~"g|mixed"}, "__name__", "_", "__name__", "i")`,
		`label_join(g, "__name__", "_", "i")`,
		`label_join(g, "", "-", "i")`,
		`label_join(g, "new", "-", "i", "")`,
		`label_join(g, "", "-", "")`,
	)
}

// DropName of an aggregation is that of its last step, which the next step range may change in either direction.
func TestLabelReplaceFollowsDropName(t *testing.T) {
	in := operators.ConstantSchema(labels.FromStrings("__name__", "a"), labels.FromStrings("__name__", "b"))
	r := NewLabelReplace(&operators.Query{DelayedNameRemoval: true}, in, "__name__", "renamed", "__name__", "b")
	require.NoError(t, r.Bind(t.Context()))
	for _, drop := range []bool{true, false, true, false} {
		in.SetDropName(0, drop)
		in.SetDropName(1, drop)
		require.NoError(t, r.Extend())
		require.Equal(t, drop, r.Schema().DropName(0))
		require.False(t, r.Schema().DropName(1), "a name given stays")
	}
}
