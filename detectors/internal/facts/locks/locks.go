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
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact is the one instance per walk.
var Fact = &detectors.Fact[*Table]{
	Name: "locks",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallEnd),
	Begins: traceload.Locks, // of others all is told when they end
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
			dealt:   []*dealings{nil},
		}
		p.Keep(&t.workers)
		t.node(nodeKey{}, 0)        // node 0 is none
		t.marks.At(0).flags = wakes // nothing is known of stack 0
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
	workers traceload.Lasting[worker]
	dealt   []*dealings // by number; 0 is none
	idle    []uint32    // numbers of those that are nobody's
	past    dense.Pool[past]
	list    []span  // see spans
	notes   []*note // by stack
	marks   dense.ByID[traceload.StackID, mark]
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
	last   span    // its last wait; without a stack if there was none
	recent [2]lack // the last times that it lacked a processor, oldest first; see ready
	past   uint32  // the place of what is remembered of the waits before; 0 as long as there were none
	lock   uint32  // the number of its dealings; 0 if it never met a lock
}

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

	late    time.Duration     // see lateOf
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
	late  time.Duration // lateOf at that time
}

// release is the last Unlock of a goroutine that woke somebody.
type release struct {
	node    int32
	running traceload.Time // since when it had been running
	chain   uint32         // the last record of holds up to here
	late    time.Duration  // of this hold: it lacked a processor
}

// Observe implements detectors.Observer. Nearly all events are done with here.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g.System {
		return
	}
	switch ev.Kind {
	case traceload.KindUnblock:
		w := t.workers.At(g)
		if w.id != g.ID {
			t.first(p, ev)
			return
		}
		w.ready(ev.Time, g)
		m := t.marks.Get(ev.Stack)
		if m.flags&plain == 0 || m.wait != ev.Wait || m.reason != ev.Reason || t.marks.Get(ev.ByStack).flags&(wakes|frees) != wakes {
			t.unblock(p, ev, w)
			return
		}
		if w.lock != 0 {
			t.dealt[w.lock].last = 0
		}
		if !w.last.again(ev, m.cause) {
			t.begin(w, ev, m.cause)
		}
	default:
		t.rarely(p, ev)
	}
}

// rarely takes the events of other kinds.
func (t *Table) rarely(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindBlock:
		t.enter(p, g, t.worker(p, g))
	case traceload.KindCreate:
		if w := t.welcome(p, g); g.State == traceload.StateRunnable {
			w.ready(g.Since, g)
		}
	case traceload.KindStatus:
		w := t.worker(p, g)
		switch {
		case g.State == traceload.StateWaiting && g.Wait.IsLock():
			t.enter(p, g, w)
		case g.State == traceload.StateRunnable && ev.From == traceload.StateUnknown && g.Since == 0:
			w.ready(g.Since, g)
		}
	case traceload.KindStop:
		t.worker(p, g).ready(ev.Time, g)
	case traceload.KindSyscallEnd:
		w := t.worker(p, g)
		if g.State == traceload.StateRunnable {
			w.ready(ev.Time, g)
		}
		if ev.Lived < shortSyscall {
			return
		}
		cause := CauseSyscall
		if t.note(p, ev.Stack).network {
			cause = CauseNetwork
		}
		if ev.Stack != 0 && !w.last.again(ev, cause) {
			t.begin(w, ev, cause)
		}
	}
}

// first takes an event of a goroutine that is new to the table.
func (t *Table) first(p *traceload.Program, ev *traceload.Event) {
	t.welcome(p, ev.G)
	t.Observe(p, ev)
}

// unblock takes the end of any wait.
func (t *Table) unblock(p *traceload.Program, ev *traceload.Event, w *worker) {
	locked := ev.Wait.IsLock()
	if w.lock != 0 && !locked {
		l := t.dealt[w.lock]
		l.last = 0
		if ev.Wait == traceload.WaitRuntime {
			l.late += ev.Lived
		}
	}
	if ev.Wait == traceload.WaitRuntime {
		return
	}
	if locked {
		t.leave(p, ev.G, w, ev)
	} else if ev.By != nil && t.unlocks(p, ev.ByStack) { // where it waited is not known
		c := t.class(t.note(p, ev.ByStack).node)
		c.released, c.moved = ev.Time, true
	}
	if ev.Stack == 0 {
		return
	}
	m := t.marks.At(ev.Stack)
	if m.wait != ev.Wait || m.cause == CauseNone {
		m.wait, m.cause = ev.Wait, t.note(p, ev.Stack).causeOf(ev.Wait)
		m.flags &^= plain
		if m.cause != CauseNone && !locked {
			m.flags |= plain
		}
	}
	if m.cause != CauseNone {
		m.reason = ev.Reason
		if !w.last.again(ev, m.cause) {
			t.begin(w, ev, m.cause)
		}
	}
}

// worker returns what is remembered of g.
func (t *Table) worker(p *traceload.Program, g *traceload.Goroutine) *worker {
	w := t.workers.At(g)
	if w.id != g.ID {
		t.welcome(p, g)
	}
	return w
}

// welcome makes the place for a goroutine that is new to the table.
func (t *Table) welcome(p *traceload.Program, g *traceload.Goroutine) *worker {
	w := t.workers.At(g)
	if w.lock != 0 {
		t.dismiss(p, w.lock)
	}
	t.past.Give(w.past)
	*w = worker{id: g.ID}
	return w
}

// dealings returns the dealings of g, whose worker is w, of which it may be the first.
func (t *Table) dealings(g *traceload.Goroutine, w *worker) *dealings {
	if w.lock == 0 {
		if n := len(t.idle); n > 0 {
			w.lock, t.idle = t.idle[n-1], t.idle[:n-1]
		} else {
			w.lock = uint32(len(t.dealt))
			t.dealt = append(t.dealt, new(dealings))
		}
		t.dealt[w.lock].late = -g.Spent(traceload.StateRunnable)
	}
	return t.dealt[w.lock]
}

// dismiss ends dealings whose goroutine has ended.
func (t *Table) dismiss(p *traceload.Program, n uint32) {
	l := t.dealt[n]
	if l.waits {
		t.forget(l, p.Now)
	}
	*l = dealings{counted: l.counted[:0]}
	t.idle = append(t.idle, n)
}

// met returns the dealings of g, nil if it has none.
func (t *Table) met(g *traceload.Goroutine) *dealings {
	if w := t.workers.At(g); w.id == g.ID {
		return t.dealt[w.lock]
	}
	return nil
}

// enter notes that g began to wait for a lock, or was found waiting.
func (t *Table) enter(p *traceload.Program, g *traceload.Goroutine, w *worker) {
	n := t.note(p, g.Stack)
	if n.node == 0 || n.unlock {
		return
	}
	l := t.dealings(g, w)
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
	t.marks.At(g.Stack).reason = g.Reason
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
	l := t.dealt[w.lock]
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
	*l.place(t, l.node) = handing{l.node, ev.Wait, wait.since, ev.Time, ev.Stack, last.chain, l.lateOf(g)}
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
