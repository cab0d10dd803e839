package timeoutfired

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/wakes"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// sameCall is how long a goroutine may run between two waits inside one call
// into the standard library for them to be one call: an http request waits for
// a connection, for its own writing, and for the answer. Longer, and it is a
// new call at the same line. Fixture: timeout-fired-context-deadline.
const sameCall = time.Millisecond

// Detector finds waits that a deadline or a timer ended in vain.
var Detector = &detectors.Detector{
	Name:   "timeout-fired",
	Family: detectors.Timeouts,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: deadlineCause, Pattern: "deadline-budget", Others: []string{retryRepair}, Cap: detectors.High},
		{Name: timerCause, Pattern: "timeout-select-to-context", Others: []string{retryRepair}, Cap: detectors.High},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindSyscallBegin), // and the ends of those with whom something is open
	Begins: ^traceload.WaitSet(traceload.WaitRuntime),
	Ends:   ^traceload.WaitSet(traceload.WaitRuntime),
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, byFrame: map[traceload.FrameID]uint16{}, sites: []*site{nil}}
		p.Keep(&o.visitors)
		return o
	},
}

const (
	deadlineCause = "context-deadline"
	timerCause    = "timer-select"
)

// observer follows each goroutine from wait to wait.
//
// A wait that ends in vain is not booked at once but when the goroutine blocks
// again or ends: only then it is known whether it went on, came back to the
// same select, or merely passed the cancellation on to the one that did the call.
type observer struct {
	_ cpu.CacheLinePad

	pass     *detectors.Pass
	byFrame  map[traceload.FrameID]uint16
	sites    []*site // by number, in order of appearance; 0 is none
	places   dense.Stacks[place]
	visitors traceload.Beside[visitor]
	regrets  dense.Pool[regret]
	fired    [8]companion // the last waits that ended by one deadline
	firedBy  traceload.GoID
	nfired   int
	_        cpu.CacheLinePad
}

// visitor is what is known of one goroutine that is alive. Many may be: what
// only some need is elsewhere.
type visitor struct {
	// The call: one wait, or several in a row inside the standard library.
	began  traceload.Time // of its first wait
	paused traceload.Time // when its last wait ended; the call may go on

	request request        // what it asked of others
	owes    traceload.GoID // who asked it for something and waits for the answer; 0 if nobody
	restsAt traceload.StackID
	regret  uint32  // in observer.regrets; 0 as long as it has not waited in vain
	visited visited // for counting goroutines by site

	site       uint16 // of the call; 0 for none
	inARow     uint8  // calls at this site, without a wait anywhere else between them; up to loopsFrom
	known      bool   // the first wait lies in the trace
	open       bool   // the call may go on
	askedNow   bool   // what it asked of others it asked in the very function that waits now
	askedChild bool   // the last one asked was started for it
	told       bool   // it has answered the goroutine that started it, once
}

// visited is the numbers of the sites where a goroutine waited last, each once; the latest is first.
type visited [4]uint16

func (l *visited) has(site uint16) bool {
	return l[0] == site || l[1] == site || l[2] == site || l[3] == site
}

func (l *visited) add(site uint16) { *l = visited{site, l[0], l[1], l[2]} }

// regret is what is known of a goroutine that has waited in vain.
type regret struct {
	expiry           // that is not booked yet, if at is set
	last     *lapses // where it waited in vain the time before, at lastAt
	lastAt   traceload.Time
	pursues  *lapses // it waits again, in the same function, right after a wait in vain
	cleansUp bool    // it waits because its library puts things in order
}

// isLate tells whether it has waited in vain, and that is not booked yet.
func (r *regret) isLate() bool { return r.at != 0 }

// late makes e the wait in vain of g's, which is v.
func (o *observer) late(g *traceload.Goroutine, v *visitor, e expiry) {
	if v.regret == 0 {
		v.regret = o.regrets.Take()
		o.pass.SeeEnd(g)
	}
	o.regrets.At(v.regret).expiry = e
}

// clear forgets a goroutine.
func (o *observer) clear(v *visitor) {
	if v.regret != 0 {
		o.regrets.Give(v.regret)
	}
	*v = visitor{}
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	switch ev.Kind {
	case traceload.KindBlock:
		o.block(p, ev, o.visitors.At(ev.G))
	case traceload.KindUnblock:
		if !ev.G.System {
			o.unblock(p, ev, o.visitors.At(ev.G))
		}
	case traceload.KindStatus, traceload.KindCreate:
		o.appear(p, ev)
	case traceload.KindSyscallBegin:
		if o.place(p, ev.Stack).writes {
			o.visitors.At(ev.G).request = request{at: ev.Stack, on: p.Now, whom: traceload.NoGoroutine}
		}
	case traceload.KindEnd:
		v := o.visitors.At(ev.G)
		o.leave(p, ev.G, v)
		o.regrets.Give(v.regret)
	}
}

// leave books what is open when a goroutine, or the trace, ends.
func (o *observer) leave(p *traceload.Program, g *traceload.Goroutine, v *visitor) {
	if v.regret != 0 {
		o.book(p, g, v, nil)
	}
	if v.open && g.State != traceload.StateWaiting {
		o.closeCall(v)
	}
}

