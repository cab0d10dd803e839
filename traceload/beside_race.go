//go:build race

package traceload

// origin tells a Goroutine of a Program from a copy of one, beside which nothing is kept.
type origin struct{ g *Goroutine }

func originOf(g *Goroutine) origin { return origin{g} }

// check panics if there is nothing that an observer keeps beside g: because g is a copy, or
// because no Layout has given a place to what is asked for.
func (o origin) check(g *Goroutine, offset uintptr) {
	if o.g != g || offset == 0 {
		panic("traceload: nothing is kept beside this goroutine: it has no place, or is none of the program")
	}
}
