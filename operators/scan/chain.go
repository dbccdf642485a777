package scan

import (
	"errors"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// chain reads the iterators of consecutive chunks one after the other, forward by Next only.
type chain struct {
	chunkenc.Iterator // the one being read
	rest              []chunkenc.Iterator
}

// Next goes on in the next chunk where one ends.
func (c *chain) Next() chunkenc.ValueType {
	for {
		if c.Iterator != nil {
			if vt := c.Iterator.Next(); vt != chunkenc.ValNone || c.Iterator.Err() != nil {
				return vt
			}
		}
		if len(c.rest) == 0 {
			return chunkenc.ValNone
		}
		c.Iterator, c.rest = c.rest[0], c.rest[1:]
	}
}

// isLimit tells a query-cost limit from an error of the storage.
func isLimit(err error) bool {
	var tooMany promql.ErrTooManySeries
	return errors.As(err, &tooMany)
}
