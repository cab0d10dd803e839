// Package giveups knows who started a goroutine, waited for its answer and gave
// up, by a timer, a deadline or a cancellation, and what that goroutine did
// from then on.
//
// Whom a goroutine waits for the trace does not tell. It is taken to be one that
// it has started in the very function that waits, or one call above or below,
// and that has not answered it yet. What others of the same go statement did
// shows whether they answer at all.
package giveups

import (
	"slices"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact gives the table of all waits that were given up.
var Fact = &detectors.Fact[*Table]{
	Name:    "giveups",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindUnblock), // and the ends of those of whom something is known
	New: func(p *detectors.Pass) *Table {
		t := &Table{pass: p}
		p.Keep(&t.alive)
		return t
	},
}

// doings is what is watched too once somebody has given up.
var doings = traceload.KindSet(traceload.KindBlock, traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd)

// How says what ended the wait.
type How uint8

const (
	Timer     How = iota // a timer in a select
	Deadline             // of a context
	Cancelled            // a context was cancelled
)

// Case is the waits at one line for goroutines of one go statement.
type Case struct {
	Wait    traceload.FrameID // the user's line that waits
	Created traceload.FrameID // the line that starts
	WaitsAt traceload.StackID // the first stack there

	Answered int // waits that the goroutine ended by its answer
	lengths  histogram.Histogram
	Ways     [Cancelled + 1]Way
}

// Way is what came of the waits that were given up in one way.
type Way struct {
	Count   int // goroutines that were left alone by one that gave up
	Stopped int // … and ended within Grace, or were told to stop as well
	Late    int // … and answered after all, and somebody took it
	Shared  int // … and answered others who waited at that line
	Waited  time.Duration
	Results []Result // the others, the first of them

}

// Grace is how long a goroutine may work on without anybody minding.
const Grace = 50 * time.Millisecond

// kept is how many results of one case are kept.
const kept = 4096

// Result is what one goroutine did that was left alone.
type Result struct {
	trails.Past
	Caller   traceload.GoID
	Waited   time.Duration // how long its caller had waited for it
	Sending  bool          // it waits to send when the trace ends
	SendsFor time.Duration
	SendsAt  traceload.StackID
}

// Usual is the time within which three of four answers came.
func (c *Case) Usual() time.Duration { return c.lengths.Quantile(0.75) }

// Table is the fact. It is complete in and after Finish.
type Table struct {
	_ cpu.CacheLinePad

	Cases []*Case

	cases   dense.Pairs[*Case] // by the lines that wait and start
	places  dense.Stacks[place]
	alive   traceload.Beside[occupant]
	broods  dense.Pool[brood]
	watches dense.Pool[watch]
	pass    *detectors.Pass
	watched int // goroutines alive that are watched
	gaveUp  int // goroutines alive that have given up
	_       cpu.CacheLinePad
}

// occupant is what is known of one goroutine that is alive.
type occupant struct {
	parent traceload.GoID   // who has started it to be answered, else NoGoroutine; 0 if nobody is here
	gave   traceload.FuncID // the function that waited when it last gave up; 0 if none
	watch  uint32           // in Table.watches; 0 if it is not watched
	brood  uint32           // in Table.broods; 0 if it has started nobody
	told   bool             // it has answered its parent
}

// brood is the latest that a goroutine started; 0 is nobody.
type brood struct {
	list [4]traceload.GoID
	next uint8
}

func (b *brood) has(id traceload.GoID) bool {
	return b.list[0] == id || b.list[1] == id || b.list[2] == id || b.list[3] == id
}

// watch follows a goroutine that was left alone.
type watch struct {
	c      *Case
	way    *Way
	caller traceload.GoID
	waited time.Duration
	trail  trails.Trail
}

// occupant returns what is known of g; nil if g is nil, or its beginning was not seen.
func (t *Table) occupant(g *traceload.Goroutine) *occupant {
	if o := t.alive.Of(g); o != nil && o.parent != 0 {
		return o
	}
	return nil
}

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	if t.watched != 0 {
		t.follow(p, ev)
	}
	switch ev.Kind {
	case traceload.KindBlock:
		if t.gaveUp != 0 {
			t.comesBack(p, ev)
		}
	case traceload.KindUnblock:
		switch {
		case ev.G.System:
		case ev.Waker == traceload.WakerGoroutine:
			t.woken(p, ev)
		case ev.Waker == traceload.WakerTimer, ev.Waker == traceload.WakerDeadline:
			t.timedOut(p, ev)
		}
	case traceload.KindStatus, traceload.KindCreate:
		t.appear(p, ev)
	case traceload.KindEnd:
		t.leave(p, ev.G, t.alive.At(ev.G))
	}
}

