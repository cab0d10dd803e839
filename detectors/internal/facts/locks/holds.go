package locks

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Each release that woke somebody ends a hold: a stretch of time in which one
// goroutine surely had the lock. If the holder was blocked within it, a record
// of that is written, and linked to the record before it of the same lock. A
// waiter's time is then explained by walking back over the records as far as
// it has waited, so that each holder bears what it caused, and not the last
// one everything:
//
//	waiter   ├──────────── waits for the lock ────────────────┤
//	holders      A sleeps ──┤ B runs ┤├── C waits for a reply ┤
//	records            A ◄────────────────────────────────── C
//
// How long a hold lasted is not in the trace; at least since the last release
// of the same lock, because an Unlock wakes a waiter if there is one. (It does
// not while another goroutine spins for the lock, which is over in
// microseconds, or was woken and has not run yet: then the next release counts.)

const (
	// spansKept is how many waits are remembered of each goroutine.
	spansKept = 8
	// shortSyscall: of system calls only those that took longer than this
	// count as being blocked. Most take microseconds; on a busy machine some
	// hundreds of them, of which the call itself has no part.
	shortSyscall = time.Millisecond
	// shortBlock is the same for all else.
	shortBlock = 20 * time.Microsecond
	// patience bounds the walk back from one waiter.
	patience = 1 << 9
)

// span is a wait of one goroutine, or several at one place with nothing in between.
type span struct {
	stack    traceload.StackID
	cause    Cause
	over     bool // a lock was released since: another wait there is another span
	from, to traceload.Time
	sum      time.Duration // waited within it
}

// record is a hold in which the holder was blocked.
type record struct {
	holder   traceload.GoID
	from, to traceload.Time // surely held
	prev     uint32         // the record before it, 0 if none
	n        int8
	blocks   [spansKept + 1]block
}

// block is a part of a hold.
type block struct {
	pair     int32 // which Holdup it would be; pending for a writer that waits for readers
	from, to traceload.Time
	sum      time.Duration
}

const pending = -1

func (r *record) add(b block) {
	r.blocks[r.n] = b
	r.n++
}

// within is how much of b's waiting falls between from and to.
func (b *block) within(from, to traceload.Time) time.Duration {
	from, to = max(from, b.from), min(to, b.to)
	if to <= from {
		return 0
	}
	if from == b.from && to == b.to {
		return b.sum
	}
	return time.Duration(float64(b.sum) * float64(to-from) / float64(b.to-b.from))
}

// stay is one wait for a lock.
type stay struct {
	since, until traceload.Time
	kind         traceload.Wait
}

// past is a goroutine's waits before the last.
type past struct {
	n     uint32 // so many there were; the i-th is at i modulo the length
	spans [spansKept - 1]span
}

// again takes a wait at a known place that ended with ev, if it is as those of the
// span and nothing was in between.
func (s *span) again(ev *traceload.Event, cause Cause) bool {
	if s.stack != ev.Stack || s.cause != cause || s.over {
		return false
	}
	s.to = ev.Time
	s.sum += ev.Lived
	return true
}

// begin takes one that is not: it begins a new span.
func (t *Table) begin(w *worker, ev *traceload.Event, cause Cause) {
	if w.last.stack != 0 {
		if w.past == 0 {
			w.past = t.past.Take()
		}
		before := t.past.At(w.past)
		before.spans[before.n%uint32(len(before.spans))] = w.last
		before.n++
	}
	// Field by field: a literal with values would be made elsewhere and copied in wider words
	// than it was written by, for which processors wait.
	w.last = span{}
	w.last.stack, w.last.cause, w.last.from, w.last.to, w.last.sum = ev.Stack, cause, ev.Time-traceload.Time(ev.Lived), ev.Time, ev.Lived
}

// spans returns the last waits of w, oldest first. They are valid until the next call.
func (t *Table) spans(w *worker) []span {
	t.list = t.list[:0]
	if w.past != 0 {
		before := t.past.At(w.past)
		kept := uint32(len(before.spans))
		for i := before.n - min(before.n, kept); i < before.n; i++ {
			t.list = append(t.list, before.spans[i%kept])
		}
	}
	if w.last.stack != 0 {
		t.list = append(t.list, w.last)
	}
	return t.list
}

