// Package locks knows who waits for which lock, who released it, and what the
// holder did meanwhile. It reports nothing by itself.
//
// The trace shows a lock only when somebody has to wait for it: the waiter's
// stack at Lock, and, in its wake-up, the goroutine that called Unlock and its
// stack. Three things are made of that: classes of lines that work on one lock
// (classes.go), what each holder was blocked on while it held the lock and how
// much of whose waiting that explains (holds.go, verdict.go), and who holds and
// waits for what when the trace ends.
package locks

import (
	"slices"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact is the one instance per walk.
var Fact = &detectors.Fact[*Table]{
	Name: "locks",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStart, traceload.KindSyscallEnd),
	New: func(p *detectors.Pass) *Table {
		t := &Table{
			source:  p.Source,
			nodes:   map[nodeKey]int32{},
			lines:   map[traceload.StackID]*Line{},
			exits:   map[traceload.StackID]*Exit{},
			pairs:   map[pairKey]int32{},
			locksIn: map[traceload.FuncID][]int32{},
			exitsIn: map[traceload.FuncID][]int32{},
			kin:     map[pairKey]int{},
			shares:  map[shareKey]*Share{},
			holdups: []*Holdup{nil},
		}
		t.node(nodeKey{}, 0) // node 0 is none
		return t
	},
}

// Table is what is known of all locks. Its exported fields are set by Finish.
type Table struct {
	_ cpu.CacheLinePad

	// Classes are the locks that somebody waited for, those that cost most first.
	Classes []*Class

	source  func() detectors.Source // gives nil where it is not to be read
	nodes   map[nodeKey]int32
	classes []*class
	workers []worker // by slot
	notes   []*note  // by stack
	lines   map[traceload.StackID]*Line
	exits   map[traceload.StackID]*Exit
	pairs   map[pairKey]int32
	locksIn map[traceload.FuncID][]int32 // nodes that lock, by the function that does
	exitsIn map[traceload.FuncID][]int32 // nodes that unlock
	kin     map[pairKey]int              // see joinKin
	holdups []*Holdup                    // by number; 0 is none
	shares  map[shareKey]*Share
	records [1 << 9]record
	written uint32 // records so far
	_       cpu.CacheLinePad
}

// worker is what is remembered of one goroutine.
type worker struct {
	id     traceload.GoID
	spans  []span // its last waits, oldest first
	fresh  bool   // it has released a lock since the last of them
	oldest uint8  // of recent
	late   time.Duration
	recent [2]lack   // the last times that it lacked a processor, in any order
	lock   *dealings // nil if it never met a lock
}

// lack is a stretch in which a goroutine could have run and did not.
type lack struct{ from, to traceload.Time }

// dealings is what is remembered of a goroutine that waits for locks or made
// others wait.
type dealings struct {
	waits       bool // now
	node        int32
	kind        traceload.Wait
	since       traceload.Time
	stack       traceload.StackID
	requeued    bool  // it was woken, found the lock taken again, and is first in the queue
	before      int32 // how many others waited already
	unscheduled time.Duration

	last    traceload.StackID // where it was woken last, until it is woken from something else
	handed  [4]handing
	release release
	counted []*int32 // the counters that it has been counted in
}

// handing says that the goroutine was woken for a lock, and probably has it.
type handing struct {
	node  int32 // 0: none
	kind  traceload.Wait
	since traceload.Time // it had waited
	at    traceload.Time
	stack traceload.StackID // of its Lock
	chain uint32
	late  time.Duration // worker.late at that time
}

// release is the last Unlock of a goroutine that woke somebody.
type release struct {
	node    int32
	running traceload.Time // since when it had been running
	chain   uint32         // the last record of holds up to here
	late    time.Duration  // of this hold: it lacked a processor
}

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g == nil || g.System {
		return
	}
	if ev.Kind == traceload.KindBlock && !ev.Wait.IsLock() {
		return // told when it ends
	}
	w := t.worker(p, g)
	switch ev.Kind {
	case traceload.KindStart:
		if ev.From == traceload.StateRunnable {
			w.late += ev.Lived
			w.recent[w.oldest] = lack{ev.Time - traceload.Time(ev.Lived), ev.Time}
			w.oldest ^= 1
		}
	case traceload.KindStatus:
		if g.State == traceload.StateWaiting && g.Wait.IsLock() {
			t.enter(p, g, w)
		}
	case traceload.KindBlock:
		t.enter(p, g, w)
	case traceload.KindUnblock:
		if w.lock != nil && !ev.Wait.IsLock() {
			w.lock.last = 0
		}
		if ev.Wait == traceload.WaitRuntime {
			w.late += ev.Lived
			return
		}
		if ev.Wait.IsLock() {
			t.leave(p, g, w, ev)
		} else if ev.By != nil && t.note(p, ev.ByStack).unlock { // where it waited is not known
			c := t.class(t.note(p, ev.ByStack).node)
			c.released, c.moved = ev.Time, true
		}
		if ev.Stack != 0 {
			n := t.note(p, ev.Stack)
			if n.wait != ev.Wait || n.cause == CauseNone {
				n.wait, n.cause = ev.Wait, n.causeOf(ev.Wait)
			}
			if n.cause != CauseNone {
				n.reason = ev.Reason
				w.remember(ev, n.cause)
			}
		}
	case traceload.KindSyscallEnd:
		if ev.Lived >= shortSyscall {
			cause := CauseSyscall
			if t.note(p, ev.Stack).network {
				cause = CauseNetwork
			}
			if ev.Stack != 0 {
				w.remember(ev, cause)
			}
		}
	}
}

