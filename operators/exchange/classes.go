package exchange

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"

	"github.com/stride-promql/stride/operators"
)

// classes are the series of a schema with equal output labels, numbered in the order of their first
// series.
type classes struct {
	in *operators.Schema
	// dropReserved removes the metadata labels of series with DropName from the output.
	dropReserved bool

	byHash map[uint64]int32 // labels hash -> the last class with it
	same   []int32          // class -> the class before it with the same hash, -1 without
	first  []int32          // class -> its first series
	of     []int32          // series -> class
	max    int              // most series in a class, as far as it tells 1 from more
}

func newClasses(in *operators.Schema, dropReserved bool) *classes {
	return &classes{in: in, dropReserved: dropReserved, byHash: map[uint64]int32{}}
}

// extend finds the classes of series that the schema has gained.
func (c *classes) extend() {
	for i := len(c.of); i < c.in.Len(); i++ {
		c.of = append(c.of, c.class(int32(i)))
	}
}

func (c *classes) class(series int32) int32 {
	l := c.labels(series)
	hash := l.Hash()
	last, ok := c.byHash[hash]
	if !ok {
		last = -1
	}
	for class := last; class >= 0; class = c.same[class] {
		if labels.Equal(c.labels(c.first[class]), l) {
			c.max = 2
			return class
		}
	}
	class := int32(len(c.first))
	c.byHash[hash] = class
	c.same = append(c.same, last)
	c.first = append(c.first, series)
	c.max = max(c.max, 1)
	return class
}

// labels are the output labels of a series. Dropping metadata labels, which come first in the order
// of labels, copies nothing but in odd cases.
func (c *classes) labels(series int32) labels.Labels {
	l := c.in.Labels(int(series))
	if c.dropReserved && c.in.DropName(int(series)) {
		l = l.DropReserved(schema.IsMetadataLabel)
	}
	return l
}

// dropName is DropName of a series in the output.
func (c *classes) dropName(series int32) bool {
	return !c.dropReserved && c.in.DropName(int(series))
}
