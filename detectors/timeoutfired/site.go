package timeoutfired

import (
	"math"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// site is one line of the user's at which goroutines wait.
type site struct {
	frame     traceload.FrameID
	fn        traceload.FuncID
	userWaits bool // the user's code itself waits; otherwise something that it called
	outermost bool // the line is in the function that a go statement started
	test      bool // the line is in a test's file

	goroutines int // that waited here, an upper bound
	well       int // calls that ended by what they waited for
	cancelled  int // … by somebody's cancelling, or by the closing of a channel
	byCreator  int // well or cancelled: by the goroutine that started the waiting one
	lengths    histogram.Histogram

	// Of the waits that another goroutine ended well:
	sent      int // how many there were
	askedWell int // the waiting goroutine had asked somebody just before
	answered  int // it was woken by whom it had asked
	given     int // it waited to hand something over, and somebody took it
	returns   int // it had come back to wait after another wait here, had not asked, and was told nothing that it had asked for
	peers     int // its waker comes by here to wait, too

	deadline, timer *lapses
	via             map[*site]int // see throughChild
}

// lapses are the waits at one site that ended in vain, of one cause.
type lapses struct {
	count      int
	goroutines detectors.Roll
	total      time.Duration // time waited in vain, summed
	lengths    histogram.Histogram
	measured   time.Duration       // the sum of lengths: of waits whose beginning the trace shows
	intervals  histogram.Histogram // between two in a row of one goroutine
	shortest   time.Duration       // … of these
	onBeat     int                 // … that are about a whole multiple of the shortest before
	firings    int                 // different deadlines, for deadlines
	asked      int                 // the goroutine had asked somebody just before
	unfinished int                 // … who was still at it
	finished   int                 // … who was no longer
	cameBack   int                 // it came back to the same wait without asking anybody
	retried    int                 // … after asking again
	pursued    int                 // it went on waiting for the answer elsewhere in the same function, and got it
	gone       int                 // it ended without another wait
	looping    int                 // it had waited here before, and nowhere else since, several times
	receives   int                 // the wait was a plain receive
	testing    int                 // package testing stood on the stack

	lastDeadline traceload.GoID
	first, last  expiry
	firstID      traceload.GoID
	entry        traceload.StackID // of the first
	createdAt    traceload.StackID
	nextWait     traceload.Time // when the first waited again or ended: firstAfter
	firstAfter   aftermath
}

// aftermath is what a goroutine did after a wait in vain.
type aftermath uint8

const (
	moved    aftermath = iota // it waits elsewhere
	cameBack                  // it waits here again and has asked nobody
	retried                   // … and has asked again
	gone                      // it ended
)

// loopsFrom is how many calls in a row at one site make a loop.
const loopsFrom = 2

func (s *site) expired(e *expiry, g *traceload.Goroutine, after aftermath, p *traceload.Program) *lapses {
	l := s.timer
	if e.deadline != traceload.NoGoroutine {
		l = s.deadline
	}
	if l == nil {
		l = &lapses{lastDeadline: traceload.NoGoroutine, first: *e, firstID: g.ID, entry: g.Entry,
			createdAt: g.CreatedAt, nextWait: p.Now, firstAfter: after}
		if e.deadline != traceload.NoGoroutine {
			s.deadline = l
		} else {
			s.timer = l
		}
	}
	l.count++
	l.last = *e
	l.total += e.at.Sub(e.began)
	if e.known {
		l.lengths.Add(e.at.Sub(e.began))
		l.measured += e.at.Sub(e.began)
	}
	if e.deadline != l.lastDeadline {
		l.firings++
		l.lastDeadline = e.deadline
	}
	l.goroutines.Note(g.ID)
	l.asked += count(e.asked != 0)
	l.unfinished += count(e.unfinished)
	l.finished += count(e.finished)
	l.retried += count(after == retried)
	l.gone += count(after == gone)
	l.looping += count(e.inARow >= loopsFrom)
	l.receives += count(e.wait == traceload.WaitChanReceive)
	l.cameBack += count(after == cameBack)
	l.testing += count(p.Stack(e.stack).Testing)
	return l
}

// interval notes the time between two waits in vain of one goroutine.
func (l *lapses) interval(d time.Duration) {
	l.intervals.Add(d)
	if l.shortest == 0 || d < l.shortest*4/5 {
		l.shortest, l.onBeat = d, 0 // what came before is measured against too long a beat
		return
	}
	beats := math.Round(float64(d) / float64(l.shortest))
	if math.Abs(float64(d)-beats*float64(l.shortest)) <= offBeat*float64(l.shortest) {
		l.onBeat++
	}
}

// offBeat is how far from a whole number of beats an interval may be, in beats.
const offBeat = 0.15

// throughChild notes that a deadline woke a goroutine here and, at child, one
// that it had started.
func (s *site) throughChild(child *site) {
	if s.via == nil {
		s.via = map[*site]int{}
	}
	s.via[child]++
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// even tells whether the middle 80% of what was counted is about equally long.
func even(h *histogram.Histogram) bool {
	return h.N() >= often && float64(h.Quantile(0.9)) <= alike*float64(h.Quantile(0.1))
}