// worker returns what is remembered of g.
func (t *Table) worker(p *traceload.Program, g *traceload.Goroutine) *worker {
	if i := int(g.Slot); i < len(t.workers) {
		if w := &t.workers[i]; w.id == g.ID {
			return w
		}
	}
	return t.welcome(p, g)
}

// welcome makes the place for a goroutine that is new to the table.
func (t *Table) welcome(p *traceload.Program, g *traceload.Goroutine) *worker {
	if int(g.Slot) >= len(t.workers) {
		t.workers = append(t.workers, make([]worker, max(p.Slots(), int(g.Slot)+1)-len(t.workers))...)
	}
	w := &t.workers[g.Slot]
	if l := w.lock; l != nil {
		if l.waits {
			t.forget(l, p.Now)
		}
		*l = dealings{counted: l.counted[:0]}
	}
	*w = worker{id: g.ID, spans: w.spans[:0], lock: w.lock}
	return w
}

func (w *worker) dealings() *dealings {
	if w.lock == nil {
		w.lock = new(dealings)
	}
	return w.lock
}

// enter notes that g began to wait for a lock, or was found waiting.
func (t *Table) enter(p *traceload.Program, g *traceload.Goroutine, w *worker) {
	n := t.note(p, g.Stack)
	if n.node == 0 || n.unlock {
		return
	}
	l := w.dealings()
	if l.waits {
		t.forget(l, p.Now)
	}
	c := t.class(n.node)
	l.waits, l.node, l.kind, l.since, l.stack = true, n.node, g.Wait, g.Since, g.Stack
	l.requeued = g.Wait == traceload.WaitMutex && l.last == g.Stack
	l.unscheduled = c.unscheduled
	l.before = int32(c.open)
	if c.open++; c.open == 1 {
		c.opened = g.Since
	}
	n.reason = g.Reason
	if n := &c.waiting[queueOf(g.Wait)]; g.Wait == traceload.WaitRWMutexW && *n > 0 {
		c.outOfOrder++ // one lock has one writer that waits for its readers
	}
	c.waiting[queueOf(g.Wait)]++
}

// forget takes a waiter out of its class.
func (t *Table) forget(l *dealings, now traceload.Time) {
	c := t.class(l.node)
	c.waiting[queueOf(l.kind)]--
	if c.open--; c.open == 0 {
		c.busy += now.Sub(c.opened)
	}
	l.waits = false
}

// leave takes what a wake-up from a lock tells.
func (t *Table) leave(p *traceload.Program, g *traceload.Goroutine, w *worker, ev *traceload.Event) {
	l := w.lock
	if l == nil || !l.waits {
		return
	}
	wait := stay{since: ev.Time - traceload.Time(ev.Lived), until: ev.Time, kind: ev.Wait}
	if ev.FromKnown && !l.requeued {
		t.class(l.node).judgeOrder(wait)
	}
	t.forget(l, p.Now)
	l.last = ev.Stack
	line := t.line(p, g, l)
	line.count(l, ev.Lived)
	if ev.Lived == line.Longest {
		line.Sample = Wait{Waiter: g.ID, Holder: traceload.NoGoroutine, Since: wait.since, Until: wait.until, Before: int(l.before)}
		if ev.By != nil {
			line.Sample.Holder, line.Sample.Exit = ev.By.ID, ev.ByStack
		}
	}

	by := t.note(p, ev.ByStack)
	if ev.By == nil || ev.By == g || ev.By.System || !by.unlock {
		c := t.class(l.node)
		c.released, c.moved, c.heir = ev.Time, true, traceload.NoGoroutine
		return
	}
	c := t.join(l.node, by.node)
	if ev.Wait == traceload.WaitRWMutexR && by.write {
		c = t.joinWriter(p, ev, wait, by.node)
	}
	c = t.joinKin(p, c, ev, by.node)
	last := t.release(p, c, ev, wait)
	t.explain(p, c, line, g, wait, last)
	*l.place(t, l.node) = handing{l.node, ev.Wait, wait.since, ev.Time, ev.Stack, last.chain, t.workers[g.Slot].late}
	c.heir = traceload.NoGoroutine
	if ev.Wait != traceload.WaitRWMutexR {
		c.heir, c.heirSlot = g.ID, g.Slot
	}
}

