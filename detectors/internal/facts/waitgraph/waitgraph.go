// Package waitgraph joins what goroutines wait for with who holds it: locks
// from wake-ups and lines (facts/locks), names and holders from the source
// where it is at hand, and who used to wake a place. It finds the knots: sets
// of goroutines that wait for each other, and locks that nobody holds any more.
package waitgraph

import (
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact is the one instance per walk.
var Fact = &detectors.Fact[*Tracker]{
	Name:    "waitgraph",
	Watches: traceload.KindSet(traceload.KindUnblock, traceload.KindEnd),
	New: func(p *detectors.Pass) *Tracker {
		t := &Tracker{pass: p, locks: detectors.Need(p, locks.Fact), studies: map[studyKey]*study{}, looked: map[traceload.StackID]bool{}}
		p.Keep(&t.rests)
		return t
	},
}

const (
	// minAge is how long a wait must have lasted to be part of a knot: a knot
	// is for ever, and what is shorter may be a slip of the inference.
	minAge = 50 * time.Millisecond
	// maxLooks bounds how often the graph is built before the trace's end.
	maxLooks = 32
	// maxHolders bounds the goroutines among which cycles are looked for.
	maxHolders = 400
)

// Tracker is the fact. Knots is set by Finish.
type Tracker struct {
	_ cpu.CacheLinePad

	Knots []*Knot

	pass    *detectors.Pass
	locks   *locks.Table
	ended   dense.ByID[traceload.FuncID, int] // goroutines, by entry function
	studies map[studyKey]*study
	rests   traceload.Beside[traceload.Time] // when it last waited for something, plus one; 0 if it never did
	looked  map[traceload.StackID]bool       // stacks for which the graph was built before the end
	looks   int

	// wakers says that a wait on something else than a lock, at a place (a
	// FrameID), was ended by a function (a FuncID), or by a goroutine with that
	// entry function.
	wakers  dense.Pairs[waker]
	entered [1 << 9]wake // there, lately; by its place
	_       cpu.CacheLinePad
}

// wake is how a wait ended: what tells whether it was entered in wakers.
type wake struct {
	stack, by, entry traceload.StackID // where somebody waited, and where its waker stood and began
	wait             traceload.Wait
}

func wakeOf(ev *traceload.Event) wake {
	return wake{ev.Stack, ev.ByStack, ev.By.Entry, ev.Wait}
}

func (w wake) place() uint32 {
	return (uint32(w.stack)*0x9e3779b1 + uint32(w.by)*0x85ebca6b + uint32(w.entry)*0xc2b2ae35) >> (32 - 9)
}

// ranSince tells whether n may have run ever since.
func (n *Node) ranSince(since traceload.Time) bool {
	return (!n.G.BornKnown || n.G.Born <= since) && n.rest <= since
}

// waker says what of a function is known to end waits at a place.
type waker uint8

const (
	wakerSite  waker = 1 << iota // the function itself
	wakerEntry                   // a goroutine that began with it
)

// ends tells whether w is known to end waits at site.
func (t *Tracker) ends(site traceload.FrameID, fn traceload.FuncID, w waker) bool {
	known := t.wakers.Find(uint32(site), uint32(fn))
	return known != nil && *known&w != 0
}

func (t *Tracker) learn(site traceload.FrameID, fn traceload.FuncID, w waker) {
	*t.wakers.At(uint32(site), uint32(fn)) |= w
}

// Observe implements detectors.Observer.
func (t *Tracker) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if ev.Kind == traceload.KindEnd {
		if e := p.Entry(g); e != nil {
			*t.ended.At(e.FuncID)++
		}
		return
	}
	*t.rests.At(g) = ev.Time + 1
	if ev.Waker == traceload.WakerGoroutine {
		if w := wakeOf(ev); t.entered[w.place()] == w {
			return
		}
	}
	t.unblock(p, ev)
}

// unblock takes the end of a wait that was not entered as it is.
func (t *Tracker) unblock(p *traceload.Program, ev *traceload.Event) {
	if ev.G.System || ev.Wait.IsLock() || ev.Wait == traceload.WaitRuntime || ev.Stack == 0 {
		return
	}
	if ev.By != nil {
		t.woken(p, ev)
	}
	// A knot that a time-out unties shows at that very moment: whoever gives
	// up waiting was part of it until now.
	if ev.Lived >= minAge && (ev.Waker == traceload.WakerTimer || ev.Waker == traceload.WakerDeadline) &&
		(ev.Wait == traceload.WaitSelect || ev.Wait == traceload.WaitChanReceive) && !t.looked[ev.Stack] && t.looks < maxLooks {
		t.looked[ev.Stack] = true
		t.looks++
		t.find(p, ev)
	}
}

