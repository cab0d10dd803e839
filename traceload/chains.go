package traceload

import "math/bits"

// chains finds goroutines by id: a hash table whose entries are the goroutines themselves.
type chains struct {
	heads []*Goroutine // as many as a power of two; the goroutines of one are chained, newest first
	shift uint8        // of a hash, to the bits that number a head
	n     int
}

// head is where the chain begins that a goroutine with this id is in. There must be some. The
// highest bits lie far apart for those that were created one after the other, as most that are
// alive were.
func (c *chains) head(id GoID) **Goroutine {
	return &c.heads[uint64(id)*0x9e3779b97f4a7c15>>(c.shift&63)]
}

// get returns the goroutine with this id, nil if it is not there.
func (c *chains) get(id GoID) *Goroutine {
	if len(c.heads) == 0 {
		return nil
	}
	g := *c.head(id)
	for g != nil && g.ID != id {
		g = g.next
	}
	return g
}

// put adds a goroutine that is not there.
func (c *chains) put(g *Goroutine) {
	if c.n == len(c.heads) {
		c.grow()
	}
	c.n++
	head := c.head(g.ID)
	g.next, *head = *head, g
}

// grow makes twice as many chains.
func (c *chains) grow() {
	old := c.heads
	c.heads = make([]*Goroutine, max(256, 2*len(old)))
	writeOver(c.heads)
	c.shift = uint8(bits.LeadingZeros64(uint64(len(c.heads) - 1)))
	for _, g := range old {
		for g != nil {
			next, head := g.next, c.head(g.ID)
			g.next, *head = *head, g
			g = next
		}
	}
}

// remove takes out a goroutine that is there.
func (c *chains) remove(g *Goroutine) {
	c.n--
	at := c.head(g.ID)
	for *at != g {
		at = &(*at).next
	}
	*at, g.next = g.next, nil
}
