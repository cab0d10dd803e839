package waitunbounded

import (
	_ "embed"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector is the room's description.
var Detector = &detectors.Detector{
	Name:   "wait-unbounded",
	Family: detectors.Timeouts,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: networkCause, Pattern: "conn-deadline", Cap: detectors.High},
		{Name: channelCause, Pattern: "receive-with-deadline", Cap: detectors.High},
		{Name: lockCause, Pattern: "lock-with-a-way-out", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindUnblock, traceload.KindEnd),
	Yields:  []string{"deadlock", "goroutine-leak", "cancel-never-fired", "lock-contention", "lock-held-while-blocked"},
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, byPlace: map[place]*site{}}
		p.Keep(&o.slots)
		return o
	},
}

const (
	networkCause = "network"
	channelCause = "channel"
	lockCause    = "lock"
)

const (
	longest    = 200 * time.Millisecond // a shorter wait nobody complains of
	timesUsual = 20                     // … and so many times as long as nine of ten
	history    = 20                     // waits at the line, to know what is usual
	along      = 0.5                    // share of the wait that somebody must have waited along
	shortLife  = 0.2                    // of the wait: how long goroutines like it live that are started for a result
	habit      = 0.25                   // share of long waits from which they are the line's habit
	loopsFrom  = 3                      // waits in a row at one line that make a goroutine a worker, which nobody waits for just because he has started it
	lives      = 10                     // of them
)

// observer follows each goroutine's waits, and who asked it for something.
type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	byPlace map[place]*site
	sites   []*site // by number
	stacks  dense.ByID[traceload.StackID, spot]
	slots   traceload.Beside[guest]
	stays   dense.Pool[stay]
	stuck   []stuck                                             // at the trace's end
	lives   dense.ByID[traceload.FrameID, *histogram.Histogram] // by entry; nil for none that ended
	endings dense.Answers                                       // see ending
	_       cpu.CacheLinePad
}

// spot is what follows from the stack of a wait.
type spot struct {
	frame traceload.FrameID // its site
	site  uint32            // number of the line, or elsewhere; 0 if it was not looked up yet
}

// elsewhere stands for the lines of waits that are not judged.
const elsewhere = math.MaxUint32

type place struct {
	file  string
	line  int
	cause string
}

// site is a line at which goroutines wait.
type site struct {
	number  uint32 // 0 for elsewhere
	frame   traceload.FrameID
	cause   string
	call    string // the function of the standard library that waits, "" if the line itself does
	asks    bool   // the stack shows that an answer was asked for
	serves  bool   // the stack is that of an HTTP handler
	testing bool

	lengths histogram.Follower // of the waits that ended, without outliers
	ends    int                // … by a deadline, a timer, a cancellation or a closed connection
	long    []wait             // that stood out, at most maxLong
	nlong   int
	by      traceload.FrameID // entry of who ended the latest of all

	outliers int // waits that stood out and ended, also those that nobody suffered from
}

// maxLong is how many long waits of a line are kept.
const maxLong = 64

// wait is one that stands out.
type wait struct {
	g          traceload.GoID
	stack      traceload.StackID
	reason     traceload.StringID
	entry      traceload.StackID
	created    traceload.StackID
	began, end traceload.Time
	open       bool // it is not over when the trace ends
	victim     victim
	before     stay // of whoever ended it; zero if that one had not waited
}

// victim is a goroutine that waits for the one that waits; id is NoGoroutine
// for one outside of the program.
type victim struct {
	id      traceload.GoID
	stack   traceload.StackID
	reason  traceload.StringID
	entry   traceload.StackID
	created traceload.StackID
	began   traceload.Time
}

// guest is what is known of one goroutine that is alive.
type guest struct {
	owes  traceload.GoID    // who asked it for something; 0 if nobody did, or it is done
	rest  traceload.FrameID // where it waited to be asked; 0 if that was before the trace began
	site  uint32            // number of the line where it waited last
	turns uint32            // how often it has waited there, and nowhere else since
	stay  uint32            // in observer.stays; 0 if it has none
	waker traceload.GoID    // who ended its wait at that line last; 0 for none
}

// Observe implements detectors.Observer. Most waits are not judged: what they come to
// stands here in one piece.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindUnblock:
		v, at := o.slots.At(g), o.stacks.Of(ev.Stack)
		if ev.Wait == traceload.WaitRuntime {
			return
		}
		if at == nil || at.site != elsewhere || ev.Wait == traceload.WaitChanSend {
			o.unblock(p, ev, v)
			return
		}
		if ev.From == traceload.StateWaiting && ev.FromKnown {
			v.back(at)
		}
		if ev.Waker == traceload.WakerGoroutine && !ev.Wait.IsLock() && (at.frame != 0 || ev.Stack == 0) {
			o.slots.At(ev.By).ask(ev.By.ID, v, g.ID, at.frame)
		}
	case traceload.KindStatus:
		v := o.slots.At(g)
		o.stays.Give(v.stay)
		*v = guest{}
	case traceload.KindEnd:
		if v := o.slots.At(g); v.stay != 0 {
			o.stays.Give(v.stay)
			v.stay = 0
		}
		o.died(p, g)
	}
}

