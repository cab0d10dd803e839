package traceload

import "testing"

// TestSlots checks that slots, and the numbers of decoders, are given away again, those of
// who ended last first, and that who has ended is found no more.
func TestSlots(t *testing.T) {
	p := newProgram(nil)
	var r roster
	take := func(id GoID, slot int32, fresh bool) {
		t.Helper()
		ordered, new := r.add(id)
		if ordered.n != slot || new != fresh {
			t.Errorf("goroutine %d has number %d, new: %t; want %d, %t", id, ordered.n, new, slot, fresh)
		}
		g, known := p.enter(&record{g: ordered.n, what: changeOf(KindCreate, 0, 0)}, id)
		if g.Slot != slot || known == fresh || p.Goroutine(id) != g {
			t.Errorf("goroutine %d has slot %d, known: %t; want %d, %t", id, g.Slot, known, slot, !fresh)
		}
	}
	leave := func(id GoID) {
		g := r.live.get(id)
		p.take(&records{list: []record{{g: g.n, what: changeOf(KindEnd, StateRunning, StateEnded)}}})
		if ev := p.next(); ev.G.ID != id || ev.G.State != StateEnded {
			t.Errorf("goroutine %d ends, and the event is %+v", id, ev)
		}
		r.drop(g)
	}
	take(7, 0, true)
	take(8, 1, true)
	take(7, 0, false)
	take(9, 2, true)
	leave(7)
	leave(9)
	if r.number(7) != nobody || r.number(8) != 1 || r.number(9) != nobody {
		t.Errorf("after the end of 7 and 9 they have numbers %d and %d, and 8 has %d", r.number(7), r.number(9), r.number(8))
	}
	if p.Goroutine(7) != nil || p.Goroutine(8) == nil || p.Goroutine(9) != nil {
		t.Errorf("after the end of 7 and 9 they are %v and %v, and 8 is %v", p.Goroutine(7), p.Goroutine(9), p.Goroutine(8))
	}
	take(10, 2, true)
	take(7, 0, true)
	take(9, 3, true)
}
