package timeoutfired

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
		traceload.KindSyscallBegin, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, byFrame: map[traceload.FrameID]*site{}}
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

	pass    *detectors.Pass
	byFrame map[traceload.FrameID]*site
	sites   []*site              // in order of appearance
	byStack []*site              // by StackID; nil: not looked up yet
	how     []how                // by StackID of a waker
	asking  dense.Pairs[bool]    // by number of a site and stack, see asks
	library dense.Answers        // see libraryAsks
	writes  dense.Answers        // see isWrite
	expires dense.Answers        // see isDeadline
	slots   dense.Slots[visitor] // by Goroutine.Slot
	free    []*regret
	fired   [8]companion // the last waits that ended by one deadline
	firedBy traceload.GoID
	nfired  int

	elsewhere site // in byStack, for stacks without a line of the user's
	_         cpu.CacheLinePad
}

// visitor is what is known of one goroutine that is alive.
type visitor struct {
	// The call: one wait, or several in a row inside the standard library.
	site     *site
	began    traceload.Time // of its first wait
	known    bool           // … lies in the trace
	paused   traceload.Time // when its last wait ended; the call may go on
	open     bool           // it may go on
	cleansUp bool           // it has ended in vain, and its library puts things in order
	askedNow bool           // what it asked of others it asked in the very function that waits now
	next     uint8          // in visited
	inARow   int32          // calls at this site, without a wait anywhere else between them
	visited  [4]uint32      // numbers of sites, for counting goroutines by site

	request request // what it asked of others
	debt    debt    // what was asked of it
	regret  *regret // nil as long as it has not waited in vain
}

// regret is what is known of a goroutine that has waited in vain.
type regret struct {
	expiry          // that is not booked yet, if at is set
	last    *lapses // where it waited in vain the time before, at lastAt
	lastAt  traceload.Time
	pursues *lapses // it waits again, in the same function, right after a wait in vain
}

// isLate tells whether v has waited in vain, and that is not booked yet.
func (v *visitor) isLate() bool { return v.regret != nil && v.regret.at != 0 }

// late makes e v's wait in vain.
func (o *observer) late(v *visitor, e expiry) {
	if v.regret == nil {
		if n := len(o.free); n > 0 {
			v.regret, o.free = o.free[n-1], o.free[:n-1]
			*v.regret = regret{}
		} else {
			v.regret = new(regret)
		}
	}
	v.regret.expiry = e
}

// clear forgets a goroutine.
func (o *observer) clear(v *visitor) {
	if v.regret != nil {
		o.free = append(o.free, v.regret)
	}
	*v = visitor{}
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		o.appear(p, ev)
	case traceload.KindBlock:
		if !g.System && g.Wait != traceload.WaitRuntime {
			o.block(p, ev)
		}
	case traceload.KindUnblock:
		if !g.System && g.Wait != traceload.WaitRuntime {
			o.unblock(p, ev)
		}
	case traceload.KindSyscallBegin:
		if v := o.visitor(g); v != nil && o.writes.Of(p, ev.Stack, isWrite) {
			v.request = request{at: ev.Stack, on: p.Now, whom: traceload.NoGoroutine}
		}
	case traceload.KindEnd:
		if v := o.visitor(g); v != nil {
			o.book(p, g, v, nil)
			o.closeCall(v)
			o.clear(v)
		}
	}
}

func (o *observer) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	v := o.slots.At(g.Slot)
	if ev.Kind == traceload.KindStatus && ev.From == traceload.StateUnknown && v.site != nil {
		return // only its stack became known
	}
	o.clear(v)
	if ev.Kind == traceload.KindCreate {
		by := o.visitor(ev.By)
		if by == nil {
			return
		}
		if !o.library.Of(p, ev.ByStack, libraryAsks) {
			by.request.make(p.Now, ev.ByStack, g.ID, true)
		}
		if ev.By.Creator == traceload.NoGoroutine && o.expires.Of(p, ev.By.Entry, isDeadline) {
			// context.AfterFunc: what it does is the deadline's doing.
			o.late(v, expiry{at: p.Now, deadline: ev.By.ID})
		}
		return
	}
	if g.State == traceload.StateWaiting && !g.System && g.Wait != traceload.WaitRuntime {
		v.site = o.site(p, g.Stack)
	}
}

func (o *observer) visitor(g *traceload.Goroutine) *visitor { return o.slots.Of(g) }

