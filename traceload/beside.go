package traceload

import (
	"errors"
	"reflect"
	"strconv"
	"unsafe"
)

// Beside keeps a T for each Goroutine, beside it in memory: all that observers note of a
// goroutine lies together, where tables of their own would have each look in another
// place. A Layout gives it its place in the memory.
type Beside[T any] struct{ offset uintptr }

// At returns what is kept for g, which must be one of a Program with that Layout, and no
// copy. It is zero in the first goroutine of a slot; a later one finds what was left for the
// one before. It panics if no Layout gave it a place.
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

// Kept is a Beside of any type.
type Kept interface {
	kept() reflect.Type
	place(offset uintptr)
}

// Layout is what is kept beside the goroutines of one Program. The zero value is nothing.
type Layout struct{ kept []Kept }

// Add has a Layout hold more. It is for the time before the walk.
func (l *Layout) Add(kept ...Kept) { l.kept = append(l.kept, kept...) }

// goroutines is where those of one Program are, by slot, each with what is kept beside it.
type goroutines struct {
	page  reflect.Type // of pageGoroutines of them
	size  uintptr      // of one
	pages []unsafe.Pointer
}

// pageGoroutines is how many goroutines there are in a page.
const pageGoroutines = 256

// goroutines gives all that is kept its place, beside goroutines that are yet to come.
func (l *Layout) goroutines() goroutines {
	fields := []reflect.StructField{{Name: "Goroutine", Type: reflect.TypeFor[Goroutine]()}}
	if l != nil {
		for i, k := range l.kept {
			fields = append(fields, reflect.StructField{Name: "Kept" + strconv.Itoa(i), Type: k.kept()})
		}
	}
	one := reflect.StructOf(fields)
	for i := range fields[1:] {
		l.kept[i].place(one.Field(i + 1).Offset)
	}
	return goroutines{page: reflect.ArrayOf(pageGoroutines, one), size: one.Size()}
}

// at returns the Goroutine of a slot for which there is a page.
func (r *goroutines) at(slot int32) *Goroutine {
	i := uint(slot)
	return (*Goroutine)(unsafe.Add(r.pages[i/pageGoroutines], i%pageGoroutines*uint(r.size)))
}

// grow adds a page.
func (r *goroutines) grow() {
	r.pages = append(r.pages, reflect.New(r.page).UnsafePointer())
	for i := range int32(pageGoroutines) {
		g := r.at(int32(len(r.pages)-1)*pageGoroutines + i)
		g.origin = originOf(g)
	}
}
