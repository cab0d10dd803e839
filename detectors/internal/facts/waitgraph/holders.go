package waitgraph

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// This file decides who holds the locks that are waited for, of all goroutines
// that stand where one of them may be held: the second step of the deduction.

// candidate is a goroutine that may hold a lock.
type candidate struct {
	n *Node
	stand
}

// holders sets what goroutines hold whose stacks the source does not explain.
func (d *deduction) holders() {
	s := d.s
	waited := map[locks.ID][]*Node{}
	var order []locks.ID
	for _, n := range s.nodes {
		if n.For != nil && n.class != 0 {
			g := d.group(n.class)
			if waited[g] == nil {
				order = append(order, g)
			}
			waited[g] = append(waited[g], n)
		}
	}
	stuck, moving := map[locks.ID][]candidate{}, map[locks.ID]Proof{}
	for _, n := range s.nodes {
		for _, st := range d.standsOf(n.G.Stack) {
			if n.class != 0 && d.group(n.class) == st.lock && st.proof == ByPlace && s.t.usedToEnd(s.p, &n.G) {
				st.proof = ByPresence // others came through here
			}
			if !s.explained(n, st.frame) {
				stuck[st.lock] = append(stuck[st.lock], candidate{n, st})
			}
		}
	}
	for _, n := range slices.Concat(s.others, s.unseen) {
		for _, id := range s.p.Stack(n.G.Stack).Frames {
			if f := s.p.Frame(id); f.Origin == traceload.OriginUser {
				d.moving[f.FuncID] = true
			}
		}
		for _, st := range d.standsOf(n.G.Stack) {
			if !s.explained(n, st.frame) {
				moving[st.lock] = max(moving[st.lock], st.proof)
			}
		}
	}
	held := map[locks.ID][]candidate{}
	for _, g := range order {
		waiters := waited[g]
		l := waiters[0].For
		l.guessed = d.guessed[g]
		oldest := waiters[0].G.Since
		for _, n := range waiters {
			oldest = min(oldest, n.G.Since)
		}
		if slices.ContainsFunc(s.unseen, func(n *Node) bool { return s.mayHold(n, oldest, g) != noDoubt }) {
			l.running = true
			moving[g] = max(moving[g], ByPlace)
		}
		list := stuck[g]
		if id, at, ok := s.t.locks.Holder(waiters[0].class); ok {
			list = slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c.n.G.ID != id })
			for i := range list {
				list[i].proof, moving[g] = ByWindow, 0
				if f := s.p.Stack(at); list[i].taken.Line == 0 && f.Owner >= 0 {
					list[i].taken = detectors.FrameOf(s.p.Frame(f.Frames[f.Owner]))
				}
			}
		}
		readers := slices.ContainsFunc(waiters, func(n *Node) bool { return n.Wait == traceload.WaitRWMutexW })
		best := ByNothing
		for _, c := range list {
			best = max(best, c.proof)
		}
		least := best
		if d.wrapped[g] {
			least = min(best, ByLines) // several locks: each may have a holder
		}
		list = slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c.proof < least })
		if best <= ByPlace {
			list = d.furthest(list)
			if !readers {
				list = unlike(list)
			}
		}
		l.suspects = len(list)
		if moving[g] != 0 {
			l.suspects++
		}
		l.open = len(d.release[g]) > 0
		for home := range d.homes[g] {
			l.open = l.open || d.several[home]
		}
		l.disciplined = len(d.release[g]) > 0
		for home := range d.release[g] {
			l.disciplined = l.disciplined && d.homes[g][home] && !d.several[home] && !d.packages[home]
		}
		if moving[g] == ByPlace && best == ByPlace && d.peers(waiters, &list) {
			l.crowded = true
			moving[g] = ByNothing
		}
		if len(list) == 0 || moving[g] >= best || best <= ByPlace && s.now.Sub(oldest) < max(2*minAge, time.Duration(s.now)/unreleasedShare) {
			continue
		}
		held[g] = list
	}
	d.close(held)
	for _, g := range order {
		list, alone := held[g], len(held[g]) == 1
		if !alone && len(list) > 0 && list[0].proof <= ByPlace {
			list = []candidate{slices.MaxFunc(list, func(a, b candidate) int { return cmp.Compare(a.n.G.Since, b.n.G.Since) })}
		}
		l := waited[g][0].For
		readers := slices.ContainsFunc(waited[g], func(n *Node) bool { return n.Wait == traceload.WaitRWMutexW })
		for _, c := range list {
			alone := alone && !d.wrapped[g]
			hold := Hold{Lock: l, Read: c.read || readers, Taken: c.taken, Proof: c.proof, alone: alone, fn: s.p.Frame(s.p.Stack(c.n.G.Stack).Frames[c.frame]).FuncID}
			if c.n.For == l && hold.alone {
				c.n.owns = &hold
			}
			if !slices.ContainsFunc(c.n.Holds, func(h Hold) bool { return h.Lock == l }) {
				c.n.Holds = append(c.n.Holds, hold)
			}
			if c.taken.Line != 0 && !l.named {
				l.Line, l.named = c.taken, true
			}
		}
	}
}

