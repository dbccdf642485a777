package remote

// Needer is implemented by a RemoteQuery that knows when the samples are that it looks at. An engine that can choose whom to ask asks
// somebody who has them.
type Needer interface {
	// Needs are the times of all samples that any selector of the query looks at, at any step that is asked for: ranges, offsets, `@`,
	// subqueries and lookback included. nil says that they are not known.
	Needs() Intervals
}
