package traceload

import "math/bits"

// goTable finds goroutines by number: a hash table with open addressing. A map
// of the language would take most of the time that is spent on an event.
type goTable[V comparable] struct {
	slots []goSlot[V] // a power of two, at most four fifths full
	shift uint8       // of a hash, to the bits that number a slot
	n     int
}

type goSlot[V comparable] struct {
	id GoID
	v  V // zero if the slot is free
}

// clear takes out all goroutines.
func (t *goTable[V]) clear() {
	clear(t.slots)
	t.n = 0
}

// home is where the search for a goroutine begins. The highest bits lie far apart
// for those that were created one after the other, as most that are alive were.
func (t *goTable[V]) home(id GoID) int {
	return int(uint64(id) * 0x9e3779b97f4a7c15 >> (t.shift & 63))
}

// get returns what is stored for a goroutine, zero if there is nothing.
func (t *goTable[V]) get(id GoID) V {
	var none V
	if len(t.slots) == 0 {
		return none
	}
	for i := t.home(id); ; i = (i + 1) & (len(t.slots) - 1) {
		if s := &t.slots[i]; s.v == none || s.id == id {
			return s.v
		}
	}
}

// put stores v, which is not zero, for a goroutine that is not there.
func (t *goTable[V]) put(id GoID, v V) {
	var none V
	if 5*(t.n+1) > 4*len(t.slots) {
		old := t.slots
		t.slots = make([]goSlot[V], max(256, 2*len(old)))
		t.shift = uint8(bits.LeadingZeros64(uint64(len(t.slots) - 1)))
		for _, s := range old {
			if s.v != none {
				t.enter(s)
			}
		}
	}
	t.enter(goSlot[V]{id, v})
	t.n++
}

func (t *goTable[V]) enter(s goSlot[V]) {
	var none V
	i := t.home(s.id)
	for t.slots[i].v != none {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

// remove takes out a goroutine that may be there, and closes the gap that it leaves.
func (t *goTable[V]) remove(id GoID) {
	if len(t.slots) == 0 {
		return
	}
	var none V
	mask := len(t.slots) - 1
	i := t.home(id)
	for t.slots[i].id != id || t.slots[i].v == none {
		if t.slots[i].v == none {
			return
		}
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j].v != none; j = (j + 1) & mask {
		if home := t.home(t.slots[j].id); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = goSlot[V]{}
	t.n--
}
