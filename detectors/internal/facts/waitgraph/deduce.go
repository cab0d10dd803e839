package waitgraph

import (
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
// Who holds it (holders.go)? Whoever stands between a line that locks and one that unlocks;
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
