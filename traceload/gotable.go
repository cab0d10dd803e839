package traceload

// goTable finds goroutines by number: a hash table with open addressing, which
// is what most of the time would go into otherwise.
type goTable struct {
	slots []*ordered // a power of two, at most half full
	n     int
	free  []*ordered
}

func (t *goTable) home(id GoID) int {
	return int(uint64(id)*0x9e3779b97f4a7c15>>32) & (len(t.slots) - 1)
}

// get returns the goroutine of that number, nil if there is none.
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

// add returns the goroutine of that number, and whether it is new.
func (t *goTable) add(id GoID) (g *ordered, fresh bool) {
	if g := t.get(id); g != nil {
		return g, false
	}
	if 2*(t.n+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*ordered, max(256, 2*len(old)))
		for _, g := range old {
			if g != nil {
				t.put(g)
			}
		}
	}
	if len(t.free) == 0 {
		chunk := make([]ordered, 256)
		for i := range chunk {
			t.free = append(t.free, &chunk[i])
		}
	}
	g = t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	*g = ordered{id: id}
	t.put(g)
	t.n++
	return g, true
}

func (t *goTable) put(g *ordered) {
	i := t.home(g.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = g
}

// remove takes g out, and closes the gap that it leaves.
func (t *goTable) remove(g *ordered) {
	mask := len(t.slots) - 1
	i := t.home(g.id)
	for t.slots[i] != g {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		if home := t.home(t.slots[j].id); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
	t.n--
	t.free = append(t.free, g)
}
