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
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p}
	},
}

const inOrder = "in-order"

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
	slots    dense.Slots[party] // zero between two goroutines; there are none before one was told of
	takers   dense.Pool[taker]
	givers   dense.Pool[giver]
	lines    dense.Pairs[*line] // by lineKey
	numbers  jobs.Table
	jobs     []*job                             // by number
	standing dense.ByID[traceload.FrameID, int] // by line, the goroutines that wait there and may be about to give
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
	victims    int
	ids        [detectors.MaxGroupIDs]traceload.GoID
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

// wait is a taker's wait for one result.
type wait struct {
	interval
	line *line
	job  *job // of whom it was for
	slow traceload.GoID
	by   traceload.GoID // who created that one
	born traceload.Time // when; 0 if unknown
}

// party is one goroutine's part in it.
type party struct {
	job   jobs.ID // plus one; 0 as long as it was not asked for
	taker uint32  // its place in takers; 0 as long as none of its waits is worth remembering
	giver uint32  // its place in givers; 0 as long as it has not stood ready
	takes uint32  // its waits for a result
}

// taker is the last waits of a goroutine that takes results: the n-th at n
// modulo remembered, or nothing there if it is not worth it.
type taker [remembered]wait

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
		if gives(ev.Wait) && !ev.G.System {
			o.stands(p, ev)
		}
	case traceload.KindUnblock:
		if ev.G.System {
			return
		}
		if gives(ev.Wait) && ev.FromKnown {
			*o.standing.At(p.SiteID(ev.Stack))--
		}
		if ev.Waker != traceload.WakerGoroutine {
			return
		}
		switch {
		case ev.Wait == traceload.WaitChanReceive, ev.Wait == traceload.WaitSelect && o.sends.Of(p, ev.ByStack, sends):
			o.taken(p, ev)
		case gives(ev.Wait):
			o.given(p, ev)
		case !ev.Wait.IsLock():
			o.met(p, ev)
		}
	case traceload.KindCreate:
		o.slots.At(ev.G.Slot)
	case traceload.KindStatus:
		o.slots.At(ev.G.Slot)
		if g := ev.G; g.SinceKnown && g.State == traceload.StateWaiting && gives(g.Wait) { // only now it is known where
			*o.standing.At(p.SiteID(g.Stack))++
		}
	case traceload.KindEnd:
		if y := o.slots.Of(ev.G); y != nil {
			o.end(p, ev.G, y)
		}
	}
}

func (o *observer) end(p *traceload.Program, g *traceload.Goroutine, y *party) {
	if g.BornKnown && !g.System {
		j := o.jobOf(p, g, y)
		j.ended[j.n%endedKept] = interval{g.Born, p.Now}
		j.n++
	}
	o.takers.Give(y.taker)
	o.givers.Give(y.giver)
	*y = party{}
}

// stands notes that a goroutine waits, and may be about to give.
func (o *observer) stands(p *traceload.Program, ev *traceload.Event) {
	site := p.SiteID(ev.Stack)
	*o.standing.At(site)++
	y := o.slots.Of(ev.G)
	if y == nil || y.giver == 0 {
		return
	}
	if r := o.givers.At(y.giver); r.pending > 0 && site == r.ready.line.key.give {
		r.ready.line.lose(ev.G, r.stack, r.reason, r.pending, &r.ready) // it has made another result
		r.pending = 0
	}
}

// gives tells whether a goroutine that waits so may be about to give something.
func gives(w traceload.Wait) bool {
	return w == traceload.WaitChanSend || w == traceload.WaitSelect
}

func (o *observer) jobOf(p *traceload.Program, g *traceload.Goroutine, y *party) *job {
	if y.job == 0 {
		y.job = o.numbers.Of(p, g) + 1
		for len(o.jobs) < int(y.job) {
			o.jobs = append(o.jobs, new(job))
		}
	}
	return o.jobs[y.job-1]
}

// met takes the end of a wait of g's for anything else: what is known of their
// jobs when two first meet is what counts.
func (o *observer) met(p *traceload.Program, ev *traceload.Event) {
	if y, by := o.slots.Of(ev.G), o.slots.Of(ev.By); y != nil && by != nil {
		o.jobOf(p, ev.G, y)
		o.jobOf(p, ev.By, by)
	}
}

// taken takes the end of a wait of g's for something that another goroutine gave.
func (o *observer) taken(p *traceload.Program, ev *traceload.Event) {
	y, by := o.slots.Of(ev.G), o.slots.Of(ev.By)
	if y == nil || by == nil {
		return
	}
	if y.giver != 0 { // it would have waited for work anyway
		r := o.givers.At(y.giver)
		r.pending = max(0, r.pending-ev.Lived)
	}
	theirs := o.jobOf(p, ev.By, by)
	o.jobOf(p, ev.G, y).feeder = theirs
	if by.giver != 0 {
		o.idle(p, ev, o.givers.At(by.giver))
	}
	if ev.Lived >= waitFrom && ev.FromKnown {
		o.took(p, ev, y, theirs)
	}
}