// peers reduces the list to those that wait for one of the waiters: each of the
// two then explains why the other does not go on. That counts also where other
// goroutines work in methods of the type, probably with other objects.
func (d *deduction) peers(waiters []*Node, list *[]candidate) bool {
	var found []candidate
	for _, c := range *list {
		if c.n.For == nil && slices.ContainsFunc(waiters, func(w *Node) bool { return d.s.link(w, c.n, linkSite, false) >= linkChild }) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return false
	}
	*list = found[:1] // the oldest
	for _, c := range found {
		if c.n.G.Since < (*list)[0].n.G.Since {
			(*list)[0] = c
		}
	}
	return true
}

// enoughEnded is how many goroutines must have ended to take that for the rule.
const enoughEnded = 3

// usedToEnd tells whether goroutines such as g came to their end: then none
// of what it does is for ever, unless the others took another way.
func (t *Tracker) usedToEnd(p *traceload.Program, g *traceload.Goroutine) bool {
	e := p.Entry(g)
	return e != nil && t.ended.Get(e.FuncID) >= enoughEnded
}

// doubt says why a goroutine whose stack is not known may hold a lock.
type doubt uint8

const (
	noDoubt      doubt = iota
	parkedBefore       // it was parked before the trace began
	runs               // it has run all the time
)

// mayHold tells whether a goroutine whose stack is not known now may hold a lock
// of the group that is waited for since then.
func (s *snapshot) mayHold(n *Node, since traceload.Time, g locks.ID) doubt {
	if !n.G.SinceKnown && n.G.State != traceload.StateRunning {
		if ended, _ := s.deduced.waits(g); ended > 0 {
			return noDoubt // who did not move cannot have what did
		}
		return parkedBefore
	}
	if n.ranSince(since) {
		return runs
	}
	return noDoubt
}

// furthest leaves out who stands in a function where another stands further
// down: if the first had the lock there, the other had taken it too.
func (d *deduction) furthest(list []candidate) []candidate {
	at := func(c candidate) *traceload.Frame { return d.s.p.Frame(d.s.p.Stack(c.n.G.Stack).Frames[c.frame]) }
	return slices.DeleteFunc(slices.Clone(list), func(c candidate) bool {
		return slices.ContainsFunc(list, func(o candidate) bool {
			return at(o).FuncID == at(c).FuncID && at(o).Line > at(c).Line
		})
	})
}

// unlike leaves out goroutines that stand at one place: they have come the same
// way, and only one of them can have taken the lock on it.
func unlike(list []candidate) []candidate {
	count := map[traceload.StackID]int{}
	for _, c := range list {
		count[c.n.G.Stack]++
	}
	return slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return count[c.n.G.Stack] > 1 })
}

// close leaves of the holders by place those that are alone, or of which it
// does not matter which one it is: all of them wait for locks that are held by
// such goroutines.
// The last to wait stands for them.
func (d *deduction) close(held map[locks.ID][]candidate) {
	for again := true; again; {
		again = false
		for g, list := range held {
			if len(list) == 1 || list[0].proof > ByPlace {
				continue
			}
			for _, c := range list {
				if c.n.class == 0 || held[d.group(c.n.class)] == nil || d.group(c.n.class) == g {
					delete(held, g)
					again = true
					break
				}
			}
		}
	}
}
