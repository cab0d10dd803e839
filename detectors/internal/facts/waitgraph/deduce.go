package waitgraph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// What can be said of locks without source follows from lines, in two steps.
//
// Which lock is it? Wake-ups join lines into classes (facts/locks). A line where
// nobody was ever woken stands alone. It is taken to work on the lock that the
// other methods of the same type work on, unless that type is known to have two.
//
// Who holds it? Whoever stands between a line that locks and one that unlocks;
// failing that, behind one that locks or before one that unlocks; failing that,
// the only goroutine of all that is in a method of the lock's type, other than to
// wait for this very lock. The last two are conclusions by elimination: they
// hold only as long as no goroutine that still moves may have the lock.
type deduction struct {
	s        *snapshot
	classes  []locks.ID
	parent   map[locks.ID]locks.ID // classes that are taken for one lock
	guessed  map[locks.ID]bool     // by group: joined without a wake-up
	homes    map[locks.ID]map[string]bool
	release  map[locks.ID]map[string]bool // homes of the lines that unlock
	packages map[string]bool              // homes that are packages, not types
	several  map[string]bool              // homes that are known to have several locks
	wrapped  map[locks.ID]bool            // groups whose lines are those of functions that lock or unlock for others
	windows  map[traceload.FuncID][]locks.Window
	before   map[traceload.StackID][]locks.ID
	stands   map[traceload.StackID][]stand
	moving   map[traceload.FuncID]bool // functions that goroutines which still move are in
}

// stand is a place on a stack where a lock may be held.
type stand struct {
	lock  locks.ID // group
	frame int
	proof Proof
	read  bool
	taken detectors.Frame
}

func (s *snapshot) deduce() *deduction {
	t := s.t.locks
	d := &deduction{
		s: s, parent: map[locks.ID]locks.ID{}, guessed: map[locks.ID]bool{}, homes: map[locks.ID]map[string]bool{}, release: map[locks.ID]map[string]bool{},
		several: map[string]bool{}, packages: map[string]bool{}, wrapped: map[locks.ID]bool{},
		windows: t.Windows(s.p, s.waiting), before: t.HeldBefore(), stands: map[traceload.StackID][]stand{}, moving: map[traceload.FuncID]bool{},
	}
	uses := t.Uses()
	d.join(uses, t.Apart(s.p))
	for _, u := range uses {
		if g := d.group(u.Lock); t.Wraps(u.Frame, s.p) {
			d.wrapped[g] = true
		}
	}
	return d
}

// group returns the class that stands for all that are taken for one lock.
func (d *deduction) group(id locks.ID) locks.ID {
	for d.parent[id] != 0 && d.parent[id] != id {
		id = d.parent[id]
	}
	return id
}

// join makes groups of classes: lines of one function that only locks one and
// unlocks one, and methods of one type.
func (d *deduction) join(uses []locks.Use, apart map[[2]locks.ID]bool) {
	type key struct {
		home string
		rw   bool
	}
	merge := func(list []locks.ID) bool {
		for i, a := range list {
			for _, b := range list[:i] {
				if apart[[2]locks.ID{a, b}] {
					return false
				}
			}
		}
		for _, b := range list[min(1, len(list)):] {
			if x, y := d.group(list[0]), d.group(b); x != y {
				d.parent[y] = x
				d.guessed[x] = true
			}
		}
		return true
	}
	add := func(list []locks.ID, id locks.ID) []locks.ID {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
		return list
	}
	nested(d.s.p, uses, apart)
	byFunc := map[traceload.FuncID][2][]locks.ID{} // locks, unlocks
	byHome := map[key][]locks.ID{}
	var funcs []traceload.FuncID
	var homes []key
	for _, u := range uses {
		f := d.s.p.Frame(u.Frame)
		d.classes = add(d.classes, u.Lock)
		pair, ok := byFunc[f.FuncID]
		if !ok {
			funcs = append(funcs, f.FuncID)
		}
		i := 0
		if u.Unlock {
			i = 1
		}
		pair[i] = add(pair[i], u.Lock)
		byFunc[f.FuncID] = pair
		if f.Origin != traceload.OriginUser {
			continue
		}
		k := key{homeOf(f.Func), u.RW}
		if byHome[k] == nil {
			homes = append(homes, k)
		}
		byHome[k] = add(byHome[k], u.Lock)
	}
	for _, fn := range funcs {
		if pair := byFunc[fn]; len(pair[0]) == 1 && len(pair[1]) == 1 {
			merge([]locks.ID{pair[0][0], pair[1][0]})
		}
	}
	for _, k := range homes {
		if !merge(byHome[k]) {
			d.several[k.home] = true
		}
	}
	for _, u := range uses {
		m := d.homes
		if u.Unlock {
			m = d.release
		}
		g := d.group(u.Lock)
		if m[g] == nil {
			m[g] = map[string]bool{}
		}
		fn := d.s.p.Frame(u.Frame).Func
		home := homeOf(fn)
		m[g][home] = true
		d.packages[home] = home == traceload.PackagePath(fn)
	}
}

// nested adds to apart the locks that one function takes one inside the other:
// had they been one, it could never have come to its Unlock.
func nested(p *traceload.Program, uses []locks.Use, apart map[[2]locks.ID]bool) {
	byFunc := map[traceload.FuncID][]locks.Use{}
	for _, u := range uses {
		fn := p.Frame(u.Frame).FuncID
		byFunc[fn] = append(byFunc[fn], u)
	}
	line := func(u locks.Use) int { return p.Frame(u.Frame).Line }
	for _, list := range byFunc {
		for _, out := range list {
			for _, in := range list {
				for _, end := range list {
					if !out.Unlock && !in.Unlock && end.Unlock && out.Lock == end.Lock && in.Lock != out.Lock && line(out) < line(in) && line(in) < line(end) {
						apart[[2]locks.ID{out.Lock, in.Lock}], apart[[2]locks.ID{in.Lock, out.Lock}] = true, true
					}
				}
			}
		}
	}
}

