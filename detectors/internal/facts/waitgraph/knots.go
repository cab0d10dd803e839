package waitgraph

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
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
	for _, start := range g.starts {
		if used[start] {
			continue
		}
		cycle := g.shortest(start, used)
		if cycle == nil || ev != nil && !slices.ContainsFunc(cycle, func(n *Node) bool { return n.G.ID == ev.G.ID }) {
			continue
		}
		for _, n := range cycle {
			used[n] = true
		}
		k := s.knot(cycle)
		if ev != nil {
			k.Until, k.Untied = ev.Time, true
		}
		t.add(k)
	}
	if ev == nil {
		s.unreleased(t, used)
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

// graph is who waits for whom.
type graph struct {
	starts []*Node // those that hold something, the oldest waits first
	next   map[*Node][]*Node
}

func (s *snapshot) graph() *graph {
	g := &graph{next: map[*Node][]*Node{}}
	byAge := func(a, b *Node) int { return cmp.Or(cmp.Compare(a.G.Since, b.G.Since), cmp.Compare(a.G.ID, b.G.ID)) }
	slices.SortFunc(s.nodes, byAge)
	for _, n := range s.nodes {
		if len(n.Holds) > 0 && len(g.starts) < maxHolders {
			g.starts = append(g.starts, n)
		}
	}
	writers := map[string][]*Node{} // that wait
	for _, n := range s.nodes {
		if n.For != nil && !n.Read {
			writers[n.For.key] = append(writers[n.For.key], n)
		}
	}
	for _, n := range s.nodes {
		if n.For == nil {
			g.next[n] = s.counterparts(n)
			continue
		}
		if n.owns != nil && !(n.Read && n.owns.Read) {
			g.next[n] = append(g.next[n], n)
		}
		for _, h := range g.starts {
			if h != n && slices.ContainsFunc(h.Holds, func(o Hold) bool { return o.Lock == n.For && !(o.Read && n.Read) }) {
				g.next[n] = append(g.next[n], h)
			}
		}
		if n.Read { // a writer that waits keeps new readers out
			for _, w := range writers[n.For.key] {
				if w != n && w.Wait == traceload.WaitRWMutexW && w.G.Since <= n.G.Since {
					g.next[n] = append(g.next[n], w)
				}
			}
		}
	}
	return g
}

// counterparts returns those that wait for a lock that n holds and that would
// otherwise end n's wait: because their code used to, because n started them,
// or because by the source they come to what n waits for.
func (s *snapshot) counterparts(n *Node) []*Node {
	if len(n.Holds) == 0 {
		return nil
	}
	var list, byCode, byName []*Node
	for _, m := range s.nodes {
		if m == n || m.For == nil || !slices.ContainsFunc(n.Holds, func(h Hold) bool { return h.Lock == m.For }) {
			continue
		}
		switch {
		case s.wakes(m, n):
			list = append(list, m)
		case s.comesTo(m, n, false):
			byCode = append(byCode, m)
		case s.comesTo(m, n, true):
			byName = append(byName, m)
		}
	}
	switch { // the better known ones only
	case len(list) > 0:
	case len(byCode) > 0:
		s.guessed[n] = lessByCode
		list = byCode
	case len(byName) > 0:
		s.guessed[n] = lessByName
		list = byName
	}
	return list
}

// awaited is something that a goroutine waits for, as its source calls it,
// without what leads to it, and what would end the wait.
type awaited struct {
	name string
	how  source.Ending
}

func (a awaited) by(loosely bool) source.Ending {
	if loosely {
		return source.EndsPerhaps
	}
	return a.how
}

// awaits returns what n waits for. Local variables do not count: the name of
// one says nothing in another function.
func (s *snapshot) awaits(n *Node) []awaited {
	st := s.t.study(s.p, &n.G)
	var list []awaited
	add := func(expr string, how source.Ending) {
		if i := strings.LastIndexByte(expr, '.'); i >= 0 {
			expr = expr[i+1:]
		}
		if token.IsIdentifier(expr) {
			list = append(list, awaited{expr, how})
		}
	}
	if h := st.holding; h != nil && h.Awaits != nil && (len(h.Awaits.Path.Steps) > 0 || h.Awaits.Path.Root == source.RootPackage) {
		how := source.EndsWaitGroup
		if n.Wait == traceload.WaitCond {
			how = source.EndsCond
		}
		add(h.Awaits.Path.String(), how)
	}
	for _, op := range st.op {
		for _, c := range op.Channels {
			how := source.EndsReceive
			if c.Send {
				how = source.EndsSend
			}
			if c.Origin == source.OriginField || c.Origin == source.OriginPackage {
				add(c.Expr, how)
			}
		}
	}
	return list
}

// wakes tells whether m's code is known to end waits such as n's.
func (s *snapshot) wakes(m, n *Node) bool {
	site := s.p.SiteID(n.G.Stack)
	for _, id := range s.p.Stack(m.G.Stack).Frames {
		if f := s.p.Frame(id); f.Origin == traceload.OriginUser && s.t.wakers[wakeKey{site, f.FuncID}] {
			return true
		}
	}
	if e := s.p.Entry(&m.G); e != nil && s.t.wakers[wakeKey{site, e.FuncID}] {
		return true
	}
	return m.G.Creator == n.G.ID
}

// comesTo tells whether by the source m's code comes to end n's wait; loosely,
// whether it works on what n waits for.
func (s *snapshot) comesTo(m, n *Node, loosely bool) bool {
	src := s.t.pass.Source()
	if src == nil {
		return false
	}
	list := s.awaits(n)
	return slices.ContainsFunc(detectors.SourceFrames(s.p, m.G.Stack), func(f source.Frame) bool {
		return slices.ContainsFunc(list, func(a awaited) bool { return src.Reaches(f, a.name, a.by(loosely)) })
	})
}

// shortest returns the shortest cycle through start that uses nobody used, nil
// if there is none. The one that began to wait last comes first.
func (g *graph) shortest(start *Node, used map[*Node]bool) []*Node {
	parent := map[*Node]*Node{start: nil}
	queue := []*Node{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, m := range g.next[n] {
			if m == start {
				var cycle []*Node
				for c := n; c != nil; c = parent[c] {
					cycle = append(cycle, c)
				}
				slices.Reverse(cycle)
				return lastFirst(cycle)
			}
			if _, seen := parent[m]; !seen && !used[m] {
				parent[m] = n
				queue = append(queue, m)
			}
		}
	}
	return nil
}

// lastFirst turns the cycle so that it begins with the goroutine whose wait closed it.
func lastFirst(cycle []*Node) []*Node {
	last := 0
	for i, n := range cycle {
		if n.G.Since > cycle[last].G.Since {
			last = i
		}
	}
	return slices.Concat(cycle[last:], cycle[:last])
}

// Weights of the confidence in a knot.
const (
	sureBySource = 0.95
	sureByWindow = 0.7
	sureByLines  = 0.55
	// Alone with itself by lines: a method that calls another of the same
	// type's other objects looks just so.
	selfByLines   = 0.45
	lessManyLocks = 0.07 // the locks are known by their kind only: there may be several
	lessByCode    = 0.1  // who would end a wait on a channel, a WaitGroup or a Cond follows from what its code comes to
	lessByName    = 0.2  // … from its code using the same names
	lessOneKind   = 0.1  // … and all locks of the cycle are of one kind
	// A circle over locks of one kind needs the source: standing below a line
	// that locks one of them does not say which.
	oneKindByLines = 0.4
	// That nobody holds a lock follows from the source only: by lines alone
	// its holder may just never have been seen to lock. goroutine-leak tells it then.
	unreleasedByLines = 0.45
)

func (s *snapshot) knot(cycle []*Node) *Knot {
	k := &Knot{Cause: causeOf(cycle), Cycle: cycle, Closed: cycle[0].G.Since, Until: s.now, Confidence: sureBySource}
	proof := BySource
	single, kinds := true, map[string]bool{}
	for i, n := range cycle {
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
		k.note(0.5, "the holders stand below lines where others wait for the same locks")
	default:
		k.note(2, "the source says which lock each of them holds")
	}
	for _, n := range cycle {
		if less := s.guessed[n]; less > 0 {
			k.Confidence -= less
			k.note(-0.5, "that one would end the other's wait follows from the names in the source")
		}
	}
	if len(cycle) > 1 && len(kinds) == 1 && proof != BySource && k.Cause == "lock-order" {
		k.Confidence = min(k.Confidence, oneKindByLines)
		k.note(-1, "all the locks are of one kind, and which is which the lines do not tell")
	}
	if len(cycle) > 1 && !single {
		k.Confidence -= lessManyLocks
		k.note(-0.5, "there may be several locks of these names; that they are the same ones follows from nobody going on")
		if len(kinds) == 1 && k.Cause == "lock-order" {
			k.Confidence -= lessOneKind
		}
	}
	if len(cycle) == 1 && proof != BySource {
		k.Confidence = selfByLines
	}
	k.note(1, "none of them has moved for %s", detectors.Duration(k.Until.Sub(k.Closed)))
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

// A lock that nobody holds: how long its waiters must have waited, as a part of the trace.
const unreleasedShare = 10

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
		} else {
			k.Confidence = unreleasedByLines
			k.note(0.5, "no goroutine that is alive and parked stands between lines that lock and unlock it")
		}
		if n := slices.IndexFunc(waiters, func(n *Node) bool { return n.again }); n >= 0 {
			k.note(1, "the waiting function can come round its loop without having unlocked")
		}
		if s.unseen > 0 {
			k.Confidence -= 0.05
			k.note(-0.5, "%s ran when the trace ended, and might hold it", detectors.Count(s.unseen, "goroutine"))
		}
		if len(waiters) == 1 {
			k.Confidence -= 0.1
			k.note(-0.5, "only one goroutine waits for it")
		}
		t.Knots = append(t.Knots, k)
	}
}
