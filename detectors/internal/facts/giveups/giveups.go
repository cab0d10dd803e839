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
	Name: "giveups",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(*detectors.Pass) *Table { return &Table{} },
}

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
	how     wakes.Table
	funcs   dense.ByID[traceload.StackID, pair]
	alive   dense.Goroutines[occupant]
	broods  dense.Pool[brood]
	watched int // of those alive
	free    []*watch
	_       cpu.CacheLinePad
}

// pair is the two innermost functions of the user's on a stack.
type pair struct {
	known bool
	own   bool // the operation itself was called by the user's code
	fn    [2]traceload.FuncID
}

func (a pair) meets(b pair) bool {
	for _, x := range a.fn {
		if x != 0 && (x == b.fn[0] || x == b.fn[1]) {
			return true
		}
	}
	return false
}

type occupant struct {
	parent traceload.GoID
	watch  *watch
	gave   gave
	brood  uint32 // in Table.broods; 0 if it has started nobody
}

// brood is the latest that a goroutine started.
type brood struct {
	list [4]child
	next uint8
}

type child struct {
	id   traceload.GoID
	at   traceload.StackID // where it was started
	told bool              // it has answered
}

// gave is the wait that a goroutine gave up last.
type gave struct {
	fn traceload.FuncID // function that waited; 0 if none
}

// watch follows a goroutine that was left alone.
type watch struct {
	c      *Case
	way    *Way
	caller traceload.GoID
	waited time.Duration
	trail  trails.Trail
}

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		t.appear(p, ev)
		return
	case traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd:
		if t.watched == 0 {
			return
		}
	}
	o := t.alive.Of(g)
	if o == nil {
		return
	}
	if o.watch != nil {
		o.watch.trail.Observe(p, ev)
	}
	switch ev.Kind {
	case traceload.KindBlock:
		if o.gave.fn != 0 {
			t.comesBack(p, ev, o)
		}
	case traceload.KindUnblock:
		if !g.System {
			t.unblock(p, ev, o)
		}
	case traceload.KindEnd:
		if o.watch != nil {
			t.settle(p, g, o)
		}
		t.broods.Give(o.brood)
		t.alive.Leave(g)
	}
}

func (t *Table) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if t.alive.Of(g) == nil {
		t.alive.Enter(g).parent = traceload.NoGoroutine
	}
	by := t.alive.Of(ev.By)
	if ev.Kind != traceload.KindCreate || by == nil {
		return
	}
	fn := t.functions(p, ev.ByStack)
	if e := p.Entry(g); e == nil || e.Origin == traceload.OriginStd && !timeoutHandler(e.Func) || !fn.own {
		return // started by the standard library for its own ends
	}
	t.alive.Of(g).parent = ev.By.ID
	if by.brood == 0 {
		by.brood = t.broods.Take()
	}
	b := t.broods.At(by.brood)
	b.list[b.next] = child{id: g.ID, at: ev.ByStack}
	b.next = (b.next + 1) % uint8(len(b.list))
	if by.gave.fn == fn.fn[0] || by.gave.fn == fn.fn[1] {
		by.gave = gave{} // it asks anew
	}
}

// timeoutHandler tells whether net/http's handler with a time limit started the goroutine.
func timeoutHandler(fn string) bool {
	return len(fn) >= len(timeoutServe) && fn[:len(timeoutServe)] == timeoutServe
}

const timeoutServe = "net/http.(*timeoutHandler).ServeHTTP"

func (t *Table) functions(p *traceload.Program, id traceload.StackID) pair {
	f := t.funcs.At(id)
	if !f.known {
		*f = functions(p, id)
	}
	return *f
}

func functions(p *traceload.Program, id traceload.StackID) pair {
	f := pair{known: true}
	st := p.Stack(id)
	if st.Owner >= 0 {
		owner := p.Frame(st.Frames[st.Owner])
		f.own = owner.Origin == traceload.OriginUser
		if timeoutHandler(owner.Func) {
			return pair{known: true, own: true, fn: [2]traceload.FuncID{owner.FuncID}}
		}
	}
	n := 0
	for _, id := range st.Frames {
		if fr := p.Frame(id); fr.Origin == traceload.OriginUser && n < len(f.fn) {
			f.fn[n] = fr.FuncID
			n++
		}
	}
	return f
}

// comesBack takes back that a goroutine has given up: it waits on, in the same
// function, without having asked anew.
func (t *Table) comesBack(p *traceload.Program, ev *traceload.Event, o *occupant) {
	if t.functions(p, ev.Stack).fn[0] != o.gave.fn {
		return
	}
	switch ev.Wait {
	case traceload.WaitSelect, traceload.WaitChanReceive, traceload.WaitWaitGroup, traceload.WaitCond:
	default:
		return
	}
	for _, child := range t.children(o) {
		if c := t.alive.Of(p.Goroutine(child.id)); c != nil && child.id != 0 && c.watch != nil && c.watch.caller == ev.G.ID {
			c.watch.way.Count--
			t.release(c)
		}
	}
	o.gave = gave{}
}

