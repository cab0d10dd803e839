package headofline

import (
	_ "embed"
	"time"

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
	pass    *detectors.Pass
	slots   dense.Slots[party]
	takers  []*taker           // of goroutines that have ended, to be used again
	givers  []*giver           // likewise
	lines   dense.Pairs[*line] // by lineKey
	numbers jobs.Table
	jobs    []*job // by number
	sends   dense.Answers
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
	job   *job
	taker *taker // nil as long as it has not waited for a result
	giver *giver // nil as long as it has not stood ready
}

// taker is what is remembered of a goroutine that takes results.
type taker struct {
	waits []wait // the last ones, up to remembered
	next  int    // place of the next
}

func (t *taker) remember(w wait) {
	if len(t.waits) < remembered {
		t.waits = append(t.waits, w)
	} else {
		t.waits[t.next] = w
	}
	t.next = (t.next + 1) % remembered
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
	g := ev.G
	if ev.Kind == traceload.KindStatus || ev.Kind == traceload.KindCreate {
		if y := o.slots.At(g.Slot); ev.Kind == traceload.KindCreate || ev.From != traceload.StateUnknown || y.job == nil {
			*y = party{}
		}
		return
	}
	y := o.slots.Of(g)
	if y == nil || g.System {
		return
	}
	switch ev.Kind {
	case traceload.KindBlock:
		if r := y.giver; r != nil && r.pending > 0 && gives(ev.Wait) && p.SiteID(ev.Stack) == r.ready.line.key.give {
			r.ready.line.lose(g, r.stack, r.reason, r.pending, &r.ready) // it has made another result
			r.pending = 0
		}
	case traceload.KindUnblock:
		if ev.Waker == traceload.WakerGoroutine && !ev.Wait.IsLock() {
			if by := o.slots.Of(ev.By); by != nil {
				o.woken(p, ev, y, by)
			}
		}
	case traceload.KindEnd:
		if g.BornKnown {
			j := o.jobOf(p, g, y)
			j.ended[j.n%endedKept] = interval{g.Born, p.Now}
			j.n++
		}
		if y.taker != nil {
			o.takers = append(o.takers, y.taker)
		}
		if y.giver != nil {
			o.givers = append(o.givers, y.giver)
		}
		*y = party{}
	}
}

// takerOf returns what is remembered of y's waits, from now on if nothing was.
func (o *observer) takerOf(y *party) *taker {
	if y.taker == nil {
		if n := len(o.takers); n > 0 {
			y.taker, o.takers = o.takers[n-1], o.takers[:n-1]
			*y.taker = taker{waits: y.taker.waits[:0]}
		} else {
			y.taker = new(taker)
		}
	}
	return y.taker
}

// giverOf returns what is remembered of y's standing ready, from now on if nothing was.
func (o *observer) giverOf(y *party) *giver {
	if y.giver == nil {
		if n := len(o.givers); n > 0 {
			y.giver, o.givers = o.givers[n-1], o.givers[:n-1]
			*y.giver = giver{}
		} else {
			y.giver = new(giver)
		}
	}
	return y.giver
}

// gives tells whether a goroutine that waits so may be about to give something.
func gives(w traceload.Wait) bool {
	return w == traceload.WaitChanSend || w == traceload.WaitSelect
}

func (o *observer) jobOf(p *traceload.Program, g *traceload.Goroutine, y *party) *job {
	if y.job == nil {
		n := int(o.numbers.Of(p, g))
		for len(o.jobs) <= n {
			o.jobs = append(o.jobs, new(job))
		}
		y.job = o.jobs[n]
	}
	return y.job
}

// woken takes the end of a wait of g's by another goroutine.
func (o *observer) woken(p *traceload.Program, ev *traceload.Event, y, by *party) {
	mine, theirs := o.jobOf(p, ev.G, y), o.jobOf(p, ev.By, by)
	began := p.Now - traceload.Time(ev.Lived)
	if ev.Wait == traceload.WaitChanReceive || ev.Wait == traceload.WaitSelect && o.sends.Of(p, ev.ByStack, sends) {
		// by gives, g takes.
		if r := y.giver; r != nil && r.pending > 0 { // it would have waited for work anyway
			r.pending = max(0, r.pending-ev.Lived)
		}
		mine.feeder = theirs
		o.idle(ev, by.giver, began)
		o.took(p, ev, y, began, theirs)
		return
	}
	if !gives(ev.Wait) {
		return
	}
	// g gives, by takes.
	if by.taker != nil && ev.FromKnown {
		o.stoodReady(p, ev, y, by, mine)
	}
	// One that has stood ready lets its creator go on: it held one of a bounded number of places.
	if r := by.giver; r != nil && r.pending > 0 && ev.By.Creator == ev.G.ID {
		if d := r.ready.overlap(began, p.Now); d >= waitFrom {
			y.lose(ev, d, &r.ready)
			r.pending = 0
		}
	}
}

// stoodReady finds the waits of by's that g stood ready behind, or lost time behind.
func (o *observer) stoodReady(p *traceload.Program, ev *traceload.Event, y, by *party, mine *job) {
	began := p.Now - traceload.Time(ev.Lived)
	give := p.SiteID(ev.Stack)
	for i := range by.taker.waits {
		w := &by.taker.waits[i]
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
			r := o.giverOf(y)
			r.ready, r.pending, r.stack, r.reason = *w, r.pending+d, ev.Stack, ev.Reason
		case w.by == ev.G.ID || w.job.feeder == mine:
			since := overtaken(w)
			if d := w.overlap(max(began, since), p.Now); since > 0 && d > 0 {
				w.line.overtaken++
				y.lose(ev, d, w)
			}
		}
	}
}

// lose books time that y has lost behind w, in the wait that ends with ev.
func (y *party) lose(ev *traceload.Event, d time.Duration, w *wait) {
	if y.giver != nil {
		y.giver.stack, y.giver.reason = ev.Stack, ev.Reason
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
func (o *observer) idle(ev *traceload.Event, by *giver, began traceload.Time) {
	if by == nil {
		return
	}
	if w := &by.ready; w.line != nil && by.pending == 0 && w.overlap(began, ev.Time) >= waitFrom {
		w.line.overtaken++
	}
}

// sends tells whether whoever stands there sends to a channel.
func sends(p *traceload.Program, stack traceload.StackID) bool {
	s := p.Stack(stack)
	return len(s.Frames) > 0 && p.Frame(s.Frames[0]).Func == "runtime.chansend1"
}

// took notes the wait of a taker that one result has ended.
func (o *observer) took(p *traceload.Program, ev *traceload.Event, y *party, began traceload.Time, giver *job) {
	if ev.Lived < waitFrom || !ev.FromKnown {
		return
	}
	key := lineKey{p.SiteID(ev.Stack), p.SiteID(ev.ByStack)}
	if key.take == 0 || key.give == 0 {
		return
	}
	at := o.lines.At(uint32(key.take), uint32(key.give))
	if *at == nil {
		*at = &line{key: key}
	}
	l := *at
	w := wait{interval: interval{began, p.Now}, line: l, job: giver, slow: ev.By.ID, by: ev.By.Creator}
	if ev.By.BornKnown {
		w.born = ev.By.Born
	}
	l.count++
	l.waited += ev.Lived
	l.takeStack, l.takerEntry, l.taker = ev.Stack, ev.G.Entry, ev.G.ID
	l.testing = l.testing || p.Stack(ev.Stack).Testing
	o.takerOf(y).remember(w)
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
