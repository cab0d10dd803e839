package timerchurn

import (
	_ "embed"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector is the room's description.
var Detector = &detectors.Detector{
	Name:   "timer-churn",
	Family: detectors.Timeouts,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: afterCause, Pattern: "reuse-timer", Cap: detectors.Medium},
		{Name: pollCause, Pattern: "poll-to-notify", Cap: detectors.High},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindEnd, traceload.KindSample),
	Ends: ^quiet,
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, byFrame: map[traceload.FrameID]*site{}, timers: map[traceload.StackID]*maker{}}
		p.Keep(&o.slots)
		return o
	},
}

const (
	afterCause = "after-in-loop"
	pollCause  = "polling"
)

const (
	// aLook is how long a look lasts at most: an atomic load, a lock and a map
	// take far less. What runs longer does something, even if nobody sees it.
	aLook = 50 * time.Microsecond
	// warmUp is how many wake-ups a line has had before it is worth comparing
	// them with what others do.
	warmUp = 8
)

// observer follows each goroutine from one timer's wake-up to the next.
type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	byFrame map[traceload.FrameID]*site
	sites   []*site // in order of appearance
	stacks  dense.ByID[traceload.StackID, spot]
	slots   traceload.Beside[turn]
	looks   dense.Pool[looks]

	classes dense.ByID[traceload.FrameID, int16] // of what goroutines do there, + 1
	acts    []act                                // by class

	running time.Duration // of all goroutines
	samples int
	timers  map[traceload.StackID]*maker // by stack of a sample
	makers  []*maker
	_       cpu.CacheLinePad
}

// spot is what is known of a stack.
type spot struct {
	frame  traceload.FrameID // its site
	site   uint32            // number of the line, if a timer may end a wait here; 0 for others
	begun  uint32            // waits that began, on top of the site's
	class  int16             // of what blocks here, + 1
	wait   traceload.Wait    // the kind of wait for which the above holds, + 1; 0 if nobody has waited here
	asking asking
}

// asking tells whether it is the program that wakes or starts somebody at the top
// of a stack: what the standard library does so is its own affair, such as the
// goroutine that watches a request's connection.
type asking uint8

const (
	unknown asking = iota
	notAsking
	isAsking
)

// site is a line where goroutines sleep, or wait in a select or a receive that
// a timer ends.
type site struct {
	number uint32 // from 1, in order of appearance
	frame  traceload.FrameID
	stack  traceload.StackID // the first seen there
	wait   traceload.Wait

	wakes   int // by a timer
	others  int // by anything else
	empties int // wakes that found nothing to do
	stays   int // that found something and came back to the same line
	leaves  int // that found something, after looks in vain, and went elsewhere
	begun   int // waits that began

	goroutines int
	ids        [detectors.MaxGroupIDs]traceload.GoID
	entry      traceload.StackID
	created    traceload.StackID
	testing    bool

	pauses     lengths       // before the looks in vain
	runs       lengths       // of the looks in vain
	lateLeaves time.Duration // half the pause before each of leaves
	lateStays  time.Duration
	rowsTotal  int // looks in vain before leaves
	rowMin     int
	rowMax     int
	first      story

	askedRows    int // leaves of goroutines that had asked another one for something before they began to look
	answeredRows int // … which was done with it during the last pause

	occasions int            // leaves, those within one pause counted once
	lastLeave traceload.Time // …
	hits      []tally        // by class
	inVain    int            // looks that the classes were compared with
}

// story is the first row of looks that found something in the end.
type story struct {
	g        traceload.GoID
	from, to traceload.Time
	looks    int
}

const (
	endedByTimers traceload.Waits = 1<<traceload.WaitSleep | 1<<traceload.WaitSelect | 1<<traceload.WaitChanReceive
	// quiet are those for locks, which a look may need, and the runtime's own.
	quiet = traceload.Locks | 1<<traceload.WaitRuntime
)

