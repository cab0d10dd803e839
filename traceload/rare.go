package traceload

import "fmt"

// The events that come seldom: coroutines, threads of C that call into Go, and
// what happens to processors, which no record tells.

// goSwitch is three events in one: another goroutine goes on in place of the
// running one, which waits or ends.
func (o *order) goSwitch(c *cursor) (bool, error) {
	t, err := c.running()
	if err != nil {
		return false, err
	}
	if t.g.status != goRunning {
		return false, errState
	}
	next := o.live.get(GoID(c.arg(0)))
	if next == nil || next.status != goWaiting || c.arg(1) != next.seq+1 {
		return false, nil
	}
	o.record(c.time, KindUnblock, next.n, StateWaiting, StateRunnable).text = textOf(t.g.n)
	if c.typ == evGoSwitch {
		t.g.status = goWaiting
		o.record(c.time, KindBlock, t.g.n, StateRunning, StateWaiting)
	} else {
		o.record(c.time, KindEnd, t.g.n, StateRunning, StateEnded)
		o.drop(t.g)
	}
	next.status, next.seq = goRunning, c.arg(1)
	t.g = next
	o.record(c.time, KindStart, next.n, StateRunnable, StateRunning)
	return true, nil
}

// createSyscall: a thread of C calls into Go.
func (o *order) createSyscall(c *cursor) error {
	t := c.thread
	switch {
	case t == nil:
		return errNoThread
	case t.g != nil:
		return errBusy
	}
	g, err := o.born(c.arg(0), goSyscall)
	if err != nil {
		return err
	}
	r := o.record(c.time, KindCreate, g.n, StateEnded, StateSyscall)
	r.text = textOf(nobody)
	o.extra(r, g.id).value = int64(NoGoroutine)
	t.g = g
	return nil
}

// destroySyscall: a thread of C has returned from Go. It loses its processor too,
// which another thread may take later.
func (o *order) destroySyscall(c *cursor) error {
	t := c.thread
	switch {
	case t == nil:
		return errNoThread
	case t.g == nil:
		return errNoGoroutine
	case t.g.status != goSyscall:
		return errState
	}
	if t.p != nil {
		if t.p.status != procSyscall {
			return errProcState
		}
		t.p.status, t.p = procAbandoned, nil
		o.tick(c.time)
	}
	o.record(c.time, KindEnd, t.g.n, StateSyscall, StateEnded)
	o.drop(t.g)
	t.g = nil
	return nil
}

// processor takes the events of processors, which only serve the order.
func (o *order) processor(c *cursor) (bool, error) {
	t := c.thread
	switch {
	case t == nil && c.typ != evProcStatus:
		return false, errNoThread
	case c.typ == evProcStop:
		if t.p == nil {
			return false, errNoProcessor
		}
		if t.p.status != procRunning && t.p.status != procSyscall {
			return false, errProcState
		}
		t.p.status, t.p = procIdle, nil
		o.tick(c.time)
		return true, nil
	}
	p := o.procs[c.arg(0)]
	switch c.typ {
	case evProcStart:
		if p == nil || p.status != procIdle || c.arg(1) != p.seq+1 || t.p != nil {
			return false, nil
		}
		p.status, p.seq = procRunning, c.arg(1)
		t.p = p
	case evProcSteal:
		if p == nil || p.status != procSyscall && p.status != procAbandoned || c.arg(1) != p.seq+1 {
			return false, nil
		}
		abandoned := p.status == procAbandoned
		p.status, p.seq = procIdle, c.arg(1)
		if !abandoned {
			from := o.threads[c.arg(2)]
			if from == nil || from.p != p {
				return false, errProcState
			}
			from.p = nil
		}
	case evProcStatus:
		status := c.arg(1)
		if status == 0 || status > procAbandoned {
			return false, fmt.Errorf("a processor has status %d", status)
		}
		if p == nil {
			p = &processor{status: status}
			o.procs[c.arg(0)] = p
		} else if p.status != status {
			if status != procAbandoned || p.status != procSyscall {
				return false, errProcState
			}
		}
		p.seq = 0
		if p.status == procRunning || p.status == procSyscall && status == procSyscall {
			if t == nil {
				return false, errNoThread
			}
			t.p = p
		}
	}
	o.tick(c.time)
	return true, nil
}