// unblock takes the wake-ups that Observe does not.
func (o *observer) unblock(p *traceload.Program, ev *traceload.Event, v *guest) {
	if ev.From == traceload.StateWaiting && ev.FromKnown {
		if at := o.spot(p, ev.Stack, ev.Wait); v.back(at) {
			o.ended(p, o.sites[at.site-1], v, ev)
		}
	}
	if ev.Waker != traceload.WakerGoroutine || ev.Wait.IsLock() {
		return
	}
	by := o.slots.At(ev.By)
	if ev.Wait == traceload.WaitChanSend { // the one that took it is asked
		if at := p.SiteID(ev.ByStack); at != 0 {
			v.ask(ev.G.ID, by, ev.By.ID, at)
		}
	} else if at := p.SiteID(ev.Stack); at != 0 || ev.Stack == 0 {
		by.ask(ev.By.ID, v, ev.G.ID, at)
	}
}

// back notes that v was back to wait at a line in the trace, and tells whether the wait is to be judged.
func (v *guest) back(at *spot) bool {
	switch {
	case v.owes == 0:
	case v.rest == 0:
		v.rest = at.frame // before it is here again it comes round to where it rested
	case v.rest == at.frame:
		v.owes, v.rest = 0, 0 // back to rest: it is done
	}
	if v.site != at.site {
		v.site, v.turns, v.waker = at.site, 0, 0
	}
	v.turns++
	return at.site != elsewhere
}

// ask notes that a goroutine gave another one, which rested at a line, something to do. At
// which line is not known of one that rested before the trace began: then rest is 0.
func (from *guest) ask(asker traceload.GoID, v *guest, asked traceload.GoID, rest traceload.FrameID) {
	switch {
	case from.owes == asked: // an answer
		from.owes = 0
	case v.owes == 0: // otherwise it is at it, and was given what it needs
		v.owes, v.rest = asker, rest
	}
}

// died notes how long goroutines with that entry function live.
func (o *observer) died(p *traceload.Program, g *traceload.Goroutine) {
	if !g.BornKnown || g.System {
		return
	}
	h := o.lives.At(p.EntryID(g))
	if *h == nil {
		*h = &histogram.Histogram{}
	}
	(*h).Add(p.Now.Sub(g.Born))
}

// ended books a wait that is over.
func (o *observer) ended(p *traceload.Program, s *site, v *guest, ev *traceload.Event) {
	length := ev.Lived
	o.stayed(p, v, s, length)
	if ev.Waker == traceload.WakerDeadline || ev.Waker == traceload.WakerTimer || o.endings.Of(p, ev.ByStack, ending) {
		s.ends++
		return
	}
	if length >= longest && length >= timesUsual*s.lengths.Quantile(0.9) {
		s.outliers++
		o.long(p, s, v, ev.G, wait{stack: ev.Stack, reason: ev.Reason, began: p.Now - traceload.Time(length), before: o.before(p, ev.By, s, length)})
		return
	}
	s.lengths.Add(length)
	if ev.By != nil {
		v.waker, s.by = ev.By.ID, p.EntryID(ev.By)
	}
}

// ending tells whether what a waker stands in is there to end waits.
func ending(p *traceload.Program, by traceload.StackID) bool {
	frames := p.Stack(by).Frames
	for _, f := range frames[:min(len(frames), 4)] {
		fn := p.Frame(f).Func
		if fn == "context.(*cancelCtx).cancel" || strings.HasPrefix(fn, "internal/poll.") || fn == "runtime.closechan" {
			return true
		}
	}
	return false
}

// long keeps a wait that stands out, if somebody suffers from it.
func (o *observer) long(p *traceload.Program, s *site, v *guest, g *traceload.Goroutine, w wait) {
	w.g, w.entry, w.created, w.end = g.ID, g.Entry, g.CreatedAt, p.Now
	w.victim = victim{id: traceload.NoGoroutine, began: w.began}
	if !o.waitsAlong(p, v, g, &w) && !s.asks && !s.serves {
		return
	}
	if w.open {
		o.stuck = append(o.stuck, stuck{g, s})
	}
	s.nlong++
	if len(s.long) < maxLong {
		s.long = append(s.long, w)
	}
}

// waitsAlong finds who waits for g, which has been waiting at s: who asked it,
// or who started it for its result.
func (o *observer) waitsAlong(p *traceload.Program, v *guest, g *traceload.Goroutine, w *wait) bool {
	if from := p.Goroutine(v.owes); from != nil && o.suffers(p, from, w) {
		return true
	}
	from := p.Goroutine(g.Creator)
	if from == nil || !g.BornKnown || v.turns > loopsFrom {
		return false
	}
	// Goroutines like g must be short-lived: otherwise its creator waits for
	// the end of the program.
	h := o.lives.Get(p.EntryID(g))
	if h == nil || h.N() < lives || float64(h.Quantile(0.75)) > shortLife*float64(w.end.Sub(w.began)) {
		return false
	}
	return o.suffers(p, from, w)
}

