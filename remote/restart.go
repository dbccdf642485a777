package remote

import "errors"

// ErrRestart comes from the Next of a ColumnStream that begins anew: all that the stream gave is void, and the next columns are the first
// ones again. It does not end the stream. Who holds all rows until the end holds them back for the stream as well.
var ErrRestart = errors.New("the answer begins anew, and what came before is void")
