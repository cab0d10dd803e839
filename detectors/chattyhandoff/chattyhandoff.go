package chattyhandoff

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds hand-overs that cost more than the work between them.
var Detector = &detectors.Detector{
	Name:   "chatty-handoff",
	Family: detectors.Batching,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: perItem, Pattern: "batch-handoff", Others: []string{"buffer-short-bursts"}, Cap: detectors.Medium},
		{Name: pingPong, Pattern: "work-in-place", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, bySites: map[sites]*link{}}
	},
}

const (
	perItem  = "per-item"
	pingPong = "ping-pong"
)

// What a hand-over costs. The first is measured; both are bounded so that a
// machine that is merely busy is not counted as chatter. They are estimates,
// and the wording says so.
const (
	// wakeAtMost bounds the time that the woken goroutine was ready before it
	// ran: beyond, it waited for a processor and not for its being woken.
	wakeAtMost = time.Microsecond
	// parkAndWake is what parking one goroutine and readying another costs the
	// two, besides: half of what an unbuffered send and receive take on one
	// processor without a tracer (BenchmarkChanSync in package runtime, 2020s).
	parkAndWake = 100 * time.Nanosecond
)

// restless is the longest time between two hand-overs of one goroutine that
// belong to the same burst; 5,000 a second. Fixture: chatty-handoff-per-item,
// whose bursts are a few hundred microseconds long.
const restless = 200 * time.Microsecond

// observer measures the hand-overs at each pair of lines.
type observer struct {
	_ cpu.CacheLinePad

	pass     *detectors.Pass
	byStacks dense.Pairs[transfer] // by stack of the woken, and of the waker
	bySites  map[sites]*link
	links    []*link                // by number minus one, in order of appearance
	slots    dense.Slots[*dealings] // by Goroutine.Slot; nil for a goroutine that has none
	free     []*dealings
	_        cpu.CacheLinePad
}

// transfer is what one kind of wake-up means.
type transfer struct {
	link  uint32 // its number; 0 if it is no hand-over
	gives bool   // the waker stands at the link's giving end; otherwise the woken does
}

// dealings are those of a goroutine that gives or takes.
type dealings struct {
	seat seat                // at the link that it came to first
	more *[maxSeats - 1]seat // at others; nil as long as there are none
	next uint8               // place of the next one

	ran time.Duration // on a processor, since it has dealings, up to the beginning of its present state

	// Its seat at the link where it was woken in a burst, if it is not known yet
	// when it ran: that is seen when the run ends, or leads to another transfer.
	woken *seat

	// Its last two transfers: what it got, and what it gave. Both know goroutines
	// by their slots: dealings end with their goroutine.
	gotFrom int32
	gotBy   uint32 // number of a link; 0 if it has given something back since
	gaveTo  int32  // the slot plus one; 0 if the last transfer was no gift
}

// maxSeats is how many links a goroutine is followed at.
const maxSeats = 4

// seat is a goroutine's place at a link.
type seat struct {
	last  traceload.Time // of its last transfer there
	ran   time.Duration  // how long it had run by then
	link  uint32         // its number; 0 if nobody sits there
	gives bool
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		if !g.System {
			o.appear(g)
		}
		return
	case traceload.KindUnblock:
		if ev.Waker == traceload.WakerGoroutine && !g.System {
			o.wake(p, ev)
		}
		return
	}
	y := o.slots.Of(g)
	if y == nil || *y == nil {
		return
	}
	d := *y
	if g.System && ev.Kind != traceload.KindEnd {
		return
	}
	switch ev.From {
	case traceload.StateRunning:
		d.ran += ev.Lived
		if d.woken != nil {
			o.started(d, p.Now-traceload.Time(ev.Lived))
		}
	case traceload.StateSyscall:
		d.ran += ev.Lived
	}
	if ev.Kind == traceload.KindEnd {
		*y, o.free = nil, append(o.free, d)
	}
}

// appear takes a goroutine that is new, or whose stack has become known.
func (o *observer) appear(g *traceload.Goroutine) {
	y := o.slots.At(g.Slot)
	if *y != nil {
		o.runs(*y, g)
		*y = nil
	}
}

// runs notes the run of a goroutine that goes on.
func (o *observer) runs(d *dealings, g *traceload.Goroutine) {
	if d.woken != nil && g.State == traceload.StateRunning {
		o.started(d, g.Since)
	}
}

// started notes that the goroutine runs since then.
func (o *observer) started(d *dealings, since traceload.Time) {
	o.links[d.woken.link-1].started(since.Sub(d.woken.last))
	d.woken = nil
}

