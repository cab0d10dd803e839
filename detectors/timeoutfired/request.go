package timeoutfired

import "github.com/tracedoc/tracedoc/traceload"

// request is what a goroutine asked of others before it waits: it started a
// goroutine, handed something over, or wrote to a connection. The trace shows
// only those requests that woke or started somebody.
type request struct {
	on    traceload.Time
	whom  traceload.GoID    // the last one asked; NoGoroutine if that was not a goroutine
	at    traceload.StackID // where it stood; 0 if it asked nothing
	owed  int32             // answers that are outstanding
	child bool              // the last one asked was started for it
}

func (r *request) make(now traceload.Time, at traceload.StackID, whom traceload.GoID, child bool) {
	r.at, r.on, r.whom, r.child = at, now, whom, child
	r.owed++
}

// answered takes one answer; the request stands as long as others are outstanding.
func (r *request) answered() {
	if r.owed--; r.owed <= 0 {
		*r = request{}
	}
}

// debt is what was asked of a goroutine.
type debt struct {
	to      traceload.GoID
	restsAt traceload.StackID // where it waited when it was asked
	open    bool              // it has not come back there, and has not answered
	told    bool              // it has answered the goroutine that started it, once
}

// rest notes that the goroutine waits at a stack again.
func (d *debt) rest(at traceload.StackID) {
	if at == d.restsAt {
		d.open = false
	}
}

// pay tells whether what by hands to g is an answer, and settles it: to what g
// had asked of it, or the first word of a child to its parent.
func (d *debt) pay(by, g *traceload.Goroutine) bool {
	if d.open && d.to == g.ID {
		d.open = false
		return true
	}
	if by.Creator == g.ID && !d.told {
		d.told = true
		return true
	}
	return false
}
