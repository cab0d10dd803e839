//go:build race

package traceload

// origin tells a Goroutine of a Program from a copy of one, beside which nothing is kept.
type origin struct{ g *Goroutine }

func originOf(g *Goroutine) origin { return origin{g} }

// check panics if what an observer asks for is not memory that is kept for it.
func (o origin) check(g *Goroutine, offset uintptr) {
	if o.g != g || offset == 0 {
		panic("traceload: Beside was asked for a copy of a Goroutine, or has no place in a Layout")
	}
}
