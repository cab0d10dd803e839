package traceload

import (
	"math/rand/v2"
	"testing"
)

// TestGoTable holds the tables of goroutines against a map, with numbers that crowd together.
func TestGoTable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table goTable
	p := newProgram(nil)
	chains := &p.byID
	want := map[GoID]*ordered{}
	chained := map[GoID]*Goroutine{}
	for step := range 200_000 {
		id := GoID(random.IntN(700)) - 1
		if step%3 == 0 {
			id <<= 32
		}
		switch _, there := want[id]; {
		case !there:
			want[id], chained[id] = &ordered{id: id}, p.occupy(id)
			table.put(want[id])
		case random.IntN(2) == 0:
			p.leave(chained[id])
			delete(want, id)
			delete(chained, id)
			table.remove(id)
		}
		if got := table.get(id); got != want[id] {
			t.Fatalf("step %d: %d has %v, want %v", step, id, got, want[id])
		}
		if got := chains.get(id); got != chained[id] {
			t.Fatalf("step %d: %d is %v, want %v", step, id, got, chained[id])
		}
		table.remove(-77) // is not there
	}
	if table.n != len(want) || chains.n != len(want) {
		t.Errorf("%d and %d entries, want %d", table.n, chains.n, len(want))
	}
	for id, v := range want {
		if table.get(id) != v {
			t.Errorf("%d has %v, want %v", id, table.get(id), v)
		}
		if chains.get(id) != chained[id] {
			t.Errorf("%d is %v, want %v", id, chains.get(id), chained[id])
		}
	}
}
