// Package waitgraph joins what goroutines wait for with who holds it: locks
// from wake-ups and lines (facts/locks), names and holders from the source
// where it is at hand, and who used to wake a place. It finds the knots: sets
// of goroutines that wait for each other, and locks that nobody holds any more.
package waitgraph

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact is the one instance per walk.
var Fact = &detectors.Fact[*Tracker]{
	Name:    "waitgraph",
	Watches: traceload.KindSet(traceload.KindUnblock),
	New: func(p *detectors.Pass) *Tracker {
		return &Tracker{pass: p, locks: detectors.Need(p, locks.Fact), wakers: map[wakeKey]bool{}, studies: map[studyKey]*study{}, looked: map[traceload.StackID]bool{}}
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
	Knots []*Knot

	pass    *detectors.Pass
	locks   *locks.Table
	wakers  map[wakeKey]bool
	studies map[studyKey]*study
	looked  map[traceload.StackID]bool // stacks for which the graph was built before the end
	looks   int
}

// wakeKey says that a wait on something else than a lock, at a place, was
// ended by a function, or by a goroutine with that entry function.
type wakeKey struct {
	site  traceload.FrameID
	waker traceload.FuncID
}

// Observe implements detectors.Observer.
func (t *Tracker) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g.System || ev.Wait.IsLock() || ev.Wait == traceload.WaitRuntime || ev.Stack == 0 {
		return
	}
	if ev.By != nil {
		site := p.SiteID(ev.Stack)
		if f := p.Site(ev.ByStack); f != nil {
			t.wakers[wakeKey{site, f.FuncID}] = true
		}
		if e := p.Entry(ev.By); e != nil {
			t.wakers[wakeKey{site, e.FuncID}] = true
		}
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

// Finish implements detectors.Observer.
func (t *Tracker) Finish(p *traceload.Program) { t.find(p, nil) }

// Proof says how it is known that a goroutine holds a lock.
type Proof uint8

const (
	ByLines  Proof = iota // it stands below a line where others wait for the lock, in the same call
	ByWindow              // it stands between a line that locks and one that unlocks
	BySource              // the source says so
)

// Lock is a lock as the graph knows it.
type Lock struct {
	Name string // "Cache.mu"; "" if the source is not at hand
	Line detectors.Frame
	// Single is true if it is known to be one object, not one of many of its kind.
	Single bool
	key    string
}

// Hold is a lock that a goroutine holds.
type Hold struct {
	Lock  *Lock
	Read  bool
	Taken detectors.Frame // where it was taken
	Proof Proof
}

// Node is a goroutine in the graph.
type Node struct {
	G     traceload.Goroutine // a copy, as of the moment
	Wait  traceload.Wait
	Site  detectors.Frame // the user's line where it waits
	For   *Lock           // the lock that it waits for; nil if it waits for something else
	Read  bool            // it waits in RLock
	What  string          // what else it waits for, in words: "to send on r.events"
	Holds []Hold

	again bool // it may hold the lock that it waits for, from an earlier turn of a loop
	owns  *Hold
	known bool // its stack could be studied
}

// Knot is a set of goroutines that cannot go on.
type Knot struct {
	Cause string // of detector deadlock
	// Cycle is the goroutines in order: each waits for the next, the last for
	// the first. For unreleased it is empty.
	Cycle []*Node
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
