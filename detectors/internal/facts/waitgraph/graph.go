package waitgraph

import (
	"cmp"
	"go/token"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// graph is who waits for whom.
type graph struct {
	s       *snapshot
	starts  []*Node           // those that hold something, the oldest waits first
	writers map[*Lock][]*Node // that wait for the readers of an RWMutex
	next    map[*Node][]*Node // as far as asked for
	loosely bool              // names in the source will do to connect two goroutines
}

func (s *snapshot) graph() *graph {
	g := &graph{s: s, writers: map[*Lock][]*Node{}, next: map[*Node][]*Node{}}
	byAge := func(a, b *Node) int { return cmp.Or(cmp.Compare(a.G.Since, b.G.Since), cmp.Compare(a.G.ID, b.G.ID)) }
	slices.SortFunc(s.nodes, byAge)
	for _, n := range s.nodes {
		if len(n.Holds) > 0 && len(g.starts) < maxHolders {
			g.starts = append(g.starts, n)
		}
		if n.For != nil && n.Wait == traceload.WaitRWMutexW {
			g.writers[n.For] = append(g.writers[n.For], n)
		}
	}
	return g
}

// waitsFor returns those that n waits for.
func (g *graph) waitsFor(n *Node) []*Node {
	list, ok := g.next[n]
	if ok {
		return list
	}
	switch {
	case n.For == nil && len(n.Holds) > 0:
		if list = g.s.counterparts(n, g.loosely); len(list) == 0 {
			list = g.s.servers(n)
		}
	case n.For == nil:
		list = g.s.servers(n)
	default:
		if n.owns != nil && !(n.Read && n.owns.Read) {
			list = append(list, n)
		}
		for _, h := range g.starts {
			if h != n && slices.ContainsFunc(h.Holds, func(o Hold) bool { return o.Lock == n.For && !(o.Read && n.Read) }) {
				list = append(list, h)
			}
		}
		if n.Read { // a writer that waits keeps new readers out
			for _, w := range g.writers[n.For] {
				if w != n && w.G.Since <= n.G.Since {
					list = append(list, w)
				}
			}
		}
	}
	g.next[n] = list
	return list
}

// maxServers bounds those who may end a wait in a chain of waits: where more
// could, it is not known that all of them are stuck.
const maxServers = 4

// servers returns the goroutines whose function used to end waits such as n's,
// if none of those that are in it still moves. They need not wait for a lock:
//
//	apply waits for GC.mu, which expire holds, which sends to lead, which waits for apply
func (s *snapshot) servers(n *Node) []*Node {
	site := s.p.SiteID(n.G.Stack)
	list, ok := s.serving[site]
	if ok {
		return list
	}
	s.serving[site] = nil
	for _, m := range s.nodes {
		for _, id := range s.p.Stack(m.G.Stack).Frames {
			f := s.p.Frame(id)
			if f.Origin != traceload.OriginUser || !s.t.ends(site, f.FuncID, wakerSite) {
				continue
			}
			if s.deduced.moving[f.FuncID] || len(list) == maxServers {
				return nil
			}
			list = append(list, m)
			break
		}
	}
	if len(list) == 0 {
		list = s.serversByCode(n)
	}
	if slices.Contains(list, n) {
		return nil // its own like end its wait
	}
	s.serving[site] = list
	return list
}

// serversByCode returns the goroutines that by the source come to end n's wait.
func (s *snapshot) serversByCode(n *Node) (list []*Node) {
	if s.t.pass.Source() == nil || len(s.awaits(n)) == 0 {
		return nil
	}
	for _, m := range slices.Concat(s.others, s.unseen) {
		if s.comesTo(m, n, false) {
			return nil
		}
	}
	for _, m := range s.nodes {
		if m != n && s.comesTo(m, n, false) {
			if len(list) == maxServers {
				return nil
			}
			list = append(list, m)
		}
	}
	if len(list) > 0 {
		s.guessed[n] = lessByCode
	}
	return list
}

// How it is known that a goroutine would end the wait of one that holds the lock
// that it waits for. Only the best known ones count.
type link uint8

const (
	linkNone  link = iota
	linkNames      // by the source it works on what the other waits for, or that is a WaitGroup and it began with a method of the lock's type
	linkBirth      // it was started by code that works on the WaitGroup that the other waits for
	linkHome       // it was started by a method of the type that the lock belongs to
	linkCode       // by the source it comes to end such a wait
	linkEntry      // goroutines that began as it did used to
	linkChild      // it was started by the other, in the function that waits
	linkSite       // it is in a function that used to
)

// price is what a link takes from the confidence.
func (l link) price() float64 {
	switch l {
	case linkNames:
		return lessByName
	case linkBirth, linkHome, linkCode:
		return lessByCode
	}
	return 0
}

// counterparts returns those that wait for a lock that n holds and that would
// otherwise end n's wait.
func (s *snapshot) counterparts(n *Node, loosely bool) []*Node {
	var list []*Node
	if n.Wait == traceload.WaitWaitGroup && slices.ContainsFunc(slices.Concat(s.others, s.unseen), func(m *Node) bool { return s.childOf(&m.G, n) }) {
		return nil // they are still at it
	}
	best := linkNone
	for _, m := range s.nodes {
		if m == n || m.For == nil || !slices.ContainsFunc(n.Holds, func(h Hold) bool { return h.Lock == m.For }) {
			continue
		}
		l := s.link(m, n, best, loosely)
		if l > best {
			best, list = l, nil
		}
		if l == best && l != linkNone {
			list = append(list, m)
		}
	}
	// Of several that are known equally well rather one that does not do what n
	// does, and is nearer to the end of n's wait.
	slices.SortStableFunc(list, func(a, b *Node) int {
		return cmp.Or(s.alike(a, n)-s.alike(b, n), s.strange(a)-s.strange(b), s.comesAt(a, n, false)-s.comesAt(b, n, false))
	})
	if price := best.price(); price > 0 {
		s.guessed[n] = price
	}
	return list
}

// childOf tells whether g was started by n in the call of the function that waits now.
func (s *snapshot) childOf(g *traceload.Goroutine, n *Node) bool {
	site := s.p.Site(n.G.Stack)
	return g.Creator == n.G.ID && site != nil && slices.ContainsFunc(s.p.Stack(g.CreatedAt).Frames, func(id traceload.FrameID) bool {
		return s.p.Frame(id).FuncID == site.FuncID
	})
}

// alike is 1 if m is in the function where n waits, else 0.
func (s *snapshot) alike(m, n *Node) int {
	site := s.p.Site(n.G.Stack)
	if site == nil {
		return 0
	}
	for _, id := range s.p.Stack(m.G.Stack).Frames {
		if s.p.Frame(id).FuncID == site.FuncID {
			return 1
		}
	}
	return 0
}

// strange is 0 for a goroutine that a method of the type of the lock which it
// waits for started, or that began with one, else 1.
func (s *snapshot) strange(m *Node) int {
	if s.bornHome(m) {
		return 0
	}
	frames := s.p.Stack(m.G.Stack).Frames
	if len(frames) == 0 {
		return 1
	}
	outermost := s.p.Frame(frames[len(frames)-1]).Func
	if home := homeOf(outermost); home != traceload.PackagePath(outermost) && s.deduced.homes[s.deduced.group(m.class)][home] {
		return 0
	}
	return 1
}

// link says how it is known that m would end n's wait. What is worse than least
// need not be told apart from nothing.
func (s *snapshot) link(m, n *Node, least link, loosely bool) link {
	site := s.p.SiteID(n.G.Stack)
	for _, id := range s.p.Stack(m.G.Stack).Frames {
		if f := s.p.Frame(id); f.Origin == traceload.OriginUser && s.t.ends(site, f.FuncID, wakerSite) {
			return linkSite
		}
	}
	if s.childOf(&m.G, n) {
		return linkChild
	}
	entry := s.p.Entry(&m.G)
	if frames := s.p.Stack(m.G.Stack).Frames; entry == nil && len(frames) > 0 {
		entry = s.p.Frame(frames[len(frames)-1])
	}
	if entry != nil && s.t.ends(site, entry.FuncID, wakerEntry) {
		return linkEntry
	}
	switch {
	case least <= linkCode && s.comesTo(m, n, false):
		return linkCode
	case least <= linkHome && !m.known && s.bornHome(m):
		return linkHome
	case n.Wait == traceload.WaitWaitGroup && least <= linkBirth && s.bornWith(m, n):
		return linkBirth
	case loosely && least <= linkNames && (s.comesTo(m, n, true) || n.Wait == traceload.WaitWaitGroup && s.strange(m) == 0):
		return linkNames
	}
	return linkNone
}

// bornHome tells whether m was started by a method of the type that the lock which it waits for belongs to.
func (s *snapshot) bornHome(m *Node) bool {
	f := s.p.Site(m.G.CreatedAt)
	if f == nil || m.class == 0 {
		return false
	}
	home := homeOf(f.Func)
	return home != traceload.PackagePath(f.Func) && s.deduced.homes[s.deduced.group(m.class)][home]
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
	for _, op := range s.t.ops(s.p, &n.G) {
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

// comesTo tells whether by the source m's code comes to end n's wait; loosely,
// whether it works on what n waits for.
func (s *snapshot) comesTo(m, n *Node, loosely bool) bool { return s.comesAt(m, n, loosely) >= 0 }

// pairKey is two stacks.
type pairKey struct {
	m, n    traceload.StackID
	loosely bool
}

// comesAt returns the frame of m, counted from the innermost, whose function
// comes to end n's wait; -1 if none does.
func (s *snapshot) comesAt(m, n *Node, loosely bool) int {
	src := s.t.pass.Source()
	if src == nil {
		return -1
	}
	key := pairKey{m.G.Stack, n.G.Stack, loosely}
	at, ok := s.reaches[key]
	if !ok {
		list := s.awaits(n)
		at = slices.IndexFunc(detectors.SourceFrames(s.p, m.G.Stack), func(f source.Frame) bool {
			return slices.ContainsFunc(list, func(a awaited) bool { return src.Reaches(f, a.name, a.by(loosely)) })
		})
		s.reaches[key] = at
	}
	return at
}

// bornWith tells whether m was started by a function that works on what n waits for.
func (s *snapshot) bornWith(m, n *Node) bool {
	src := s.t.pass.Source()
	f := s.p.Site(m.G.CreatedAt)
	if src == nil || f == nil {
		return false
	}
	return slices.ContainsFunc(s.awaits(n), func(a awaited) bool {
		return src.Reaches(source.Frame{Func: f.Func, File: f.File, Line: f.Line}, a.name, source.EndsPerhaps)
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
		for _, m := range g.waitsFor(n) {
			if m == start && n.For == nil {
				continue // who waits for a lock closes the circle
			}
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

// example returns a cycle that stands for what is known of one among several locks of one kind:
// where more goroutines hold one and wait for another than are in the cycle, they may be others
// that are in it. Those are returned as well; nil if nobody else comes into question. A better
// example is one of goroutines that wait at different lines: at one line all take locks in the
// same order, which may be a good one.
func (g *graph) example(cycle []*Node) (example, among []*Node) {
	first := cycle[0]
	if len(cycle) < 2 || causeOf(cycle) != "lock-order" {
		return cycle, nil
	}
	holds := func(n *Node) bool { // another one of that kind
		return n.For != nil && !n.For.Single && n.For.key == first.For.key && !n.Read &&
			slices.ContainsFunc(n.Holds, func(h Hold) bool { return h.Lock.key == n.For.key && !h.Read && h.Proof == BySource })
	}
	for _, n := range cycle {
		if !holds(n) {
			return cycle, nil
		}
	}
	for _, n := range g.starts {
		if holds(n) {
			among = append(among, n)
		}
	}
	if len(among) == len(cycle) {
		return cycle, nil
	}
	apart := func(a, b *Node) bool { return a.Site != b.Site }
	if !slices.ContainsFunc(cycle, func(n *Node) bool { return apart(n, first) }) {
		for i, a := range among {
			if j := slices.IndexFunc(among[i:], func(b *Node) bool { return apart(a, b) }); j >= 0 {
				return lastFirst([]*Node{a, among[i+j]}), among
			}
		}
	}
	return cycle, among
}
