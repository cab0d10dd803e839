package headofline

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/jobs"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds results that are ready and wait behind one that is not.
var Detector = &detectors.Detector{
	Name:   "head-of-line",
	Family: detectors.Batching,
	Doc:    doc,
	Yields: []string{"deadlock"},
	Causes: []detectors.Cause{
		{Name: inOrder, Pattern: "take-as-completed", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindUnblock, traceload.KindEnd), // and, since a line is watched, KindBlock
	Begins:  giving,
	Ends:    ^traceload.Locks,
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p}
		p.Keep(&o.slots)
		return o
	},
}

const inOrder = "in-order"

const _ uint = -(1 << 8 % remembered) // party.takes counts on beyond its range

const (
	// remembered is how many of a taker's waits are kept: whoever stood ready
	// during one is mostly taken within the next.
	remembered = 8
	// waitFrom is the shortest wait for the slow one that counts.
	waitFrom = 200 * time.Microsecond
	// endedKept is how many goroutines of a job that have ended are kept, to
	// tell which of them had begun later than one that is still at work.
	endedKept = 32
)

type observer struct {
	_ cpu.CacheLinePad

	pass     *detectors.Pass
	slots    traceload.Beside[party]
	waits    dense.Pool[wait]
	kept     int // how many waits there are
	sweepAt  int // how many there may be until those that are worth nothing any more are forgotten
	givers   dense.Pool[giver]
	byKey    dense.Pairs[uint32] // the number of a line plus one, by lineKey
	lines    []*line             // by number
	numbers  jobs.Table
	jobs     []*job                                  // by number
	standing dense.ByID[traceload.FrameID, standing] // by line
	stood    []int32                                 // slots of those who stand there, and of others who did
	sends    dense.Answers
	_        cpu.CacheLinePad
}

// job is what the goroutines of one job have in common.
type job struct {
	ended  [endedKept]interval // the lives of those that ended last
	n      int
	feeder *job // whose goroutines give it work
}

// lineKey is where results are taken, and where they are given.
type lineKey struct{ take, give traceload.FrameID }

// line is results that are taken in order.
type line struct {
	count      int // waits of the taker
	key        lineKey
	proved     int           // waits for one during which another stood ready to give at the same line
	overtaken  int           // waits for one during which others had ended that began later
	lost       time.Duration // by those who stood ready and had more to do, and those who had more work to give
	hits       int
	waited     time.Duration // by the taker, for the slow ones
	taker      traceload.GoID
	victims    detectors.Roll
	takeStack  traceload.StackID
	giveStack  traceload.StackID // of one that stood ready
	waitStack  traceload.StackID // of one that lost time
	takerEntry traceload.StackID
	entry      traceload.StackID
	created    traceload.StackID
	reason     traceload.StringID
	testing    bool
	longest    interval
	slow       traceload.GoID // whom the longest was for
}

type interval struct {
	from, to traceload.Time
}

func (i interval) overlap(from, to traceload.Time) time.Duration {
	return max(0, min(i.to, to).Sub(max(i.from, from)))
}

// wait is a taker's wait for one result. Most takers have few that are worth
// remembering, or none: those they have are in a list, by their places.
type wait struct {
	interval
	slow  traceload.GoID // whom it was for
	by    traceload.GoID // who created that one
	born  traceload.Time // when; 0 if unknown
	line  uint32         // its number
	job   jobs.ID        // of whom it was for
	next  uint32         // in waits; 0 for the last
	owner int32          // the taker's slot plus one
	place uint8          // of the n-th wait of a taker, n modulo remembered
}

// party is one goroutine's part in it.
type party struct {
	job   jobs.ID // plus one; 0 as long as it was not asked for
	first uint32  // of its waits that are worth remembering; 0 if there is none
	giver uint32  // its place in givers; 0 as long as it has not stood ready
	takes uint8   // its waits for a result, modulo a multiple of remembered
	stood bool    // its slot is in observer.stood
}

// giver is what is remembered of a goroutine that gives results.
type giver struct {
	ready   wait          // the wait that it last stood ready behind
	pending time.Duration // that it stood so, and has lost if it goes on
	stack   traceload.StackID
	reason  traceload.StringID
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	switch ev.Kind {
	case traceload.KindBlock:
		switch {
		case o.standing.Get(p.SiteID(ev.Stack)).n == 0:
			o.pass.Overlook(ev)
		case !ev.G.System:
			o.stands(p, ev)
		}
	case traceload.KindUnblock:
		if ev.G.System {
			return
		}
		if gives(ev.Wait) {
			if site := p.SiteID(ev.Stack); o.standing.Get(site).n != 0 && ev.FromKnown {
				o.standing.At(site).left(p.Now)
			}
		}
		if ev.Waker != traceload.WakerGoroutine {
			return
		}
		switch {
		case ev.Wait == traceload.WaitChanReceive, ev.Wait == traceload.WaitSelect && o.sends.Of(p, ev.ByStack, sends):
			o.taken(p, ev)
		case gives(ev.Wait):
			if by := o.slots.At(ev.By); by.first != 0 || by.giver != 0 {
				o.given(p, ev, by)
			}
		default:
			o.met(p, ev)
		}
	case traceload.KindStatus: // only now it may be known where it stands
		if g := ev.G; mayGive(g) && o.standing.Get(p.SiteID(g.Stack)).n != 0 {
			o.stand(p, g, o.standing.At(p.SiteID(g.Stack)))
		}
	case traceload.KindEnd:
		o.end(p, ev.G, o.slots.At(ev.G))
	}
}

