package operators

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestSchemaOfItsOwn(t *testing.T) {
	s := NewSchema()
	require.Zero(t, s.Len())
	require.False(t, s.Complete())
	a, b := labels.FromStrings("i", "a"), labels.FromStrings("i", "b")
	require.Equal(t, 0, s.Append(a, false))
	require.Equal(t, 1, s.Append(b, true))
	require.Equal(t, 2, s.Len())
	require.Equal(t, a, s.Labels(0))
	require.Equal(t, b, s.Labels(1))
	require.False(t, s.DropName(0))
	require.True(t, s.DropName(1))
	s.SetDropName(0, true)
	s.SetDropName(1, false)
	require.True(t, s.DropName(0))
	require.False(t, s.DropName(1))
	s.SetComplete()
	require.True(t, s.Complete())
}

func TestConstantSchema(t *testing.T) {
	s := ConstantSchema(labels.FromStrings("i", "a"), labels.EmptyLabels())
	require.True(t, s.Complete())
	require.Equal(t, 2, s.Len())
	require.Equal(t, `{i="a"}`, s.Labels(0).String())
	require.False(t, s.DropName(1))
	s.SetDropName(1, true)
	require.True(t, s.DropName(1))
}

func TestDerivedSchemaFollowsItsParent(t *testing.T) {
	parent := NewSchema()
	calls := 0
	relabel := func(l labels.Labels) labels.Labels {
		calls++
		return labels.NewBuilder(l).Set("x", "y").Labels()
	}
	derived := DeriveSchema(parent, relabel, false)
	again := DeriveSchema(derived, nil, true)
	parent.Append(labels.FromStrings("i", "a"), false)
	parent.Append(labels.FromStrings("i", "b"), true)
	require.Equal(t, 2, derived.Len())
	require.Equal(t, 2, again.Len())
	require.Zero(t, calls, "labels are made only when they are asked for")
	require.Equal(t, `{i="b", x="y"}`, again.Labels(1).String())
	require.Equal(t, 1, calls)
	require.Equal(t, `{i="b"}`, parent.Labels(1).String())

	require.False(t, derived.DropName(0))
	require.True(t, derived.DropName(1))
	require.True(t, again.DropName(0))
	parent.SetDropName(1, false)
	require.False(t, derived.DropName(1))

	require.False(t, again.Complete())
	parent.SetComplete()
	require.True(t, derived.Complete())
	require.True(t, again.Complete())
}
