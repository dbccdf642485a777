package remote

import "time"

// Sign is a sign of life of a node that was asked.
type Sign int

const (
	// Alive says that the node lives and has nothing to give. It may not have let the request in yet.
	Alive Sign = iota
	// Begun says that the request was let in and is being worked on.
	Begun
)

// SignEvery is how long a Stride node is silent at most while it answers.
const SignEvery = 500 * time.Millisecond

// Signaller is implemented by a ColumnStream, and a set of series, of a node that shows signs of life before it has something to give, and in
// between.
//
// OnSign is called at most once, before the first Next, and tells whether signs will come. From then on sign is called for each sign that comes, by the goroutine that is in Next
// and before that returns: never two at a time, never between two calls of Next, and in the order in which the node sent them. Begun comes
// at most once, and before all that Next gives; Alive any number of times, before and behind it. What Next gives is a sign by itself, for which
// sign need not be called. sign has to return at once.
type Signaller interface {
	OnSign(sign func(Sign)) bool
}
