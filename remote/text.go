package remote

// Text is a RemoteQuery.
type Text struct {
	// Query is complete PromQL.
	Query string
	// Version and Encoded are what Plan returns.
	Version int
	Encoded []byte
	// Span is what Needs returns.
	Span Intervals
}

var _ Needer = (*Text)(nil)

// String implements RemoteQuery.
func (t *Text) String() string { return t.Query }

// Plan implements RemoteQuery.
func (t *Text) Plan() (version int, encoded []byte) { return t.Version, t.Encoded }

// Needs implements Needer.
func (t *Text) Needs() Intervals { return t.Span }
