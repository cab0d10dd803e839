package giveups

import (
	"strings"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/traceload"
)

// place is what follows from a stack alone, worked out once.
type place struct {
	fns    [2]traceload.FuncID // the two innermost functions of the user's
	line   traceload.FrameID   // the user's; of net/http's handler with a time limit, that
	starts traceload.StackID   // where those were started who answered here last
	cas    *Case               // of those
	how    wakes.How           // what one does there who wakes another
	own    bool                // the operation itself was called by the user's code
	begins bool                // a goroutine that begins there may have been started for an answer
}

func (a *place) has(fn traceload.FuncID) bool { return a.fns[0] == fn || a.fns[1] == fn }

// place returns what is known of a stack; it is valid until the next call.
func (t *Table) place(p *traceload.Program, id traceload.StackID) *place {
	return t.places.Of(p, id, placeOf)
}

func placeOf(p *traceload.Program, id traceload.StackID) place {
	st := p.Stack(id)
	a := place{line: p.SiteID(id), how: wakes.Classify(p, id)}
	if n := len(st.Frames); n > 0 {
		entry := p.Frame(st.Frames[n-1])
		a.begins = entry.Origin != traceload.OriginStd || timeoutHandler(entry.Func)
	}
	if st.Owner >= 0 {
		owner := p.Frame(st.Frames[st.Owner])
		a.own = owner.Origin == traceload.OriginUser
		if timeoutHandler(owner.Func) {
			a.own, a.line, a.fns[0] = true, st.Frames[st.Owner], owner.FuncID
			return a
		}
	}
	n := 0
	for _, id := range st.Frames {
		if fr := p.Frame(id); fr.Origin == traceload.OriginUser && n < len(a.fns) {
			a.fns[n] = fr.FuncID
			n++
		}
	}
	return a
}

// timeoutHandler tells whether net/http's handler with a time limit started the goroutine.
func timeoutHandler(fn string) bool {
	return strings.HasPrefix(fn, "net/http.(*timeoutHandler).ServeHTTP")
}

// meet tells whether a wait and the start of a goroutine are near each other in the program.
func (t *Table) meet(p *traceload.Program, wait, start traceload.StackID) bool {
	waits := t.place(p, wait).fns
	starts := t.place(p, start)
	return waits[0] != 0 && starts.has(waits[0]) || waits[1] != 0 && starts.has(waits[1])
}
