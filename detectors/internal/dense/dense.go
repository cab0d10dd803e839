// Package dense holds the tables in which observers look things up at every
// event: arrays and open addressing instead of the language's maps, which
// would take most of the time that an event costs. Nothing here allocates
// except to grow. The zero value of each table is empty and ready to use.
//
// A pointer into ByID, Stacks or Pairs is valid until something is added to the table;
// those into what is kept for goroutines, and into a Pool, stay valid.
package dense

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// Goroutines keeps a T for each goroutine that is alive and was entered: for what is kept of
// few of them, or in few traces. All else has its place beside the goroutine
// (traceload.Beside). It grows by pages: copying, and the garbage that it leaves, would cost
// more than what is kept.
type Goroutines[T any] struct {
	pages []*[page]occupant[T] // by Goroutine.Slot
}

// page is how many places there are in a page.
const page = 256

type occupant[T any] struct {
	mark traceload.GoID // of the goroutine plus one; 0 is nobody
	v    T
}

// Enter returns what is kept for g, zero if it was not entered before.
func (t *Goroutines[T]) Enter(g *traceload.Goroutine) *T {
	i := uint32(g.Slot)
	for int(i/page) >= len(t.pages) {
		t.pages = append(t.pages, new([page]occupant[T]))
	}
	o := &t.pages[i/page][i%page]
	if o.mark != g.ID+1 {
		*o = occupant[T]{mark: g.ID + 1}
	}
	return &o.v
}

// find returns the place of g, nil if g is nil or was not entered.
func (t *Goroutines[T]) find(g *traceload.Goroutine) *occupant[T] {
	if g != nil {
		if i := uint32(g.Slot); int(i/page) < len(t.pages) {
			if o := &t.pages[i/page][i%page]; o.mark == g.ID+1 {
				return o
			}
		}
	}
	return nil
}

// Of returns what is kept for g; nil if g is nil or was not entered.
func (t *Goroutines[T]) Of(g *traceload.Goroutine) *T {
	if o := t.find(g); o != nil {
		return &o.v
	}
	return nil
}

// Leave forgets g, if it was entered. What was kept is cleared when its place is
// taken again.
func (t *Goroutines[T]) Leave(g *traceload.Goroutine) {
	if o := t.find(g); o != nil {
		o.mark = 0
	}
}

// grown returns list, made long enough for the index i.
func grown[T any](list []T, i int) []T {
	n := len(list) // as long as it is short it doubles: what is left of it each time is memory that was made for nothing
	return append(list, make([]T, max(i+1-n, 64, min(n, 1<<13), n/8))...)
}

// ByID keeps a V for each of the small numbers that traceload gives out:
// stacks, frames, functions, strings.
type ByID[K ~uint32, V any] struct {
	list []V
}

// At returns the place for id's value, which is zero at first.
func (t *ByID[K, V]) At(id K) *V {
	list := t.list
	if int(id) >= len(list) {
		list = grown(list, int(id))
		t.list = list
	}
	return &list[id]
}

// Get returns id's value, zero if none was set.
func (t *ByID[K, V]) Get(id K) (v V) {
	if int(id) < len(t.list) {
		v = t.list[id]
	}
	return v
}

// Of returns the place for id's value; nil if there is none. There is one for every
// id up to the highest that At was called for.
func (t *ByID[K, V]) Of(id K) *V {
	list := t.list
	if int(id) >= len(list) {
		return nil
	}
	return &list[id]
}

// All calls yield for each id from 0 to the highest that a place was made for,
// whether its value was set or not, until it returns false.
func (t *ByID[K, V]) All(yield func(K, *V) bool) {
	for i := range t.list {
		if !yield(K(i), &t.list[i]) {
			return
		}
	}
}

// Stacks keeps what follows from a stack alone, worked out once for each.
type Stacks[V any] struct {
	list []V
}

// Of returns what is kept for a stack. Find is called for it, and for all with a lower
// number, the first time. The pointer is valid until the next call.
func (t *Stacks[V]) Of(p *traceload.Program, id traceload.StackID, find func(*traceload.Program, traceload.StackID) V) *V {
	if int(id) >= len(t.list) {
		t.fill(p, id, find)
	}
	return &t.list[id]
}

func (t *Stacks[V]) fill(p *traceload.Program, last traceload.StackID, find func(*traceload.Program, traceload.StackID) V) {
	for id := traceload.StackID(len(t.list)); id <= last; id++ {
		t.list = append(t.list, find(p, id))
	}
}

// Pairs keeps a V for each pair of ids that was added.
type Pairs[V any] struct {
	cells []cell[V] // a power of two, at most half in use
	n     int
}

type cell[V any] struct {
	mark uint64 // the pair plus one; 0 is none
	v    V
}

// Len returns how many pairs were added.
func (t *Pairs[V]) Len() int { return t.n }

