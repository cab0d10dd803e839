package locks

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// A trace has no addresses of locks. What it has is wake-ups: a goroutine that
// called Lock at one line was woken by one that called Unlock at another, so
// both lines work on one lock. Lines that are joined like this, directly or
// over others, are a class:
//
//	Lock at put:54 ── woken by Unlock at get:71 ── woke Lock at get:68
//
// All locks of one kind (the mutex of every session, say) share their lines
// and so are one class. Two tests tell one lock from many: a lock serves its
// waiters first in, first out, and has one writer that waits for its readers.

// nodeKey is a line that locks or unlocks. Nothing but a Mutex can be locked
// where an RWMutex is not, so that two deferred Unlocks at one return stay apart.
type nodeKey struct {
	frame traceload.FrameID
	rw    bool
}

// class is the state of one class during the walk, kept at its root node.
type class struct {
	parent int32 // another node of the same class; itself at the root
	key    nodeKey
	fn     traceload.FuncID // of key.frame
	once   bool

	waiting [3]int         // how many wait now, by kind of wait
	who     [3]int32       // how many different goroutines ever did
	served  [3]stay        // the last that was woken
	open    int            // how many wait now
	opened  traceload.Time // since when there has been one, at least
	busy    time.Duration  // somebody waited, up to opened

	released traceload.Time // when a waiter was last woken
	moved    bool           // one was
	chain    uint32         // the record of the last release, see holds.go
	heir     traceload.GoID // who was woken for it, alone
	heirSlot int32
	// Holders lacked a processor for so long, summed over all releases.
	unscheduled time.Duration

	overlap             time.Duration // holds that are known from one hand to the next, summed
	worst               time.Duration // what one hold cost all who waited, at most
	inOrder, outOfOrder int           // wake-ups with others in the queue
	lines               int           // that belong to it; counted by Finish
}

// queueOf returns the index in class.waiting and so on for a kind of wait: each
// is one semaphore of the runtime.
func queueOf(w traceload.Wait) int { return int(w - traceload.WaitMutex) }

// node returns the number of a line that locks or unlocks.
func (t *Table) node(key nodeKey, fn traceload.FuncID) int32 {
	n, ok := t.nodes[key]
	if !ok {
		n = int32(len(t.classes))
		t.classes = append(t.classes, &class{parent: n, key: key, fn: fn})
		t.nodes[key] = n
	}
	return n
}

// root returns the node that stands for n's class.
func (t *Table) root(n int32) int32 {
	for t.classes[n].parent != n {
		t.classes[n].parent = t.classes[t.classes[n].parent].parent
		n = t.classes[n].parent
	}
	return n
}

func (t *Table) class(n int32) *class { return t.classes[t.root(n)] }

// join makes one class of two, and returns it.
func (t *Table) join(a, b int32) *class {
	a, b = t.root(a), t.root(b)
	if a == b {
		return t.classes[a]
	}
	if slices.Max(t.classes[b].who[:]) > slices.Max(t.classes[a].who[:]) {
		a, b = b, a // goroutines are counted at the root: keep the count that has most of them
	}
	x, y := t.classes[a], t.classes[b]
	if y.moved && (!x.moved || y.released > x.released) {
		x.released, x.moved, x.chain, x.heir, x.heirSlot = y.released, true, y.chain, y.heir, y.heirSlot
	}
	x.once = x.once || y.once
	if x.open > 0 && y.open > 0 {
		x.opened = min(x.opened, y.opened)
	} else if y.open > 0 {
		x.opened = y.opened
	}
	x.open += y.open
	x.busy += y.busy
	x.unscheduled += y.unscheduled
	x.overlap += y.overlap
	x.worst = max(x.worst, y.worst)
	x.inOrder += y.inOrder
	x.outOfOrder += y.outOfOrder
	y.parent = a
	for i := range x.who {
		t.joinCounts(&x.who[i], &y.who[i])
		x.waiting[i] += y.waiting[i]
	}
	return x
}

