package locks

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Proof says how sure it is that the holder was blocked while it had the lock.
type Proof uint8

const (
	// ProofNone: nothing but a coincidence in time. Not told to anybody.
	ProofNone Proof = iota
	// ProofPlace: nobody has released the lock for long, and the holder is
	// blocked where it would be if it had it, alone.
	ProofPlace
	// ProofTime: the lock was not released while the waiter waited and the
	// holder was blocked, again and again, and for most of the holder's time.
	ProofTime
	// ProofCall: the same, and the function that released the lock had called
	// what blocked, or blocked itself.
	ProofCall
	// ProofLines: that function locks before the line that blocks and unlocks after it.
	ProofLines
	// ProofSource: the source says that it holds the lock there.
	ProofSource
)

const (
	// What ProofTime and ProofCall demand of all the time that the holders had
	// the lock before that release: the part that they were blocked, anywhere.
	timeShare, callShare = 0.5, 0.25
	// … and how many waits it must explain.
	timeWaits = 3
)

// judge decides whether a holdup is one.
func (t *Table) judge(p *traceload.Program, h *Holdup, class *Class) Proof {
	if h.Lost == 0 {
		return ProofNone
	}
	m := h.meeting
	h.Func, h.UnlockLine = m.fn, m.then
	if x := t.exits[h.Exit]; x != nil && x.Held > 0 {
		h.Share = min(1, float64(x.blocked)/float64(x.Held))
	}
	proof := ProofCall
	block := t.note(p, h.Block)
	owner := func(node int32) traceload.FuncID { return p.Frame(t.classes[node].key.frame).FuncID }
	if h.Cause == CauseLock && t.root(block.node) == t.root(h.node) {
		return ProofNone
	}
	if block.cond {
		if t.root(block.node) == t.root(h.node) {
			return ProofNone // Cond.Wait gives up this very lock
		}
		if t.class(block.node).lines == 1 {
			proof = ProofTime // whose lock Cond.Wait gives up is not known
		}
	}
	var lines []int
	selfContained := false // the function that unlocks is one that locks
	unlocker := owner(h.node)
	for _, line := range class.Lines {
		s := p.Stack(line.Stack)
		if n, ok := lineIn(p, s, m.fn); ok {
			lines = append(lines, n)
		}
		if p.Frame(s.Frames[s.Owner]).FuncID == unlocker {
			selfContained = true
		}
	}
	again := false // it locks once more between the line that blocks and the one that unlocks
	for _, n := range lines {
		if n <= m.first {
			h.LockLine = max(h.LockLine, n)
		} else if n <= m.then {
			again = true
		}
	}
	if h.Cause == CauseLock && h.LockLine == 0 && owner(block.node) == m.fn {
		return ProofNone // most likely this is where it locks what it then unlocks
	}
	_, unlocks := class.Windows(p, m.fn)
	// An Unlock on the way to the line that blocks may belong to an early
	// return, or have released the lock.
	released := slices.ContainsFunc(unlocks, func(n int) bool { return h.LockLine < n && n < m.first })
	switch inside := h.LockLine != 0 && m.first <= m.then; {
	case !m.owner && selfContained:
		return ProofNone // what encloses the function that locks and unlocks does not hold the lock
	case proof == ProofCall && inside && !again && (!released || h.Share >= callShare):
		return ProofLines
	case !m.owner && !m.caller:
		return ProofNone
	case inside && m.owner && !released:
	case !m.owner, len(lines) > 0, m.first > m.then:
		proof = ProofTime
		h.LockLine = 0
	}
	share := callShare
	if proof == ProofTime {
		share = timeShare
	}
	if h.Share < share || t.exits[h.Exit].explained < timeWaits {
		return ProofNone
	}
	return proof
}

// Class is one lock, or all locks of one kind, with what was lost to it.
type Class struct {
	RW   bool
	Once bool // a sync.Once: to wait for it is its purpose
	Std  bool // the standard library's own lock
	// Instances is an estimate of how many locks of this class were waited for
	// at one time; 1 if the waiters were served first in, first out.
	Instances float64
	InOrder   int // how often a waiter was woken before younger ones
	// Busy is for how long somebody waited for a lock of this class and it moved on.
	Busy time.Duration
	// Worst is what one hold cost all who waited for it to end, at most.
	Worst   time.Duration
	Lines   []*Line   // by time waited, the most first
	Exits   []*Exit   // by number of wake-ups
	Holdups []*Holdup // proved ones, by time lost
	Waiting []Waiting // when the trace ended, by age
	// Holder is who holds the lock when the trace ends and others still wait for
	// it; nil if unknown. HolderSure says that it was seen to be handed the
	// lock; otherwise it only stands where one who holds the lock would.
	Holder     *traceload.Goroutine
	HolderSure bool
	HeldSince  traceload.Time    // at the latest
	HeldAt     traceload.StackID // a stack of Lock: the holder's own if it is sure

	root int32
	who  [3]int32
}

