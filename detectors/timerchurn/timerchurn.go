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
	sites   []*site           // in order of appearance
	byStack []*site           // by StackID; nil: not looked up yet
	slots   dense.Slots[turn] // by Goroutine.Slot
	asking  dense.Answers

	// What goroutines do, by where they came to block or by what ended: when
	// it happened last, and in which kind of goroutine.
	classes dense.ByID[traceload.FrameID, int16] // class + 1
	byBlock dense.ByID[traceload.StackID, int16] // class + 1
	acts    []act                                // by class

	running time.Duration // of all goroutines
	samples int
	timers  map[traceload.StackID]*maker // by stack of a sample
	makers  []*maker
	_       cpu.CacheLinePad
}

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
	site    *site
	began   traceload.Time // of its pause
	slept   time.Duration
	rowFrom traceload.Time
	row     int32 // looks in vain one after the other
	awake   bool  // woken by a timer at site, and not back yet
	acted   bool  // … and has done something since
	partial bool  // … and its run was interrupted

	asked    bool              // it has asked another goroutine for something, in that it woke or started it
	answered traceload.Time    // when that one was done with it
	owes     traceload.GoID    // who asked this one
	rest     traceload.FrameID // where it waited to be asked; 0 if it was started for it

	next    uint8
	visited [4]uint32 // numbers of sites: counted there
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
	if ev.Kind == traceload.KindSample {
		o.sample(p, ev.Stack)
		return
	}
	if ev.From == traceload.StateRunning {
		o.running += ev.Lived
	}
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		t := o.slots.At(g.Slot)
		if ev.Kind == traceload.KindStatus && ev.From == traceload.StateUnknown && t.site != nil {
			return // only its stack became known
		}
		*t = turn{}
		if ev.Kind == traceload.KindCreate {
			o.act(ev.By)
			if o.asking.Of(p, ev.ByStack, asks) {
				o.ask(ev.By, g, 0)
			}
		} else if g.State == traceload.StateWaiting {
			t.site = o.site(p, g.Stack, g.Wait)
		}
	case traceload.KindBlock:
		if !g.System && g.Wait != traceload.WaitRuntime {
			o.block(p, ev)
		}
	case traceload.KindUnblock:
		if !g.System && g.Wait != traceload.WaitRuntime {
			o.unblock(p, ev)
		}
	case traceload.KindStop, traceload.KindSyscallBegin:
		o.act(g)
	case traceload.KindEnd:
		if t := o.turn(g); t != nil {
			o.came(p, g, p.EntryID(g))
			o.answer(p, t)
			if t.awake {
				o.found(p, g, t, true)
			}
			*t = turn{}
		}
	}
}

func (o *observer) turn(g *traceload.Goroutine) *turn {
	return o.slots.Of(g)
}

// act notes that a goroutine has done something that others see.
func (o *observer) act(g *traceload.Goroutine) {
	if t := o.turn(g); t != nil {
		t.acted = true
	}
}

// site returns the line where a timer may end the wait; nil for other waits.
func (o *observer) site(p *traceload.Program, stack traceload.StackID, wait traceload.Wait) *site {
	if wait != traceload.WaitSleep && wait != traceload.WaitSelect && wait != traceload.WaitChanReceive {
		return nil
	}
	for len(o.byStack) <= int(stack) {
		o.byStack = append(o.byStack, nil)
	}
	if s := o.byStack[stack]; s != nil {
		return s
	}
	frame := p.SiteID(stack)
	if frame == 0 || p.Frame(frame).Origin != traceload.OriginUser {
		return nil
	}
	s := o.byFrame[frame]
	if s == nil {
		s = &site{number: uint32(len(o.sites) + 1), frame: frame, stack: stack, wait: wait}
		o.byFrame[frame] = s
		o.sites = append(o.sites, s)
	}
	o.byStack[stack] = s
	return s
}

func (o *observer) block(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	t := o.turn(g)
	if t == nil {
		return
	}
	if g.Wait.IsLock() {
		t.partial = true // a look may have to wait for a lock
		return
	}
	o.arrive(p, g, ev.Stack)
	if t.owes != 0 && t.rest != 0 && t.rest == p.SiteID(ev.Stack) {
		o.answer(p, t)
	}
	s := o.site(p, ev.Stack, g.Wait)
	if t.awake {
		switch {
		case s == t.site && !t.acted && (ev.Lived <= aLook || t.partial):
			o.inVain(p, g, t, ev.Lived)
		case s == t.site && !t.acted:
			s.stays++ // it ran for long: it had something to do
			t.row = 0
		default:
			o.found(p, g, t, s != t.site)
		}
	}
	t.site, t.began, t.awake = s, p.Now, false
	if s == nil {
		return
	}
	s.begun++
	if !slices.Contains(t.visited[:], s.number) {
		t.visited[t.next%uint8(len(t.visited))] = s.number
		t.next++
		if s.goroutines < len(s.ids) {
			s.ids[s.goroutines] = g.ID
		}
		s.goroutines++
		s.entry, s.created = g.Entry, g.CreatedAt
		s.testing = s.testing || p.Stack(ev.Stack).Testing || strings.HasSuffix(p.Frame(s.frame).File, "_test.go")
	}
}