// homeOf returns what a function belongs to: the type of its receiver, or its package.
func homeOf(fn string) string {
	pkg := traceload.PackagePath(fn)
	if pkg == "" {
		return fn
	}
	rest := fn[len(pkg)+1:]
	if name, ok := strings.CutPrefix(rest, "(*"); ok {
		name, _, _ = strings.Cut(name, ")")
		return pkg + "." + name
	}
	first, second, ok := strings.Cut(rest, ".")
	if i := strings.IndexByte(rest, '['); i >= 0 && i < len(first) { // type arguments have dots
		j := strings.LastIndexByte(rest, ']')
		first, second, ok = rest[:j+1], strings.TrimPrefix(rest[j+1:], "."), len(rest) > j+1
	}
	for _, closure := range []string{"func", "gowrap", "deferwrap", "init"} {
		if tail, found := strings.CutPrefix(second, closure); found && (tail == "" || tail[0] >= '0' && tail[0] <= '9') {
			ok = false
		}
	}
	if !ok || second == "" || second[0] >= '0' && second[0] <= '9' {
		return pkg
	}
	return pkg + "." + first
}

// standsOf returns where on a stack locks may be held, one place per lock and
// the best proved.
func (d *deduction) standsOf(id traceload.StackID) []stand {
	list, ok := d.stands[id]
	if ok {
		return list
	}
	p := d.s.p
	stack := p.Stack(id)
	waits := locks.ID(0)
	if w, ok := d.s.t.locks.Of(p, id); ok {
		waits = d.group(w)
	}
	note := func(st stand) {
		i := slices.IndexFunc(list, func(o stand) bool { return o.lock == st.lock })
		switch {
		case i < 0:
			list = append(list, st)
		case st.proof > list[i].proof:
			list[i] = st
		}
	}
	for _, l := range d.before[id] {
		if g := d.group(l); g != waits {
			note(stand{lock: g, frame: stack.Owner, proof: ByWindow, taken: d.takenOn(stack, g)})
		}
	}
	for i, frame := range stack.Frames {
		f := p.Frame(frame)
		if f.Origin != traceload.OriginUser || i < stack.Owner {
			continue
		}
		for _, w := range d.windows[f.FuncID] {
			g := d.group(w.Lock)
			if proof, taken, read, ok := d.between(f, g, i == stack.Owner && g == waits); ok {
				st := stand{lock: g, frame: i, proof: proof, read: read}
				if taken > 0 {
					st.taken = detectors.Frame{Func: f.Func, File: f.File, Line: taken}
				}
				note(st)
			}
		}
		home := homeOf(f.Func)
		if home == traceload.PackagePath(f.Func) || d.several[home] {
			continue // functions of a package have less in common
		}
		proof := ByPlace
		if i == stack.Owner && waits != 0 {
			proof = ByPresence // most likely its first lock
		}
		for g, homes := range d.homes {
			if homes[home] && !d.wrapped[g] && !(i == stack.Owner && g == waits) {
				note(stand{lock: g, frame: i, proof: proof})
			}
		}
	}
	slices.SortFunc(list, func(a, b stand) int { return int(a.lock - b.lock) })
	d.stands[id] = list
	return list
}

// between tells whether a frame stands where its function holds the lock. waits says that the frame waits
// for this lock itself, so that what comes later says nothing.
func (d *deduction) between(f *traceload.Frame, g locks.ID, waits bool) (proof Proof, taken int, read, ok bool) {
	released, later := 0, false
	for _, w := range d.windows[f.FuncID] {
		switch {
		case d.group(w.Lock) != g:
		case w.Unlock && w.Line < f.Line:
			released = max(released, w.Line)
		case w.Unlock && w.Line == f.Line && !waits: // a deferred Unlock shows the line of the return, which may call
			later, read = true, read || w.Read
		case w.Unlock:
			later, read = later || !waits, read || w.Read
		case w.Line < f.Line:
			if w.Line > taken {
				taken, read = w.Line, w.Read
			}
		}
	}
	switch {
	case taken == 0 && !later, released > taken && !later:
		return 0, 0, false, false
	case taken > 0 && later && released < taken:
		return ByWindow, taken, read, true
	}
	return ByLines, taken, read, true // an Unlock between belongs to an early return, since another comes later
}

// takenOn returns the line on the stack where a function that locks g stands behind it.
func (d *deduction) takenOn(stack *traceload.Stack, g locks.ID) detectors.Frame {
	for _, id := range stack.Frames[max(stack.Owner, 0):] {
		f := d.s.p.Frame(id)
		if _, taken, _, ok := d.between(f, g, false); ok && taken > 0 {
			return detectors.Frame{Func: f.Func, File: f.File, Line: taken}
		}
	}
	return detectors.Frame{}
}

// waits returns how many waits for locks of the group have ended, and the longest.
func (d *deduction) waits(g locks.ID) (n int, longest time.Duration) {
	for _, id := range d.classes {
		if d.group(id) == g {
			w, l := d.s.t.locks.Waits(id)
			n, longest = n+w, max(longest, l)
		}
	}
	return n, longest
}

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
	return e != nil && t.ended[e.FuncID] >= enoughEnded
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
	if s.t.ranSince(&n.G, since) {
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
