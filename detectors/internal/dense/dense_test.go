package dense

import (
	"math/rand/v2"
	"testing"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestGoroutines(t *testing.T) {
	var table Goroutines[int]
	first := &traceload.Goroutine{ID: 7, Slot: 100}
	if table.Of(first) != nil || table.Of(nil) != nil {
		t.Error("something is kept in an empty table")
	}
	table.Leave(first)
	*table.Enter(first) = 5
	if got := table.Of(first); got == nil || *got != 5 {
		t.Errorf("of the first: %v, want 5", got)
	}
	if got := *table.Enter(first); got != 5 {
		t.Errorf("entered again: %d, want 5", got)
	}
	second := &traceload.Goroutine{ID: 8, Slot: 100}
	if table.Of(second) != nil {
		t.Error("the first's is taken for the second's")
	}
	table.Leave(second)
	if table.Of(first) == nil {
		t.Error("the second's leaving took the first's")
	}
	if got := *table.Enter(second); got != 0 {
		t.Errorf("of the second: %d, want 0", got)
	}
	if table.Of(first) != nil {
		t.Error("the first's is kept beside the second's")
	}
	table.Leave(second)
	if table.Of(second) != nil {
		t.Error("kept after leaving")
	}
	if zero := (&traceload.Goroutine{}); table.Of(zero) != nil {
		t.Error("a goroutine numbered 0 is taken for one that was entered")
	}
	kept := table.Enter(second)
	*kept = 6
	far := &traceload.Goroutine{ID: 9, Slot: 3 * page}
	*table.Enter(far) = 8
	if table.Of(second) != kept || *kept != 6 || *table.Of(far) != 8 {
		t.Errorf("after growing the second has %d, the far one %d", *kept, *table.Of(far))
	}
	if table.Of(&traceload.Goroutine{ID: 10, Slot: 9 * page}) != nil || table.Of(&traceload.Goroutine{ID: 10, Slot: far.Slot - 1}) != nil {
		t.Error("something is kept for one that was not entered")
	}
}

func TestByID(t *testing.T) {
	var table ByID[traceload.StackID, string]
	if got := table.Get(3); got != "" || table.Of(3) != nil {
		t.Errorf("of an empty table: %q", got)
	}
	*table.At(300) = "x"
	*table.At(0) = "y"
	if table.Get(300) != "x" || table.Get(0) != "y" || table.Get(299) != "" || table.Get(1<<20) != "" {
		t.Error("not what was set")
	}
	if table.Of(300) != table.At(300) || table.Of(1<<20) != nil {
		t.Error("not the place")
	}
	var set []traceload.StackID
	for id, v := range table.All {
		if *v != "" {
			set = append(set, id)
		}
	}
	if len(set) != 2 || set[0] != 0 || set[1] != 300 {
		t.Errorf("set are %v, want 0 and 300", set)
	}
}

// TestPairs holds a table against a map.
func TestPairs(t *testing.T) {
	var table Pairs[int]
	if table.Find(0, 0) != nil {
		t.Error("something is in an empty table")
	}
	want := map[Pair]int{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		k := Pair{random.Uint32N(100), random.Uint32N(1000) << random.UintN(20)}
		if v := table.Find(k.A, k.B); (v == nil) != (want[k] == 0) {
			t.Fatalf("after %d steps %v is there: %v", i, k, v != nil)
		}
		want[k]++
		*table.At(k.A, k.B)++
	}
	if table.Len() != len(want) {
		t.Errorf("%d pairs, want %d", table.Len(), len(want))
	}
	seen := 0
	for k, v := range table.All {
		seen++
		if *v != want[k] || *table.Find(k.A, k.B) != *v {
			t.Errorf("%v: %d, want %d", k, *v, want[k])
		}
	}
	if seen != len(want) {
		t.Errorf("All yields %d pairs, want %d", seen, len(want))
	}
}

// TestRecent: what is said to be known was added; what was just added is known.
func TestRecent(t *testing.T) {
	var table Recent
	added := map[Pair]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		k := Pair{random.Uint32N(40), random.Uint32N(40)}
		if table.Add(k.A, k.B) && !added[k] {
			t.Fatalf("%v is known before it was added", k)
		}
		if added[k] = true; !table.Add(k.A, k.B) {
			t.Fatalf("%v is forgotten at once", k)
		}
	}
}

func TestPool(t *testing.T) {
	var pool Pool[int]
	pool.Give(0)
	a, b := pool.Take(), pool.Take()
	if a == 0 || b == 0 || a == b {
		t.Fatalf("took %d and %d", a, b)
	}
	*pool.At(a), *pool.At(b) = 1, 2
	pool.Give(a)
	all := map[uint32]int{}
	for id, v := range pool.All {
		all[id] = *v
	}
	if len(all) != 2 || all[a] != 0 || all[b] != 2 {
		t.Errorf("all is %v, want %d empty and %d full", all, a, b)
	}
	if c := pool.Take(); c != a || *pool.At(c) != 0 {
		t.Errorf("took %d with %d in it, want %d again, empty", c, *pool.At(c), a)
	}
	if *pool.At(b) != 2 {
		t.Error("what was not given back is gone")
	}
}

func TestAllocatesOnlyToGrow(t *testing.T) {
	var goroutines Goroutines[[4]int]
	var ids ByID[traceload.StackID, int]
	var pairs Pairs[int]
	g := &traceload.Goroutine{ID: 1, Slot: 1}
	step := func() {
		goroutines.Enter(g)[0]++
		*ids.At(5)++
		*pairs.At(5, 6)++
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestList(t *testing.T) {
	var list List[int]
	for round := range 2 { // what was cleared is used again
		n := 3*page + 5
		for i := range n {
			*list.Add() = i + round
		}
		if list.Len() != n || len(list.pages) != 4 {
			t.Fatalf("%d are in the list, in %d pages, want %d in 4", list.Len(), len(list.pages), n)
		}
		for i := range n {
			if got := *list.At(i); got != i+round {
				t.Fatalf("at %d is %d, want %d", i, got, i+round)
			}
		}
		list.Clear()
		if list.Len() != 0 {
			t.Fatalf("%d are in a list that was cleared", list.Len())
		}
	}
}

// What is given back is noted in a list that is made once, not by doubling.
func TestPoolGivenBackAtOnce(t *testing.T) {
	var pool Pool[int]
	const n = 10_000
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = pool.Take()
	}
	allocs := testing.AllocsPerRun(1, func() {
		pool.free = nil
		for _, id := range ids {
			pool.Give(id)
		}
	})
	if allocs > 2 { // with the race detector slices.Grow takes two; growing bit by bit takes some twenty
		t.Errorf("%v allocations to give %d places back, want one or two", allocs, n)
	}
	seen := map[uint32]bool{}
	for range n {
		seen[pool.Take()] = true
	}
	if len(seen) != n || pool.n != n {
		t.Errorf("%d places were taken again, %d ever, want %d", len(seen), pool.n, n)
	}
}
