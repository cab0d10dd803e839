package traceload

import (
	"time"

	"golang.org/x/sys/cpu"
)

// Goroutine is what is known of one goroutine as of the current event. The
// record of a goroutine that has ended is used again: keep an ID or a copy,
// never the pointer. Beside a copy nothing is kept (Beside).
type Goroutine struct {
	origin
	ID GoID
	// Since is when the present state began; the trace's start if it began
	// earlier (SinceKnown is false then).
	Since   Time
	Born    Time // when it was created; the trace's start where unknown
	Creator GoID // who created it; NoGoroutine if unknown or the runtime did
	// Slot is a small number that no two goroutines alive at one time share:
	// an index for tables of one's own. A new goroutine may get the slot of
	// one that has ended; KindCreate and KindStatus are the first events of an occupant.
	Slot       int32
	Reason     StringID // the runtime's word for what it waits for; derived from the stack where the trace gives none
	Stack      StackID  // where it waits or sits in a system call; otherwise where it last did
	Entry      StackID  // a stack whose outermost frame is the function that the go statement started; 0 if unknown
	CreatedAt  StackID  // where its creator stood; 0 if unknown
	next       link     // in a chain of Program.byID
	State      State
	SinceKnown bool
	Wait       Wait // kind of wait, in StateWaiting
	BornKnown  bool // its creation is in the trace
	System     bool // the runtime's own or the tracer's: leave it out
	Ran        bool // it has run since it was created or found

	spent [StateSyscall - StateRunnable + 1]time.Duration // by state, from StateRunnable
}

// Spent returns how long g has been ready, or run, or been in system calls, before its
// present state, all stays summed, as far as the trace shows; 0 for other states.
func (g *Goroutine) Spent(s State) time.Duration {
	if s < StateRunnable || s > StateSyscall {
		return 0
	}
	return g.spent[s-StateRunnable]
}

// Program is the traced program as of the current event. Observers read it,
// and call nothing on it from another goroutine.
type Program struct {
	_ cpu.CacheLinePad // there are several, each of which is written at every event

	Now        Time  // time of the current event
	Procs      int   // GOMAXPROCS; 0 as long as unknown
	Goroutines int64 // goroutines seen so far, without the runtime's own

	t          tables
	ids        ids
	records    []record     // that are next
	taken      int          // of records
	later      []record     // that come after those
	extras     []extra      // of those records that have one
	spent      int          // of extras
	skipStarts bool         // no event of KindStart is wanted
	goroutines              // by slot; State is StateEnded for free ones
	numbered   []*Goroutine // by the numbers that records have for them
	byID       chains       // those alive
	slots      int32        // that were ever taken
	free       []int32      // of these, those of goroutines that have ended, which keep them until then
	begun      int64        // the trace's clock at its first event
	any        bool         // there was an event
	inCache    uintptr      // how many bytes of goroutines caches have room for
	warmth     byte         // see warm
	// The latest event of each kind, by what it has: next sets nothing that it has not.
	plain Event // a change of a goroutine's state that is its own doing
	woken Event // KindUnblock
	found Event // KindStatus
	born  Event // KindCreate
	rest  Event // no change of a goroutine's state
	_     cpu.CacheLinePad
}

// newProgram returns a program with room for what is kept beside its goroutines; layout
// may be nil.
func newProgram(layout *Layout) *Program {
	p := &Program{goroutines: layout.goroutines(), inCache: inCache}
	p.byID.among = &p.goroutines
	return p
}

// Goroutine returns the goroutine with this id if it is alive, else nil.
func (p *Program) Goroutine(id GoID) *Goroutine { return p.byID.get(id) }

// Live calls yield for every goroutine alive, the system's too, in the order
// of their slots, until it returns false.
func (p *Program) Live(yield func(*Goroutine) bool) {
	for slot := range p.slots {
		if g := p.at(slot); g.State != StateEnded && !yield(g) {
			return
		}
	}
}

// InSlot returns the goroutine that has a slot, or had it last.
func (p *Program) InSlot(slot int32) *Goroutine { return p.at(slot) }

// Slots returns an upper bound of the slots in use: the length that a table
// indexed by Goroutine.Slot needs.
func (p *Program) Slots() int { return int(p.slots) }

