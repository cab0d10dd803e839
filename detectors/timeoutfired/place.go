package timeoutfired

import (
	"math"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/traceload"
)

// place is what follows from a stack alone, worked out once.
type place struct {
	fns     [helpers]traceload.FuncID // the innermost functions of the user's
	site    uint16                    // if sited: number of the site, 0 for none
	sited   bool                      // somebody waits there
	how     wakes.How                 // what one does there who wakes another
	library bool                      // see libraryAsks
	writes  bool                      // see isWrite
	expires bool                      // see isDeadline
}

// helpers is how deep below the function that waits a request may be made, itself
// included. In the main loop of a server everything happens below it, but deeper.
const helpers = 2

// within tells whether somebody who asks there does so for the function fn that
// waits: in that very function, or in one that it calls.
func (a *place) within(fn traceload.FuncID) bool { return a.fns[0] == fn || a.fns[1] == fn }

// place returns what is known of a stack; it is valid until the next call.
func (o *observer) place(p *traceload.Program, id traceload.StackID) *place {
	return o.places.Of(p, id, placeOf)
}

func placeOf(p *traceload.Program, id traceload.StackID) place {
	a := place{how: wakes.Classify(p, id), library: libraryAsks(p, id), writes: isWrite(p, id), expires: isDeadline(p, id)}
	n := 0
	for _, f := range p.Stack(id).Frames {
		if fr := p.Frame(f); fr.Origin == traceload.OriginUser && n < len(a.fns) {
			a.fns[n] = fr.FuncID
			n++
		}
	}
	return a
}

// site returns the number of the site of a stack where somebody waits, 0 if it has none.
func (o *observer) site(p *traceload.Program, id traceload.StackID) uint16 {
	a := o.place(p, id)
	if !a.sited {
		a.site, a.sited = o.lookUp(p, id), true
	}
	return a.site
}

// lookUp returns the number of the user's line of a stack, 0 if it has none.
func (o *observer) lookUp(p *traceload.Program, id traceload.StackID) uint16 {
	frame := p.SiteID(id)
	if frame == 0 || p.Frame(frame).Origin != traceload.OriginUser {
		return 0
	}
	if n, ok := o.byFrame[frame]; ok {
		return n
	}
	n := len(o.sites)
	if n > math.MaxUint16 {
		return 0 // no program waits at so many lines
	}
	st := p.Stack(id)
	o.byFrame[frame] = uint16(n)
	o.sites = append(o.sites, &site{
		frame: frame, fn: p.Frame(frame).FuncID, userWaits: st.Owner == st.Site, outermost: st.Site == len(st.Frames)-1,
		test: strings.HasSuffix(p.Frame(frame).File, "_test.go"),
	})
	return uint16(n)
}

// libraryAsks tells whether it is the standard library that asks at the top of
// this stack: net/http's client hands a request to its writer. It waits for the
// answer itself, before it returns to the user's code.
func libraryAsks(p *traceload.Program, id traceload.StackID) bool {
	st := p.Stack(id)
	return st.Owner >= 0 && p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginStd
}

// isWrite tells whether a system call writes to a connection.
func isWrite(p *traceload.Program, id traceload.StackID) bool {
	return slices.ContainsFunc(p.Stack(id).Frames, func(f traceload.FrameID) bool { return p.Frame(f).Func == "net.(*conn).Write" })
}

// isDeadline tells whether a goroutine with this entry is the one that the
// runtime starts when the deadline of a context passes.
func isDeadline(p *traceload.Program, entry traceload.StackID) bool {
	frames := p.Stack(entry).Frames
	return len(frames) > 0 && strings.HasPrefix(p.Frame(frames[len(frames)-1]).Func, "context.WithDeadline")
}
