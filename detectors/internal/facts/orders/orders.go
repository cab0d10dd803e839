// Package orders knows when goroutines were told to stop, by the cancelling of
// a context, by the closing of a done channel, or by a context's deadline, and
// what became of those that were told and of their siblings that should have
// been told as well.
//
//	          cancel
//	R1 ───────┤ ends            told: it waited for the cancellation
//	R2 ─────────┤ ends          told
//	W  ────────────────────┤    deaf: same go statement, same creator
//	O  ───────┼── waits again   other: waits for a cancellation after this one,
//	                            so it has a context of its own
//
// The trace does not tell which context a goroutine has. That W has the one of
// R1 and R2 follows from their common birth, and from W's never waiting where
// they were told: O does, so the cancelled context is not O's, nor, for all we
// know, that of any other sibling.
package orders

import (
	"math"
	"slices"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact gives the table of all orders to stop.
var Fact = &detectors.Fact[*Table]{
	Name: "orders",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(p *detectors.Pass) *Table {
		t := &Table{pass: p, due: never, cases: map[caseKey]*Case{}, kinds: newKinds(), givers: map[traceload.FrameID][]Giver{}}
		p.Keep(&t.alive)
		return t
	},
}

const (
	oneCall   = 2 * time.Millisecond // within which wake-ups by one goroutine at one line are one order
	openAtOne = 4                    // orders that may be in progress at one time
	longQuiet = 4096                 // waits that begin for nothing, after which some are overlooked
	kept      = 1024                 // instances of a case that are kept
)

// Grace is how long whoever is told to stop may go on: nobody minds.
const Grace = 100 * time.Millisecond

// How says by what goroutines were told.
type How uint8

const (
	Cancelled How = iota // a context was cancelled
	Closed               // a channel was closed on which its closer does not send
	Expired              // a context's deadline passed
)

// Case is what orders given at one line did to the goroutines of one kind.
type Case struct {
	How     How
	Site    traceload.FrameID // the user's line that gave the order; 0 if none, as for Expired
	Stack   traceload.StackID // … and its stack
	Created traceload.FrameID // the user's line that started the goroutines; 0 if they were found
	Orders  int               // that told some of them
	// Instances are the orders after which some went on beyond Grace.
	Instances []*Instance
}

// Instance is one order to the goroutines of one kind and creator.
type Instance struct {
	At        traceload.Time
	By        traceload.GoID
	ByCreator bool // who gave it had started them
	Told      int
	Stopped   int           // of Told: ended within Grace
	Slowest   time.Duration // … at the latest
	ToldID    traceload.GoID
	ToldAt    traceload.StackID // where that one waited
	Others    int               // siblings that have a context of their own
	InTime    int               // siblings that went on and ended within Grace
	Deaf      []trails.Past
	Beside    bool // the deaf were born together with those told, as far as is known
	Apart     bool // … were not

	AwaitedBy traceload.GoID // who waited for the deaf to end; NoGoroutine if nobody
	Awaited   time.Duration  // … and how long, since the order
	AwaitedAt traceload.StackID

	creator traceload.GoID
	pending int
}

// Table is the fact. It is complete in and after Finish.
type Table struct {
	_ cpu.CacheLinePad

	Cases []*Case

	how     wakes.Table
	cases   map[caseKey]*Case
	kinds   kinds
	alive   traceload.Beside[occupant]
	toldIDs []traceload.GoID // of the order that is evaluated, sorted
	born    []traceload.Time // when those of one family that it told were born, sorted
	watched int              // of those alive
	open    []*order
	spare   []*order                            // evaluated, to be used again
	due     traceload.Time                      // when the oldest of open is over; never if there is none
	listens dense.ByID[traceload.FrameID, bool] // lines where an order has ended a wait
	givers  map[traceload.FrameID][]Giver
	senders dense.ByID[traceload.FrameID, senders] // by the line that receives
	events  int64                                  // so far; the beginning of a wait counts with its end
	scanned int64
	pass    *detectors.Pass
	quiet   int      // waits that began for nothing since somebody was watched, or an order in progress
	watches []*watch // by number minus one
	free    []uint32 // numbers of those that are over
	_       cpu.CacheLinePad
}

type caseKey struct {
	how  How
	site traceload.FrameID
	kind int32
}

// occupant is a goroutine that is alive.
type occupant struct {
	kind  int32  // 0: nobody
	watch uint32 // the number of what follows it; 0 if nothing does
}

// order is one in progress: more may be woken by it.
type order struct {
	how   How
	at    traceload.Time
	by    traceload.GoID
	site  traceload.FrameID
	stack traceload.StackID
	told  dense.List[told]
}

// told is one that was told. With many goroutines alive, one order may tell them all.
type told struct {
	id      traceload.GoID
	creator traceload.GoID // as in family
	born    traceload.Time
	kind    int32
	stack   traceload.StackID
}

func (r *told) is(fam family) bool { return r.kind == fam.kind && r.creator == fam.creator }

// Observe implements detectors.Observer. Most of the time no order is in progress,
// and few are watched.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	if ev.Kind == traceload.KindBlock && t.idle() {
		if t.quiet++; t.quiet > longQuiet {
			t.pass.Overlook(ev)
		}
		return
	}
	late := p.Now > t.due
	if late {
		t.next(p)
	}
	switch ev.Kind {
	case traceload.KindBlock:
		t.follow(p, ev, t.alive.At(ev.G))
	case traceload.KindUnblock:
		t.events += 2
		if ev.Waker == traceload.WakerGoroutine && ev.Wait != traceload.WaitChanSend &&
			t.how.Known(ev.ByStack) == wakes.Send && t.noted(p, ev.By.ID, ev.ByStack, ev.Stack) {
			if t.watched > 0 {
				t.handed(p, ev, t.alive.At(ev.G), t.alive.At(ev.By))
			}
			return
		}
		watched := t.watched > 0 || late
		t.unblock(p, ev)
		if watched { // since this event, perhaps
			t.follow(p, ev, t.alive.At(ev.G))
		}
	case traceload.KindStatus, traceload.KindCreate:
		t.events++
		t.enter(p, ev.G)
	case traceload.KindEnd:
		t.events++
		t.follow(p, ev, t.alive.At(ev.G))
	default:
		t.events++
		t.follow(p, ev, t.alive.At(ev.G))
	}
}