func (o *observer) unblock(p *traceload.Program, ev *traceload.Event) {
	if !ev.Wait.IsLock() {
		o.act(ev.By)
	}
	t := o.turn(ev.G)
	if t == nil || ev.Wait.IsLock() {
		return
	}
	if ev.Waker == traceload.WakerGoroutine && o.asking.Of(p, ev.ByStack, asks) {
		if ev.Wait == traceload.WaitChanSend { // the one that took it is asked
			o.ask(ev.G, ev.By, p.SiteID(ev.ByStack))
		} else {
			o.ask(ev.By, ev.G, p.SiteID(ev.Stack))
		}
	}
	s := t.site
	if s == nil {
		return
	}
	if ev.Waker != traceload.WakerTimer {
		s.others++
		t.row, t.awake = 0, false
		return
	}
	s.wakes++
	t.awake, t.acted, t.partial, t.slept = true, false, false, ev.Lived
}

// asks tells whether it is the program that wakes or starts somebody at the top
// of this stack: what the standard library does so is its own affair, such as
// the goroutine that watches a request's connection.
func asks(p *traceload.Program, id traceload.StackID) bool {
	st := p.Stack(id)
	return st.Owner < 0 || p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginUser
}

// ask notes that one goroutine asked another one, which waits for such at rest.
func (o *observer) ask(asker, asked *traceload.Goroutine, rest traceload.FrameID) {
	from, to := o.turn(asker), o.turn(asked)
	if from == nil || to == nil {
		return
	}
	from.asked, from.answered = true, 0
	to.owes, to.rest = asker.ID, rest
}

// answer notes that a goroutine is done with what it was asked for.
func (o *observer) answer(p *traceload.Program, t *turn) {
	if t.owes == 0 {
		return
	}
	if from := o.turn(p.Goroutine(t.owes)); from != nil && from.asked {
		from.answered = p.Now
	}
	t.owes = 0
}

// inVain books a look that found nothing.
func (o *observer) inVain(p *traceload.Program, g *traceload.Goroutine, t *turn, ran time.Duration) {
	s := t.site
	s.empties++
	s.pauses.Add(t.slept)
	if !t.partial {
		s.runs.Add(ran)
	}
	if t.row == 0 {
		t.rowFrom = t.began
	}
	t.row++
	if s.empties > warmUp {
		s.inVain++
		o.compare(p, g, t, false)
	}
}

// found books a look that found something to do; it leaves the line for it, or
// comes back at once.
func (o *observer) found(p *traceload.Program, g *traceload.Goroutine, t *turn, leaves bool) {
	s, row := t.site, t.row
	t.row, t.awake = 0, false
	if !leaves {
		s.stays++
		if row > 0 {
			s.lateStays += t.slept / 2
		}
		return
	}
	if row == 0 {
		return // it has not looked in vain before: a pause, no poll
	}
	s.leaves++
	s.lateLeaves += t.slept / 2
	s.rowsTotal += int(row)
	if t.asked {
		s.askedRows++
		if t.answered > t.began {
			s.answeredRows++
		}
		t.asked = false
	}
	if s.leaves == 1 {
		s.rowMin = int(row)
		s.first = story{g.ID, t.rowFrom, p.Now, int(row) + 1}
	}
	s.rowMin, s.rowMax = min(s.rowMin, int(row)), max(s.rowMax, int(row))
	if s.occasions == 0 || p.Now.Sub(s.lastLeave) > t.slept {
		s.occasions++
		s.lastLeave = p.Now
		o.compare(p, g, t, true)
	}
}

// arrive notes that g came to block at a place.
func (o *observer) arrive(p *traceload.Program, g *traceload.Goroutine, stack traceload.StackID) {
	c := o.byBlock.At(stack)
	if *c == 0 {
		*c = int16(o.class(p.SiteID(stack)) + 1)
	}
	o.note(p, int(*c)-1, p.EntryID(g))
}

// came notes that a goroutine of that entry function ended.
func (o *observer) came(p *traceload.Program, g *traceload.Goroutine, entry traceload.FrameID) {
	if !g.System {
		o.note(p, o.class(entry), entry)
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

func (o *observer) note(p *traceload.Program, class int, entry traceload.FrameID) {
	a := &o.acts[class]
	a.at, a.entry = p.Now, entry
}

// compare notes what others came to do during the pause before a look. The
// goroutine's own kind is left out: siblings do the same at the same time.
func (o *observer) compare(p *traceload.Program, g *traceload.Goroutine, t *turn, found bool) {
	s := t.site
	for len(s.hits) < len(o.acts) {
		s.hits = append(s.hits, tally{})
	}
	entry := p.EntryID(g)
	for c := range o.acts {
		if a := &o.acts[c]; a.at > t.began && a.entry != entry {
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
