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
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, byFrame: map[traceload.FrameID]*site{}, timers: map[traceload.StackID]*maker{}}
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
	// maxClasses bounds the things that others do which are compared with.
	maxClasses = 128
)

// observer follows each goroutine from one timer's wake-up to the next.
type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	byFrame map[traceload.FrameID]*site
	sites   []*site // in order of appearance
	stacks  dense.ByID[traceload.StackID, spot]
	slots   dense.Slots[turn]
	looks   dense.Pool[looks]

	// What goroutines do, by where they came to block or by what ended: when
	// it happened last, and in which kind of goroutine.
	classes dense.ByID[traceload.FrameID, int16] // class + 1
	acts    []act                                // by class

	running time.Duration // of all goroutines
	samples int
	timers  map[traceload.StackID]*maker // by stack of a sample
	makers  []*maker
	_       cpu.CacheLinePad
}

// spot is what follows from a stack alone, each worked out when it is first asked for.
type spot struct {
	site  uint32 // number of the line; 0 if it is not the user's
	class int16  // of what blocks here, + 1
	flags uint8
}

const (
	siteKnown = 1 << iota
	asksKnown
	isAsking // see asks
)

type act struct {
	at    traceload.Time
	entry traceload.FrameID
	place traceload.FrameID // of the class
}

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

// tally counts the pauses in which another goroutine came to a place.
type tally struct {
	last  int32 // before a look that found something
	other int32 // before a look in vain
}

// turn is what is known of one goroutine that is alive.
type turn struct {
	life  uint32            // how many goroutines had the slot before
	site  uint32            // number of the line where it waits, or waited last; 0 if no timer ends that
	last  uint32            // number of the last such line, which counts it
	looks uint32            // in observer.looks; 0 for most
	owes  uint32            // who asked this one: its slot + 1; 0 if nobody did, or it is done
	asker uint32            // … and its life
	rest  traceload.FrameID // where it waited to be asked; 0 if it was started for it

	awake   bool // woken by a timer at site, and not back yet
	acted   bool // … and has done something since
	partial bool // … and its run was interrupted
	asked   bool // it has asked another goroutine for something, in that it woke or started it
}

// looks is what is known beyond that of a goroutine that a timer has woken, or that waits
// at several lines.
type looks struct {
	began    traceload.Time // of the last pause that a timer ended
	slept    time.Duration
	rowFrom  traceload.Time
	answered traceload.Time // when one that it had asked was done with it
	row      int32          // looks in vain one after the other

	next    uint8
	visited [4]uint32 // numbers of sites: counted there
}

// looksOf returns a goroutine's looks, after making a place for them if there is none.
func (o *observer) looksOf(t *turn) *looks {
	if t.looks == 0 {
		t.looks = o.looks.Take()
	}
	return o.looks.At(t.looks)
}

// forget clears what is known of a goroutine.
func (o *observer) forget(t *turn) {
	o.looks.Give(t.looks)
	*t = turn{life: t.life}
}