// Find returns the value of a pair, nil if it was not added.
func (t *Pairs[V]) Find(a, b uint32) *V {
	cells := t.cells
	if len(cells) == 0 {
		return nil
	}
	mark := markOf(a, b)
	for i := home(mark); ; i++ {
		switch c := &cells[i&uint64(len(cells)-1)]; c.mark {
		case mark:
			return &c.v
		case 0:
			return nil
		}
	}
}

// At returns the value of a pair, and adds a zero one if there is none.
func (t *Pairs[V]) At(a, b uint32) *V {
	if v := t.Find(a, b); v != nil {
		return v
	}
	if 2*(t.n+1) > len(t.cells) {
		old := t.cells
		t.cells = make([]cell[V], max(64, 2*len(old)))
		// Written from end to end: of memory that is read first the operating system makes two
		// pages, one after the other, and stops all processors for the second. And it is read
		// first where pointers are cleared while the garbage collector is at work.
		for i := range t.cells {
			t.cells[i].mark = 0
		}
		for i := range old {
			if old[i].mark != 0 {
				*t.free(old[i].mark) = old[i]
			}
		}
	}
	t.n++
	c := t.free(markOf(a, b))
	c.mark = markOf(a, b)
	return &c.v
}

// All calls yield for each pair that was added, in an order that depends on
// nothing but the pairs and the order of adding them, until it returns false.
func (t *Pairs[V]) All(yield func(Pair, *V) bool) {
	for i := range t.cells {
		if c := &t.cells[i]; c.mark != 0 {
			if !yield(Pair{uint32((c.mark - 1) >> 32), uint32(c.mark - 1)}, &c.v) {
				return
			}
		}
	}
}

// Pair is two ids.
type Pair struct{ A, B uint32 }

// markOf is never 0: no id is as high as 1<<32-1.
func markOf(a, b uint32) uint64 { return uint64(a)<<32 | uint64(b) + 1 }

// home is where the search for a pair begins, in a table without end.
func home(mark uint64) uint64 { return mark * 0x9e3779b97f4a7c15 >> 32 }

// free returns the cell to put a new pair in.
func (t *Pairs[V]) free(mark uint64) *cell[V] {
	for i := home(mark); ; i++ {
		if c := &t.cells[i&uint64(len(t.cells)-1)]; c.mark == 0 {
			return c
		}
	}
}

// Recent remembers pairs of ids that were added lately: for work that need not
// be done again for the same pair, but may be.
type Recent struct {
	marks [1 << 9]uint64
}

// Add adds a pair, and tells whether it is known to be there already.
func (t *Recent) Add(a, b uint32) (known bool) {
	mark := markOf(a, b)
	m := &t.marks[home(mark)%uint64(len(t.marks))]
	known = *m == mark
	*m = mark
	return known
}

// Pool lends out places for what only some goroutines need, so that the others
// are not made larger by it.
type Pool[T any] struct {
	pages []*[page]T
	n     uint32 // places that were ever taken
	free  []uint32
}

// Take returns the number of a place that holds a zero T. It is never 0.
func (t *Pool[T]) Take() uint32 {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	if t.n++; int(t.n/page) >= len(t.pages) {
		t.pages = append(t.pages, new([page]T))
	}
	return t.n
}

// At returns what is at a place that was taken.
func (t *Pool[T]) At(id uint32) *T { return &t.pages[id/page][id%page] }

// Give gives a place back; 0 is none.
func (t *Pool[T]) Give(id uint32) {
	if id != 0 {
		var zero T
		*t.At(id) = zero
		t.free = append(room(t.free, int(t.n)), id)
	}
}

// room returns list, which never gets longer than most, with room for one more: all of
// it at once if there is none.
func room[T any](list []T, most int) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(1, most-len(list)))
	}
	return list
}

// All yields what is at all places that were ever taken, and their numbers; those that were
// given back hold a zero T.
func (t *Pool[T]) All(yield func(uint32, *T) bool) {
	for id := uint32(1); id <= t.n; id++ {
		if !yield(id, t.At(id)) {
			return
		}
	}
}

// List keeps what is added in order. It grows by pages, as Goroutines does.
type List[T any] struct {
	pages []*[page]T
	n     int
}

// Len returns how many there are.
func (t *List[T]) Len() int { return t.n }

// At returns the i-th, from 0.
func (t *List[T]) At(i int) *T { return &t.pages[uint(i)/page][uint(i)%page] }

// Add makes a place for one more, with anything in it.
func (t *List[T]) Add() *T {
	if t.n == len(t.pages)*page {
		t.pages = append(t.pages, new([page]T))
	}
	t.n++
	return t.At(t.n - 1)
}

// Clear takes all out.
func (t *List[T]) Clear() { t.n = 0 }
