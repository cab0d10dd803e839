package longrun

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// server is a goroutine that others wait for. There may be very many.
type server struct {
	turns          int // times that it was woken
	served         int
	id             traceload.GoID
	entry, created traceload.StackID
	past           *past           // nil as long as it has done nothing long
	steps          histogram.Small // time that each step took
	waits          histogram.Small // of those that it served, how long they had waited
}

// past is the long steps of a server.
type past struct {
	cpu, syscall toll
	last         [remembered]step
	next         uint8 // in last
}

// toll is what the long steps of one kind have cost.
type toll struct {
	count     int
	total     time.Duration
	longest   step
	length    time.Duration       // of the longest
	path      []traceload.FrameID // the user's frames that all of them have in common, outermost first
	stack     traceload.StackID
	call      traceload.StackID // of the first
	short     int               // such calls that were not long, since then
	testing   bool
	lost      time.Duration
	hit       int // waits that they made longer
	steps     int // long steps that made somebody wait
	several   int // … at least two at a time
	last      int // the step that hit somebody last
	lastHits  int
	victims   detectors.Roll
	waitStack traceload.StackID
	reason    traceload.StringID
	entry     traceload.StackID
	createdAt traceload.StackID
	first     traceload.Time
}

// step is a long step that is over.
type step struct {
	cause    string
	from, to traceload.Time
	share    float64 // of the time between, in which it ran, or was in the call
	number   int     // among the server's long steps; 0 if there is none
}

func (l *past) of(cause string) *toll {
	if cause == inSyscall {
		return &l.syscall
	}
	return &l.cpu
}

// matters tells whether the server's long steps may be worth a finding.
func (s *server) matters() bool {
	return s.past != nil && (s.past.cpu.lost >= lostAtLeast || s.past.syscall.lost >= lostAtLeast)
}

// short notes a system call that was not long.
func (s *server) short(call traceload.StackID) {
	if s.past != nil && s.past.syscall.count > 0 && s.past.syscall.call == call {
		s.past.syscall.short++
	}
}

// take looks at a step that was long in some way, and took cpu of running time.
func (s *server) take(p *traceload.Program, w *work, cpu time.Duration) {
	st := step{from: w.began, to: p.Now}
	length := max(p.Now.Sub(w.began), 1)
	var stack traceload.StackID
	switch {
	case w.call >= longSyscall && w.call >= cpu:
		st.cause, st.share, stack = inSyscall, min(1, w.call.Seconds()/length.Seconds()), w.callAt
	case cpu >= longCPU && w.doubt < cpu/2 && w.stack != 0:
		st.cause, st.share, stack = onCPU, min(1, cpu.Seconds()/length.Seconds()), w.stack
	}
	if st.cause != "" {
		if s.past == nil {
			s.past = new(past)
		}
		l := s.past
		st.number = l.of(st.cause).add(p, &st, stack, max(cpu, w.call))
		l.last[l.next] = st
		l.next = (l.next + 1) % remembered
	}
}

// add notes a long step and returns its number.
func (t *toll) add(p *traceload.Program, st *step, stack traceload.StackID, length time.Duration) int {
	t.count++
	t.total += length
	if t.count == 1 {
		t.call = stack
	}
	if length > t.length {
		t.length, t.longest, t.stack = length, *st, stack
	}
	t.testing = t.testing || p.Stack(stack).Testing
	t.narrow(p, stack)
	return t.count
}

// narrow keeps of the path what the stack shares with it.
func (t *toll) narrow(p *traceload.Program, stack traceload.StackID) {
	frames := p.Stack(stack).Frames
	if t.count == 1 {
		for i := len(frames) - 1; i >= 0; i-- {
			if p.Frame(frames[i]).Origin == traceload.OriginUser {
				t.path = append(t.path, frames[i])
			}
		}
		return
	}
	n := 0
	for i := len(frames) - 1; i >= 0 && n < len(t.path); i-- {
		if p.Frame(frames[i]).Origin != traceload.OriginUser {
			continue
		}
		if frames[i] != t.path[n] {
			break
		}
		n++
	}
	t.path = t.path[:n]
}

// serve takes the end of a wait for the server: what of it fell into its long steps.
func (s *server) serve(p *traceload.Program, ev *traceload.Event) {
	s.served++
	s.waits.Add(ev.Lived)
	if s.past != nil {
		s.past.serve(p, ev)
	}
}

func (l *past) serve(p *traceload.Program, ev *traceload.Event) {
	began := p.Now - traceload.Time(ev.Lived)
	for i := range l.last {
		st := &l.last[i]
		if st.number == 0 || st.to <= began {
			continue
		}
		overlap := time.Duration(float64(st.to.Sub(max(st.from, began))) * st.share)
		if overlap < longSyscall/10 {
			continue
		}
		t := l.of(st.cause)
		t.lost += overlap
		t.hit++
		if st.number != t.last {
			t.last, t.lastHits = st.number, 0
			t.steps++
		}
		if t.lastHits++; t.lastHits == 2 {
			t.several++
		}
		t.note(ev.G)
		if t.first == 0 {
			t.first = began
		}
		t.waitStack, t.reason = ev.Stack, ev.Reason
	}
}

func (t *toll) note(g *traceload.Goroutine) {
	if t.victims.Note(g.ID) {
		t.entry, t.createdAt = g.Entry, g.CreatedAt
	}
}