// follow shows an event to the watch of a goroutine that has one.
func (t *Table) follow(p *traceload.Program, ev *traceload.Event) {
	if o := t.occupant(ev.G); o != nil && o.watch != 0 && ev.Kind != traceload.KindStatus && ev.Kind != traceload.KindCreate {
		t.watches.At(o.watch).trail.Observe(p, ev)
	}
}

func (t *Table) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	o := t.alive.At(g)
	if o.parent == 0 {
		o.parent = traceload.NoGoroutine
	}
	if ev.Kind != traceload.KindCreate {
		return
	}
	by := t.occupant(ev.By)
	if by == nil || !t.place(p, g.Entry).begins {
		return
	}
	at := t.place(p, ev.ByStack)
	if !at.own {
		return // started by the standard library for its own ends
	}
	o.parent = ev.By.ID
	if by.brood == 0 {
		by.brood = t.broods.Take()
		t.pass.SeeEnd(ev.By)
	}
	b := t.broods.At(by.brood)
	b.list[b.next] = g.ID
	b.next = (b.next + 1) % uint8(len(b.list))
	if by.gave != 0 && at.has(by.gave) {
		t.forgive(by) // it asks anew
	}
}

func (t *Table) leave(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	if o.watch != 0 {
		t.settle(p, g, o)
	}
	if o.gave != 0 {
		t.forgive(o)
	}
	if o.brood != 0 {
		t.broods.Give(o.brood)
	}
}

// forgive forgets that a goroutine has given up.
func (t *Table) forgive(o *occupant) {
	o.gave = 0
	t.gaveUp--
}

// comesBack takes back that a goroutine has given up: it waits on, in the same
// function, without having asked anew.
func (t *Table) comesBack(p *traceload.Program, ev *traceload.Event) {
	o := t.occupant(ev.G)
	if o == nil || o.gave == 0 || t.place(p, ev.Stack).fns[0] != o.gave {
		return
	}
	switch ev.Wait {
	case traceload.WaitSelect, traceload.WaitChanReceive, traceload.WaitWaitGroup, traceload.WaitCond:
	default:
		return
	}
	for _, id := range t.children(o) {
		c := t.occupant(p.Goroutine(id))
		if c == nil || c.watch == 0 {
			continue
		}
		if w := t.watches.At(c.watch); w.caller == ev.G.ID {
			w.way.Count--
			t.release(c)
		}
	}
	t.forgive(o)
}

// woken takes that another goroutine ended a wait.
func (t *Table) woken(p *traceload.Program, ev *traceload.Event) {
	switch t.place(p, ev.ByStack).how {
	case wakes.Send, wakes.Close, wakes.Receive:
		by := t.occupant(ev.By)
		if by == nil {
			return
		}
		if by.watch != 0 {
			t.answersLate(p, ev, by)
		}
		if by.parent == ev.G.ID && !by.told {
			t.answer(p, ev, by)
		}
	case wakes.Cancel:
		o := t.occupant(ev.G)
		if o == nil {
			return
		}
		t.stops(o)
		if !slices.Contains(t.children(o), ev.By.ID) { // such a cancellation is an answer
			t.giveUp(p, ev, o, Cancelled)
		}
	}
}

// timedOut takes that a timer or a context's deadline ended a wait.
func (t *Table) timedOut(p *traceload.Program, ev *traceload.Event) {
	o := t.occupant(ev.G)
	switch {
	case o == nil:
	case ev.Waker == traceload.WakerDeadline:
		t.stops(o)
		t.giveUp(p, ev, o, Deadline)
	case ev.Wait == traceload.WaitSelect:
		t.giveUp(p, ev, o, Timer)
	}
}

// children returns the latest that the occupant has started; 0 is nobody.
func (t *Table) children(o *occupant) []traceload.GoID {
	if o.brood == 0 {
		return nil
	}
	return t.broods.At(o.brood).list[:]
}

// stops notes that a goroutine that was left alone is told to stop as well.
func (t *Table) stops(o *occupant) {
	if o.watch != 0 {
		t.watches.At(o.watch).way.Stopped++
		t.release(o)
	}
}