// story is the first row of looks that found something in the end.
type story struct {
	g        traceload.GoID
	from, to traceload.Time
	looks    int
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus:
		t := o.slots.At(g.Slot)
		if t.site != 0 {
			return // only its stack became known
		}
		o.forget(t)
		if g.State == traceload.StateWaiting && endedByTimers.has(g.Wait) {
			t.site = o.site(p, g.Stack, g.Wait)
		}
	case traceload.KindCreate:
		t := o.slots.At(g.Slot)
		o.forget(t)
		if by := o.slots.Of(ev.By); by != nil {
			by.acted = true
			if o.asks(p, ev.ByStack) {
				o.ask(ev.By.Slot, by, t, 0)
			}
		}
	case traceload.KindBlock:
		o.ran(ev)
		if t := o.slots.Of(g); t != nil && !g.System && g.Wait != traceload.WaitRuntime {
			o.block(p, ev, t)
		}
	case traceload.KindUnblock:
		if !g.System && g.Wait != traceload.WaitRuntime && !g.Wait.IsLock() {
			o.unblock(p, ev)
		}
	case traceload.KindStop, traceload.KindSyscallBegin:
		o.ran(ev)
		if t := o.slots.Of(g); t != nil {
			t.acted = true
		}
	case traceload.KindEnd:
		o.ran(ev)
		if t := o.slots.Of(g); t != nil {
			o.end(p, g, t)
		}
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

// waits is a set of kinds of waits.
type waits uint32

const endedByTimers waits = 1<<traceload.WaitSleep | 1<<traceload.WaitSelect | 1<<traceload.WaitChanReceive

func (s waits) has(w traceload.Wait) bool { return s&(1<<w) != 0 }

// site returns the number of the line of a wait that a timer may end; 0 for the library's.
func (o *observer) site(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) uint32 {
	at := o.stacks.At(stack)
	if at.flags&siteKnown == 0 {
		at.flags |= siteKnown
		at.site = o.lookUp(p, stack, wait)
	}
	return at.site
}

func (o *observer) lookUp(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) uint32 {
	frame := p.SiteID(stack)
	if frame == 0 || p.Frame(frame).Origin != traceload.OriginUser {
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

func (o *observer) siteOf(t *turn) *site { return o.sites[t.site-1] }

func (o *observer) block(p *traceload.Program, ev *traceload.Event, t *turn) {
	g := ev.G
	if g.Wait.IsLock() {
		t.partial = true // a look may have to wait for a lock
		return
	}
	at := o.stacks.At(ev.Stack)
	if at.class == 0 {
		at.class = int16(o.class(p.SiteID(ev.Stack)) + 1)
	}
	o.acts[at.class-1].note(p.Now, p.EntryID(g))
	if t.owes != 0 && t.rest != 0 && t.rest == p.SiteID(ev.Stack) {
		o.answer(p, t)
	}
	site := uint32(0)
	if endedByTimers.has(g.Wait) {
		if site = at.site; at.flags&siteKnown == 0 {
			site = o.site(p, ev.Stack, g.Wait)
		}
	}
	if t.awake {
		o.back(p, ev, t, site)
	}
	t.site, t.awake = site, false
	if site == 0 {
		return
	}
	s := o.sites[site-1]
	s.begun++
	if t.last != site {
		o.enter(p, ev, t, s)
	}
}

// back books the look that ends as its goroutine comes to block at a site, 0 for elsewhere.
func (o *observer) back(p *traceload.Program, ev *traceload.Event, t *turn, site uint32) {
	switch {
	case site == t.site && !t.acted && (ev.Lived <= aLook || t.partial):
		o.inVain(p, ev.G, t, ev.Lived)
	case site == t.site && !t.acted:
		o.siteOf(t).stays++ // it ran for long: it had something to do
		o.looks.At(t.looks).row = 0
	default:
		o.found(p, ev.G, t, site != t.site)
	}
}

// enter counts a goroutine that comes to wait at s, unless it has been there lately.
func (o *observer) enter(p *traceload.Program, ev *traceload.Event, t *turn, s *site) {
	g := ev.G
	last := t.last
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

func (o *observer) unblock(p *traceload.Program, ev *traceload.Event) {
	t, by := o.slots.Of(ev.G), o.slots.Of(ev.By)
	if by != nil {
		by.acted = true
	}
	if t == nil {
		return
	}
	if by != nil && ev.Waker == traceload.WakerGoroutine && o.asks(p, ev.ByStack) {
		if ev.Wait == traceload.WaitChanSend { // the one that took it is asked
			o.ask(ev.G.Slot, t, by, p.SiteID(ev.ByStack))
		} else {
			o.ask(ev.By.Slot, by, t, p.SiteID(ev.Stack))
		}
	}
	if t.site == 0 {
		return
	}
	s := o.siteOf(t)
	if ev.Waker == traceload.WakerTimer {
		s.wakes++
		o.woken(p, ev, t)
		return
	}
	s.others++
	t.awake = false
	if t.looks != 0 {
		o.looks.At(t.looks).row = 0
	}
}

// woken notes that a timer has ended a pause.
func (o *observer) woken(p *traceload.Program, ev *traceload.Event, t *turn) {
	t.awake, t.acted, t.partial = true, false, false
	l := o.looksOf(t)
	l.began, l.slept = p.Now-traceload.Time(ev.Lived), ev.Lived
}

func (o *observer) end(p *traceload.Program, g *traceload.Goroutine, t *turn) {
	if !g.System {
		entry := p.EntryID(g)
		o.acts[o.class(entry)].note(p.Now, entry)
	}
	if t.owes != 0 {
		o.answer(p, t)
	}
	if t.awake {
		o.found(p, g, t, true)
	}
	o.forget(t)
	t.life++
}

// asks tells whether it is the program that wakes or starts somebody at the top
// of this stack: what the standard library does so is its own affair, such as
// the goroutine that watches a request's connection.
func (o *observer) asks(p *traceload.Program, stack traceload.StackID) bool {
	at := o.stacks.At(stack)
	if at.flags&asksKnown == 0 {
		at.flags |= asksKnown
		if st := p.Stack(stack); st.Owner < 0 || p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginUser {
			at.flags |= isAsking
		}
	}
	return at.flags&isAsking != 0
}

// ask notes that the goroutine in a slot asked another one, which waits for such at rest.
func (o *observer) ask(slot int32, from, to *turn, rest traceload.FrameID) {
	from.asked = true
	if from.looks != 0 {
		o.looks.At(from.looks).answered = 0
	}
	to.owes, to.asker, to.rest = uint32(slot)+1, from.life, rest
}

// answer notes that a goroutine is done with what it was asked for. When that was is of
// interest only to one that has begun to look.
func (o *observer) answer(p *traceload.Program, t *turn) {
	if from := o.slots.At(int32(t.owes - 1)); from.life == t.asker && from.asked && from.looks != 0 {
		o.looks.At(from.looks).answered = p.Now
	}
	t.owes = 0
}

// inVain books a look that found nothing.
func (o *observer) inVain(p *traceload.Program, g *traceload.Goroutine, t *turn, ran time.Duration) {
	s, l := o.siteOf(t), o.looks.At(t.looks)
	s.empties++
	s.pauses.Add(l.slept)
	if !t.partial {
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
	s, l := o.siteOf(t), o.looks.At(t.looks)
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

func (o *observer) class(frame traceload.FrameID) int {
	c := o.classes.At(frame)
	if *c == 0 {
		if len(o.acts) < maxClasses {
			o.acts = append(o.acts, act{place: frame})
		}
		*c = int16(len(o.acts)) // what is rare enough to come last shares a place
	}
	return int(*c) - 1
}

func (a *act) note(now traceload.Time, entry traceload.FrameID) { a.at, a.entry = now, entry }

// compare notes what others came to do during the pause before a look. The
// goroutine's own kind is left out: siblings do the same at the same time.
func (o *observer) compare(p *traceload.Program, g *traceload.Goroutine, s *site, began traceload.Time, found bool) {
	for len(s.hits) < len(o.acts) {
		s.hits = append(s.hits, tally{})
	}
	entry := p.EntryID(g)
	for c := range o.acts {
		if a := &o.acts[c]; a.at > began && a.entry != entry {
			if found {
				s.hits[c].last++
			} else {
				s.hits[c].other++
			}
		}
	}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