// idle tells whether no order is in progress and nobody is watched.
func (t *Table) idle() bool { return t.due == never && t.watched == 0 }

// rouse has the table see again what it overlooked while it was idle.
func (t *Table) rouse() {
	if t.quiet > longQuiet {
		t.pass.LookAgain()
	}
	t.quiet = 0
}

// handed takes a wake-up by a sender who is noted.
func (t *Table) handed(p *traceload.Program, ev *traceload.Event, o, by *occupant) {
	if o.watch|by.watch == 0 {
		return
	}
	if o.kind != 0 && !ev.G.System && ev.Wait != traceload.WaitRuntime {
		t.lets(p, ev)
		t.feed(o)
	}
	t.follow(p, ev, o)
}

func (t *Table) enter(p *traceload.Program, g *traceload.Goroutine) {
	t.alive.At(g).kind = t.kinds.of(p, g)
}

// of returns what is known of g; nil if g is nil or the trace told nothing of it.
func (t *Table) of(g *traceload.Goroutine) *occupant {
	if o := t.alive.Of(g); o != nil && o.kind != 0 {
		return o
	}
	return nil
}

// next evaluates the oldest of the orders in progress.
func (t *Table) next(p *traceload.Program) {
	ord := t.open[0]
	t.evaluate(p, ord)
	t.open = append(t.open[:0], t.open[1:]...)
	t.spare = append(t.spare, ord)
	t.expect()
}

// never is later than all that happens.
const never traceload.Time = math.MaxInt64

// expect notes when the oldest of the orders in progress will be over.
func (t *Table) expect() {
	t.due = never
	if len(t.open) > 0 {
		t.due = t.open[0].at + traceload.Time(oneCall)
	}
}