// joinCounts adds other to count, without those that are counted in both.
func (t *Table) joinCounts(count, other *int32) {
	*count += *other
	if *other == 0 {
		return
	}
	for _, l := range t.dealt[1:] {
		if at := slices.Index(l.counted, other); at >= 0 {
			if slices.Contains(l.counted, count) {
				*count--
				l.counted = slices.Delete(l.counted, at, at+1)
			} else {
				l.counted[at] = count
			}
		}
	}
}

// joinWriter joins the line where a writer of an RWMutex waited for its readers
// with the line where it unlocks. Wake-ups do not: the last reader wakes the
// writer, and the writer wakes readers. But a reader that came while the
// writer waited, and was woken by it, waited for the same lock, if the writer
// locks and unlocks in one function.
func (t *Table) joinWriter(p *traceload.Program, ev *traceload.Event, wait stay, exit int32) *class {
	unlock := p.Frame(t.classes[exit].key.frame)
	l := t.dealings(ev.By, t.worker(p, ev.By))
	for i := range l.handed {
		h := &l.handed[i]
		if h.node == 0 || h.kind != traceload.WaitRWMutexW || wait.since >= h.at || wait.since < h.since-queueSlack {
			continue
		}
		if lock := p.Frame(t.classes[h.node].key.frame); lock.FuncID == unlock.FuncID {
			return t.join(h.node, exit)
		}
	}
	return t.class(exit)
}

// kinFrom is how often a goroutine must have been handed a lock at one line and
// then unlocked at another of the same call, until the two are taken for one lock.
const kinFrom = 3

// joinKin joins the line where ev.By was handed a lock with the one where it
// now unlocks. Wake-ups do not where the same few goroutines take turns: each
// line may only ever be woken from one place. It is done only where it has
// happened before, where the function locks nowhere else, and where no other
// unlock in it is known for that lock.
func (t *Table) joinKin(p *traceload.Program, c *class, ev *traceload.Event, exit int32) *class {
	l := t.dealings(ev.By, t.worker(p, ev.By))
	if l.find(t, exit) != nil {
		return c
	}
	unlock := p.Frame(t.classes[exit].key.frame)
	for i := range l.handed {
		h := &l.handed[i]
		if h.node == 0 || t.classes[h.node].key.rw != t.classes[exit].key.rw || len(t.locksIn[unlock.FuncID]) != 1 || t.locksIn[unlock.FuncID][0] != h.node {
			continue
		}
		if slices.ContainsFunc(t.exitsIn[unlock.FuncID], func(n int32) bool { return t.root(n) == t.root(h.node) }) {
			continue
		}
		if m, ok := meet(p, p.Stack(h.stack), p.Stack(ev.ByStack)); !ok || !m.owner || m.first > m.then {
			continue
		}
		key := pairKey{h.stack, ev.ByStack}
		if t.kin[key]++; t.kin[key] >= kinFrom {
			return t.join(h.node, exit)
		}
	}
	return c
}

// A goroutine blocks a moment after it has joined the runtime's queue, so two
// that came within this time may have been noted in the wrong order.
const queueSlack = traceload.Time(10 * time.Microsecond)

// judgeOrder notes whether a waiter that is woken came after the one that was
// woken before it, if it had come when that was woken.
func (c *class) judgeOrder(w stay) {
	last := &c.served[queueOf(w.kind)]
	switch {
	case w.since >= last.until:
	case w.since >= last.since-queueSlack:
		c.inOrder++
	default:
		c.outOfOrder++
	}
	*last = w
}

// instances estimates how many locks of the class were waited for at one time.
// Of k locks that are used alike, two that are woken one after the other
// belong to different ones k-1 times of k, and half of these came in the wrong order.
func (c *class) instances() float64 {
	if c.single() {
		return 1
	}
	const doubt = 4 // wake-ups that are taken to have been in order besides: a few say little
	wrong := float64(c.outOfOrder) / float64(c.inOrder+c.outOfOrder+doubt)
	most := 0.0
	for _, n := range c.who {
		most += float64(n)
	}
	return max(1, min(1/max(0.01, 1-2*wrong), most), float64(c.overlap)/float64(max(1, c.busy)))
}

// single tells whether the class looks like one lock. Where it does not, only
// what is known of the very holder and waiter may be concluded.
func (c *class) single() bool { return 10*c.outOfOrder <= c.inOrder }
