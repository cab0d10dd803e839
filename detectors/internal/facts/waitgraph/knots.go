package waitgraph

import (
	"fmt"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// find looks for knots at this moment; with ev, in which ev.G gave up.
func (t *Tracker) find(p *traceload.Program, ev *traceload.Event) {
	s := t.look(p, ev)
	if len(s.nodes) == 0 {
		return
	}
	g := s.graph()
	used := map[*Node]bool{}
	for _, g.loosely = range []bool{false, true} {
		clear(g.next)
		for _, start := range g.starts {
			if used[start] {
				continue
			}
			cycle := g.shortest(start, used)
			if cycle == nil || ev != nil && !slices.ContainsFunc(cycle, func(n *Node) bool { return n.G.ID == ev.G.ID }) {
				continue
			}
			var among []*Node
			if ev == nil {
				cycle, among = g.example(cycle)
			}
			for _, n := range slices.Concat(cycle, among) {
				used[n] = true
			}
			k := s.knot(cycle, len(among))
			if ev != nil {
				k.Until, k.Untied = ev.Time, true
			}
			t.add(k)
		}
	}
	if ev == nil {
		s.unreleased(t, used)
		s.tell()
	}
}

// tell lets the table of locks know who holds those that are waited for when
// the trace ends, if one goroutine does.
func (s *snapshot) tell() {
	holders, waiting := map[*Lock][]*Node{}, map[*Lock]map[locks.ID]int{}
	var order []*Lock
	for _, n := range slices.Concat(s.nodes, s.others) {
		for _, h := range n.Holds {
			holders[h.Lock] = append(holders[h.Lock], n)
		}
		if n.For != nil && n.class != 0 {
			if waiting[n.For] == nil {
				waiting[n.For] = map[locks.ID]int{}
				order = append(order, n.For)
			}
			waiting[n.For][n.class]++
		}
	}
	for _, l := range order {
		if len(holders[l]) != 1 {
			continue
		}
		class, most := locks.ID(0), 0
		for id, n := range waiting[l] {
			if n > most || n == most && id < class {
				class, most = id, n
			}
		}
		n := holders[l][0]
		if n.For == l {
			continue
		}
		h := n.hold(l)
		proof := locks.ProofPlace
		if h.Proof == BySource {
			proof = locks.ProofSource
		}
		s.t.locks.Assume(s.p, class, s.p.Goroutine(n.G.ID), h.fn, h.Taken.Line, proof)
	}
}

// add keeps k, unless the same knot is known.
func (t *Tracker) add(k *Knot) {
	same := func(o *Knot) bool {
		return o.Cause == k.Cause && slices.EqualFunc(o.Cycle, k.Cycle, func(a, b *Node) bool { return a.Site == b.Site }) &&
			slices.EqualFunc(o.Locks, k.Locks, func(a, b *Lock) bool { return (a == nil) == (b == nil) && (a == nil || a.key == b.key) })
	}
	if i := slices.IndexFunc(t.Knots, same); i >= 0 {
		if old := t.Knots[i]; len(k.Behind) > len(old.Behind) && old.Untied == k.Untied {
			t.Knots[i] = k
		}
		return
	}
	t.Knots = append(t.Knots, k)
}

// Weights of the confidence in a knot.
const (
	sureBySource  = 0.95
	sureByWindow  = 0.7
	sureByLines   = 0.6
	sureByPlace   = 0.55
	lessGuessed   = 0.05 // that some lines work on one lock follows from the type of their methods only
	lessRunning   = 0.15 // a goroutine has run ever since, and may hold the lock
	lessCrowded   = 0.1  // others are at work in methods of the lock's type
	moreStill     = 0.1  // others that waited for these locks went on soon
	lessManyLocks = 0.07 // the locks are known by their kind only: there may be several
	lessByCode    = 0.1  // who would end a wait on a channel, a WaitGroup or a Cond follows from what its code comes to
	lessByName    = 0.2  // … from its code using the same names
	lessOneKind   = 0.1  // … and all locks of the cycle are of one kind
	// That nobody holds a lock can be said without source if it was always
	// released by methods of the type that locks it, and nobody is in one;
	// else its holder may just stand where nobody was seen to. goroutine-leak tells it then.
	unreleasedByPlace = 0.55
	unreleasedByMany  = 0.5 // enoughStuck wait for it, nobody was ever seen to release it, and it is its type's only one
	unreleasedByLines = 0.45
)

// moreStill is surer of k if waits for its locks used to end soon.
func (s *snapshot) moreStill(k *Knot, waiters []*Node) {
	ended, longest := 0, time.Duration(0)
	seen := map[locks.ID]bool{0: true}
	for _, n := range waiters {
		if g := s.deduced.group(n.class); !seen[g] {
			seen[g] = true
			w, d := s.deduced.waits(g)
			ended, longest = ended+w, max(longest, d)
		}
	}
	if ended >= enoughWaits && longest < k.Until.Sub(k.Closed)/outlier {
		k.Confidence += moreStill
		k.note(1, "%d other waits for these locks ended, the longest after %s", ended, detectors.Duration(longest))
	}
}

// A standstill is unusual if so many waits for the locks ended, each within that
// part of it.
const enoughWaits, outlier = 5, 5

// knot is the knot of a cycle, which stands for one among so many goroutines, see example.
func (s *snapshot) knot(cycle []*Node, among int) *Knot {
	k := &Knot{Cause: causeOf(cycle), Cycle: cycle, Among: among, Closed: cycle[0].G.Since, Until: s.now, Confidence: sureBySource}
	proof := BySource
	single, kinds := true, map[string]bool{}
	for i, n := range cycle {
		n.What = s.what(n)
		k.Locks = append(k.Locks, n.For)
		holder := cycle[(i+1)%len(cycle)]
		if n.For == nil {
			continue
		}
		kinds[n.For.key] = true
		single = single && n.For.Single
		if h := holder.hold(n.For); h != nil {
			proof = min(proof, h.Proof)
		}
	}
	switch proof {
	case ByWindow:
		k.Confidence = sureByWindow
		k.note(1, "by the lines where each was seen to lock and to unlock, the holders stand between them")
	case ByLines:
		k.Confidence = sureByLines
		k.note(0.5, "the holders stand behind a line that locks, or before one that unlocks, in the same function")
	case ByPlace, ByPresence:
		k.Confidence = sureByPlace
		k.note(0.5, "of all goroutines alive only the holder is at work in a method of the type that the lock belongs to")
	default:
		k.note(2, "the source says which lock each of them holds")
	}
	lines := proof != BySource // something rests on lines
	if alone := cycle[0]; proof < ByLines && slices.ContainsFunc(cycle, func(n *Node) bool { return slices.ContainsFunc(n.Holds, func(h Hold) bool { return !h.alone }) }) {
		k.note(-0.5, "G%d is one of several that may hold the lock; whichever it is, all of them wait in this circle or behind it", alone.G.ID)
	}
	if lines && slices.ContainsFunc(cycle, func(n *Node) bool { return n.For != nil && n.For.crowded }) {
		k.Confidence -= lessCrowded
		k.note(-0.5, "others work in methods of that type too, with other objects as it seems, since the lock is not released")
	} else if lines {
		k.note(0.5, "no goroutine that still moves stands where it could hold one of the locks")
	}
	if lines && slices.ContainsFunc(cycle, func(n *Node) bool { return n.For != nil && n.For.guessed }) {
		k.Confidence -= lessGuessed
		k.note(-0.5, "that all its lines work on one lock follows from their being in methods of one type")
	}
	if lines && slices.ContainsFunc(cycle, func(n *Node) bool { return n.For != nil && n.For.running }) {
		k.Confidence -= lessRunning
		k.note(-1, "a goroutine has been running ever since, and might hold it")
	}
	if len(cycle) == 1 && cycle[0].owns != nil && cycle[0].owns.sole {
		k.note(-0.5, "that both are one object follows from nobody else holding such a lock")
		k.Confidence -= lessManyLocks
	}
	for _, n := range cycle {
		if less := s.guessed[n]; less > 0 {
			k.Confidence -= less
			k.note(-0.5, "that one would end the other's wait follows from the names in the source")
		}
	}
	if len(cycle) > 1 && len(kinds) == 1 && proof != BySource && k.Cause == "lock-order" {
		k.note(0.5, "the locks are of one kind: each of these goroutines holds one and waits for one that only another of them can hold, so some of them wait in a circle")
	} else if len(cycle) > 1 && !single && proof == BySource {
		k.Confidence -= lessManyLocks
		if among == 0 {
			k.note(-0.5, "there may be several locks of these names; that they are the same ones follows from nobody going on")
		} else {
			k.note(-0.5, "there are several locks of that name: %d goroutines hold one and wait for another, and none goes on, so some of them wait in a circle; which ones is not known", among)
		}
		if len(kinds) == 1 && k.Cause == "lock-order" {
			k.Confidence -= lessOneKind
		}
	}
	still := k.Until.Sub(k.Closed)
	k.note(1, "none of them has moved for %s", detectors.Duration(still))
	if proof != BySource {
		s.moreStill(k, cycle)
	}
	k.Behind = s.behind(k)
	return k
}

func (k *Knot) note(weight float64, format string, args ...any) {
	k.Evidence = append(k.Evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

// hold returns how n holds the lock, nil if it does not.
func (n *Node) hold(l *Lock) *Hold {
	if n.owns != nil && n.owns.Lock == l {
		return n.owns
	}
	for i := range n.Holds {
		if n.Holds[i].Lock == l {
			return &n.Holds[i]
		}
	}
	return nil
}

func causeOf(cycle []*Node) string {
	if len(cycle) == 1 {
		return "self-lock"
	}
	for _, n := range cycle {
		switch {
		case n.For != nil:
		case n.Wait == traceload.WaitWaitGroup || n.Wait == traceload.WaitCond:
			return "lock-wait"
		default:
			return "lock-channel"
		}
	}
	if len(cycle) == 2 { // a reader that reads again behind a writer
		for i, n := range cycle {
			if h := n.hold(n.For); n.Read && h != nil && h.Read && !cycle[1-i].Read {
				return "recursive-read"
			}
		}
	}
	return "lock-order"
}

// behind returns those that wait for a lock of the knot without being in it.
func (s *snapshot) behind(k *Knot) []*Node {
	var list []*Node
	for _, n := range s.nodes {
		if n.For != nil && !slices.Contains(k.Cycle, n) && slices.Contains(k.held(), n.For) {
			list = append(list, n)
		}
	}
	return list
}

// held returns the locks that the knot keeps.
func (k *Knot) held() []*Lock {
	if len(k.Cycle) == 0 {
		return k.Locks
	}
	var list []*Lock
	for _, n := range k.Cycle {
		for _, h := range n.Holds {
			list = append(list, h.Lock)
		}
		if n.owns != nil {
			list = append(list, n.owns.Lock)
		}
	}
	return list
}

// A lock that nobody holds: how long its waiters must have waited, as a part of
// the trace, and how many there must be where little else is known.
const unreleasedShare, enoughStuck = 10, 3

// unreleased finds locks that are waited for and that nobody alive holds.
func (s *snapshot) unreleased(t *Tracker, used map[*Node]bool) {
	byLock := map[*Lock][]*Node{}
	var order []*Lock
	for _, n := range s.nodes {
		if n.For == nil {
			continue
		}
		if byLock[n.For] == nil {
			order = append(order, n.For)
		}
		byLock[n.For] = append(byLock[n.For], n)
	}
	taken := map[*Lock]bool{}
	for _, n := range slices.Concat(s.nodes, s.others) {
		for _, h := range n.Holds {
			taken[h.Lock] = true
		}
	}
	for _, l := range order {
		waiters := byLock[l]
		oldest := waiters[0]
		age := s.now.Sub(oldest.G.Since)
		if taken[l] || slices.ContainsFunc(waiters, func(n *Node) bool { return used[n] }) ||
			age < max(2*minAge, time.Duration(s.now)/unreleasedShare) {
			continue
		}
		k := &Knot{Cause: "unreleased", Locks: []*Lock{l}, Behind: waiters, Closed: oldest.G.Since, Until: s.now, Confidence: sureByLines}
		k.note(1, "it has not been released for %s", detectors.Duration(age))
		if known := slices.ContainsFunc(waiters, func(n *Node) bool { return n.known }); known {
			k.Confidence = sureBySource - 0.05
			k.note(2, "by the source none of the goroutines that are alive and parked holds it")
		} else if l.suspects > 0 {
			continue // one of them holds it, whichever that is
		} else if k.Confidence = unreleasedByLines; l.disciplined && !l.running {
			k.Confidence = unreleasedByPlace
			k.note(1, "it was only ever released by methods of the type that locks it, and no goroutine alive is in one, but for those that wait for it")
		} else if k.note(0.5, "no goroutine that is alive and parked stands between lines that lock and unlock it"); len(waiters) >= enoughStuck && !l.open {
			k.Confidence = unreleasedByMany
		}
		if k.Confidence == unreleasedByPlace {
			s.moreStill(k, waiters)
		}
		if n := slices.IndexFunc(waiters, func(n *Node) bool { return n.again }); n >= 0 {
			k.note(1, "the waiting function can come round its loop without having unlocked")
		}
		running, hidden := 0, 0
		for _, n := range s.unseen {
			switch s.mayHold(n, oldest.G.Since, s.deduced.group(oldest.class)) {
			case runs:
				running++
			case parkedBefore:
				hidden++
			}
		}
		if running > 0 {
			continue // it may be at work with the lock
		}
		if hidden > 0 {
			k.Confidence -= 0.05
			k.note(-0.5, "%s parked before the trace began, where is not known, and might hold it", detectors.Count(hidden, "goroutine"))
		}
		if len(waiters) == 1 {
			k.Confidence -= 0.1
			k.note(-0.5, "only one goroutine waits for it")
		}
		t.Knots = append(t.Knots, k)
	}
}