func (t *Table) listening(p *traceload.Program, stack traceload.StackID) bool {
	f := p.SiteID(stack)
	return f != 0 && t.listens.Get(f)
}

func (t *Table) unblock(p *traceload.Program, ev *traceload.Event) {
	o := t.of(ev.G)
	if o == nil || ev.Waker != traceload.WakerGoroutine && ev.Waker != traceload.WakerDeadline || ev.G.System || ev.Wait == traceload.WaitRuntime {
		return
	}
	how := t.how.Of(p, ev.ByStack)
	t.lets(p, ev)
	switch {
	case ev.Waker == traceload.WakerDeadline:
		t.told(p, ev, o, Expired)
	case how == wakes.Send && ev.Wait != traceload.WaitChanSend:
		t.noteSender(p, ev.By.ID, ev.ByStack, ev.Stack)
		t.feed(o)
	case how == wakes.Cancel:
		t.told(p, ev, o, Cancelled)
	case how == wakes.Close && (ev.Wait == traceload.WaitSelect || ev.Wait == traceload.WaitChanReceive):
		if t.sends(p, ev) {
			t.feed(o)
		} else {
			t.told(p, ev, o, Closed)
		}
	case how == wakes.Send, how == wakes.Receive: // of what it sends: it had to wait for the receiver
		t.noteSender(p, ev.G.ID, ev.Stack, ev.ByStack)
		if by := t.watchOf(ev.By); by != nil {
			by.trail.Fed++
		}
	}
}

// told notes that a goroutine was woken by an order.
func (t *Table) told(p *traceload.Program, ev *traceload.Event, o *occupant, how How) {
	if f := p.SiteID(ev.Stack); f != 0 {
		*t.listens.At(f) = true
		t.credit(p, f, ev.ByStack)
	}
	if o.watch != 0 && !t.watches[o.watch-1].told {
		t.acquit(o)
	}
	if t.kinds.list[o.kind].entry == 0 {
		return
	}
	ord := t.ongoing(p, ev, how)
	*ord.told.Add() = told{ev.G.ID, familyOf(ev.G, o).creator, ev.G.Born, o.kind, ev.Stack}
}

