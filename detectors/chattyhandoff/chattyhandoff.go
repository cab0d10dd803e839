package chattyhandoff

import (
	_ "embed"
	"time"

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
	pass     *detectors.Pass
	byStacks dense.Pairs[transfer] // by stack of the woken, and of the waker
	bySites  map[sites]*link
	links    []*link            // in order of appearance
	slots    dense.Slots[party] // by Goroutine.Slot
	free     []*dealings
}

// transfer is what one kind of wake-up means; link is nil if it is no hand-over.
type transfer struct {
	link  *link
	gives bool // the waker stands at the link's giving end; otherwise the woken does
}

// party is what is known of one goroutine that is alive.
type party struct {
	ran      time.Duration // on a processor, up to the beginning of its present state
	dealings *dealings     // nil as long as it has none
}

// dealings are those of a goroutine that gives or takes.
type dealings struct {
	seats []seat // the last ones, up to maxSeats
	next  int    // place of the next

	// The wake-up in a burst whose run is not over yet: where, when. The run that
	// it led to is known when it ends.
	link *link
	woke traceload.Time

	// Its last two transfers: what it got, and what it gave.
	gotFrom traceload.GoID
	gotBy   *link // nil if it has given something back since
	gaveTo  traceload.GoID
	gave    bool // the last transfer was a gift
}

// maxSeats is how many links a goroutine is followed at.
const maxSeats = 4

// seat is a goroutine's place at a link.
type seat struct {
	link  *link
	gives bool
	last  traceload.Time // of its last transfer there
	ran   time.Duration  // how long it had run by then
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g.System {
		return
	}
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		y := o.slots.At(g.Slot)
		y.runs(g) // if only its stack became known
		*y = party{}
		return
	case traceload.KindUnblock:
		if ev.Waker == traceload.WakerGoroutine {
			o.wake(p, ev)
		}
		return
	}
	y := o.party(g)
	if y == nil {
		return
	}
	if ev.From == traceload.StateRunning || ev.From == traceload.StateSyscall {
		y.ran += ev.Lived
	}
	if d := y.dealings; d != nil {
		if ev.From == traceload.StateRunning {
			d.started(p.Now - traceload.Time(ev.Lived))
		}
		if ev.Kind == traceload.KindEnd {
			y.dealings, o.free = nil, append(o.free, d)
		}
	}
}

// runs notes the run of a goroutine that goes on.
func (y *party) runs(g *traceload.Goroutine) {
	if y.dealings != nil && g.State == traceload.StateRunning {
		y.dealings.started(g.Since)
	}
}

// started notes that the goroutine runs since then.
func (d *dealings) started(since traceload.Time) {
	if l := d.link; l != nil {
		l.started(since.Sub(d.woke))
		d.link = nil
	}
}

// dealingsOf returns those of y, from now on if it had none.
func (o *observer) dealingsOf(y *party) *dealings {
	if y.dealings == nil {
		if n := len(o.free); n > 0 {
			y.dealings, o.free = o.free[n-1], o.free[:n-1]
			*y.dealings = dealings{seats: y.dealings.seats[:0]}
		} else {
			y.dealings = new(dealings)
		}
	}
	return y.dealings
}

func (o *observer) party(g *traceload.Goroutine) *party {
	return o.slots.Of(g)
}

// ranBy is how long g has run by now.
func (y *party) ranBy(p *traceload.Program, g *traceload.Goroutine) time.Duration {
	if g.State == traceload.StateRunning || g.State == traceload.StateSyscall {
		return y.ran + p.InState(g)
	}
	return y.ran
}

// wake takes a wake-up of one goroutine by another.
func (o *observer) wake(p *traceload.Program, ev *traceload.Event) {
	t := o.byStacks.Find(uint32(ev.Stack), uint32(ev.ByStack))
	if t == nil {
		t = o.byStacks.At(uint32(ev.Stack), uint32(ev.ByStack))
		*t = o.transfer(p, ev.Stack, ev.ByStack)
	}
	if t.link == nil {
		return
	}
	giver, taker := ev.By, ev.G
	if !t.gives {
		giver, taker = taker, giver
	}
	gives, takes := o.party(giver), o.party(taker)
	if gives == nil || takes == nil {
		return
	}
	from, to := o.dealingsOf(gives), o.dealingsOf(takes)
	l := t.link
	fromSeat, fromSat := from.seat(l)
	toSeat, toSat := to.seat(l)
	pause := time.Duration(-1) // since the last transfer of whichever is at it more often; unknown
	if fromSat {
		pause = p.Now.Sub(fromSeat.last)
		if !fromSeat.gives {
			l.turns++
		}
	}
	if toSat {
		if d := p.Now.Sub(toSeat.last); pause < 0 || d < pause {
			pause = d
		}
		if toSeat.gives {
			l.turns++
		}
		l.work.Add(takes.ranBy(p, taker) - toSeat.ran)
	}
	l.meet(p, giver, taker, fromSat, toSat)
	if t.gives {
		l.take.wait = ev.Reason
	} else {
		l.give.wait = ev.Reason
	}
	woken := from
	if t.gives {
		woken = to
	}
	woken.link, woken.woke = nil, p.Now
	if l.transfer(p.Now, pause, t.gives) {
		woken.link = l
	}
	l.tell(story{at: p.Now, giver: giver.ID, taker: taker.ID, takerWoken: t.gives})

	*fromSeat = seat{l, true, p.Now, gives.ranBy(p, giver)}
	*toSeat = seat{l, false, p.Now, takes.ranBy(p, taker)}

	// A reply: the giver's last gift came from the taker, who has done nothing
	// since but wait for this one.
	if from.gotBy != nil && from.gotFrom == taker.ID && to.gave && to.gaveTo == giver.ID {
		l.replies++
		l.answer(from.gotBy)
	}
	from.gotBy = nil
	from.gave, from.gaveTo = true, taker.ID
	to.gave, to.gotBy, to.gotFrom = false, l, giver.ID
}

// seat returns the goroutine's place at l, and whether it has sat there before;
// if it has not, another place is given up for it.
func (d *dealings) seat(l *link) (*seat, bool) {
	for i := range d.seats {
		if d.seats[i].link == l {
			return &d.seats[i], true
		}
	}
	if len(d.seats) < maxSeats {
		d.seats = append(d.seats, seat{})
	}
	s := &d.seats[d.next]
	d.next = (d.next + 1) % maxSeats
	return s, false
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if y := o.party(g); y != nil && !g.System {
			y.runs(g)
		}
	}
	for _, c := range o.judge(p) {
		o.pass.Report(c.finding(p))
	}
}