func (o *observer) end(p *traceload.Program, g *traceload.Goroutine, y *party) {
	if g.BornKnown && !g.System {
		j := o.jobs[o.jobOf(p, g, y)]
		j.ended[j.n%endedKept] = interval{g.Born, p.Now}
		j.n++
	}
	for y.first != 0 {
		o.forget(&y.first)
	}
	o.givers.Give(y.giver)
}

// jobOf returns the number of g's job, as it was when it was first asked for.
func (o *observer) jobOf(p *traceload.Program, g *traceload.Goroutine, y *party) jobs.ID {
	if y.job == 0 {
		y.job = o.numbers.Of(p, g) + 1
		for len(o.jobs) < int(y.job) {
			o.jobs = append(o.jobs, new(job))
		}
	}
	return y.job - 1
}

// met takes the end of a wait of g's for anything else: what is known of their
// jobs when two first meet is what counts.
func (o *observer) met(p *traceload.Program, ev *traceload.Event) {
	o.jobOf(p, ev.G, o.slots.At(ev.G))
	o.jobOf(p, ev.By, o.slots.At(ev.By))
}

// taken takes the end of a wait of g's for something that another goroutine gave.
func (o *observer) taken(p *traceload.Program, ev *traceload.Event) {
	y, by := o.slots.At(ev.G), o.slots.At(ev.By)
	if y.giver != 0 { // it would have waited for work anyway
		r := o.givers.At(y.giver)
		r.pending = max(0, r.pending-ev.Lived)
	}
	theirs := o.jobOf(p, ev.By, by)
	o.jobs[o.jobOf(p, ev.G, y)].feeder = o.jobs[theirs]
	if by.giver != 0 {
		o.idle(p, ev, o.givers.At(by.giver))
	}
	if ev.Lived >= waitFrom && ev.FromKnown {
		o.took(p, ev, y, theirs)
	}
}

// given takes the end of a wait of g's to give something to another goroutine, by,
// of which something is remembered.
func (o *observer) given(p *traceload.Program, ev *traceload.Event, by *party) {
	y := o.slots.At(ev.G)
	if by.first != 0 && ev.FromKnown {
		o.stoodReady(p, ev, y, by)
	}
	if by.giver == 0 {
		return
	}
	// One that has stood ready lets its creator go on: it held one of a bounded number of places.
	if r := o.givers.At(by.giver); r.pending > 0 && ev.By.Creator == ev.G.ID {
		if d := r.ready.overlap(p.Now-traceload.Time(ev.Lived), p.Now); d >= waitFrom {
			o.lose(y, ev, d, &r.ready)
			r.pending = 0
		}
	}
}

// stoodReady finds the waits of the taker's that g stood ready behind, or lost time behind.
func (o *observer) stoodReady(p *traceload.Program, ev *traceload.Event, y, by *party) {
	began := p.Now - traceload.Time(ev.Lived)
	give := p.SiteID(ev.Stack)
	mine := o.jobOf(p, ev.G, y)
	for at := by.first; at != 0; at = o.waits.At(at).next {
		w := o.waits.At(at)
		if w.slow == ev.G.ID {
			continue
		}
		d := w.overlap(began, p.Now)
		if d < waitFrom {
			continue
		}
		l := o.lines[w.line]
		switch {
		case l.key.give == give && w.job == mine:
			l.proved++
			l.giveStack = ev.Stack
			if y.giver == 0 {
				y.giver = o.givers.Take()
			}
			r := o.givers.At(y.giver)
			r.ready, r.pending, r.stack, r.reason = *w, r.pending+d, ev.Stack, ev.Reason
		case w.by == ev.G.ID || o.jobs[w.job].feeder == o.jobs[mine]:
			since := o.overtaken(w)
			if d := w.overlap(max(began, since), p.Now); since > 0 && d > 0 {
				l.overtaken++
				o.lose(y, ev, d, w)
			}
		}
	}
}

// lose books time that y has lost behind w, in the wait that ends with ev.
func (o *observer) lose(y *party, ev *traceload.Event, d time.Duration, w *wait) {
	if y.giver != 0 {
		r := o.givers.At(y.giver)
		r.stack, r.reason = ev.Stack, ev.Reason
	}
	o.lines[w.line].lose(ev.G, ev.Stack, ev.Reason, d, w)
}

