package traceload

import (
	"reflect"
	"strconv"
	"unsafe"
)

// Beside keeps a T for each Goroutine, beside it in memory: all that observers note of a
// goroutine lies together, where tables of their own would have each look in another
// place. A Layout gives it its place in the memory; without, it must not be asked.
type Beside[T any] struct{ offset uintptr }

// At returns what is kept for g, which must be one of a Program with that Layout. It is
// zero in the first goroutine of a slot; a later one finds what was left for the one before.
func (b *Beside[T]) At(g *Goroutine) *T {
	g.origin.check(g, b.offset)
	return (*T)(unsafe.Add(unsafe.Pointer(g), b.offset))
}

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

// rooms is where Goroutines of one Program are, each with what is kept beside it.
type rooms struct {
	page reflect.Type // a slice of them
	size uintptr
	next unsafe.Pointer // never used so far
	left int
}

// pageSize is how much memory is asked for at a time.
const pageSize = 32 << 10

// rooms gives all that is kept its place.
func (l *Layout) rooms() rooms {
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
	return rooms{page: reflect.SliceOf(one), size: one.Size()}
}

// take returns a Goroutine that was never used.
func (r *rooms) take() *Goroutine {
	if r.left == 0 {
		r.left = max(1, int(pageSize/r.size))
		r.next = reflect.MakeSlice(r.page, r.left, r.left).UnsafePointer()
	}
	g := (*Goroutine)(r.next)
	g.origin = originOf(g)
	if r.left--; r.left > 0 { // else it would point to what comes behind
		r.next = unsafe.Add(r.next, r.size)
	}
	return g
}
