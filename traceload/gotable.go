package traceload

import "math/bits"

// goTable finds goroutines by number: a hash table with open addressing. A map
// of the language would take most of the time that is spent on an event.
type goTable struct {
	slots []*ordered // as many as a power of two, at most four fifths of them taken
	shift uint8      // of a hash, to the bits that number a slot
	n     int
}

// clear takes out all goroutines.
func (t *goTable) clear() {
	clear(t.slots)
	t.n = 0
}

// home is where the search for a goroutine begins. The highest bits lie far apart
// for those that were created one after the other, as most that are alive were.
func (t *goTable) home(id GoID) int {
	return int(uint64(id) * 0x9e3779b97f4a7c15 >> (t.shift & 63))
}

// get returns the goroutine with this number, nil if it is not there.
func (t *goTable) get(id GoID) *ordered {
	if len(t.slots) == 0 {
		return nil
	}
	for i := t.home(id); ; i = (i + 1) & (len(t.slots) - 1) {
		if g := t.slots[i]; g == nil || g.id == id {
			return g
		}
	}
}

// put adds a goroutine that is not there.
func (t *goTable) put(g *ordered) {
	if 5*(t.n+1) > 4*len(t.slots) {
		old := t.slots
		t.slots = claimed[*ordered](max(256, 2*len(old)))
		t.shift = uint8(bits.LeadingZeros64(uint64(len(t.slots) - 1)))
		for _, g := range old {
			if g != nil {
				t.enter(g)
			}
		}
	}
	t.enter(g)
	t.n++
}

func (t *goTable) enter(g *ordered) {
	i := t.home(g.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = g
}

// remove takes out a goroutine that may be there, and closes the gap that it leaves.
func (t *goTable) remove(id GoID) {
	if len(t.slots) == 0 {
		return
	}
	mask := len(t.slots) - 1
	i := t.home(id)
	for ; t.slots[i] == nil || t.slots[i].id != id; i = (i + 1) & mask {
		if t.slots[i] == nil {
			return
		}
	}
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		if home := t.home(t.slots[j].id); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
	t.n--
}
