package schedulerlatency

import "github.com/tracedoc/tracedoc/traceload"

// due notes what ended a goroutine's wait, and tells whether somebody is known to
// wait for who waited.
func (o *observer) due(p *traceload.Program, ev *traceload.Event, r *runner) bool {
	before := r.timer
	r.timer = 0
	r.is &^= fromNet
	switch ev.Waker {
	case traceload.WakerTimer:
		r.timer = ev.Stack
		o.pauses.due(p)
		return before != ev.Stack // else it is a ticker
	case traceload.WakerNetwork:
		r.is |= fromNet
		o.pauses.due(p)
	}
	return ev.Waker != traceload.WakerRuntime
}

// become takes that a goroutine of the program's, which has joined its crew, could
// run from now on. It returns false if it does not wait for a processor, or only to
// go on with what a hog gave it.
func (o *observer) become(p *traceload.Program, ev *traceload.Event, r *runner) bool {
	waker := ev.By
	if by := o.slots.Of(waker); by != nil {
		if by.crew == 0 {
			return o.becomeBy(p, ev, r, by)
		}
		if !waker.System {
			c := o.crews[by.crew]
			if r.crew != by.crew && r.crew != 0 && !ev.Wait.IsLock() {
				if r.crew != c.partner {
					o.pair(c, r.crew)
				}
				c.woken++
			}
			if c.keeps || by.burst+p.InState(waker) > longBurst {
				return false
			}
		}
	}
	return o.queue(p.Now, ev.G, r)
}

// becomeBy is become for one whose waker has not joined its crew yet.
func (o *observer) becomeBy(p *traceload.Program, ev *traceload.Event, r, by *runner) bool {
	if !ev.By.System && o.join(p, ev.By, by) {
		return o.become(p, ev, r)
	}
	return o.queue(p.Now, ev.G, r)
}

// queue notes that a goroutine has begun to wait for a processor, if it has.
func (o *observer) queue(now traceload.Time, g *traceload.Goroutine, r *runner) bool {
	if g.State != traceload.StateRunnable || r.is&fresh != 0 {
		return false
	}
	r.is |= fresh
	o.fresh.up(now)
	return true
}

// comeLate reckons how long ago the timer or the data came due that make r
// ready: nobody looked while all processors were busy.
func (o *observer) comeLate(p *traceload.Program, r *runner) {
	if o.solid < solidFrom || p.Now.Sub(o.ended) > soon {
		return
	}
	ago := min(o.solid, pollEvery) / 2 // at some time within the stretch
	o.traitsOf(r).late = ago
	r.is |= late
	o.starved += int64(ago)
	o.unseen += int64(ago)
	if s := o.stopped; s != nil && !s.System && s.State == traceload.StateRunnable {
		o.slots.At(s).harm += int64(ago)
	}
}