// given takes the end of a wait of g's to give something to another goroutine.
func (o *observer) given(p *traceload.Program, ev *traceload.Event) {
	by := o.slots.Of(ev.By)
	if by == nil || by.taker == 0 && by.giver == 0 {
		return
	}
	y := o.slots.Of(ev.G)
	if y == nil {
		return
	}
	if by.taker != 0 && ev.FromKnown {
		o.stoodReady(p, ev, y, o.takers.At(by.taker))
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
func (o *observer) stoodReady(p *traceload.Program, ev *traceload.Event, y *party, by *taker) {
	began := p.Now - traceload.Time(ev.Lived)
	give := p.SiteID(ev.Stack)
	mine := o.jobOf(p, ev.G, y)
	for i := range by {
		w := &by[i]
		if w.slow == ev.G.ID {
			continue
		}
		d := w.overlap(began, p.Now)
		if d < waitFrom {
			continue
		}
		switch {
		case w.line.key.give == give && w.job == mine:
			w.line.proved++
			w.line.giveStack = ev.Stack
			if y.giver == 0 {
				y.giver = o.givers.Take()
			}
			r := o.givers.At(y.giver)
			r.ready, r.pending, r.stack, r.reason = *w, r.pending+d, ev.Stack, ev.Reason
		case w.by == ev.G.ID || w.job.feeder == mine:
			since := overtaken(w)
			if d := w.overlap(max(began, since), p.Now); since > 0 && d > 0 {
				w.line.overtaken++
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
	w.line.lose(ev.G, ev.Stack, ev.Reason, d, w)
}

// overtaken says since when a result was ready that had been begun later than
// the one that w was for: its goroutine ended while that was waited for. If
// all gave to one channel it would have ended the wait. 0 if there is none.
func overtaken(w *wait) (since traceload.Time) {
	for _, life := range w.job.ended[:min(w.job.n, endedKept)] {
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
		w.line.overtaken++
	}
}

// sends tells whether whoever stands there sends to a channel.
func sends(p *traceload.Program, stack traceload.StackID) bool {
	s := p.Stack(stack)
	return len(s.Frames) > 0 && p.Frame(s.Frames[0]).Func == "runtime.chansend1"
}

// took notes the wait of a taker that one result has ended.
func (o *observer) took(p *traceload.Program, ev *traceload.Event, y *party, giver *job) {
	key := lineKey{p.SiteID(ev.Stack), p.SiteID(ev.ByStack)}
	if key.take == 0 || key.give == 0 {
		return
	}
	at := o.lines.At(uint32(key.take), uint32(key.give))
	if *at == nil {
		*at = &line{key: key}
	}
	l := *at
	w := wait{interval: interval{p.Now - traceload.Time(ev.Lived), p.Now}, line: l, job: giver, slow: ev.By.ID, by: ev.By.Creator}
	if ev.By.BornKnown {
		w.born = ev.By.Born
	}
	l.count++
	l.waited += ev.Lived
	l.takeStack, l.takerEntry, l.taker = ev.Stack, ev.G.Entry, ev.G.ID
	l.testing = l.testing || p.Stack(ev.Stack).Testing
	o.remember(y, &w)
}

// remember keeps a wait that has just ended, if it is worth it: if somebody may
// have stood ready meanwhile, who waits still then, or was overtaken.
func (o *observer) remember(y *party, w *wait) {
	worth := *o.standing.At(w.line.key.give) > 0 || overtaken(w) > 0
	if worth && y.taker == 0 {
		y.taker = o.takers.Take()
	}
	if y.taker != 0 {
		place := &o.takers.At(y.taker)[y.takes%remembered]
		*place = wait{}
		if worth {
			*place = *w
		}
	}
	y.takes++
}

// lose books time that g has lost behind w.
func (l *line) lose(g *traceload.Goroutine, stack traceload.StackID, reason traceload.StringID, d time.Duration, w *wait) {
	l.lost += d
	l.hits++
	if w.to.Sub(w.from) > l.longest.to.Sub(l.longest.from) {
		l.longest, l.slow = w.interval, w.slow
	}
	l.waitStack, l.reason, l.entry, l.created = stack, reason, g.Entry, g.CreatedAt
	for _, id := range l.ids[:min(l.victims, len(l.ids))] {
		if id == g.ID {
			return
		}
	}
	if l.victims < len(l.ids) {
		l.ids[l.victims] = g.ID
	}
	l.victims++
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