// Waiters returns how many different goroutines waited for the class's locks in
// one of these ways, since its lines were known to be one class.
func (c *Class) Waiters(kinds ...traceload.Wait) (n int) {
	for _, w := range kinds {
		n += int(c.who[queueOf(w)])
	}
	return n
}

// Waiting is a goroutine that waits for a lock when the trace ends.
type Waiting struct {
	G    *traceload.Goroutine
	Line *Line
}

// Waited sums over the class's lines.
func (c *Class) Waited() (d time.Duration) {
	for _, l := range c.Lines {
		d += l.Waited
	}
	return d
}

// Windows returns the lines at which fn was seen to lock and to unlock, itself
// or by a call, sorted: whoever stands in fn between two of them holds the lock.
func (c *Class) Windows(p *traceload.Program, fn traceload.FuncID) (locks, unlocks []int) {
	for _, l := range c.Lines {
		if n, ok := lineIn(p, p.Stack(l.Stack), fn); ok {
			locks = append(locks, n)
		}
	}
	for _, x := range c.Exits {
		if n, ok := lineIn(p, p.Stack(x.Stack), fn); ok {
			unlocks = append(unlocks, n)
		}
	}
	slices.Sort(locks)
	slices.Sort(unlocks)
	return slices.Compact(locks), slices.Compact(unlocks)
}

// Finish implements detectors.Observer.
func (t *Table) Finish(p *traceload.Program) {
	byRoot := map[int32]*Class{}
	get := func(node int32) *Class {
		root := t.root(node)
		c, ok := byRoot[root]
		if !ok {
			s := t.classes[root]
			c = &Class{RW: s.key.rw, Once: s.once, Std: true, Instances: s.instances(), InOrder: s.inOrder, Worst: s.worst, root: root}
			c.Busy = s.busy
			if s.open > 0 && s.moved {
				c.Busy += max(0, s.released.Sub(s.opened))
			}
			byRoot[root] = c
			t.Classes = append(t.Classes, c)
		}
		return c
	}
	for i := range t.classes {
		t.class(int32(i)).lines++
	}
	for g := range p.Live {
		l := t.met(g)
		if l == nil || !l.waits {
			continue
		}
		line := t.line(p, g, l)
		c := get(l.node)
		c.Waiting = append(c.Waiting, Waiting{g, line})
		if s := t.class(l.node); s.moved && s.released > l.since && l.since >= s.served[queueOf(l.kind)].since {
			// The lock moves on, and those behind have not been served before: it is just not its turn.
			line.count(l, s.released.Sub(l.since))
			if s.single() {
				t.explain(p, s, line, g, stay{l.since, s.released, l.kind}, release{chain: s.chain})
			}
		}
	}
	for _, l := range t.lines {
		c := get(l.node)
		c.Lines = append(c.Lines, l)
		s := p.Stack(l.Stack)
		c.Std = c.Std && p.Frame(s.Frames[s.Owner]).Origin == traceload.OriginStd
	}
	for _, x := range t.exits {
		c := get(x.node)
		c.Exits = append(c.Exits, x)
	}
	for _, c := range t.Classes {
		c.who = t.classes[c.root].who
		slices.SortFunc(c.Lines, func(a, b *Line) int {
			return cmp.Or(cmp.Compare(b.Waited, a.Waited), cmp.Compare(a.Stack, b.Stack))
		})
		slices.SortFunc(c.Exits, func(a, b *Exit) int { return cmp.Or(cmp.Compare(b.Wakes, a.Wakes), cmp.Compare(a.Stack, b.Stack)) })
		slices.SortFunc(c.Waiting, func(a, b Waiting) int {
			return cmp.Or(cmp.Compare(a.G.Since, b.G.Since), cmp.Compare(a.G.ID, b.G.ID))
		})
		t.findHolder(p, c)
	}
	for _, h := range t.holdups[1:] {
		x := t.exits[h.Exit]
		x.blocked += h.Held
		for _, s := range h.Shares {
			h.Lost += s.Lost
			x.explained += s.Waits
		}
	}
	for _, h := range t.holdups[1:] {
		c := get(h.node)
		if h.Proof = t.judge(p, h, c); h.Proof == ProofNone {
			continue
		}
		c.Holdups = append(c.Holdups, h)
		for _, s := range h.Shares {
			s.Line.Blocked += s.Lost
		}
	}
	t.findSuspects(p)
	for _, c := range t.Classes {
		t.stillHeld(p, c)
		slices.SortStableFunc(c.Holdups, func(a, b *Holdup) int { return cmp.Compare(b.Lost, a.Lost) })
	}
	slices.SortFunc(t.Classes, func(a, b *Class) int {
		return cmp.Or(cmp.Compare(b.Waited(), a.Waited()), cmp.Compare(a.root, b.root))
	})
}
