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
// waiters first in, first out, and has one writer in front of it.

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
	once   bool

	queues [3]queue // who waits now, by kind of wait
	who    [3]int32 // how many different goroutines ever did
	open   int      // their number, also those that are in no queue
	opened traceload.Time
	busy   time.Duration // somebody waited, up to opened

	released traceload.Time // when a waiter was last woken
	moved    bool           // one was
	chain    uint32         // the record of the last release, see holds.go
	heir     traceload.GoID // who was woken for it, alone
	heirSlot int32
	// Holders lacked a processor for so long, summed over all releases.
	unscheduled time.Duration

	overlap             time.Duration // holds that are known from one hand to the next, summed
	inOrder, outOfOrder int           // wake-ups with others in the queue
	lines               int           // that belong to it; counted by Finish
}

// queue is the waiters of one kind, oldest first: a list through Table.workers.
type queue struct{ head, tail int32 } // slots + 1; 0 for none

// queueOf returns the index in class.queues for a kind of wait: each is one
// semaphore of the runtime.
func queueOf(w traceload.Wait) int { return int(w - traceload.WaitMutex) }

// node returns the number of a line that locks or unlocks.
func (t *Table) node(key nodeKey) int32 {
	n, ok := t.nodes[key]
	if !ok {
		n = int32(len(t.classes))
		t.classes = append(t.classes, &class{parent: n, key: key})
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
	x.inOrder += y.inOrder
	x.outOfOrder += y.outOfOrder
	y.parent = a
	for i := range x.queues {
		t.joinCounts(&x.who[i], &y.who[i])
		t.joinQueues(&x.queues[i], y.queues[i])
	}
	return x
}

// joinCounts adds other to count, without those that are counted in both.
func (t *Table) joinCounts(count, other *int32) {
	*count += *other
	if *other == 0 {
		return
	}
	for i := range t.workers {
		l := t.workers[i].lock
		if l == nil {
			continue
		}
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
	for i := range t.worker(p, ev.By).dealings().handed {
		h := &t.worker(p, ev.By).lock.handed[i]
		if h.node == 0 || h.kind != traceload.WaitRWMutexW || wait.since >= h.at || wait.since < h.since-queueSlack {
			continue
		}
		if lock := p.Frame(t.classes[h.node].key.frame); lock.FuncID == unlock.FuncID {
			return t.join(h.node, exit)
		}
	}
	return t.class(exit)
}

func (t *Table) joinQueues(q *queue, other queue) {
	if other.head == 0 {
		return
	}
	if q.head == 0 {
		*q = other
		return
	}
	var all []int32
	for _, s := range []int32{q.head, other.head} {
		for ; s != 0; s = t.workers[s-1].lock.next {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b int32) int {
		return int(t.workers[a-1].lock.since - t.workers[b-1].lock.since)
	})
	*q = queue{}
	for _, s := range all {
		t.push(q, s)
	}
}

func (t *Table) push(q *queue, s int32) {
	l := t.workers[s-1].lock
	l.prev, l.next = q.tail, 0
	if q.tail != 0 {
		t.workers[q.tail-1].lock.next = s
	} else {
		q.head = s
	}
	q.tail = s
}

func (t *Table) drop(q *queue, s int32) {
	l := t.workers[s-1].lock
	if l.prev != 0 {
		t.workers[l.prev-1].lock.next = l.next
	} else {
		q.head = l.next
	}
	if l.next != 0 {
		t.workers[l.next-1].lock.prev = l.prev
	} else {
		q.tail = l.prev
	}
	l.prev, l.next = 0, 0
}

// A goroutine blocks a moment after it has joined the runtime's queue, so two
// that came within this time may have been noted in the wrong order.
const queueSlack = traceload.Time(10 * time.Microsecond)

// judgeOrder notes whether the waiter in slot s, about to leave q, was the
// oldest in it: it always is where there is one lock.
func (t *Table) judgeOrder(c *class, q *queue, s int32) {
	if q.head == q.tail {
		return
	}
	if q.head == s || t.workers[s-1].lock.since-t.workers[q.head-1].lock.since <= queueSlack {
		c.inOrder++
	} else {
		c.outOfOrder++
	}
}

// single tells whether the class looks like one lock. Where it does not, only
// what is known of the very holder and waiter may be concluded.
func (c *class) single() bool { return 10*c.outOfOrder <= c.inOrder }
