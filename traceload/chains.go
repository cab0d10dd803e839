package traceload

import "math/bits"

// chains finds goroutines by id: a hash table whose entries are the goroutines themselves.
type chains struct {
	among *goroutines
	heads []*Goroutine // as many as a power of two; the goroutines of one are chained, newest first
	shift uint8        // of a hash, to the bits that number a head
	n     int
}

// link is how a goroutine leads to the next one in its chain: by that one's slot plus one, 0 for
// none. Of memory in which there is no pointer the garbage collector need not read anything.
type link int32

// after returns the goroutine that follows in a chain, nil if there is none.
func (c *chains) after(g *Goroutine) *Goroutine {
	if g.next == 0 {
		return nil
	}
	return c.among.at(int32(g.next) - 1)
}

// lead has a goroutine lead to another one, or to none if that is nil.
func (g *Goroutine) lead(to *Goroutine) {
	if g.next = 0; to != nil {
		g.next = link(to.Slot) + 1
	}
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
	if g != nil && g.ID != id {
		g = c.later(g, id)
	}
	return g
}

// later is get for a goroutine that is not the first of its chain, as few are.
//
//go:noinline
func (c *chains) later(g *Goroutine, id GoID) *Goroutine {
	for g != nil && g.ID != id {
		g = c.after(g)
	}
	return g
}

// put adds a goroutine that is not there.
func (c *chains) put(g *Goroutine) {
	if c.n == len(c.heads) {
		c.grow()
	}
	c.n++
	c.enter(g)
}

func (c *chains) enter(g *Goroutine) {
	head := c.head(g.ID)
	g.lead(*head)
	*head = g
}

// grow makes twice as many chains.
func (c *chains) grow() {
	old := c.heads
	c.heads = claimed[*Goroutine](max(256, 2*len(old)))
	c.shift = uint8(bits.LeadingZeros64(uint64(len(c.heads) - 1)))
	for _, g := range old {
		for g != nil {
			next := c.after(g)
			c.enter(g)
			g = next
		}
	}
}

// remove takes out a goroutine that is there.
func (c *chains) remove(g *Goroutine) {
	c.n--
	head := c.head(g.ID)
	if *head == g {
		*head = c.after(g)
	} else {
		before := *head
		for int32(before.next)-1 != g.Slot {
			before = c.after(before)
		}
		before.next = g.next
	}
	g.next = 0
}
