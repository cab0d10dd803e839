package chattyhandoff

import (
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// link is a line at which goroutines give and one at which others take: a
// channel or a Cond between two pieces of code, as far as the trace can tell.
//
// Of each transfer over an unbuffered channel exactly one side waits and is
// woken by the other, so that the trace shows all of them; over a buffered one
// it shows those that found the buffer empty or full.
type link struct {
	number      uint32
	give, take  end
	count       int // transfers that had to wake somebody
	turns       int // … by a goroutine that was on the other side the last time
	replies     int // … that answered one over another link
	request     *link
	requestLead int  // see answer
	opens       int  // … after a pause of both
	opensByTake int  // … and it was the giver who was woken
	unsure      bool // both ends are selects: which of them gives shows only in the end

	work    histogram.Histogram // how long the taker ran for each
	latency histogram.Histogram // from the wake-up until the woken ran

	// The bursts: transfers that follow another one soon.
	busy   int
	active time.Duration // their length, summed
	lost   time.Duration // what the hand-overs in them cost
	first  traceload.Time
	last   traceload.Time

	story  [4]story // some transfers in a row, of the first maxTold
	storyN int
}

// end is one side of a link.
type end struct {
	frame   traceload.FrameID
	stack   traceload.StackID // the first seen
	entry   traceload.StackID
	created traceload.StackID
	wait    traceload.StringID // the runtime's word for waiting there; 0 if nobody did
	testing bool               // package testing runs it, or the line is in a test's file
	depth   int                // of the user's frames on the stack

	goroutines int // an upper bound
	ids        [16]traceload.GoID
	highest    traceload.GoID // among ids: most who come later are above
}

// maxTold is how many transfers of a link are looked at for its story.
const maxTold = 100

// story is one transfer.
type story struct {
	at           traceload.Time
	giver, taker traceload.GoID
	takerWoken   bool // by the giver; otherwise the giver was, by the taker
}

type sites struct{ give, take traceload.FrameID }

// transfer records one that happened after a pause of the busier side, which
// is negative if unknown, and tells whether it belongs to a burst.
func (l *link) transfer(now traceload.Time, pause time.Duration, takerWoken bool) bool {
	if l.count == 0 {
		l.first = now
	}
	l.count++
	l.last = now
	if pause < 0 || pause > restless {
		l.opens++
		if !takerWoken {
			l.opensByTake++
		}
		return false
	}
	l.busy++
	l.active += pause
	l.lost += parkAndWake
	return true
}

// started records that a goroutine woken in a burst runs, after a latency.
func (l *link) started(latency time.Duration) {
	l.lost += min(latency, wakeAtMost)
	l.latency.Add(latency)
}

// answer records that a transfer answered one over request. The link that is
// answered most is found by majority vote.
func (l *link) answer(request *link) {
	switch {
	case l.request == request:
		l.requestLead++
	case l.requestLead == 0:
		l.request, l.requestLead = request, 1
	default:
		l.requestLead--
	}
}

// tell keeps a transfer for the timeline.
func (l *link) tell(s story) {
	l.story[l.storyN%len(l.story)] = s
	l.storyN++
}

// add takes note of who gives or takes, when it sits down.
func (e *end) add(g *traceload.Goroutine) {
	if e.goroutines == 0 {
		e.entry, e.created = g.Entry, g.CreatedAt
	}
	if g.ID <= e.highest {
		for _, id := range e.ids[:min(e.goroutines, len(e.ids))] {
			if id == g.ID {
				return
			}
		}
	}
	if e.goroutines < len(e.ids) {
		e.ids[e.goroutines] = g.ID
		e.highest = max(e.highest, g.ID)
	}
	e.goroutines++
}

// operation is what a goroutine does at the top of its stack.
type operation uint8

const (
	other operation = iota
	sends
	receives
	selects
	waits   // for a Cond
	signals // a Cond
)

func operationOf(p *traceload.Program, st *traceload.Stack) operation {
	if len(st.Frames) == 0 || st.Owner < 0 || p.Frame(st.Frames[st.Owner]).Origin != traceload.OriginUser {
		return other // the standard library hands over by its own rules: io.Pipe, net/http, …
	}
	switch top := p.Frame(st.Frames[0]).Func; {
	case strings.HasPrefix(top, "runtime.chansend"), top == "runtime.closechan", top == "runtime.selectnbsend":
		return sends
	case strings.HasPrefix(top, "runtime.chanrecv"), top == "runtime.selectnbrecv":
		return receives
	case top == "runtime.selectgo":
		return selects
	case top == "sync.(*Cond).Wait":
		return waits
	case strings.HasPrefix(top, "sync.(*Cond)."):
		return signals
	}
	return other
}

// transfer finds out what a wake-up means, once for each pair of stacks.
func (o *observer) transfer(p *traceload.Program, at, by traceload.StackID) transfer {
	woken, waker := p.Stack(at), p.Stack(by)
	if woken.Site < 0 || waker.Site < 0 {
		return transfer{}
	}
	gives, unsure := true, false
	switch was, did := operationOf(p, woken), operationOf(p, waker); {
	case was == selects && did == selects:
		unsure = true
		gives = waker.Frames[waker.Site] <= woken.Frames[woken.Site] // any order will do, if it is always the same
	case was == receives && (did == sends || did == selects), was == selects && did == sends, was == waits && did == signals:
	case was == sends && (did == receives || did == selects), was == selects && did == receives:
		gives = false
	default:
		return transfer{}
	}
	giver, taker := waker, woken
	if !gives {
		giver, taker = woken, waker
	}
	ends := sites{giver.Frames[giver.Site], taker.Frames[taker.Site]}
	l := o.bySites[ends]
	if l == nil {
		l = &link{number: uint32(len(o.links) + 1), give: newEnd(p, giver), take: newEnd(p, taker), unsure: unsure}
		o.bySites[ends] = l
		o.links = append(o.links, l)
	}
	return transfer{l, gives}
}

// settle decides which end of an unsure link gives: who rests at the other one
// when nothing is to be done is the taker.
func (l *link) settle() {
	if l.unsure && l.opensByTake > l.opens-l.opensByTake {
		l.give, l.take = l.take, l.give
		for i := range l.story {
			s := &l.story[i]
			s.giver, s.taker, s.takerWoken = s.taker, s.giver, !s.takerWoken
		}
	}
}

func newEnd(p *traceload.Program, st *traceload.Stack) end {
	e := end{frame: st.Frames[st.Site], stack: st.ID}
	e.testing = st.Testing || strings.HasSuffix(p.Frame(e.frame).File, "_test.go")
	for _, f := range st.Frames {
		if p.Frame(f).Origin == traceload.OriginUser {
			e.depth++
		}
	}
	return e
}
