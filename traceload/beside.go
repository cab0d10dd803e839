package traceload

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"unsafe"
)

// Beside keeps a T for each Goroutine, beside it in memory: all that observers note of a
// goroutine lies together, where tables of their own would have each look in another
// place. A Layout gives it its place in the memory.
//
// T must hold no pointers.
type Beside[T any] struct{ offset uintptr }

// At returns what is kept for g, which must be one of a Program with that Layout, and no
// copy. It is zero for a goroutine that is new. It panics if no Layout gave it a place.
func (b *Beside[T]) At(g *Goroutine) *T {
	if b.offset == 0 {
		panic(errNoPlace)
	}
	g.origin.check(g)
	return (*T)(unsafe.Add(unsafe.Pointer(g), b.offset))
}

var errNoPlace = errors.New("traceload: nothing is kept beside goroutines: it has no place")

// Of is At, or nil if g is nil.
func (b *Beside[T]) Of(g *Goroutine) *T {
	if g == nil {
		return nil
	}
	return b.At(g)
}

func (b *Beside[T]) kept() reflect.Type   { return reflect.TypeFor[T]() }
func (b *Beside[T]) place(offset uintptr) { b.offset = offset }

func (b *Beside[T]) lasts() bool { return false }

// Lasting is a Beside of which a goroutine finds what was left for the one before in its
// slot; it is zero for the first.
type Lasting[T any] struct{ Beside[T] }

func (b *Lasting[T]) lasts() bool { return true }

// Kept is a Beside or Lasting of any type.
type Kept interface {
	kept() reflect.Type
	place(offset uintptr)
	lasts() bool
}

// Layout is what is kept beside the goroutines of one Program. The zero value is nothing.
type Layout struct{ kept []Kept }

// Add has a Layout hold more. It is for the time before the walk. It panics if that holds
// pointers.
func (l *Layout) Add(kept ...Kept) {
	for _, k := range kept {
		if t := k.kept(); !plain(t) {
			panic("traceload: nothing with pointers is kept beside goroutines, such as a " + t.String())
		}
	}
	l.kept = append(l.kept, kept...)
}

// plain tells whether a type holds no pointers.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Invalid
}

// goroutines is where those of one Program are, by slot, each with what is kept beside it.
type goroutines struct {
	page  reflect.Type // of pageGoroutines of them
	size  uintptr      // of one
	fresh uintptr      // of this, where what does not last begins
	pages []unsafe.Pointer
	room  []unsafe.Pointer // pages that were made with others, and are not in use yet
}

// rank is lower for what lasts, which lies first.
func rank(k Kept) int {
	if k.lasts() {
		return 0
	}
	return 1
}

// pageGoroutines is how many goroutines there are in a page.
const pageGoroutines = 256

// goroutines gives all that is kept its place, beside goroutines that are yet to come.
func (l *Layout) goroutines() goroutines {
	fields := []reflect.StructField{{Name: "Goroutine", Type: reflect.TypeFor[Goroutine]()}}
	var kept []Kept
	if l != nil {
		kept = slices.Clone(l.kept)
	}
	slices.SortStableFunc(kept, func(a, b Kept) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.kept().Align(), a.kept().Align())) // without gaps
	})
	for i, k := range kept {
		fields = append(fields, reflect.StructField{Name: "Kept" + strconv.Itoa(i), Type: k.kept()})
	}
	one := reflect.StructOf(fields)
	g := goroutines{page: reflect.ArrayOf(pageGoroutines, one), size: one.Size(), fresh: one.Size()}
	for i, k := range kept {
		at := one.Field(i + 1).Offset
		k.place(at)
		if !k.lasts() {
			g.fresh = min(g.fresh, at)
		}
	}
	return g
}

// at returns the Goroutine of a slot for which there is a page.
func (r *goroutines) at(slot int32) *Goroutine {
	i := uint(slot)
	return (*Goroutine)(unsafe.Add(r.pages[i/pageGoroutines], i%pageGoroutines*uint(r.size)))
}

// clear has nothing kept beside g any more, but for what lasts.
func (r *goroutines) clear(g *Goroutine) {
	if n := r.size - r.fresh; n > 0 { // else what follows may be nobody's memory, where no pointer may lead
		clear(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(g), r.fresh)), n)) // there are no pointers
	}
}

// morePages is how many pages are made at a time, at most. There are as many again as there are,
// up to then: so that many goroutines lie in large pages, where the operating system has them.
const morePages = 64

// grow adds a page.
func (r *goroutines) grow() {
	if len(r.room) == 0 {
		n := min(max(len(r.pages), 1), morePages)
		first, size := reflect.New(reflect.ArrayOf(n, r.page)).UnsafePointer(), r.page.Size()
		if n == morePages {
			wantLargePages(unsafe.Slice((*byte)(first), uintptr(n)*size))
		}
		for i := range uintptr(n) {
			r.room = append(r.room, unsafe.Add(first, i*size))
		}
	}
	r.pages, r.room = append(r.pages, r.room[0]), r.room[1:]
	for i := range int32(pageGoroutines) {
		g := r.at(int32(len(r.pages)-1)*pageGoroutines + i)
		g.origin = originOf(g)
	}
}
