package timeoutfired

import (
	"math"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// place is what follows from a stack alone, worked out once.
type place struct {
	fns     [helpers]traceload.FuncID // the innermost functions of the user's
	site    uint16                    // if sited: number of the site, 0 for none
	sited   bool                      // somebody waits there
	how     how                       // what one does there who wakes another
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
	a := place{how: classify(p, id), library: libraryAsks(p, id), writes: isWrite(p, id), expires: isDeadline(p, id)}
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

// how says by what a goroutine woke another.
type how uint8

const (
	byOther how = iota // the release of a lock, of a WaitGroup, …
	bySend             // a send, or a select that sends or receives
	byReceive
	bySignal // sync.Cond
	byClose
	byCancel // of a context
	byPoll   // a connection was closed, or its deadline set
)

// classify says what a waker does with this stack.
func classify(p *traceload.Program, id traceload.StackID) how {
	st := p.Stack(id)
	if len(st.Frames) == 0 {
		return byOther
	}
	for _, f := range st.Frames[:min(len(st.Frames), 3)] {
		if p.Frame(f).Func == "context.(*cancelCtx).cancel" {
			return byCancel
		}
	}
	switch top := p.Frame(st.Frames[0]); {
	case strings.HasPrefix(top.Func, "runtime.chansend"), top.Func == "runtime.selectnbsend", top.Func == "runtime.selectgo":
		return bySend
	case strings.HasPrefix(top.Func, "runtime.chanrecv"), top.Func == "runtime.selectnbrecv":
		return byReceive
	case strings.HasPrefix(top.Func, "sync.(*Cond)."):
		return bySignal
	case strings.HasPrefix(top.Func, "internal/poll."):
		return byPoll
	case top.Func == "runtime.closechan", top.Origin == traceload.OriginUser, top.Origin == traceload.OriginStd:
		return byClose // since Go 1.22 the stack of a close begins at the line that closes
	}
	return byOther
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