// Observe implements detectors.Observer. What happens at most events stands here in one
// piece, with calls only where they are the last thing to do.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindBlock:
		t, at := o.slots.At(g), o.stacks.Of(ev.Stack)
		if at == nil || at.wait != g.Wait+1 {
			o.meet(p, ev, t)
			return
		}
		o.ran(ev)
		at.begun++
		o.acts[at.class-1].note(ev.Time, g)
		if t.awake || t.last != at.site && at.site != 0 {
			o.arrive(p, ev, t, at)
			return
		}
		t.site = at.site
		if t.rest != 0 && t.rest == at.frame {
			o.answer(p, t)
		}
	case traceload.KindUnblock:
		t, by, at := o.slots.At(g), o.slots.Of(ev.By), o.stacks.Of(ev.ByStack)
		if at == nil || at.asking == unknown || ev.Waker != traceload.WakerGoroutine {
			o.unblock(p, ev, t, by)
			return
		}
		by.acted = true
		if t.site != 0 {
			o.disturb(t)
		}
		switch {
		case at.asking == notAsking:
		case ev.Wait == traceload.WaitChanSend: // the one that took it is asked
			o.ask(g, t, by, p.SiteID(ev.ByStack))
		default:
			o.ask(ev.By, by, t, p.SiteID(ev.Stack))
		}
	case traceload.KindCreate:
		o.create(p, ev)
	case traceload.KindEnd:
		o.end(p, ev)
	case traceload.KindStop, traceload.KindSyscallBegin:
		o.ran(ev)
		o.slots.At(g).acted = true
	case traceload.KindStatus:
		o.status(p, g)
	case traceload.KindSample:
		o.sample(p, ev.Stack)
	}
}

// ran adds the time that a goroutine ran, if an event ends that.
func (o *observer) ran(ev *traceload.Event) {
	if ev.From == traceload.StateRunning {
		o.running += ev.Lived
	}
}

func (o *observer) status(p *traceload.Program, g *traceload.Goroutine) {
	t := o.slots.At(g)
	if t.site != 0 {
		return // only its stack became known
	}
	o.forget(t)
	if g.State == traceload.StateWaiting {
		t.site = o.site(p, g.Stack, g.Wait)
	}
}

func (o *observer) create(p *traceload.Program, ev *traceload.Event) {
	t, by, at := o.slots.At(ev.G), o.slots.Of(ev.By), o.stacks.Of(ev.ByStack)
	o.forget(t)
	if by == nil {
		return
	}
	by.acted = true
	if at != nil && at.asking == isAsking || (at == nil || at.asking == unknown) && o.asks(p, ev.ByStack) {
		o.ask(ev.By, by, t, 0)
	}
}

func (o *observer) end(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	o.ran(ev)
	t := o.slots.At(g)
	if !g.System {
		entry := p.EntryID(g)
		class := o.classes.Get(entry)
		if class == 0 {
			class = o.newClass(entry)
		}
		o.acts[class-1].note(ev.Time, g)
	}
	if t.owes != 0 {
		o.answer(p, t)
	}
	if t.awake {
		o.found(p, g, t, true)
	}
	o.forget(t)
}

// meet takes a goroutine that comes to block where nobody has waited in that way before.
func (o *observer) meet(p *traceload.Program, ev *traceload.Event, t *turn) {
	switch w := ev.G.Wait; {
	case w == traceload.WaitRuntime:
		o.ran(ev)
	case w.IsLock():
		o.ran(ev)
		if t.awake {
			o.looks.At(t.looks).partial = true // a look may have to wait for a lock
		}
	default:
		at := o.stacks.At(ev.Stack)
		o.settle(at)
		at.wait, at.frame, at.site = w+1, p.SiteID(ev.Stack), o.site(p, ev.Stack, w)
		if at.class = o.classes.Get(at.frame); at.class == 0 {
			at.class = o.newClass(at.frame)
		}
		o.Observe(p, ev)
	}
}

// settle counts the waits that began on a stack for its site.
func (o *observer) settle(at *spot) {
	if at.site != 0 {
		o.sites[at.site-1].begun += int(at.begun)
	}
	at.begun = 0
}

// site returns the number of the line where a timer may end the wait; 0 for other waits.
func (o *observer) site(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) uint32 {
	frame := p.SiteID(stack)
	if !endedByTimers.Has(wait) || frame == 0 || p.Frame(frame).Origin != traceload.OriginUser {
		return 0
	}
	s := o.byFrame[frame]
	if s == nil {
		s = &site{number: uint32(len(o.sites) + 1), frame: frame, stack: stack, wait: wait}
		o.byFrame[frame] = s
		o.sites = append(o.sites, s)
	}
	return s.number
}

// arrive takes a goroutine that comes back from a look, or to a line where it was not before.
func (o *observer) arrive(p *traceload.Program, ev *traceload.Event, t *turn, at *spot) {
	if t.awake {
		o.back(p, ev, t, at.site)
	}
	t.site, t.awake = at.site, false
	if t.site != 0 && t.site != t.last {
		o.enter(p, ev, t, o.sites[t.site-1])
	}
	if t.rest != 0 && t.rest == at.frame {
		o.answer(p, t)
	}
}

