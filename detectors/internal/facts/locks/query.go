package locks

import (
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// ID names a class of locks during the walk. Two ids may become one class
// later: compare them only at one moment.
type ID int32

// Of returns the class of the lock that the stack waits for in Lock or RLock;
// false if it does not.
func (t *Table) Of(p *traceload.Program, stack traceload.StackID) (ID, bool) {
	n := t.note(p, stack)
	if n.node == 0 || n.unlock || n.cond {
		return 0, false
	}
	return ID(t.root(n.node)), true
}

// IsSingle tells whether the class was seen to be one lock: its waiters were
// served first in, first out, as only those of one lock always are.
func (t *Table) IsSingle(id ID) bool {
	c := t.class(int32(id))
	return c.single() && c.inOrder > 0
}

// Holder returns the goroutine that has the class's lock for sure, since it was
// handed it and has not given it back. It is known at the end only.
func (t *Table) Holder(id ID) (g traceload.GoID, lockedAt traceload.StackID, ok bool) {
	for _, c := range t.Classes {
		if c.root == t.root(int32(id)) && c.HolderSure && c.Holder != nil {
			return c.Holder.ID, c.HeldAt, true
		}
	}
	return 0, 0, false
}

// Waits returns how many waits for the class's locks have ended, and how long
// the longest of them was.
func (t *Table) Waits(id ID) (n int, longest time.Duration) {
	for _, l := range t.lines {
		if t.root(l.node) == t.root(int32(id)) {
			n += l.Waits
			longest = max(longest, l.Longest)
		}
	}
	return n, longest
}

// Use is a line that works on locks of one class: the call of Lock, RLock,
// Unlock or RUnlock.
type Use struct {
	Lock   ID
	Frame  traceload.FrameID // of the function that calls it
	RW     bool
	Unlock bool
}

// Uses returns the lines that were seen to lock and to unlock so far, in the
// order in which they were first seen.
func (t *Table) Uses() []Use {
	var list []Use
	for i := range t.classes[1:] {
		n := int32(i + 1)
		for _, in := range []struct {
			nodes  map[traceload.FuncID][]int32
			unlock bool
		}{{t.locksIn, false}, {t.exitsIn, true}} {
			if slices.Contains(in.nodes[t.classes[n].fn], n) {
				list = append(list, Use{ID(t.root(n)), t.classes[n].key.frame, t.classes[n].key.rw, in.unlock})
			}
		}
	}
	return list
}

// Apart returns the pairs of classes that are surely two locks: a goroutine has
// held the one and waited for the other, got it, and released the first.
func (t *Table) Apart(p *traceload.Program) map[[2]ID]bool {
	pairs := map[[2]ID]bool{}
	for _, h := range t.holdups[1:] {
		if h.Cause != CauseLock || h.Exit == 0 {
			continue
		}
		waited := t.note(p, h.Block).node
		if waited == 0 || p.Frame(t.classes[waited].key.frame).FuncID == h.meeting.fn {
			continue // most likely that is where it took the lock that it then released
		}
		a, b := ID(t.root(h.node)), ID(t.root(waited))
		pairs[[2]ID{a, b}], pairs[[2]ID{b, a}] = true, true
	}
	return pairs
}

// HeldBefore returns, by stack, the locks that goroutines were proved to hold
// when they were blocked there, and later released. It is known at the end only.
func (t *Table) HeldBefore() map[traceload.StackID][]ID {
	held := map[traceload.StackID][]ID{}
	for _, h := range t.holdups[1:] {
		if h.Proof < ProofCall || h.Exit == 0 {
			continue
		}
		if id := ID(t.root(h.node)); !slices.Contains(held[h.Block], id) {
			held[h.Block] = append(held[h.Block], id)
		}
	}
	return held
}

// Window is a line of a function that locks, or that unlocks.
type Window struct {
	Lock   ID
	Line   int
	Unlock bool
	Read   bool
}

// Windows returns, by function, the lines at which it was seen to lock and to
// unlock so far, in no order. waiting are stacks of goroutines that wait for
// locks now. A method that only wraps Lock is passed over, its caller counts:
//
//	Lock < (*S).lock:9 < (*S).Put:20 < loop:5
//	Unlock < (*S).unlock:12 < (*S).Put:24 < loop:5     Put locks at 20 and unlocks at 24
func (t *Table) Windows(p *traceload.Program, waiting []traceload.StackID) map[traceload.FuncID][]Window {
	windows := map[traceload.FuncID][]Window{}
	add := func(stack traceload.StackID, node int32, unlock bool) {
		s := p.Stack(stack)
		keeper := s.Owner
		for keeper+1 < len(s.Frames) && (t.wraps(p, p.Frame(s.Frames[keeper])) || closureOf(p.Frame(s.Frames[keeper]).Func, p.Frame(s.Frames[keeper+1]).Func)) {
			keeper++
		}
		f := p.Frame(s.Frames[keeper])
		w := Window{ID(t.root(node)), f.Line, unlock, t.note(p, stack).read}
		if !slices.Contains(windows[f.FuncID], w) {
			windows[f.FuncID] = append(windows[f.FuncID], w)
		}
	}
	for _, l := range t.lines {
		if !l.Cond {
			add(l.Stack, l.node, false)
		}
	}
	for _, x := range t.exits {
		add(x.Stack, x.node, true)
	}
	for _, stack := range waiting {
		if n := t.note(p, stack); n.node != 0 && !n.unlock && !n.cond {
			add(stack, n.node, false)
		}
	}
	return windows
}

// wraps tells whether a function only locks, or only unlocks, for its caller:
// it was never seen to do the other, and either is called so, or it is the only
// one that does it with locks of that class, for several callers, as another one
// does the other.
func (t *Table) wraps(p *traceload.Program, f *traceload.Frame) bool {
	lock, unlock := t.locksIn[f.FuncID], t.exitsIn[f.FuncID]
	if (len(lock) == 0) == (len(unlock) == 0) {
		return false
	}
	name := strings.ToLower(f.Func[strings.LastIndexByte(f.Func, '.')+1:])
	if strings.Contains(name, "lock") {
		return true
	}
	root := t.root(append(slices.Clone(lock), unlock...)[0])
	of := func(in map[traceload.FuncID][]int32) (names []string) {
		for _, nodes := range in {
			if i := slices.IndexFunc(nodes, func(n int32) bool { return t.root(n) == root }); i >= 0 {
				names = append(names, p.Frame(t.classes[nodes[i]].key.frame).Func)
			}
		}
		return names
	}
	locks, unlocks := of(t.locksIn), of(t.exitsIn)
	if len(locks) != 1 || len(unlocks) != 1 || locks[0] == unlocks[0] || closureOf(unlocks[0], locks[0]) {
		return false
	}
	wakes, lockers, unlockers := 0, map[traceload.FrameID]bool{}, map[traceload.FrameID]bool{}
	caller := func(stack traceload.StackID, in map[traceload.FrameID]bool) {
		if s := p.Stack(stack); s.Owner+1 < len(s.Frames) {
			in[s.Frames[s.Owner+1]] = true
		}
	}
	for _, l := range t.lines {
		if t.root(l.node) == root {
			caller(l.Stack, lockers)
		}
	}
	for _, x := range t.exits {
		if t.root(x.node) == root {
			wakes += x.Wakes
			caller(x.Stack, unlockers)
		}
	}
	return wakes >= enoughWrapped && len(lockers) > 1 && len(unlockers) > 1
}

// closureOf tells whether a function is a closure in the body of another.
func closureOf(fn, outer string) bool { return strings.HasPrefix(fn, outer+".func") }

// enoughWrapped is how many wake-ups must have been seen to say that no
// function both locks and unlocks.
const enoughWrapped = 10

// Wraps tells whether the function at a frame only locks, or only unlocks, for its callers.
func (t *Table) Wraps(frame traceload.FrameID, p *traceload.Program) bool {
	return t.wraps(p, p.Frame(frame))
}
