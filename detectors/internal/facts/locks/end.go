package locks

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// findHolder finds out who holds the lock when the trace ends: the one it was
// handed to last, if it waits neither for this lock again nor has ended, and
// if it cannot have released it since: somebody has waited ever since, and
// would have been woken, or it is blocked further down in the same call, with
// no line between that was ever seen to unlock.
func (t *Table) findHolder(p *traceload.Program, c *Class) {
	s := t.classes[c.root]
	if len(c.Waiting) == 0 || s.heir == traceload.NoGoroutine || !s.moved || !s.single() {
		return
	}
	g := p.Goroutine(s.heir)
	if g == nil || g.Slot != s.heirSlot {
		return
	}
	l := t.met(g)
	if l == nil || l.waits && t.root(l.node) == c.root {
		return
	}
	h := l.find(t, c.root)
	if h == nil || h.at != s.released {
		return
	}
	switch {
	case g.Stack != h.stack: // it has waited since: for the lock's sake only if in the same call
		m, ok := meet(p, p.Stack(g.Stack), p.Stack(h.stack))
		if !ok || !m.owner || m.first <= m.then {
			return
		}
		if _, unlocks := c.Windows(p, m.fn); slices.ContainsFunc(unlocks, func(n int) bool { return m.then < n && n < m.first }) {
			return
		}
	case c.Waiting[0].G.Since > s.released:
		return
	}
	c.Holder, c.HolderSure, c.HeldSince, c.HeldAt = g, true, h.at, h.stack
}

// standstill is for how long a lock must not have moved, and a goroutine not
// either, before one is taken to be the reason of the other.
const standstill = 50 * time.Millisecond

// findSuspects finds, for locks that do not move and whose holder is not known
// (most likely because it took the lock before the trace began), the one
// goroutine that is blocked in a function behind the line where others wait
// for the lock:
//
//	29 goroutines wait in (*board).post:28  sync.(*RWMutex).Lock
//	 1 goroutine waits in (*board).post:39  runtime.chansend1
func (t *Table) findSuspects(p *traceload.Program) {
	type place struct {
		class *Class
		line  *Line
		at    int
	}
	places := map[traceload.FuncID][]place{}
	for _, c := range t.Classes {
		if c.Holder != nil || c.Once || len(c.Waiting) == 0 || p.InState(c.Waiting[0].G) < standstill {
			continue
		}
		seen := map[*Line]bool{}
		for _, w := range c.Waiting {
			if s := p.Stack(w.Line.Stack); !seen[w.Line] && !w.Line.Cond {
				seen[w.Line] = true
				f := p.Frame(s.Frames[s.Owner])
				places[f.FuncID] = append(places[f.FuncID], place{c, w.Line, f.Line})
			}
		}
	}
	if len(places) == 0 {
		return
	}
	suspects := map[*Class]int{}
	for g := range p.Live {
		if g.System || g.State != traceload.StateWaiting && g.State != traceload.StateSyscall || g.Wait.IsLock() || p.InState(g) < standstill {
			continue
		}
		s := p.Stack(g.Stack)
		for _, id := range s.Frames[max(s.Owner, 0):] {
			f := p.Frame(id)
			for _, pl := range places[f.FuncID] {
				state := t.classes[pl.class.root]
				if f.Line <= pl.at || state.moved && state.released > g.Since || t.note(p, g.Stack).cond {
					continue
				}
				if _, unlocks := pl.class.Windows(p, f.FuncID); slices.ContainsFunc(unlocks, func(n int) bool { return pl.at < n && n < f.Line }) {
					continue
				}
				if suspects[pl.class]++; suspects[pl.class] == 1 {
					pl.class.Holder, pl.class.HeldSince, pl.class.HeldAt = g, g.Since, pl.line.Stack
				} else if pl.class.Holder != g {
					pl.class.Holder = nil // where two stand, at least one stands there without the lock
				}
			}
		}
	}
	for c, n := range suspects {
		if n > 1 && c.Holder == nil {
			c.HeldSince, c.HeldAt = 0, 0
		}
	}
}

