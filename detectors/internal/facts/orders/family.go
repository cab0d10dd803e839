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

// kinds numbers kinds.
type kinds struct {
	list   []kind
	number map[kind]int32
	// born and found hold the numbers, plus one, by the stacks of creation and
	// entry, for those whose birth the trace shows and for the others.
	born, found dense.Pairs[int32]
}

func (k *kinds) familyOf(p *traceload.Program, g *traceload.Goroutine) family {
	f := family{creator: traceload.NoGoroutine}
	known := &k.found
	if g.BornKnown {
		f.creator, known = g.Creator, &k.born
	}
	n := known.At(uint32(g.CreatedAt), uint32(g.Entry))
	if *n == 0 {
		*n = k.add(kindOf(p, g)) + 1
	}
	f.kind = *n - 1
	return f
}

func (k *kinds) add(of kind) int32 {
	n, ok := k.number[of]
	if !ok {
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