// place returns where to note that a lock of node's class was handed to l's
// goroutine: in place of what is known of that class, or of the oldest.
func (l *dealings) place(t *Table, node int32) *handing {
	oldest := &l.handed[0]
	for i := range l.handed {
		h := &l.handed[i]
		if h.node == 0 || t.root(h.node) == t.root(node) {
			return h
		}
		if h.at < oldest.at {
			oldest = h
		}
	}
	return oldest
}

// find returns the handing of a lock of that class to l's goroutine, nil if there is none.
func (l *dealings) find(t *Table, node int32) *handing {
	for i := range l.handed {
		if h := &l.handed[i]; h.node != 0 && t.root(h.node) == t.root(node) {
			return h
		}
	}
	return nil
}

// Line is a line that goroutines waited at: one stack that called Lock.
type Line struct {
	Stack traceload.StackID
	Wait  traceload.Wait
	Cond  bool // inside Cond.Wait, which takes its lock again
	Who   Crowd
	Waits int // those that were woken only to find the lock taken again count once
	// Waited is the time of all waits that have ended, and, as far as the lock
	// was seen to move, of those that had not when the trace ended.
	Waited  time.Duration
	Longest time.Duration
	// Of Waited: the holders were blocked (only what was proved); they lacked
	// a processor; a writer waited for the readers before it.
	Blocked, Unscheduled, Pending time.Duration
	Sample                        Wait // the longest wait

	node int32
}

// Wait is one wait for a lock that ended.
type Wait struct {
	Waiter, Holder traceload.GoID // Holder, who ended it, is NoGoroutine if unknown
	Since, Until   traceload.Time
	Exit           traceload.StackID // of Holder
	Before         int               // how many waited already when it began
}

// Exit is a line that released a lock to a waiter: one stack that called Unlock.
type Exit struct {
	Stack traceload.StackID
	Read  bool // RUnlock
	Who   Crowd
	Wakes int
	Holds int           // one Unlock of an RWMutex may wake many readers
	Held  time.Duration // for how long others had waited for the holds to end, summed

	node      int32
	blocked   time.Duration // of Held, by all holdups; set by Finish
	explained int           // waits, by all holdups
}

// Crowd is the goroutines that played one part.
type Crowd struct {
	Count   int32 // different ones
	IDs     []int64
	Entry   traceload.FrameID // of the first
	Created traceload.StackID
}

// maxCounted bounds what is remembered of one goroutine; one that takes part
// in more may be counted twice.
const maxCounted = 64

// note tells whether the goroutine has not been counted in count, and counts it.
func (l *dealings) note(count *int32) bool {
	if slices.Contains(l.counted, count) {
		return false
	}
	if len(l.counted) == maxCounted {
		l.counted = l.counted[:0]
	}
	l.counted = append(l.counted, count)
	*count++
	return true
}

// note counts g, once. l is g's dealings.
func (c *Crowd) note(p *traceload.Program, g *traceload.Goroutine, l *dealings) {
	if !l.note(&c.Count) {
		return
	}
	if c.Count == 1 {
		c.Entry, c.Created = p.EntryID(g), g.CreatedAt
	}
	if len(c.IDs) < detectors.MaxGroupIDs && !slices.Contains(c.IDs, int64(g.ID)) {
		c.IDs = append(c.IDs, int64(g.ID))
	}
}

func (t *Table) line(p *traceload.Program, g *traceload.Goroutine, l *dealings) *Line {
	line, ok := t.lines[l.stack]
	if !ok {
		line = &Line{Stack: l.stack, Wait: l.kind, Cond: t.note(p, l.stack).cond, node: l.node}
		t.lines[l.stack] = line
	}
	line.Who.note(p, g, l)
	l.note(&t.class(l.node).who[queueOf(l.kind)])
	return line
}

func (line *Line) count(l *dealings, d time.Duration) {
	if !l.requeued {
		line.Waits++
	}
	line.Waited += d
	line.Longest = max(line.Longest, d)
}
