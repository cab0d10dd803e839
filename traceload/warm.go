package traceload

import "unsafe"

// Where a program has very many goroutines, they are more than what processors have caches
// for, and most events are about one that nobody has seen for long. Each observer would wait
// for memory anew then, and for all of them it would take several times as long as what they
// do. So a Program reads the goroutines of the next few records, all that is kept beside them
// too, before it goes through those: reading a hundred places at once takes a processor not
// much longer than reading one.
const (
	// inCache is how many bytes of goroutines caches are taken to have room for: that of one
	// processor, about.
	inCache = 1 << 20
	// atOnce is how many records to read the goroutines of at a time.
	atOnce = 32
)

// goOn has next go through some of the records that come later. It returns false if there are none.
func (p *Program) goOn() bool {
	n := len(p.later)
	if uintptr(p.slots)*p.size > p.inCache {
		n = min(n, atOnce)
		p.warm(p.later[:n])
	}
	p.records, p.taken, p.later = p.later[:n], 0, p.later[n:]
	return n > 0
}

// warm reads the goroutines of records that come next.
func (p *Program) warm(list []record) {
	var read byte
	extras := p.extras[p.spent:]
	for i := range list {
		r := &list[i]
		var g *Goroutine
		if r.what&hasExtra != 0 { // its number may be that of another one still
			g, extras = p.byID.get(extras[0].id), extras[1:]
		} else if uint64(uint32(r.g)) < uint64(len(p.numbered)) {
			g = p.numbered[uint32(r.g)]
		}
		if g != nil {
			size := p.size
			if r.what.kind() == KindStart || r.what.kind() == KindStatus { // of which observers want to know little, or nothing
				size = unsafe.Sizeof(*g)
			}
			read += touch(g, size)
		}
	}
	p.warmth = read // what nobody wants to know would not be read
}

// touch reads something of each piece that caches hold of g and so many bytes from there on.
func touch(g *Goroutine, size uintptr) (read byte) {
	const line = 64
	at := unsafe.Pointer(g)
	for from := uintptr(0); from < size; from += line {
		read += *(*byte)(unsafe.Add(at, from))
	}
	return read + *(*byte)(unsafe.Add(at, size-1))
}

// claimed is a table of so many zeroes, of which here and there one is written: of memory that
// is read first the operating system makes two pages, one after the other, and stops all
// processors for the second. And where pointers are written while the garbage collector is at
// work they are read first.
func claimed[T any](n int) []T {
	const page = 4096 // or more
	table := make([]T, n)
	at, size := unsafe.Pointer(unsafe.SliceData(table)), unsafe.Sizeof(*new(T))*uintptr(n)
	for from := uintptr(0); from < size; from += page {
		*(*byte)(unsafe.Add(at, from)) = 0
	}
	return table
}