// back books the look that ends as its goroutine comes to block at a site, 0 for elsewhere.
func (o *observer) back(p *traceload.Program, ev *traceload.Event, t *turn, site uint32) {
	l := o.looks.At(t.looks)
	switch {
	case site == t.site && !t.acted && (ev.Lived <= aLook || l.partial):
		o.inVain(p, ev.G, t, ev.Lived)
	case site == t.site && !t.acted:
		o.sites[site-1].stays++ // it ran for long: it had something to do
		l.row = 0
	default:
		o.found(p, ev.G, t, site != t.site)
	}
}

// enter counts a goroutine that comes to wait at s, unless it has been there lately.
func (o *observer) enter(p *traceload.Program, ev *traceload.Event, t *turn, s *site) {
	g, last := ev.G, t.last
	t.last = s.number
	if last != 0 {
		l := o.looksOf(t)
		if l.visited[0] == 0 {
			l.visited[0], l.next = last, 1
		}
		if slices.Contains(l.visited[:], s.number) {
			return
		}
		l.visited[l.next%uint8(len(l.visited))] = s.number
		l.next++
	}
	if s.goroutines < len(s.ids) {
		s.ids[s.goroutines] = g.ID
	}
	s.goroutines++
	s.entry, s.created = g.Entry, g.CreatedAt
	s.testing = s.testing || p.Stack(ev.Stack).Testing || strings.HasSuffix(p.Frame(s.frame).File, "_test.go")
}

// unblock takes the wake-ups that Observe does not.
func (o *observer) unblock(p *traceload.Program, ev *traceload.Event, t, by *turn) {
	if by != nil {
		by.acted = true
	}
	if by != nil && ev.Waker == traceload.WakerGoroutine {
		o.asks(p, ev.ByStack) // now it is known
		o.Observe(p, ev)
		return
	}
	switch {
	case t.site == 0:
	case ev.Waker == traceload.WakerTimer:
		o.sites[t.site-1].wakes++
		t.paused, t.awake, t.acted = true, true, false
		l := o.looksOf(t)
		l.began, l.slept, l.partial = p.Now-traceload.Time(ev.Lived), ev.Lived, false
	default:
		o.disturb(t)
	}
}

// disturb notes that something else than a timer has ended a wait at a site.
func (o *observer) disturb(t *turn) {
	o.sites[t.site-1].others++
	if t.paused {
		t.awake = false
		o.looks.At(t.looks).row = 0
	}
}

// inVain books a look that found nothing.
func (o *observer) inVain(p *traceload.Program, g *traceload.Goroutine, t *turn, ran time.Duration) {
	s, l := o.sites[t.site-1], o.looks.At(t.looks)
	s.empties++
	s.pauses.Add(l.slept)
	if !l.partial {
		s.runs.Add(ran)
	}
	if l.row == 0 {
		l.rowFrom = l.began
	}
	l.row++
	if s.empties > warmUp {
		s.inVain++
		o.compare(p, g, s, l.began, false)
	}
}

// found books a look that found something to do; it leaves the line for it, or
// comes back at once.
func (o *observer) found(p *traceload.Program, g *traceload.Goroutine, t *turn, leaves bool) {
	s, l := o.sites[t.site-1], o.looks.At(t.looks)
	row := int(l.row)
	l.row = 0
	if !leaves {
		s.stays++
		if row > 0 {
			s.lateStays += l.slept / 2
		}
		return
	}
	if row == 0 {
		return // it has not looked in vain before: a pause, no poll
	}
	s.leaves++
	s.lateLeaves += l.slept / 2
	s.rowsTotal += row
	if t.asked {
		s.askedRows++
		if l.answered > l.began {
			s.answeredRows++
		}
		t.asked = false
	}
	if s.leaves == 1 {
		s.rowMin = row
		s.first = story{g.ID, l.rowFrom, p.Now, row + 1}
	}
	s.rowMin, s.rowMax = min(s.rowMin, row), max(s.rowMax, row)
	if s.occasions == 0 || p.Now.Sub(s.lastLeave) > l.slept {
		s.occasions++
		s.lastLeave = p.Now
		o.compare(p, g, s, l.began, true)
	}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, at := range o.stacks.All {
		o.settle(at)
	}
	o.judge(p)
}