// release takes the end of a hold: ev.By has woken ev.G, which waited for a
// lock of class c. It returns what is known of the holds until then.
func (t *Table) release(p *traceload.Program, c *class, ev *traceload.Event, wait stay) release {
	w := t.worker(p, ev.By)
	l := t.dealings(ev.By, w)
	exit := t.note(p, ev.ByStack)
	x := t.exit(p, ev.By, l, ev.ByStack)
	x.Wakes++
	if exit.write && w.last.over && l.release.node == exit.node && l.release.running == ev.By.Since {
		return l.release // the same Unlock wakes one reader after the other
	}
	since, chain := wait.since, uint32(0)
	mine := l.find(t, exit.node)
	switch {
	case c.single():
		chain = c.chain
		if wait.kind == traceload.WaitRWMutexW {
			break // readers that were there before keep the writer waiting; the last to leave had the lock all the time
		}
		// Somebody has waited since then, and would have been woken by a release.
		since = min(since, c.opened)
		if c.moved {
			since = max(since, c.released)
		}
	case mine != nil && mine.at > since:
		since, chain = mine.at, mine.chain
	}
	spans := t.spans(w)
	if !c.single() && mine != nil && t.kept(p, spans, ev, mine.at) {
		c.overlap += wait.until.Sub(max(mine.at, c.opened))
	}
	c.worst = max(c.worst, wait.until.Sub(since)*time.Duration(c.open+1))
	x.Holds++
	x.Held += wait.until.Sub(since)

	r := record{holder: ev.By.ID, from: since, to: wait.until, prev: chain}
	for i := range spans {
		t.addBlock(p, &r, &spans[i], c, ev)
	}
	if wait.kind == traceload.WaitRWMutexW {
		r.add(block{pending, since, wait.until, wait.until.Sub(since)})
	}
	if r.n > 0 {
		t.written++
		t.records[t.written%uint32(len(t.records))] = r
		chain = t.written
	}
	l.release = release{node: exit.node, running: ev.By.Since, chain: chain, late: min(w.lateSince(ev.By, since, mine, l), wait.until.Sub(since))}
	if wait.kind != traceload.WaitRWMutexW {
		c.unscheduled += l.release.late
	}
	if mine != nil {
		*mine = handing{}
	}
	l.last = 0
	w.last.over = true
	c.released, c.moved, c.chain = ev.Time, true, chain
	return l.release
}

// kept tells whether the one with these spans was in one call of the function that now releases the
// lock whenever it was blocked since it was handed it: otherwise it may have
// released it before, and taken it again.
func (t *Table) kept(p *traceload.Program, spans []span, ev *traceload.Event, since traceload.Time) bool {
	for i := range spans {
		if s := &spans[i]; s.from >= since && t.pair(p, s, ev) == 0 {
			return false
		}
	}
	return true
}

// addBlock adds to r what part of s falls into it, if holder and lock were the same.
func (t *Table) addBlock(p *traceload.Program, r *record, s *span, c *class, ev *traceload.Event) {
	b := block{0, s.from, s.to, s.sum}
	sum := b.within(r.from, r.to)
	if sum < shortBlock {
		return
	}
	if s.cause == CauseLock && t.class(t.note(p, s.stack).node) == c {
		return // how it came by the lock
	}
	pair := t.pair(p, s, ev)
	if pair == 0 {
		return
	}
	r.add(block{pair, max(s.from, r.from), min(s.to, r.to), sum})
	h := t.holdups[pair]
	h.Held += sum
	h.Who.note(p, ev.By, t.met(ev.By))
}

// explain adds the time that g waited to what the holders did meanwhile.
func (t *Table) explain(p *traceload.Program, c *class, line *Line, g *traceload.Goroutine, wait stay, last release) {
	l := t.met(g)
	late := last.late
	if c.single() && wait.kind != traceload.WaitRWMutexW {
		late = c.unscheduled - l.unscheduled
	}
	line.Unscheduled += max(0, min(late, wait.until.Sub(wait.since)))
	chain := last.chain
	direct, left := true, wait.until.Sub(wait.since)
	for range patience {
		if chain == 0 || t.written-chain >= uint32(len(t.records)) {
			return
		}
		r := &t.records[chain%uint32(len(t.records))]
		if r.to <= wait.since {
			return
		}
		blocked := time.Duration(0)
		for i := range r.blocks[:r.n] {
			b := &r.blocks[i]
			d := min(b.within(wait.since, r.to), left)
			if d <= 0 {
				continue
			}
			if b.pair == pending {
				if wait.kind != traceload.WaitRWMutexW {
					line.Pending += max(0, d-blocked)
				}
				continue
			}
			blocked += d
			left -= d // several locks that are taken for one overlap
			s := t.share(b.pair, line)
			s.Lost += d
			s.Waits++
			s.Who.note(p, g, l)
			l.note(&t.holdups[b.pair].Victims)
			t.holdups[b.pair].sample(r, b, g, l.stack, wait, d, direct && r.to == wait.until)
		}
		chain, direct = r.prev, false
	}
}