func (t *Table) unblock(p *traceload.Program, ev *traceload.Event, o *occupant) {
	how := t.how.Of(p, ev.ByStack)
	switch ev.Waker {
	case traceload.WakerGoroutine:
		if how == wakes.Send || how == wakes.Close || how == wakes.Receive {
			t.answer(p, ev, o)
		}
		if how == wakes.Cancel {
			t.stops(o)
			if !t.asked(o, ev.By.ID) { // such a cancellation is an answer
				t.giveUp(p, ev, o, Cancelled)
			}
		}
	case traceload.WakerTimer:
		if ev.Wait == traceload.WaitSelect {
			t.giveUp(p, ev, o, Timer)
		}
	case traceload.WakerDeadline:
		t.stops(o)
		t.giveUp(p, ev, o, Deadline)
	}
}

// asked tells whether the occupant has started that goroutine, and not long ago.
func (t *Table) asked(o *occupant, id traceload.GoID) bool {
	return slices.ContainsFunc(t.children(o), func(c child) bool { return c.id == id })
}

// children returns the latest that the occupant has started; the id of unused entries is 0.
func (t *Table) children(o *occupant) []child {
	if o.brood == 0 {
		return nil
	}
	return t.broods.At(o.brood).list[:]
}

// stops notes that a goroutine that was left alone is told to stop as well.
func (t *Table) stops(o *occupant) {
	if o.watch != nil {
		o.watch.way.Stopped++
		t.release(o)
	}
}

// answer notes that a goroutine ended the wait of the one that had started it,
// or of somebody else.
func (t *Table) answer(p *traceload.Program, ev *traceload.Event, o *occupant) {
	by := t.alive.Of(ev.By)
	if by == nil || ev.By.ID == ev.G.ID {
		return
	}
	if w := by.watch; w != nil {
		if w.caller == ev.G.ID {
			w.way.Late++
			t.release(by)
		} else if p.SiteID(ev.Stack) == w.c.Wait {
			w.way.Shared++
			t.release(by)
		}
	}
	if by.parent != ev.G.ID || ev.Wait != traceload.WaitSelect && ev.Wait != traceload.WaitChanReceive {
		return
	}
	waits := t.functions(p, ev.Stack)
	children := t.children(o)
	for i := range children {
		c := &children[i]
		if c.id != ev.By.ID || c.told || !waits.meets(t.functions(p, c.at)) {
			continue
		}
		c.told = true
		if s := t.of(p, ev.Stack, c.at); s != nil {
			s.Answered++
			s.lengths.Add(ev.Lived)
		}
	}
}

func (t *Table) of(p *traceload.Program, wait, created traceload.StackID) *Case {
	waits, starts := site(p, wait), site(p, created)
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

// site is the user's line on a stack; of net/http's handler with a time limit, that.
func site(p *traceload.Program, stack traceload.StackID) traceload.FrameID {
	st := p.Stack(stack)
	if st.Owner >= 0 && timeoutHandler(p.Frame(st.Frames[st.Owner]).Func) {
		return st.Frames[st.Owner]
	}
	return p.SiteID(stack)
}

// giveUp notes that a goroutine no longer waits for those that it has started,
// as far as it seems.
func (t *Table) giveUp(p *traceload.Program, ev *traceload.Event, o *occupant, how How) {
	if ev.Wait != traceload.WaitSelect && ev.Wait != traceload.WaitChanReceive {
		return
	}
	waits := t.functions(p, ev.Stack)
	if !waits.own {
		return
	}
	children := t.children(o)
	for i := range children {
		c := &children[i]
		if c.id == 0 || c.told || !waits.meets(t.functions(p, c.at)) {
			continue
		}
		g := p.Goroutine(c.id)
		co := t.alive.Of(g)
		if co == nil || co.watch != nil || co.parent != ev.G.ID {
			continue
		}
		s := t.of(p, ev.Stack, c.at)
		if s == nil {
			continue
		}
		way := &s.Ways[how]
		way.Count++
		way.Waited += ev.Lived
		w := t.newWatch()
		w.c, w.way, w.caller, w.waited = s, way, ev.G.ID, ev.Lived
		w.trail.Begin(p, g, p.Now)
		co.watch = w
		o.gave = gave{fn: waits.fn[0]}
	}
}

func (t *Table) newWatch() *watch {
	t.watched++
	if n := len(t.free); n > 0 {
		w := t.free[n-1]
		t.free = t.free[:n-1]
		return w
	}
	return &watch{}
}

func (t *Table) release(o *occupant) {
	t.watched--
	t.free = append(t.free, o.watch)
	o.watch = nil
}

// settle takes what a goroutine that was left alone did until its end, or the trace's.
func (t *Table) settle(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	w := o.watch
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
		if o := t.alive.Of(g); o != nil && o.watch != nil {
			o.watch.trail.Finish(p, g)
			t.settle(p, g, o)
		}
	}
}