// String returns the text of an id. It is untrusted: it may hold anything.
func (p *Program) String(id StringID) string { return p.t.strings[id] }

// Frame returns a frame by its id.
func (p *Program) Frame(id FrameID) *Frame { return &p.t.frames[id] }

// AllFrames yields every frame that occurred in a stack so far.
func (p *Program) AllFrames(yield func(*Frame) bool) {
	for i := 1; i < len(p.t.frames); i++ { // 0 is none
		if !yield(&p.t.frames[i]) {
			return
		}
	}
}

// Stack returns a stack by its id, never nil; id 0 gives one without frames.
func (p *Program) Stack(id StackID) *Stack { return p.t.stacks[id] }

// Frames returns the frames of a stack, innermost first.
func (p *Program) Frames(id StackID) []Frame {
	ids := p.t.stacks[id].Frames
	frames := make([]Frame, len(ids))
	for i, f := range ids {
		frames[i] = p.t.frames[f]
	}
	return frames
}

// Tested tells whether a stack that occurred so far has a frame of package testing; it may
// occur a little later.
func (p *Program) Tested() bool { return p.t.tested }

// Site returns the frame to show for a stack (see Stack.Site), nil if none.
func (p *Program) Site(id StackID) *Frame {
	if f := p.SiteID(id); f != 0 {
		return &p.t.frames[f]
	}
	return nil
}

// SiteID is Site as a comparable id, 0 if none.
func (p *Program) SiteID(id StackID) FrameID { return p.t.sites[id] }

// Entry returns the frame of the function that g's go statement started, nil
// if unknown.
func (p *Program) Entry(g *Goroutine) *Frame {
	if f := p.EntryID(g); f != 0 {
		return &p.t.frames[f]
	}
	return nil
}

// EntryID is Entry as a comparable id, 0 if unknown.
func (p *Program) EntryID(g *Goroutine) FrameID { return p.Outermost(g.Entry) }

// Outermost returns the outermost frame of a stack, 0 if it has none.
func (p *Program) Outermost(id StackID) FrameID { return p.t.outermost[id] }

// metricProcs is the name under which the trace reports GOMAXPROCS.
const metricProcs = "/sched/gomaxprocs:threads"

// take has next go through some records.
func (p *Program) take(b *records) {
	p.records, p.taken, p.later = nil, 0, b.list
	p.extras, p.spent = b.extras, 0
	if !p.any && len(b.list) > 0 {
		p.any, p.begun = true, b.list[0].time
	}
}

// next brings the program up to date with records up to one that is an event, which it
// returns; nil after the last.
func (p *Program) next() *Event {
	for {
		for p.taken < len(p.records) {
			r := &p.records[p.taken]
			p.taken++
			p.Now = Time(r.time - p.begun)
			var ev *Event
			if r.what&hasExtra == 0 {
				ev = p.changed(r, p.numbered[uint32(r.g)])
			} else {
				ev = p.more(r)
			}
			if ev != nil {
				return ev
			}
		}
		if !p.goOn() {
			return nil
		}
	}
}

// changed takes a change of the state of g. It returns nil if that is no news.
func (p *Program) changed(r *record, g *Goroutine) *Event {
	ev, now := &p.plain, p.Now
	switch r.what.kind() {
	case KindStart:
		g.Ran = true
		if p.skipStarts {
			g.become(r.what.to(), now)
			return nil
		}
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = 0, g.Wait, g.Reason
	case KindBlock:
		ev.change(r, g, now)
		stack, reason := p.ids.stack(r.stack), p.ids.text(r.text)
		s := p.t.stacks[stack]
		wait := s.wait(reason)
		if reason == textNone { // formats up to Go 1.21
			reason = s.Derived
		}
		if g.System {
			wait = WaitRuntime
		}
		g.Stack, g.Wait, g.Reason = stack, wait, reason
		ev.Stack, ev.Wait, ev.Reason = stack, wait, reason
		g.adopt(stack)
		g.Ran = g.Ran || r.what.from() == StateRunning
	case KindUnblock:
		ev = &p.woken
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = g.Stack, g.Wait, g.Reason
		ev.ByStack = p.ids.stack(r.stack)
		ev.By = p.by(r, ev.ByStack)
		if by := ev.By; by != nil && by != g && by.BornKnown && by.Creator != NoGoroutine {
			ev.Waker = WakerGoroutine // as most are
		} else {
			ev.Waker = p.waker(g, ev)
		}
	case KindSyscallBegin:
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = p.ids.stack(r.stack), g.Wait, g.Reason
		g.Stack = ev.Stack
		g.adopt(ev.Stack)
		g.Ran = g.Ran || r.what.from() == StateRunning
	case KindStop:
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = p.ids.stack(r.stack), g.Wait, p.ids.text(r.text)
		g.adopt(ev.Stack)
		g.Ran = g.Ran || r.what.from() == StateRunning
	case KindSyscallEnd:
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = g.Stack, g.Wait, g.Reason
	case KindEnd:
		ev.change(r, g, now)
		ev.Stack, ev.Wait, ev.Reason = 0, g.Wait, g.Reason
		p.leave(g)
		g.Ran = g.Ran || r.what.from() == StateRunning
	case KindStatus:
		if !p.status(g, r, true) {
			return nil
		}
		return &p.found
	}
	g.become(r.what.to(), now)
	return ev
}