// suffers tells whether a goroutine has been waiting for most of w, and for
// another one; it becomes w's victim then.
func (o *observer) suffers(p *traceload.Program, from *traceload.Goroutine, w *wait) bool {
	if from.State != traceload.StateWaiting || from.System || !from.SinceKnown || p.SiteID(from.Stack) == 0 {
		return false // or it waits where no line of the program's is, as a test does for those within
	}
	switch from.Wait {
	case traceload.WaitSleep, traceload.WaitNetwork, traceload.WaitCond, traceload.WaitSelect:
		return false // it waits for something else, or can give up
	}
	if float64(p.InState(from)) < along*float64(w.end.Sub(w.began)) {
		return false
	}
	w.victim = victim{from.ID, from.Stack, from.Reason, from.Entry, from.CreatedAt, from.Since}
	return true
}

// spot returns what follows from the stack of a wait.
func (o *observer) spot(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) *spot {
	at := o.stacks.At(stack)
	if at.site == 0 {
		*at = spot{p.SiteID(stack), o.lookUp(p, stack, wait)}
	}
	return at
}

// lookUp returns the number of the line of a wait, elsewhere if it is not to be judged.
func (o *observer) lookUp(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) uint32 {
	frame := p.SiteID(stack)
	if frame == 0 || p.Frame(frame).Origin != traceload.OriginUser {
		return elsewhere
	}
	st := p.Stack(stack)
	below := func(fn string) bool { // between the wait and the user's line
		for _, f := range st.Frames[:st.Site] {
			if p.Frame(f).Func == fn {
				return true
			}
		}
		return false
	}
	asks := below("net/http.(*Transport).roundTrip") || below("net/http.(*Transport).RoundTrip")
	cause := ""
	switch {
	case wait == traceload.WaitNetwork && !below("net.(*TCPListener).Accept") && !below("net.(*UnixListener).Accept"),
		wait == traceload.WaitSelect && asks:
		cause = networkCause
	case (wait == traceload.WaitChanReceive || wait == traceload.WaitChanSend) && st.Owner == st.Site:
		cause = channelCause
	case wait.IsLock():
		cause = lockCause
	default:
		return elsewhere
	}
	key := place{p.Frame(frame).File, p.Frame(frame).Line, cause} // a line has several frames where it was inlined
	if s, ok := o.byPlace[key]; ok {
		return s.number
	}
	s := &site{number: uint32(len(o.sites) + 1), frame: frame, cause: cause, asks: asks, testing: st.Testing || strings.HasSuffix(p.Frame(frame).File, "_test.go")}
	if cause == networkCause && st.Site > 0 {
		s.call = p.Frame(st.Frames[st.Site-1]).Func
	}
	for _, f := range st.Frames[st.Site:] {
		if p.Frame(f).Func == "net/http.(*conn).serve" {
			s.serves = true
		}
	}
	o.byPlace[key] = s
	o.sites = append(o.sites, s)
	return s.number
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if g.System || g.State != traceload.StateWaiting || !g.SinceKnown || g.Wait == traceload.WaitRuntime {
			continue
		}
		at, length := o.spot(p, g.Stack, g.Wait), p.InState(g)
		v := o.slots.At(g)
		if !v.back(at) || length < longest {
			continue
		}
		if s := o.sites[at.site-1]; length >= timesUsual*s.lengths.Quantile(0.9) {
			o.long(p, s, v, g, wait{stack: g.Stack, reason: g.Reason, began: g.Since, open: true})
		}
	}
	locked := lockedServer(p)
	var told []*site
	for _, s := range o.sites {
		if locked && s.asks {
			s.long = slices.DeleteFunc(s.long, func(w wait) bool { return w.open && w.victim.id == traceload.NoGoroutine })
		}
		s.long = slices.DeleteFunc(s.long, func(w wait) bool { return w.length() < timesUsual*s.lengths.Quantile(0.9) })
		if len(s.long) > 0 && s.ends == 0 && s.lengths.N() >= history && float64(s.outliers) <= habit*float64(s.lengths.N()) {
			told = append(told, s)
		}
	}
	for _, s := range o.beginnings(p, told) {
		o.judge(p, s)
	}
}

// lockedServer tells whether an HTTP server of this very program stands still
// at a lock when the trace ends: its clients here hang because of that.
func lockedServer(p *traceload.Program) bool {
	for g := range p.Live {
		if g.State != traceload.StateWaiting || !g.Wait.IsLock() || p.InState(g) < longest {
			continue
		}
		for _, f := range p.Stack(g.Stack).Frames {
			if p.Frame(f).Func == "net/http.(*conn).serve" {
				return true
			}
		}
	}
	return false
}