func (o *observer) block(p *traceload.Program, ev *traceload.Event) {
	v := o.visitor(ev.G)
	if v == nil {
		return
	}
	s := o.site(p, ev.Stack)
	if v.isLate() && v.regret.site == s && s != nil && !s.userWaits && v.request.at == 0 && p.Now.Sub(v.regret.at) <= sameCall {
		v.cleansUp = true
		return
	}
	o.book(p, ev.G, v, s)
	v.debt.rest(ev.Stack)
	if v.open && s == v.site && p.Now.Sub(v.paused) <= sameCall {
		v.open = false // the same call waits again
		return
	}
	o.closeCall(v)
	if s == v.site {
		v.inARow++
	} else {
		v.inARow = 0
	}
	v.site, v.began, v.known = s, p.Now, true
	if s == nil {
		return
	}
	v.askedNow = v.request.at != 0 && o.asks(p, s, v.request.at)
	v.visit(s)
}

// visit counts the goroutine at s, once as long as it remembers.
func (v *visitor) visit(s *site) {
	if v.hasVisited(s) {
		return
	}
	s.goroutines++
	v.visited[v.next] = s.number
	v.next = (v.next + 1) % uint8(len(v.visited))
}

func (v *visitor) hasVisited(s *site) bool {
	for _, old := range v.visited {
		if old == s.number {
			return true
		}
	}
	return false
}

// closeCall books the call that v has been in, whose last wait ended well.
func (o *observer) closeCall(v *visitor) {
	if !v.open {
		return
	}
	v.open = false
	v.site.well++
	if v.known {
		v.site.lengths.Add(v.paused.Sub(v.began))
	}
}

func (o *observer) unblock(p *traceload.Program, ev *traceload.Event) {
	v := o.visitor(ev.G)
	if v == nil {
		return
	}
	by := o.visitor(ev.By)
	how := o.howWoken(p, ev.ByStack)
	if v.site == nil && ev.Stack != 0 {
		v.site = o.site(p, ev.Stack) // it was not known yet when the goroutine was found
	}
	deadline, byDeadline := o.deadline(ev, v, by, how)
	if ev.Waker == traceload.WakerGoroutine && !byDeadline {
		o.exchange(p, ev, v, by, how)
	}
	if v.site == nil && ev.Stack != 0 {
		v.site = o.site(p, ev.Stack) // it was not known yet when the goroutine was found
	}
	if v.cleansUp {
		v.cleansUp = false
		return
	}
	s := v.site
	switch {
	case byDeadline:
		o.expire(p, ev, v, deadline)
	case s == nil:
	case ev.Waker == traceload.WakerTimer && ev.Wait == traceload.WaitSelect && s.userWaits:
		o.expire(p, ev, v, traceload.NoGoroutine)
	case ev.Waker == traceload.WakerRuntime:
	case how == byCancel, how == byClose && s.userWaits && ev.By != nil && ev.By.ID == ev.G.Creator:
		s.cancelled++
		if ev.By != nil && ev.By.ID == ev.G.Creator {
			s.byCreator++
		}
	case s.userWaits, ev.Wait == traceload.WaitNetwork: // each wait for data is a call of its own
		o.endWell(ev, v, by, how)
	default:
		v.open, v.paused = true, p.Now // the standard library may wait again in the same call
	}
	if v.regret != nil {
		v.regret.pursues = nil
	}
}

// libraryAsks tells whether it is the standard library that asks at the top of
// this stack: net/http's client hands a request to its writer. It waits for the
// answer itself, before it returns to the user's code.
func libraryAsks(p *traceload.Program, id traceload.StackID) bool {
	st := p.Stack(id)
	return st.Owner >= 0 && p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginStd
}

// exchange notes who asked whom for something.
func (o *observer) exchange(p *traceload.Program, ev *traceload.Event, v, by *visitor, how how) {
	if by == nil || o.library.Of(p, ev.ByStack, libraryAsks) {
		return
	}
	switch how {
	case bySend, bySignal:
		by.request.make(ev.Time, ev.ByStack, ev.G.ID, false)
		v.debt = debt{to: ev.By.ID, restsAt: ev.Stack, open: true, told: v.debt.told}
	case byReceive:
		v.request.make(ev.Time, ev.Stack, ev.By.ID, false)
		by.debt = debt{to: ev.G.ID, restsAt: ev.ByStack, open: true, told: by.debt.told}
	}
}

// endWell books a wait that ended by what it waited for.
func (o *observer) endWell(ev *traceload.Event, v, by *visitor, how how) {
	s := v.site
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
	if how == byReceive {
		s.given++
	}
	if by == nil {
		return
	}
	if answered := by.debt.pay(ev.By, ev.G); answered {
		s.answered++
		if how == bySend && v.regret != nil && v.regret.pursues != nil {
			v.regret.pursues.pursued++
		}
		v.request.answered()
	} else {
		if v.inARow > 0 && !v.askedNow {
			s.returns++
		}
		v.request = request{}
	}
	if by.hasVisited(s) {
		s.peers++
	}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if v := o.visitor(g); v != nil {
			o.book(p, g, v, nil)
			if g.State != traceload.StateWaiting {
				o.closeCall(v)
			}
		}
	}
	o.judge(p)
}