// answer notes that a goroutine ended the wait of the one that had started it.
func (t *Table) answer(p *traceload.Program, ev *traceload.Event, by *occupant) {
	if ev.Wait != traceload.WaitSelect && ev.Wait != traceload.WaitChanReceive {
		return
	}
	o := t.occupant(ev.G)
	if o == nil || o.brood == 0 || !t.broods.At(o.brood).has(ev.By.ID) {
		return // it was started long ago
	}
	at, start := t.place(p, ev.Stack), ev.By.CreatedAt
	if at.cas == nil || at.starts != start {
		if !t.meet(p, ev.Stack, start) {
			return
		}
		at = t.place(p, ev.Stack)
		at.cas, at.starts = t.of(p, ev.Stack, start), start
	}
	by.told = true
	if at.cas != nil {
		at.cas.Answered++
		at.cas.lengths.Add(ev.Lived)
	}
}

// answersLate notes that a goroutine that was left alone has an answer, for the one
// that had started it or for somebody else.
func (t *Table) answersLate(p *traceload.Program, ev *traceload.Event, by *occupant) {
	w := t.watches.At(by.watch)
	switch {
	case t.occupant(ev.G) == nil:
	case w.caller == ev.G.ID:
		w.way.Late++
		t.release(by)
	case p.SiteID(ev.Stack) == w.c.Wait:
		w.way.Shared++
		t.release(by)
	}
}

// of returns the case of a wait and the start of a goroutine; nil if one of them has no line.
func (t *Table) of(p *traceload.Program, wait, start traceload.StackID) *Case {
	waits, starts := t.place(p, wait).line, t.place(p, start).line
	if waits == 0 || starts == 0 {
		return nil
	}
	c := t.cases.At(uint32(waits), uint32(starts))
	if *c == nil {
		*c = &Case{Wait: waits, Created: starts, WaitsAt: wait}
		t.Cases = append(t.Cases, *c)
	}
	return *c
}

// giveUp notes that a goroutine no longer waits for those that it has started,
// as far as it seems.
func (t *Table) giveUp(p *traceload.Program, ev *traceload.Event, o *occupant, how How) {
	if ev.Wait != traceload.WaitSelect && ev.Wait != traceload.WaitChanReceive {
		return
	}
	if !t.place(p, ev.Stack).own {
		return
	}
	for _, id := range t.children(o) {
		g := p.Goroutine(id)
		co := t.occupant(g)
		if co == nil || co.told || co.watch != 0 || co.parent != ev.G.ID || !t.meet(p, ev.Stack, g.CreatedAt) {
			continue
		}
		s := t.of(p, ev.Stack, g.CreatedAt)
		if s == nil {
			continue
		}
		way := &s.Ways[how]
		way.Count++
		way.Waited += ev.Lived
		t.pass.Watch(doings)
		co.watch = t.watches.Take()
		t.pass.SeeEnd(g)
		t.watched++
		w := t.watches.At(co.watch)
		w.c, w.way, w.caller, w.waited = s, way, ev.G.ID, ev.Lived
		w.trail.Begin(p, g, p.Now)
		if o.gave == 0 {
			t.gaveUp++
			t.pass.SeeEnd(ev.G)
		}
		o.gave = t.place(p, ev.Stack).fns[0]
	}
}

func (t *Table) release(o *occupant) {
	t.watched--
	t.watches.Give(o.watch)
	o.watch = 0
}

// settle takes what a goroutine that was left alone did until its end, or the trace's.
func (t *Table) settle(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	w := t.watches.At(o.watch)
	r := Result{Past: w.trail.Close(p, g), Caller: w.caller, Waited: w.waited}
	if g.State == traceload.StateWaiting && g.Wait == traceload.WaitChanSend {
		r.Sending, r.SendsFor, r.SendsAt = true, p.InState(g), g.Stack
	}
	switch {
	case !r.Sending && r.Ended && r.Length() < Grace:
		w.way.Stopped++
	case len(w.way.Results) < kept:
		w.way.Results = append(w.way.Results, r)
	}
	t.release(o)
}

// Finish implements detectors.Observer.
func (t *Table) Finish(p *traceload.Program) {
	for g := range p.Live {
		if o := t.occupant(g); o != nil && o.watch != 0 {
			t.watches.At(o.watch).trail.Finish(p, g)
			t.settle(p, g, o)
		}
	}
}
