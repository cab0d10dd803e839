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
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindUnblock, traceload.KindStop, traceload.KindSyscallBegin), // and the ends of those who leave something
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, bySites: map[sites]*link{}}
		p.Keep(&o.slots)
		return o
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
	links    []*link // by number minus one, in order of appearance
	slots    traceload.Beside[dealings]
	seats    dense.Pool[seats]
	_        cpu.CacheLinePad
}

// transfer is what one kind of wake-up means.
type transfer struct {
	link  *link // nil if it is no hand-over
	gives bool  // the waker stands at the link's giving end; otherwise the woken does
}

// dealings are those of a goroutine that gives or takes; zero for others.
type dealings struct {
	seat seat   // at the link that it came to first
	more uint32 // the place in observer.seats of those at others; 0 as long as there are none

	// The place of its seat at the link where it was woken in a burst, plus one, if it
	// is not known yet when it ran: that is seen when it does something else, by how long
	// it has been ready since then. 0 otherwise.
	woken uint8
	next  uint8         // place of the next seat
	burst bool          // it was ever woken in one
	ready time.Duration // for how long it had been so by then, if woken

	// Its last two transfers: what it got, and what it gave. Both know goroutines
	// by their slots: dealings end with their goroutine.
	gotFrom int32
	gotBy   uint32 // number of a link; 0 if it has given something back since
	gaveTo  int32  // the slot plus one; 0 if the last transfer was no gift
}

// maxSeats is how many links a goroutine is followed at.
const maxSeats = 4

// seats are those of a goroutine but for the first.
type seats [maxSeats - 1]seat

// seat is a goroutine's place at a link.
type seat struct {
	last  traceload.Time // of its last transfer there
	ran   time.Duration  // how long it had run by then
	link  uint32         // its number; 0 if nobody sits there
	gives bool
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	d := o.slots.At(ev.G)
	switch ev.Kind {
	case traceload.KindUnblock:
		if d.woken != 0 {
			o.started(d, ev.G)
		}
		if ev.Waker == traceload.WakerGoroutine && !ev.G.System {
			o.wake(p, ev, d)
		}
	case traceload.KindStatus:
		if !ev.G.System {
			o.runs(d, ev.G)
			if d.more != 0 {
				*o.seats.At(d.more) = seats{}
			}
			*d = dealings{more: d.more, burst: d.burst}
		}
	case traceload.KindEnd:
		if d.woken != 0 {
			o.started(d, ev.G)
		}
		o.seats.Give(d.more)
	default:
		if d.woken != 0 {
			o.started(d, ev.G)
		}
	}
}

// runs notes that a goroutine that was woken in a burst has begun to run, if it has.
func (o *observer) runs(d *dealings, g *traceload.Goroutine) {
	if d.woken != 0 && g.State == traceload.StateRunning {
		o.started(d, g)
	}
}

// started notes that a goroutine that was woken in a burst has run.
func (o *observer) started(d *dealings, g *traceload.Goroutine) {
	s := o.seat(d, d.woken-1)
	d.woken = 0
	o.links[s.link-1].started(g.Spent(traceload.StateRunnable) - d.ready)
}

// ranBy is how long g has run by now, system calls included.
func ranBy(p *traceload.Program, g *traceload.Goroutine) time.Duration {
	ran := g.Spent(traceload.StateRunning) + g.Spent(traceload.StateSyscall)
	if g.State == traceload.StateRunning || g.State == traceload.StateSyscall {
		ran += p.InState(g)
	}
	return ran
}

// wake takes a wake-up of one goroutine, whose dealings woken is, by another.
func (o *observer) wake(p *traceload.Program, ev *traceload.Event, woken *dealings) {
	t := o.byStacks.Find(uint32(ev.Stack), uint32(ev.ByStack))
	if t == nil {
		t = o.byStacks.At(uint32(ev.Stack), uint32(ev.ByStack))
		*t = o.transfer(p, ev.Stack, ev.ByStack)
	}
	l, gives := t.link, t.gives
	if l == nil {
		return
	}
	waker := o.slots.At(ev.By)
	if waker.woken != 0 {
		o.runs(waker, ev.By)
	}
	giver, taker, from, to := ev.By, ev.G, waker, woken
	if gives {
		l.take.wait = ev.Reason
	} else {
		giver, taker, from, to = ev.G, ev.By, woken, waker
		l.give.wait = ev.Reason
	}
	var fromPlace, toPlace uint8 // the first for most
	if from.seat.link != l.number {
		fromPlace = o.placeAt(giver, from, l.number)
	}
	if to.seat.link != l.number {
		toPlace = o.placeAt(taker, to, l.number)
	}
	fromSeat, toSeat := o.seat(from, fromPlace), o.seat(to, toPlace)
	fromRan, toRan := ranBy(p, giver), ranBy(p, taker)
	pause := time.Duration(-1)     // since the last transfer of whichever is at it more often; unknown
	if fromSeat.link == l.number { // it has sat there before
		pause = p.Now.Sub(fromSeat.last)
		if !fromSeat.gives {
			l.turns++
		}
	} else {
		l.give.add(giver)
	}
	if toSeat.link == l.number {
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
	*fromSeat = seat{p.Now, fromRan, l.number, true}
	*toSeat = seat{p.Now, toRan, l.number, false}
	if l.transfer(p.Now, pause, gives) {
		woken.ready = ev.G.Spent(traceload.StateRunnable)
		if !woken.burst {
			woken.burst = true
			o.pass.SeeEnd(ev.G)
		}
		if woken.woken = toPlace + 1; !gives {
			woken.woken = fromPlace + 1
		}
	}
	if l.count <= maxTold {
		l.tell(story{at: p.Now, giver: giver.ID, taker: taker.ID, takerWoken: gives})
	}

	// A reply: the giver's last gift came from the taker, who has done nothing
	// since but wait for this one.
	if from.gotBy != 0 && from.gotFrom == taker.Slot && to.gaveTo == giver.Slot+1 {
		l.replies++
		l.answer(o.links[from.gotBy-1])
	}
	from.gotBy, from.gaveTo = 0, taker.Slot+1
	to.gaveTo, to.gotBy, to.gotFrom = 0, l.number, giver.Slot
}

// seat returns the seat at a place.
func (o *observer) seat(d *dealings, place uint8) *seat {
	if place == 0 {
		return &d.seat
	}
	return &o.seats.At(d.more)[place-1]
}

// placeAt returns the place of g's seat at a link, which is not the first; if it has none, the
// place of one that it gives up for it, which tells of another link still.
func (o *observer) placeAt(g *traceload.Goroutine, d *dealings, link uint32) uint8 {
	if d.more != 0 {
		for i, s := range o.seats.At(d.more) {
			if s.link == link {
				return uint8(i + 1)
			}
		}
	}
	n := d.next
	d.next = (n + 1) % maxSeats
	if n > 0 && d.more == 0 {
		d.more = o.seats.Take()
		o.pass.SeeEnd(g)
	}
	return n
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if !g.System {
			o.runs(o.slots.At(g), g)
		}
	}
	for _, c := range o.judge(p) {
		o.pass.Report(c.finding(p))
	}
}
