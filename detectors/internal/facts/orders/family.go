package orders

import "github.com/tracedoc/tracedoc/traceload"

// family are goroutines with one go statement and one creator, or, if they were
// found when the trace began, with one entry function.
type family struct {
	created traceload.FrameID
	entry   traceload.FuncID
	creator traceload.GoID
}

func familyOf(p *traceload.Program, g *traceload.Goroutine) family {
	f := family{creator: traceload.NoGoroutine}
	if e := p.Entry(g); e != nil && e.Origin == traceload.OriginUser && !g.System {
		f.entry = e.FuncID
	}
	if g.BornKnown {
		f.created, f.creator = p.SiteID(g.CreatedAt), g.Creator
		if e := p.Entry(g); e != nil && e.Origin == traceload.OriginRuntime && !g.System { // errgroup's
			f.entry = e.FuncID
		}
	}
	return f
}