// change sets what every change of a goroutine's state has.
func (ev *Event) change(r *record, g *Goroutine, now Time) {
	ev.Time, ev.Kind, ev.G = now, r.what.kind(), g
	ev.From, ev.To = g.State, r.what.to()
	ev.Lived, ev.FromKnown = now.Sub(g.Since), g.SinceKnown
}

// more takes a record with an extra, which may be a goroutine's first or no change of a
// goroutine's state. It returns nil if that is no news. Inlined, as a build profile suggests,
// it would have next keep more on the stack at every event.
//
//go:noinline
func (p *Program) more(r *record) *Event {
	x := p.extra()
	if r.what.kind() > KindEnd {
		return p.other(r, x)
	}
	g, known := p.enter(r, x.id)
	switch r.what.kind() {
	case KindStatus:
		if !p.status(g, r, known) {
			return nil
		}
		return &p.found
	case KindCreate:
		return p.create(g, r, x)
	}
	return p.changed(r, g)
}

// create takes the creation of a goroutine.
func (p *Program) create(g *Goroutine, r *record, x *extra) *Event {
	ev, now := &p.born, p.Now
	ev.Time, ev.Kind, ev.G, ev.To = now, KindCreate, g, r.what.to()
	ev.From, ev.FromKnown, ev.Wait, ev.Reason = StateEnded, true, g.Wait, g.Reason
	ev.Stack, ev.ByStack = p.ids.stack(r.stack), p.ids.stack(x.byStack)
	g.BornKnown, g.Born, g.Since = true, now, now
	g.Creator, g.CreatedAt, g.Entry = GoID(x.value), ev.ByStack, ev.Stack
	p.identify(g)
	ev.By = p.by(r, ev.ByStack)
	if r.what.from() == StateRunning {
		g.Ran = true
	}
	g.become(r.what.to(), now)
	return ev
}

// leave takes the end of a goroutine.
func (p *Program) leave(g *Goroutine) {
	p.byID.remove(g)
	p.free = append(withRoom(p.free, int(p.slots)), g.Slot)
}

// extra returns the next extra.
func (p *Program) extra() *extra {
	x := &p.extras[p.spent]
	p.spent++
	return x
}

// become ends g's state, and begins another.
func (g *Goroutine) become(s State, now Time) {
	if i := int(g.State) - int(StateRunnable); uint(i) < uint(len(g.spent)) {
		g.spent[i] += now.Sub(g.Since)
	}
	g.State, g.Since, g.SinceKnown = s, now, true
}

// other takes what is no change of a goroutine's state. The translator has given
// it its ids already.
func (p *Program) other(r *record, x *extra) *Event {
	ev := &p.rest
	*ev = Event{}
	ev.Time, ev.Kind, ev.Stack = p.Now, r.what.kind(), r.stack
	ev.Text, ev.Text2, ev.Value, ev.Parent = r.text, x.text2, x.value, x.parent
	ev.G = p.byID.get(x.id)
	if r.what.kind() == KindMetric && p.t.strings[r.text] == metricProcs {
		p.Procs = int(x.value)
	}
	return ev
}