// overtaken says since when a result was ready that had been begun later than
// the one that w was for: its goroutine ended while that was waited for. If
// all gave to one channel it would have ended the wait. 0 if there is none.
func (o *observer) overtaken(w *wait) (since traceload.Time) {
	j := o.jobs[w.job]
	for _, life := range j.ended[:min(j.n, endedKept)] {
		if w.born > 0 && life.from > w.born && life.to > w.from+traceload.Time(waitFrom/2) && life.to < w.to && (since == 0 || life.to < since) {
			since = life.to
		}
	}
	return since
}

// idle notes that a worker had nothing to do because its feeder waited for
// the taker: that is what proves that others could have gone on.
func (o *observer) idle(p *traceload.Program, ev *traceload.Event, by *giver) {
	if w := &by.ready; by.pending == 0 && w.overlap(p.Now-traceload.Time(ev.Lived), p.Now) >= waitFrom {
		o.lines[w.line].overtaken++
	}
}

// sends tells whether whoever stands there sends to a channel.
func sends(p *traceload.Program, stack traceload.StackID) bool {
	s := p.Stack(stack)
	return len(s.Frames) > 0 && p.Frame(s.Frames[0]).Func == "runtime.chansend1"
}

// took notes the wait of a taker that one result has ended.
func (o *observer) took(p *traceload.Program, ev *traceload.Event, y *party, giver jobs.ID) {
	key := lineKey{p.SiteID(ev.Stack), p.SiteID(ev.ByStack)}
	if key.take == 0 || key.give == 0 {
		return
	}
	at := o.byKey.At(uint32(key.take), uint32(key.give))
	if *at == 0 {
		o.lines = append(o.lines, &line{key: key})
		*at = uint32(len(o.lines))
		o.watch(p, key.give)
	}
	l := o.lines[*at-1]
	w := wait{
		interval: interval{p.Now - traceload.Time(ev.Lived), p.Now}, line: *at - 1, job: giver,
		slow: ev.By.ID, by: ev.By.Creator, owner: ev.G.Slot + 1,
	}
	if ev.By.BornKnown {
		w.born = ev.By.Born
	}
	l.count++
	l.waited += ev.Lived
	l.takeStack, l.takerEntry, l.taker = ev.Stack, ev.G.Entry, ev.G.ID
	l.testing = l.testing || p.Stack(ev.Stack).Testing
	o.remember(p, y, &w)
}

// remember keeps a wait that has just ended, if it is worth it, in place of the one
// that was remembered times before.
func (o *observer) remember(p *traceload.Program, y *party, w *wait) {
	w.place = uint8(y.takes % remembered)
	y.takes++
	at := &y.first
	for *at != 0 && o.waits.At(*at).place < w.place {
		at = &o.waits.At(*at).next
	}
	if *at != 0 && o.waits.At(*at).place == w.place {
		o.forget(at)
	}
	if !o.worth(w) {
		return
	}
	w.next = *at
	*at = o.waits.Take()
	*o.waits.At(*at) = *w
	if o.kept++; o.kept >= o.sweepAt {
		o.sweep(p)
		o.sweepAt = o.kept + o.kept/4 + p.Slots()/4 + 1024 // so that it takes little for each
	}
}

// worth tells whether a wait that has ended may tell something: whether somebody
// may have stood ready meanwhile, who waits still, or was overtaken.
func (o *observer) worth(w *wait) bool {
	s := o.standing.Get(o.lines[w.line].key.give)
	return s.n > 1 && w.to.Sub(s.since) >= waitFrom || o.overtaken(w) > 0
}

// sweep forgets the waits that are worth nothing any more. Each is worth something
// for a moment only, and a taker's place for it may not be needed again for long.
func (o *observer) sweep(p *traceload.Program) {
	for _, l := range o.lines {
		o.standing.At(l.key.give).since = p.Now
	}
	o.tidy(p)
	for _, slot := range o.stood {
		g := p.InSlot(slot)
		s := o.standing.At(p.SiteID(g.Stack))
		s.since = min(s.since, g.Since)
	}
	for id, w := range o.waits.All {
		if w.owner != 0 && !o.worth(w) {
			at := &o.slots.At(p.InSlot(w.owner - 1)).first
			for *at != id {
				at = &o.waits.At(*at).next
			}
			o.forget(at)
		}
	}
}

// forget takes the wait out of the list that at points to.
func (o *observer) forget(at *uint32) {
	next := o.waits.At(*at).next
	o.waits.Give(*at)
	o.kept--
	*at = next
}

// lose books time that g has lost behind w.
func (l *line) lose(g *traceload.Goroutine, stack traceload.StackID, reason traceload.StringID, d time.Duration, w *wait) {
	l.lost += d
	l.hits++
	if w.to.Sub(w.from) > l.longest.to.Sub(l.longest.from) {
		l.longest, l.slow = w.interval, w.slow
	}
	l.waitStack, l.reason, l.entry, l.created = stack, reason, g.Entry, g.CreatedAt
	l.victims.Note(g.ID)
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