// pairKey is where a holder was blocked and where it released the lock.
type pairKey struct{ block, exit traceload.StackID }

// pair returns the number of the Holdup for a span and the release that ev
// is, 0 if the two cannot belong to one hold.
func (t *Table) pair(p *traceload.Program, s *span, ev *traceload.Event) int32 {
	key := pairKey{s.stack, ev.ByStack}
	n, ok := t.pairs[key]
	if ok {
		return n
	}
	if m, ok := meet(p, p.Stack(s.stack), p.Stack(ev.ByStack)); ok {
		n = t.addHoldup(&Holdup{Cause: s.cause, Block: s.stack, Exit: ev.ByStack, meeting: m, node: t.note(p, ev.ByStack).node})
	}
	t.pairs[key] = n
	return n
}

func (t *Table) addHoldup(h *Holdup) int32 {
	t.holdups = append(t.holdups, h)
	return int32(len(t.holdups) - 1)
}

func (t *Table) exit(p *traceload.Program, by *traceload.Goroutine, l *dealings, stack traceload.StackID) *Exit {
	x, ok := t.exits[stack]
	if !ok {
		n := t.note(p, stack)
		x = &Exit{Stack: stack, Read: n.read, node: n.node}
		t.exits[stack] = x
	}
	x.Who.note(p, by, l)
	return x
}

// Holdup is a place where holders of one lock were blocked before one release,
// and how much waiting that explains.
type Holdup struct {
	Cause   Cause
	Block   traceload.StackID // where they were blocked
	Exit    traceload.StackID // where they released the lock; 0 if the trace ended before
	Who     Crowd             // the holders
	Held    time.Duration     // how long they were blocked with the lock, summed
	Shares  []*Share          // the waiters, by line
	Victims int32             // the waiters: how many different ones
	Lost    time.Duration     // summed over Shares
	Proof   Proof
	// Func is the function that holds the lock, LockLine and UnlockLine where
	// it does that; LockLine is 0 if it was never seen to wait for it.
	Func                 traceload.FuncID
	LockLine, UnlockLine int
	Share                float64 // of the time that the lock was held before that release, what all holdups before it took
	Sample               Sample

	meeting meeting
	node    int32
}

// Share is what the waiters at one line lost to one holdup.
type Share struct {
	Line  *Line
	Lost  time.Duration
	Waits int
	Who   Crowd
}

type shareKey struct {
	pair int32
	line traceload.StackID
}

func (t *Table) share(pair int32, line *Line) *Share {
	key := shareKey{pair, line.Stack}
	s, ok := t.shares[key]
	if !ok {
		s = &Share{Line: line}
		t.shares[key] = s
		t.holdups[pair].Shares = append(t.holdups[pair].Shares, s)
	}
	return s
}

// Sample is one wait that shows the holdup well.
type Sample struct {
	Waiter, Holder     traceload.GoID
	Lock               traceload.StackID
	Since, Until       traceload.Time // of the wait
	Blocked, Unblocked traceload.Time // the holder
	Released           traceload.Time // by the holder
	Lost               time.Duration
	Direct             bool // the holder handed the lock to this waiter
}

func (h *Holdup) sample(r *record, b *block, g *traceload.Goroutine, lock traceload.StackID, wait stay, d time.Duration, direct bool) {
	s := &h.Sample
	if s.Lost != 0 && (s.Direct && !direct || s.Direct == direct && s.Lost >= d) {
		return
	}
	*s = Sample{
		Waiter: g.ID, Holder: r.holder, Lock: lock, Since: wait.since, Until: wait.until,
		Blocked: b.from, Unblocked: b.to, Released: r.to, Lost: d, Direct: direct,
	}
}
