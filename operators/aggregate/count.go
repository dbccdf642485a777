package aggregate

// counts are numbers of samples.
type counts struct{ n []uint32 }

func (*counts) width() int   { return 4 }
func (c *counts) reset()     { c.n = c.n[:0] }
func (c *counts) grow(n int) { c.n = grown(c.n, n, 0) }

func (c *counts) add(at int, f []float64) {
	n := c.n[at : at+len(f)]
	for i := range n {
		n[i]++
	}
}

func (c *counts) addRows(at []int32, f []float64) {
	for _, p := range at[:len(f)] {
		c.n[p]++
	}
}

func (c *counts) results(at int, dst []float64) {
	for i, n := range c.n[at : at+len(dst)] {
		dst[i] = float64(n)
	}
}

// ones is 1 wherever there is a sample: it needs no state.
type ones struct{}

func (ones) width() int                 { return 0 }
func (ones) reset()                     {}
func (ones) grow(int)                   {}
func (ones) add(int, []float64)         {}
func (ones) addRows([]int32, []float64) {}
func (ones) results(_ int, dst []float64) {
	for i := range dst {
		dst[i] = 1
	}
}
