package timeoutfired

import (
	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/traceload"
)

// expiry is one wait that ended in vain.
type expiry struct {
	site       *site // nil for none
	began, at  traceload.Time
	known      bool // began lies in the trace
	deadline   traceload.GoID
	forwards   bool              // the goroutine only passed it on
	asked      traceload.StackID // where it had asked before; 0 if it had not
	askedOn    traceload.Time
	unfinished bool // whom it asked is still at work on it
	finished   bool // … is not
	inARow     int
	stack      traceload.StackID
	wait       traceload.Wait
	reason     traceload.StringID
}

// companion is a goroutine that the same deadline woke.
type companion struct {
	id, creator traceload.GoID
	site        *site
}

// deadline tells whether a context's deadline ended the wait, and names the
// goroutine that the runtime started for it. Between the two there may be one
// that only passed it on: a helper of the standard library, or a watcher that
// the waiting goroutine had started itself.
func (o *observer) deadline(ev *traceload.Event, v, by *visitor, how wakes.How) (traceload.GoID, bool) {
	if ev.Waker == traceload.WakerDeadline {
		return ev.By.ID, true
	}
	if by == nil || by.regret == 0 || v.site == 0 {
		return traceload.NoGoroutine, false
	}
	r := o.regrets.At(by.regret)
	if !r.isLate() || r.deadline == traceload.NoGoroutine {
		return traceload.NoGoroutine, false
	}
	helper := r.site == nil
	switch {
	case !helper && ev.By.Creator != ev.G.ID:
		return traceload.NoGoroutine, false
	case how == wakes.Cancel, how == wakes.Connect, how == wakes.Signal && helper:
		r.forwards = true
		return r.deadline, true
	}
	return traceload.NoGoroutine, false
}

// expireBy is expire for a wait that a deadline ended.
func (o *observer) expireBy(p *traceload.Program, ev *traceload.Event, v *visitor, deadline traceload.GoID) {
	if v.regret != 0 {
		r := o.regrets.At(v.regret)
		if r.cleansUp {
			r.cleansUp = false
			return
		}
		r.pursues = nil
	}
	o.expire(p, ev, v, deadline)
}

// expire notes a wait that ended in vain; book adds it to its site.
func (o *observer) expire(p *traceload.Program, ev *traceload.Event, v *visitor, deadline traceload.GoID) {
	s := o.sites[v.site]
	e := expiry{
		site: s, began: v.began, at: p.Now, known: v.known, deadline: deadline, inARow: int(v.inARow),
		stack: ev.Stack, wait: ev.Wait, reason: ev.Reason,
	}
	if v.askedNow {
		e.asked, e.askedOn = v.request.at, v.request.on
	}
	if !v.known {
		e.began = 0 // since before the trace: count what the trace shows
	}
	if v.askedNow && v.request.whom != traceload.NoGoroutine {
		partner := p.Goroutine(v.request.whom)
		pv := o.visitors.Of(partner)
		e.unfinished = pv != nil && (v.askedChild && !pv.told || pv.owes == ev.G.ID)
		e.finished = !e.unfinished
	}
	v.request = request{}
	o.late(ev.G, v, e)
	v.open = false
	if deadline != traceload.NoGoroutine && s != nil {
		o.accompany(ev, s, deadline)
	}
}

// accompany finds parents and children among the goroutines that one deadline
// woke: where both waited, the parent waited for the child.
func (o *observer) accompany(ev *traceload.Event, s *site, deadline traceload.GoID) {
	if o.firedBy != deadline {
		o.firedBy, o.nfired = deadline, 0
	}
	g := ev.G
	for _, c := range o.fired[:min(o.nfired, len(o.fired))] {
		switch {
		case c.site == s:
		case c.creator == g.ID:
			s.throughChild(c.site)
		case g.Creator == c.id:
			c.site.throughChild(s)
		}
	}
	o.fired[o.nfired%len(o.fired)] = companion{g.ID, g.Creator, s}
	o.nfired++
}

// book adds the expiry that v may have had to its site, now that its goroutine
// waits at next; nil if it has ended or waits in the standard library.
func (o *observer) book(p *traceload.Program, g *traceload.Goroutine, v *visitor, next *site) {
	r := o.regrets.At(v.regret)
	if !r.isLate() {
		return
	}
	e := &r.expiry
	if s := e.site; s != nil && !e.forwards {
		after := moved
		switch {
		case g.State == traceload.StateEnded:
			after = gone
		case next == s && v.request.at != 0:
			after = retried
		case next == s:
			after = cameBack
		}
		l := s.expired(e, g, after, p)
		if r.last == l {
			l.interval(e.at.Sub(r.lastAt))
		}
		r.last, r.lastAt = l, e.at
		if next != nil && next != s && next.fn == s.fn {
			r.pursues = l
		}
	}
	*e = expiry{}
}