// woken notes who ends what waits.
func (t *Tracker) woken(p *traceload.Program, ev *traceload.Event) {
	of := wakeOf(ev)
	known := &t.entered[of.place()]
	if *known == of {
		return
	}
	*known = of
	w, f := p.Site(ev.Stack), p.Site(ev.ByStack)
	if f != nil {
		t.learn(p.SiteID(ev.Stack), f.FuncID, wakerSite)
	}
	if f != nil && w != nil && (ev.Wait == traceload.WaitChanSend || ev.Wait == traceload.WaitChanReceive || ev.Wait == traceload.WaitSelect) {
		t.learn(p.SiteID(ev.ByStack), w.FuncID, wakerSite) // what was done to the one might be done by the other
	}
	if e := p.Entry(ev.By); e != nil {
		t.learn(p.SiteID(ev.Stack), e.FuncID, wakerEntry)
	}
}

// Finish implements detectors.Observer.
func (t *Tracker) Finish(p *traceload.Program) { t.find(p, nil) }

// Proof says how it is known that a goroutine holds a lock.
type Proof uint8

const (
	ByNothing  Proof = iota
	ByPresence       // it waits for something else in a method of the lock's type, alone
	ByPlace          // it is at work in a method of the lock's type, alone
	ByLines          // it stands behind a line that locks, or before one that unlocks, in the same call
	ByWindow         // it stands between a line that locks and one that unlocks, or has unlocked after standing there
	BySource         // the source says so
)

// Lock is a lock as the graph knows it.
type Lock struct {
	Name string // "Cache.mu"; "" if the source is not at hand
	Line detectors.Frame
	// Single is true if it is known to be one object, not one of many of its kind.
	Single bool
	key    string

	// Without source:
	named       bool // Line is where a holder took it
	guessed     bool // that its lines work on one lock follows from the type of their methods
	running     bool // a goroutine has run ever since somebody waits for it, and may hold it
	crowded     bool // others work in methods of its type
	suspects    int  // those that may hold it
	open        bool // it was seen to be released elsewhere, or its type is known to have several locks
	disciplined bool // it was only ever released by methods of the types that lock it
}

// Hold is a lock that a goroutine holds.
type Hold struct {
	Lock  *Lock
	Read  bool
	Taken detectors.Frame // where it was taken
	Proof Proof
	alone bool             // nobody else stands so
	sole  bool             // that it is the lock waited for follows from nobody else holding one of its name
	fn    traceload.FuncID // the function that holds it
}

// Node is a goroutine in the graph.
type Node struct {
	G     traceload.Goroutine // a copy, as of the moment
	Wait  traceload.Wait
	Site  detectors.Frame // the user's line where it waits
	For   *Lock           // the lock that it waits for; nil if it waits for something else
	Read  bool            // it waits in RLock
	What  string          // in a Cycle: what else it waits for, in words: "waits to send (r.events)"
	Holds []Hold

	class locks.ID // of the lock that it waits for
	again bool     // it may hold the lock that it waits for, from an earlier turn of a loop
	owns  *Hold
	known bool           // its stack could be studied
	rest  traceload.Time // as in Tracker.rests
}

// Knot is a set of goroutines that cannot go on.
type Knot struct {
	Cause string // of detector deadlock
	// Cycle is the goroutines in order: each waits for the next, the last for
	// the first. For unreleased it is empty.
	Cycle []*Node
	// Among is how many goroutines hold a lock of the one kind that the cycle is about, and wait
	// for another, if the cycle is but an example of who may be in it; else 0.
	Among int
	// Locks is what they wait for, by index of Cycle (nil for a channel). For
	// unreleased the one lock.
	Locks []*Lock
	// Behind waits for a lock of the knot without being part of it, oldest first.
	Behind []*Node
	Closed traceload.Time // when the last of the cycle began to wait
	Until  traceload.Time // when it was untied, or the trace's end
	Untied bool
	// Confidence that this is a deadlock.
	Confidence float64
	Evidence   []detectors.Evidence
}
