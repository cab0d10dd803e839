package scenes

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// How much of one goroutine is kept while a scene is recorded.
const (
	maxLead  = 24  // spans before what the finding tells of
	maxSpans = 192 // spans in all; the shortest are merged beyond it
)

// span is a stretch of time in one state.
type span struct {
	from, to traceload.Time
	doing    doing
	length   traceload.Time // in this very state: less than to−from if others were merged into it
	merged   int            // how many spans it stands for
}

// doing is what a goroutine does for a while.
type doing struct {
	state  traceload.State
	reason traceload.StringID // for StateWaiting
	stack  traceload.StackID  // for StateWaiting and StateSyscall
}

// doingOf describes a state; reason and stack count only where it has them.
func doingOf(state traceload.State, reason traceload.StringID, stack traceload.StackID) doing {
	d := doing{state: state}
	switch state {
	case traceload.StateWaiting:
		d.reason, d.stack = reason, stack
	case traceload.StateSyscall:
		d.stack = stack
	}
	return d
}

func newSpan(from, to traceload.Time, d doing) span {
	return span{from: from, to: to, doing: d, length: to - from, merged: 1}
}

// track records what one goroutine does in one scene.
type track struct {
	part
	scene *scene
	slot  int32 // where it is seated; -1 if it is not
	entry traceload.FrameID
	// system tells that it is the runtime's own, which may be seen only later.
	system bool

	born, ended           traceload.Time
	bornKnown, endedKnown bool

	spans []span
	lost  traceload.Time // spans that ended before were dropped
	since traceload.Time // when the first one began in fact
	until traceload.Time // when the last one ended in fact; -1 as long as unknown
}

// add appends a span that has ended. What lies before the part of the trace that
// the finding tells of is kept as long as there is room.
func (t *track) add(s span) {
	if s.to <= t.scene.stretch.opens || s.from >= s.to {
		return
	}
	t.spans = append(t.spans, s)
	switch n := len(t.spans); {
	case s.to < t.scene.stretch.from:
		if n >= 2*maxLead {
			t.lost = t.spans[n-maxLead-1].to
			t.spans = slices.Delete(t.spans, 0, n-maxLead)
		}
	case n >= maxSpans:
		t.spans = merge(t.spans, maxSpans/2)
	}
}

// clip cuts the spans to what the scene shows.
func (t *track) clip(from, to traceload.Time) {
	t.spans = slices.DeleteFunc(t.spans, func(s span) bool { return s.to <= from || s.from >= to })
	if n := len(t.spans); n > 0 {
		t.since = t.spans[0].from
		if t.until >= 0 {
			t.until = t.spans[n-1].to
		}
	}
	for i := range t.spans {
		s := &t.spans[i]
		s.from, s.to = max(s.from, from), min(s.to, to)
		s.length = min(s.length, s.to-s.from)
	}
}

// merge joins the shortest spans with the shorter of their neighbours until no
// more than n are left. What took longest gives its name to the whole.
func merge(list []span, n int) []span {
	for len(list) > max(n, 1) {
		at := 0
		for i := range list {
			if list[i].to-list[i].from < list[at].to-list[at].from {
				at = i
			}
		}
		if at == len(list)-1 || at > 0 && list[at-1].to-list[at-1].from < list[at+1].to-list[at+1].from {
			at--
		}
		list[at] = join(list[at], list[at+1])
		list = slices.Delete(list, at+1, at+2)
	}
	return list
}

func join(a, b span) span {
	both := a
	if b.length > a.length {
		both = b
	}
	if a.doing == b.doing {
		both.length = a.length + b.length
	}
	both.from, both.to, both.merged = a.from, b.to, a.merged+b.merged
	return both
}
