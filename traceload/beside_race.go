//go:build race

package traceload

// origin tells a Goroutine of a Program from a copy of one, beside which nothing is kept.
type origin struct{ g *Goroutine }

func originOf(g *Goroutine) origin { return origin{g} }

// check panics if nothing is kept beside g.
func (o origin) check(g *Goroutine) {
	if o.g != g {
		panic("traceload: nothing is kept beside this goroutine: it is none of the program")
	}
}