// Assume tells who holds a lock of the class at the trace's end, from one who
// knows more: fn is the function that took it, at lockLine (0 if that is not
// known). It changes nothing where the holder is known already.
func (t *Table) Assume(p *traceload.Program, id ID, g *traceload.Goroutine, fn traceload.FuncID, lockLine int, proof Proof) {
	i := slices.IndexFunc(t.Classes, func(c *Class) bool { return c.root == t.root(int32(id)) })
	if i < 0 || t.Classes[i].Holder != nil || len(t.Classes[i].Waiting) == 0 || g == nil {
		return
	}
	c := t.Classes[i]
	c.Holder, c.HeldSince = g, g.Since
	t.addStillHeld(p, c, fn, lockLine, proof)
	slices.SortStableFunc(c.Holdups, func(a, b *Holdup) int { return cmp.Compare(b.Lost, a.Lost) })
}

// stillHeld adds the waits that the trace's end cut short, where the holder is
// known and blocked.
func (t *Table) stillHeld(p *traceload.Program, c *Class) {
	if c.Holder == nil {
		return
	}
	m, ok := t.behind(p, c)
	if !ok {
		return
	}
	proof := ProofLines
	switch {
	case !c.HolderSure:
		proof = ProofPlace
	case m.first < m.then || !m.owner:
		proof = ProofTime
	}
	t.addStillHeld(p, c, m.fn, m.then, proof)
}

func (t *Table) addStillHeld(p *traceload.Program, c *Class, fn traceload.FuncID, lockLine int, proof Proof) {
	g := c.Holder
	if g.State != traceload.StateWaiting && g.State != traceload.StateSyscall {
		return
	}
	cause := CauseSyscall
	if g.State == traceload.StateWaiting {
		cause = t.note(p, g.Stack).causeOf(g.Wait)
	}
	if cause == CauseNone || p.Now.Sub(g.Since) < shortSyscall {
		return
	}
	i := slices.IndexFunc(c.Holdups, func(h *Holdup) bool { return h.Block == g.Stack })
	if i < 0 {
		h := &Holdup{
			Cause: cause, Block: g.Stack, Proof: proof, Func: fn, LockLine: lockLine, Share: 1, node: c.root,
			Sample: Sample{
				Waiter: c.Waiting[0].G.ID, Holder: g.ID, Lock: c.Waiting[0].G.Stack, Since: c.Waiting[0].G.Since, Until: p.Now,
				Blocked: g.Since, Unblocked: p.Now, Released: p.Now,
			},
		}
		i = len(c.Holdups)
		c.Holdups = append(c.Holdups, h)
		t.addHoldup(h)
		t.marks.At(g.Stack).reason = g.Reason
	}
	h := c.Holdups[i]
	h.Sample.Lost = max(h.Sample.Lost, p.Now.Sub(max(g.Since, c.Waiting[0].G.Since)))
	n := int32(slices.Index(t.holdups, h))
	h.Who.note(p, g, t.dealings(g, t.worker(p, g)))
	for _, w := range c.Waiting {
		since := max(w.G.Since, g.Since, c.HeldSince)
		d := p.Now.Sub(since)
		h.Held = max(h.Held, d)
		h.Lost += d
		s := t.share(n, w.Line)
		s.Lost += d
		s.Waits++
		l := t.met(w.G)
		s.Who.note(p, w.G, l)
		l.note(&h.Victims)
		w.Line.Waited += d
		w.Line.Blocked += d
	}
}

// behind returns where the holder stands in the function that locks.
func (t *Table) behind(p *traceload.Program, c *Class) (meeting, bool) {
	holder, lock := p.Stack(c.Holder.Stack), p.Stack(c.HeldAt)
	if c.HolderSure {
		return meet(p, holder, lock)
	}
	f := p.Frame(lock.Frames[lock.Owner])
	line, ok := lineIn(p, holder, f.FuncID)
	return meeting{fn: f.FuncID, first: line, then: f.Line, owner: true}, ok
}
