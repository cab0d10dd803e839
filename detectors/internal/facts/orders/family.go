package orders

import (
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

// family are goroutines of one kind with one creator, if that is known.
type family struct {
	kind    int32 // in kinds
	creator traceload.GoID
}

// kind are goroutines with one go statement, or, if they were found when the
// trace began, with one entry function.
type kind struct {
	created traceload.FrameID
	entry   traceload.FuncID // 0 if it is none of the user's
}

// familyOf returns the family of g, whose occupant is o.
func familyOf(g *traceload.Goroutine, o *occupant) family {
	if g.BornKnown {
		return family{o.kind, g.Creator}
	}
	return family{o.kind, traceload.NoGoroutine}
}

// kinds numbers kinds, from 1.
type kinds struct {
	list   []kind
	number map[kind]int32
	// born and found hold the numbers by the stacks of creation and entry, for those
	// whose birth the trace shows and for the others.
	born, found dense.Pairs[int32]
}

func newKinds() kinds { return kinds{list: make([]kind, 1), number: map[kind]int32{}} }

// of returns the number of g's kind.
func (k *kinds) of(p *traceload.Program, g *traceload.Goroutine) int32 {
	known := &k.found
	if g.BornKnown {
		known = &k.born
	}
	n := known.Find(uint32(g.CreatedAt), uint32(g.Entry))
	if n == nil {
		n = known.At(uint32(g.CreatedAt), uint32(g.Entry))
		*n = k.add(kindOf(p, g))
	}
	return *n
}

func (k *kinds) add(of kind) int32 {
	n := k.number[of]
	if n == 0 {
		n = int32(len(k.list))
		k.list = append(k.list, of)
		k.number[of] = n
	}
	return n
}

func kindOf(p *traceload.Program, g *traceload.Goroutine) (k kind) {
	if g.BornKnown {
		k.created = p.SiteID(g.CreatedAt)
	}
	e := p.Entry(g)
	if e == nil || g.System {
		return k
	}
	if e.Origin == traceload.OriginUser || g.BornKnown && e.Origin == traceload.OriginRuntime { // errgroup's
		k.entry = e.FuncID
	}
	return k
}
