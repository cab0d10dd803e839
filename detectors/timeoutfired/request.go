package timeoutfired

import "github.com/tracedoc/tracedoc/traceload"

// request is what a goroutine asked of others before it waits: it started a
// goroutine, handed something over, or wrote to a connection. The trace shows
// only those requests that woke or started somebody.
type request struct {
	on   traceload.Time
	whom traceload.GoID    // the last one asked; NoGoroutine if that was not a goroutine
	at   traceload.StackID // where it stood; 0 if it asked nothing
	owed int32             // answers that are outstanding
}

// asks notes a request of another goroutine; child tells whether that was started for it.
func (v *visitor) asks(now traceload.Time, at traceload.StackID, whom traceload.GoID, child bool) {
	r := &v.request
	r.at, r.on, r.whom, v.askedChild = at, now, whom, child
	r.owed++
}

// answered takes one answer; the request stands as long as others are outstanding.
func (r *request) answered() {
	if r.owed--; r.owed <= 0 {
		*r = request{}
	}
}

// rest notes that the goroutine waits at a stack: if that is where it was asked, it is done.
func (v *visitor) rest(at traceload.StackID) {
	if at == v.restsAt {
		v.owes = 0
	}
}

// pays tells whether what v, which is by, hands to g is an answer, and settles it:
// to what g had asked of it, or the first word of a child to its parent.
func (v *visitor) pays(by, g *traceload.Goroutine) bool {
	switch {
	case v.owes == g.ID:
		v.owes = 0
		return true
	case by.Creator == g.ID && !v.told:
		v.told = true
		return true
	}
	return false
}
