package traceload

import "errors"

// collector takes the beginning and the end of the mark phase. Both are numbered
// in one sequence, since they may come from different threads.
func (o *order) collector(c *cursor) (bool, error) {
	seq := c.arg(0)
	switch {
	case c.typ == evGCActive && o.gc != gcUnknown:
		return false, errors.New("the collector is said to be active when it was seen already")
	case c.typ == evGCEnd && o.gc == gcUnknown:
		return false, nil // may be waiting for the event that says it is active
	case o.gc != gcUnknown && seq != o.gcSeq+1:
		return false, nil
	case (c.typ == evGCEnd) != (o.gc == gcRunning):
		return false, errors.New("the collector begins or ends out of turn")
	}
	kind, stack := KindRangeBegin, StackID(0)
	if c.typ == evGCBegin {
		var err error
		if stack, err = o.stack(c.arg(1)); err != nil {
			return false, err
		}
	}
	o.gcSeq, o.gc = seq, gcRunning
	if c.typ == evGCEnd {
		kind, o.gc = KindRangeEnd, gcStopped
	}
	r, _ := o.other(c, kind, NoGoroutine, textMarkPhase)
	r.stack = stack
	return true, nil
}

// annotation takes what the program writes with package runtime/trace.
func (o *order) annotation(c *cursor) error {
	t, err := c.running()
	if err != nil {
		return err
	}
	a := c.numbers[1:]
	var kind Kind
	var text, text2, stack, parent uint64
	switch c.typ {
	case evUserTaskBegin:
		kind, parent, text, stack = KindTaskBegin, a[1], a[2], a[3]
		if parent == 0 {
			parent = 1<<64 - 1
		}
	case evUserTaskEnd: // its text and parent are added when the record is read
		kind, stack = KindTaskEnd, a[1]
	case evUserRegionBegin:
		kind, text, stack = KindRegionBegin, a[1], a[2]
	case evUserRegionEnd:
		kind, text, stack = KindRegionEnd, a[1], a[2]
	case evUserLog:
		kind, text, text2, stack = KindLog, a[1], a[2], a[3]
	}
	first, err := o.text(text)
	if err != nil {
		return err
	}
	second, err := o.text(text2)
	if err != nil {
		return err
	}
	at, err := o.stack(stack)
	if err != nil {
		return err
	}
	r, x := o.other(c, kind, t.g.id, first)
	r.stack = at
	x.text2, x.value, x.parent = second, int64(a[0]), int64(parent)
	return nil
}

// measure takes metrics, and the ranges that belong to a thread.
func (o *order) measure(c *cursor) error {
	if c.typ >= evFirstExperimental {
		if c.thread == nil {
			return errNoThread
		}
		o.tick(c.time)
		return nil
	}
	switch c.typ { // told at the beginning of a generation, and not by the thread that is at it
	case evGCSweepActive:
		o.other(c, KindRangeBegin, NoGoroutine, textSweep)
		return nil
	case evGCMarkAssistActive:
		o.other(c, KindRangeBegin, GoID(c.arg(0)), textMarkAssist)
		return nil
	}
	t := c.thread
	switch {
	case t == nil:
		return errNoThread
	case t.p == nil:
		return errNoProcessor
	}
	if t.g == nil {
		switch c.typ {
		case evProcsChange, evGoLabel, evSTWBegin, evSTWEnd, evGCMarkAssistBegin, evGCMarkAssistEnd:
			return errNoGoroutine
		}
	}
	var err error
	stack := StackID(0)
	switch c.typ {
	case evProcsChange, evSTWBegin:
		stack, err = o.stack(c.arg(1))
	case evGCSweepBegin, evGCMarkAssistBegin:
		stack, err = o.stack(c.arg(0))
	}
	if err != nil {
		return err
	}
	switch c.typ {
	case evProcsChange:
		o.metric(c, textProcs)
	case evHeapAlloc:
		o.metric(c, textHeap)
	case evHeapGoal:
		o.metric(c, textHeapGoal)
	case evGoLabel:
		if _, err := o.text(c.arg(0)); err != nil {
			return err
		}
		o.tick(c.time)
	case evSTWBegin:
		why, err := o.text(c.arg(0))
		if err != nil {
			return err
		}
		if o.stops == nil {
			o.stops = map[GoID]StringID{}
		}
		o.stops[t.g.id] = why
		r, x := o.other(c, KindRangeBegin, t.g.id, textStopped)
		r.stack, x.text2 = stack, why
	case evSTWEnd:
		_, x := o.other(c, KindRangeEnd, t.g.id, textStopped)
		x.text2 = o.stops[t.g.id]
	case evGCSweepBegin:
		r, _ := o.other(c, KindRangeBegin, NoGoroutine, textSweep)
		r.stack = stack
	case evGCSweepEnd:
		o.other(c, KindRangeEnd, NoGoroutine, textSweep)
	case evGCMarkAssistBegin:
		r, _ := o.other(c, KindRangeBegin, t.g.id, textMarkAssist)
		r.stack = stack
	case evGCMarkAssistEnd:
		o.other(c, KindRangeEnd, t.g.id, textMarkAssist)
	}
	return nil
}

func (o *order) metric(c *cursor, name StringID) {
	_, x := o.other(c, KindMetric, NoGoroutine, name)
	x.value = int64(c.arg(0))
}