// by returns the goroutine that did what r tells, nil if none. Where it stood
// tells its entry function, if its creation was not seen.
func (p *Program) by(r *record, stack StackID) *Goroutine {
	if r.by() == nobody {
		return nil
	}
	by := p.numbered[uint32(r.text)]
	if by.Entry == 0 {
		p.introduce(by, stack)
	}
	return by
}

// introduce tells by a goroutine's stack what it is.
func (p *Program) introduce(g *Goroutine, stack StackID) {
	g.adopt(stack)
	p.identify(g)
}

// status takes a status record: the first sight of a goroutine, or what the
// runtime repeats about it in each generation.
// It returns false if that is nothing new.
func (p *Program) status(g *Goroutine, r *record, known bool) bool {
	ev := &p.found
	stack := p.ids.stack(r.stack)
	if known {
		// Known already: only a stack that was missing is news.
		if stack == 0 || g.Stack != 0 || r.what.to() != g.State {
			return false
		}
	} else {
		g.Creator = NoGoroutine
		g.State, g.Since, g.SinceKnown = r.what.to(), 0, false
	}
	ev.Time, ev.Kind, ev.G, ev.To = p.Now, KindStatus, g, r.what.to()
	ev.From, ev.Stack = StateUnknown, stack
	g.Stack = stack
	if stack != 0 {
		s := p.t.stacks[stack]
		g.adopt(stack)
		p.identify(g)
		if g.State == StateWaiting {
			g.Reason = s.Derived
			g.Wait = s.wait(g.Reason)
		}
		if g.System {
			g.Wait = WaitRuntime
		}
	}
	ev.Wait, ev.Reason = g.Wait, g.Reason
	ev.Lived, ev.FromKnown = p.Now.Sub(g.Since), g.SinceKnown
	return true
}

// adopt takes the entry function from any stack of a goroutine whose creation
// was not seen: it is the outermost frame, unless the stack was cut off.
func (g *Goroutine) adopt(stack StackID) {
	if g.Entry == 0 {
		g.Entry = stack
	}
}

// identify sets what follows from the entry function.
func (p *Program) identify(g *Goroutine) {
	if !g.System && p.t.stacks[g.Entry].System {
		g.System = true
		p.Goroutines--
	}
}

// waker says what woke g, whose wait just ended.
func (p *Program) waker(g *Goroutine, ev *Event) Waker {
	switch {
	case ev.By != nil && ev.By != g:
		if !ev.By.BornKnown || ev.By.Creator == NoGoroutine {
			if e := p.EntryID(ev.By); e != 0 && isDeadline(p.t.frames[e].Func) {
				return WakerDeadline
			}
		}
		return WakerGoroutine
	case g.Wait == WaitNetwork:
		return WakerNetwork
	case ev.ByStack == 0 && (g.Wait == WaitSleep || g.Wait == WaitSelect || g.Wait == WaitChanReceive || g.Wait == WaitUnknown):
		return WakerTimer
	}
	return WakerRuntime
}

// enter returns the goroutine of a record that may be the first of it, and whether it
// was there already; r tells from now on by what number others call it.
func (p *Program) enter(r *record, id GoID) (g *Goroutine, known bool) {
	if g = p.byID.get(id); g != nil {
		known = true
	} else {
		g = p.occupy(id)
		if r.what.kind() != KindStatus && r.what.kind() != KindCreate {
			// Damage or a format that leaves out the status: take it as found.
			g.State = r.what.from()
		}
	}
	for int(r.g) >= len(p.numbered) {
		p.numbered = append(withRoom(p.numbered, 2*len(p.numbered)), nil)
	}
	p.numbered[r.g] = g
	return g, known
}

// occupy gives a goroutine that is new the slot of the one that ended last, or else a new one.
func (p *Program) occupy(id GoID) *Goroutine {
	var slot int32
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		slot = p.slots
		if p.slots++; int(slot) == pageGoroutines*len(p.pages) {
			p.grow()
		}
	}
	g := p.at(slot)
	*g = Goroutine{origin: g.origin, ID: id, Slot: slot, Creator: NoGoroutine}
	p.clear(g)
	p.byID.put(g)
	p.Goroutines++
	return g
}

// InState is how long g has been in its present state.
func (p *Program) InState(g *Goroutine) time.Duration { return p.Now.Sub(g.Since) }
