package traceload

import (
	"math/rand/v2"
	"testing"
)

// TestGoTable holds the table against a map, with numbers that crowd together.
func TestGoTable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table goTable[*int]
	want := map[GoID]*int{}
	for step := range 200_000 {
		id := GoID(random.IntN(700)) - 1
		if step%3 == 0 {
			id <<= 32
		}
		switch _, there := want[id]; {
		case !there:
			v := step
			want[id] = &v
			table.put(id, &v)
		case random.IntN(2) == 0:
			delete(want, id)
			table.remove(id)
		}
		if got := table.get(id); got != want[id] {
			t.Fatalf("step %d: %d has %v, want %v", step, id, got, want[id])
		}
		table.remove(-77) // is not there
	}
	if table.n != len(want) {
		t.Errorf("%d entries, want %d", table.n, len(want))
	}
	for id, v := range want {
		if table.get(id) != v {
			t.Errorf("%d has %v, want %v", id, table.get(id), v)
		}
	}
}