func (o *observer) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	v := o.visitors.At(g)
	if ev.Kind == traceload.KindStatus {
		if ev.From == traceload.StateUnknown && v.site != 0 {
			return // only its stack became known
		}
		o.clear(v)
	}
	if ev.Kind == traceload.KindCreate {
		by := o.visitors.Of(ev.By)
		if by == nil {
			return
		}
		if !o.place(p, ev.ByStack).library {
			by.asks(p.Now, ev.ByStack, g.ID, true)
		}
		if ev.By.Creator == traceload.NoGoroutine && o.place(p, ev.By.Entry).expires {
			// context.AfterFunc: what it does is the deadline's doing.
			o.late(g, v, expiry{at: p.Now, deadline: ev.By.ID})
		}
		return
	}
	if g.State == traceload.StateWaiting && !g.System && g.Wait != traceload.WaitRuntime {
		v.site = o.site(p, g.Stack)
	}
}

func (o *observer) block(p *traceload.Program, ev *traceload.Event, v *visitor) {
	here := o.place(p, ev.Stack)
	if !here.sited {
		here.site, here.sited = o.lookUp(p, ev.Stack), true
	}
	site, fn := here.site, here.fns[0]
	if v.regret != 0 && o.regrets.At(v.regret).isLate() {
		if o.cleansUp(p, v, o.sites[site]) {
			return
		}
		o.book(p, ev.G, v, o.sites[site])
	}
	v.rest(ev.Stack)
	if v.open {
		if site == v.site && p.Now.Sub(v.paused) <= sameCall {
			v.open = false // the same call waits again
			return
		}
		o.closeCall(v)
	}
	switch {
	case site != v.site:
		v.inARow = 0
	case v.inARow < loopsFrom:
		v.inARow++
	}
	v.site, v.began, v.known = site, p.Now, true
	if site == 0 {
		return
	}
	v.askedNow = v.request.at != 0 && o.place(p, v.request.at).within(fn)
	if !v.visited.has(site) {
		v.visited.add(site)
		o.sites[site].goroutines++
	}
}

// cleansUp tells whether v, which has just waited in vain at s, waits there again
// only because its library puts things in order.
func (o *observer) cleansUp(p *traceload.Program, v *visitor, s *site) bool {
	r := o.regrets.At(v.regret)
	if s == nil || s != r.site || s.userWaits || v.request.at != 0 || p.Now.Sub(r.at) > sameCall {
		return false
	}
	r.cleansUp = true
	return true
}

// closeCall books the call that v has been in, whose last wait ended well.
func (o *observer) closeCall(v *visitor) {
	v.open = false
	s := o.sites[v.site]
	s.well++
	if v.known {
		s.lengths.Add(v.paused.Sub(v.began))
	}
}

func (o *observer) unblock(p *traceload.Program, ev *traceload.Event, v *visitor) {
	if v.site == 0 && ev.Stack != 0 {
		v.site = o.site(p, ev.Stack) // it was not known yet when the goroutine was found
	}
	by := o.visitors.Of(ev.By)
	there := o.place(p, ev.ByStack)
	how := there.how
	if ev.Waker == traceload.WakerDeadline || by != nil && by.regret != 0 {
		if deadline, ok := o.deadline(ev, v, by, how); ok {
			o.expireBy(p, ev, v, deadline)
			return
		}
	}
	if by != nil && ev.Waker == traceload.WakerGoroutine && !there.library {
		switch how { // who asks whom for something
		case wakes.Send, wakes.Signal:
			by.asks(p.Now, ev.ByStack, ev.G.ID, false)
			v.owes, v.restsAt = ev.By.ID, ev.Stack
		case wakes.Receive:
			v.asks(p.Now, ev.Stack, ev.By.ID, false)
			by.owes, by.restsAt = ev.G.ID, ev.ByStack
		}
	}
	var pursues *lapses
	if v.regret != 0 {
		r := o.regrets.At(v.regret)
		if r.cleansUp {
			r.cleansUp = false
			return
		}
		pursues, r.pursues = r.pursues, nil
	}
	switch s := o.sites[v.site]; {
	case s == nil, ev.Waker == traceload.WakerRuntime:
	case ev.Waker == traceload.WakerTimer && ev.Wait == traceload.WaitSelect && s.userWaits:
		o.expire(p, ev, v, traceload.NoGoroutine)
	case how == wakes.Cancel, how == wakes.Close && s.userWaits && ev.By != nil && ev.By.ID == ev.G.Creator:
		s.cancelled++
		if ev.By != nil && ev.By.ID == ev.G.Creator {
			s.byCreator++
		}
	case s.userWaits, ev.Wait == traceload.WaitNetwork: // each wait for data is a call of its own
		s.endWell(ev, v, by, how, pursues)
	default:
		v.open, v.paused = true, p.Now // the standard library may wait again in the same call
		o.pass.SeeEnd(ev.G)
	}
}

// endWell books a wait that ended by what it waited for; pursues is where the one before ended in vain.
func (s *site) endWell(ev *traceload.Event, v, by *visitor, how wakes.How, pursues *lapses) {
	s.well++
	if v.known && ev.FromKnown {
		s.lengths.Add(ev.Lived)
	}
	if ev.Waker != traceload.WakerGoroutine {
		return
	}
	s.sent++
	if v.askedNow {
		s.askedWell++
	}
	if how == wakes.Receive {
		s.given++
	}
	if by == nil {
		return
	}
	if by.pays(ev.By, ev.G) {
		s.answered++
		if how == wakes.Send && pursues != nil {
			pursues.pursued++
		}
		v.request.answered()
	} else {
		if v.inARow > 0 && !v.askedNow {
			s.returns++
		}
		v.request = request{}
	}
	if by.visited.has(v.site) {
		s.peers++
	}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		o.leave(p, g, o.visitors.At(g))
	}
	o.judge(p)
}