// ongoing returns the order that the waker is giving.
func (t *Table) ongoing(p *traceload.Program, ev *traceload.Event, how How) *order {
	site := p.SiteID(ev.ByStack)
	if f := p.Frame(site); site != 0 && f.Origin != traceload.OriginUser || how == Expired {
		site = 0
	}
	by := traceload.NoGoroutine
	if ev.By != nil {
		by = ev.By.ID
	}
	for _, ord := range t.open {
		if ord.by == by && ord.site == site && ord.how == how {
			return ord
		}
	}
	if len(t.open) == openAtOne {
		t.next(p)
	}
	ord := new(order)
	if n := len(t.spare); n > 0 {
		ord, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	ord.how, ord.at, ord.by, ord.site, ord.stack = how, p.Now, by, site, ev.ByStack
	ord.told.Clear()
	t.open = append(t.open, ord)
	t.expect()
	t.rouse()
	return ord
}

// evaluate looks who of the families that were told goes on. Looking through all
// that are alive is paid for by events, so that it stays a small part of the work.
func (t *Table) evaluate(p *traceload.Program, ord *order) {
	const start = 100_000
	n := int64(p.Slots())
	t.toldIDs = slices.Grow(t.toldIDs[:0], ord.told.Len())
	for i := range ord.told.Len() {
		t.toldIDs = append(t.toldIDs, ord.told.At(i).id)
	}
	slices.Sort(t.toldIDs)
	for i := range ord.told.Len() {
		fam := family{ord.told.At(i).kind, ord.told.At(i).creator}
		if ord.saw(fam, i) {
			continue
		}
		if t.scanned+n > t.events+start {
			return
		}
		t.scanned += n
		c := t.caseOf(ord, fam)
		c.Orders++
		in := t.instance(p, ord, fam)
		if in.pending == 0 || in.Others > 0 || len(c.Instances) >= kept {
			t.drop(p, in)
			continue
		}
		c.Instances = append(c.Instances, in)
		for j := i; j < ord.told.Len(); j++ {
			r := ord.told.At(j)
			if !r.is(fam) {
				continue
			}
			in.Told++
			in.ToldID, in.ToldAt = r.id, r.stack
			switch o := t.of(p.Goroutine(r.id)); {
			case o == nil:
				in.Stopped++
			case o.watch == 0:
				t.watch(o, in).told = true
			}
		}
	}
}

// saw tells whether one of the family is among the first n that were told.
func (ord *order) saw(fam family, n int) bool {
	for i := range n {
		if ord.told.At(i).is(fam) {
			return true
		}
	}
	return false
}

func (t *Table) caseOf(ord *order, fam family) *Case {
	key := caseKey{ord.how, ord.site, fam.kind}
	c, ok := t.cases[key]
	if !ok {
		c = &Case{How: ord.how, Site: ord.site, Stack: ord.stack, Created: t.kinds.list[fam.kind].created}
		t.cases[key] = c
		t.Cases = append(t.Cases, c)
	}
	return c
}

// bornBeside is how far apart the births of siblings are that belong together.
const bornBeside = 10 * time.Millisecond

// instance begins to follow those of the family that were not told.
func (t *Table) instance(p *traceload.Program, ord *order, fam family) *Instance {
	in := &Instance{At: ord.at, By: ord.by, AwaitedBy: traceload.NoGoroutine, creator: fam.creator, ByCreator: ord.by == fam.creator && fam.creator != traceload.NoGoroutine}
	t.born = t.born[:0]
	for i := range ord.told.Len() {
		if r := ord.told.At(i); r.is(fam) {
			t.born = append(t.born, r.born)
		}
	}
	slices.Sort(t.born)
	for g := range p.Live {
		o := t.of(g)
		if o == nil || o.kind != fam.kind || familyOf(g, o) != fam || g.BornKnown && g.Born > ord.at {
			continue
		}
		if _, told := slices.BinarySearch(t.toldIDs, g.ID); told {
			continue
		}
		if o.watch != 0 { // an earlier order is still ignored, or has just been obeyed
			continue
		}
		if g.State == traceload.StateWaiting && t.listening(p, g.Stack) {
			in.Others++
			continue
		}
		if g.BornKnown {
			if t.beside(g.Born) {
				in.Beside = true
			} else {
				in.Apart = true
			}
		}
		t.watch(o, in).trail.Begin(p, g, ord.at)
		in.pending++
	}
	return in
}

// beside tells whether one of those in t.born was born within bornBeside of born.
func (t *Table) beside(born traceload.Time) bool {
	i, _ := slices.BinarySearch(t.born, born)
	return i < len(t.born) && t.born[i]-born <= traceload.Time(bornBeside) ||
		i > 0 && born-t.born[i-1] <= traceload.Time(bornBeside)
}

// Finish implements detectors.Observer.
func (t *Table) Finish(p *traceload.Program) {
	for _, ord := range t.open {
		t.evaluate(p, ord)
	}
	t.open, t.due = nil, never
	for g := range p.Live {
		o := t.of(g)
		if o == nil || o.watch == 0 {
			continue
		}
		w := t.watches[o.watch-1]
		if w.told {
			continue
		}
		if g.State == traceload.StateWaiting && t.listening(p, g.Stack) {
			t.acquit(o)
			continue
		}
		in := w.at
		w.trail.Finish(p, g)
		in.add(p, g, &w.trail)
		for _, id := range []traceload.GoID{in.By, in.creator} {
			if by := p.Goroutine(id); by != nil && by.State == traceload.StateWaiting && by.Wait == traceload.WaitWaitGroup {
				in.AwaitedBy, in.Awaited, in.AwaitedAt = id, min(p.InState(by), p.Now.Sub(in.At)), by.Stack
			}
		}
	}
}