// dealingsAt returns those of a goroutine, from now on if it had none.
func (o *observer) dealingsAt(y **dealings) *dealings {
	if *y == nil {
		*y = o.newDealings()
	}
	return *y
}

func (o *observer) newDealings() *dealings {
	n := len(o.free)
	if n == 0 {
		return new(dealings)
	}
	d := o.free[n-1]
	o.free = o.free[:n-1]
	if d.more != nil {
		*d.more = [maxSeats - 1]seat{}
	}
	*d = dealings{more: d.more}
	return d
}

// ranBy is how long g has run by now.
func (d *dealings) ranBy(p *traceload.Program, g *traceload.Goroutine) time.Duration {
	if g.State == traceload.StateRunning || g.State == traceload.StateSyscall {
		return d.ran + p.InState(g)
	}
	return d.ran
}

// wake takes a wake-up of one goroutine by another.
func (o *observer) wake(p *traceload.Program, ev *traceload.Event) {
	t := o.byStacks.Find(uint32(ev.Stack), uint32(ev.ByStack))
	if t == nil {
		t = o.byStacks.At(uint32(ev.Stack), uint32(ev.ByStack))
		*t = o.transfer(p, ev.Stack, ev.ByStack)
	}
	if t.link == 0 {
		return
	}
	is, by := o.slots.Of(ev.G), o.slots.Of(ev.By)
	if is == nil || by == nil {
		return
	}
	woken, waker := o.dealingsAt(is), o.dealingsAt(by)
	o.runs(waker, ev.By)
	l := o.links[t.link-1]
	giver, taker, from, to := ev.By, ev.G, waker, woken
	if t.gives {
		l.take.wait = ev.Reason
	} else {
		giver, taker, from, to = ev.G, ev.By, woken, waker
		l.give.wait = ev.Reason
	}
	fromSeat, toSeat := from.seatAt(t.link), to.seatAt(t.link)
	fromRan, toRan := from.ranBy(p, giver), to.ranBy(p, taker)
	pause := time.Duration(-1)   // since the last transfer of whichever is at it more often; unknown
	if fromSeat.link == t.link { // it has sat there before
		pause = p.Now.Sub(fromSeat.last)
		if !fromSeat.gives {
			l.turns++
		}
	} else {
		l.give.add(giver)
	}
	if toSeat.link == t.link {
		if d := p.Now.Sub(toSeat.last); pause < 0 || d < pause {
			pause = d
		}
		if toSeat.gives {
			l.turns++
		}
		l.work.Add(toRan - toSeat.ran)
	} else {
		l.take.add(taker)
	}
	*fromSeat = seat{p.Now, fromRan, t.link, true}
	*toSeat = seat{p.Now, toRan, t.link, false}
	woken.woken = nil
	if l.transfer(p.Now, pause, t.gives) {
		if woken.woken = toSeat; !t.gives {
			woken.woken = fromSeat
		}
	}
	if l.count <= maxTold {
		l.tell(story{at: p.Now, giver: giver.ID, taker: taker.ID, takerWoken: t.gives})
	}

	// A reply: the giver's last gift came from the taker, who has done nothing
	// since but wait for this one.
	if from.gotBy != 0 && from.gotFrom == taker.Slot && to.gaveTo == giver.Slot+1 {
		l.replies++
		l.answer(o.links[from.gotBy-1])
	}
	from.gotBy, from.gaveTo = 0, taker.Slot+1
	to.gaveTo, to.gotBy, to.gotFrom = 0, t.link, giver.Slot
}

// seatAt returns the goroutine's seat at a link; if it has none, one that it
// gives up for it, which tells of another link still.
func (d *dealings) seatAt(link uint32) *seat {
	if d.seat.link == link {
		return &d.seat
	}
	return d.anotherSeat(link)
}

func (d *dealings) anotherSeat(link uint32) *seat {
	if d.more != nil {
		for i := range d.more {
			if d.more[i].link == link {
				return &d.more[i]
			}
		}
	}
	n := d.next
	d.next = (n + 1) % maxSeats
	if n == 0 {
		return &d.seat
	}
	if d.more == nil {
		d.more = new([maxSeats - 1]seat)
	}
	return &d.more[n-1]
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if y := o.slots.Of(g); y != nil && *y != nil && !g.System {
			o.runs(*y, g)
		}
	}
	for _, c := range o.judge(p) {
		o.pass.Report(c.finding(p))
	}
}
