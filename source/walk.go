package source

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// FrameLocks is what one frame of a stack does with locks.
type FrameLocks struct {
	Status Status
	// Held is the locks that the frame's function holds, in the order in which
	// they were taken, but for those that a frame further in has released.
	Held []Lock
	// Released is the locks of frames further out that this one has released,
	// to take them again later.
	Released []Lock
}

// Holding is what a walk over a stack found.
//
// Names flow inward: where a frame calls s.index.Add(x), the receiver of Add is
// that index, and a lock x.mu in Add has the path s.index.mu. Locks of one
// Holding with the same ID are reached over the same way from the same
// variable. Where Path.Exact is set too, they are the same object, as far as
// source can prove that (see the package's comment on fields). See Relate for
// locks with different IDs.
//
// Global says that the ID means the same object in other goroutines too: it
// begins at a package variable, or at a variable that function main sets once.
// Other IDs count frames from the outermost one of created, so they agree for
// goroutines that one activation of a function has created.
type Holding struct {
	Frames   []FrameLocks // by the index in the stack
	Waits    *Lock        // the lock that the innermost frame waits for; nil if it waits for none, or it is unknown
	Awaits   *Lock        // the WaitGroup or Cond that it waits for; nil likewise
	Releases []Lock       // if the stack is that of an Unlock: what it releases; more than one if it cannot be told which
}

// Held returns the locks held by all frames together, those of the outermost
// frame first.
func (h *Holding) Held() []Lock {
	var list []Lock
	for _, f := range slices.Backward(h.Frames) {
		list = append(list, f.Held...)
	}
	return list
}

// Relation is whether two locks are one object.
type Relation uint8

const (
	Unknown  Relation = iota // source cannot tell
	Same                     // one object
	Distinct                 // two objects
)

// Relate compares two locks of one Holding, or of two different ones.
func Relate(a, b Lock, sameHolding bool) Relation {
	comparable := a.ID != "" && b.ID != "" && (sameHolding || a.Global && b.Global)
	switch {
	case comparable && a.ID == b.ID:
		if a.Path.Exact && b.Path.Exact {
			return Same
		}
		return Unknown
	case a.Class != "" && b.Class != "" && a.Class != b.Class && !a.Shared && !b.Shared:
		return Distinct
	case comparable && a.Own && b.Own:
		return Distinct
	}
	return Unknown
}

// env is a frame with what its variables stand for further out.
type env struct {
	site
	depth   int                 // 1 for the outermost frame
	outer   []*env              // the frames further out, nil where there is no source
	bound   map[token.Pos]bound // see bindings
	lexical *env                // of a literal: the frame of the function around it, if that is on the stack
	same    *env                // of a wrapper or a loop body that is a function by itself: the frame of that function
	held    []held
	gone    []held
}

// maxHops bounds how many variables are followed to what they were set to.
const maxHops = 12

// bound is an argument in the frame that passed it.
type bound struct {
	ref  ref
	expr ast.Expr // nil for a receiver
	env  *env
}

// Walk walks a stack, innermost frame first as everywhere, from its outermost
// frame in, and finds the locks that each frame holds. created is the stack of
// the go statement that started the goroutine, also innermost first; nil if it
// is not known. Its frames hold no locks for the new goroutine, but say what
// its variables stand for. Frames of the standard library are not looked at:
// locks inside it are not the program's.
func (t *Tree) Walk(stack, created []Frame) *Holding {
	h := &Holding{Frames: make([]FrameLocks, len(stack))}
	frames := append(slices.Clone(stack), created...)
	envs := make([]*env, len(frames))
	for i, f := range slices.Backward(frames) {
		if i > 0 {
			f.Callee = frames[i-1].Func
			if i == len(stack) {
				f.Callee = goStatement + f.Callee
			}
		}
		status := StatusOpaque
		if !t.opaque(f) {
			var at site
			if at, status = t.at(f); status == StatusMatched && at.fn != nil {
				envs[i] = newEnv(at, i, envs)
				// A Once is held while its function runs.
				if strings.HasPrefix(f.Callee, "sync.(*Once)") && slices.ContainsFunc(frames[:i], func(f Frame) bool { return !ownMachinery(f.Func) }) {
					if o, ok := at.once(); ok {
						envs[i].held = append(envs[i].held, o)
					}
				}
			}
		}
		if i < len(stack) {
			h.Frames[i].Status = status
		}
	}
	t.innermost(h, stack, envs)
	t.collect(h, envs[:len(stack)])
	return h
}

// opaque tells whether a frame is the runtime's or the standard library's.
func (t *Tree) opaque(f Frame) bool {
	if ownMachinery(f.Func) {
		return true
	}
	p := t.resolve(f.File)
	return p.root != nil && (p.root.kind == kindGo || p.root.kind == kindCache && strings.HasPrefix(p.rel, "golang.org/toolchain@"))
}

// ownMachinery tells whether a function is part of how waiting is done.
func ownMachinery(fn string) bool {
	return slices.ContainsFunc([]string{"sync.", "runtime.", "internal/"}, func(p string) bool { return strings.HasPrefix(fn, p) })
}

// newEnv finds out what the variables of frame i stand for, the frames further
// out being known.
func newEnv(at site, i int, envs []*env) *env {
	e := &env{site: at, depth: len(envs) - i, outer: envs[i+1:]}
	s := parseSymbol(at.frame.Func)
	if !s.wrapper {
		p := at.fn.file.pkg.tree.place(at.frame)
		e.held, e.gone = slices.Clone(p.taken), p.gone
	}
	if at.fn.parent == nil && !s.wrapper && !s.body {
		return e
	}
	for _, o := range e.outer {
		if o == nil {
			continue
		}
		if e.lexical == nil && at.fn.parent != nil && o.fn == at.fn.parent {
			e.lexical = o
		}
		if e.same == nil && (s.wrapper || s.body) && o.fn == at.fn {
			e.same = o
		}
	}
	return e
}

// bindings binds receiver and parameters, when they are first asked for.
func (e *env) bindings() map[token.Pos]bound {
	if e.bound != nil {
		return e.bound
	}
	e.bound = map[token.Pos]bound{}
	s := parseSymbol(e.frame.Func)
	if s.wrapper || s.body {
		return e.bound
	}
	direct := true
	for _, o := range e.outer {
		if o == nil {
			direct = false // through the standard library, or what cannot be read
			continue
		}
		if direct {
			e.bindCall(o)
		} else {
			e.bindCallback(o, s)
		}
		break
	}
	return e.bound
}

// bindCall binds receiver and parameters to the arguments of the caller's call.
func (e *env) bindCall(caller *env) {
	t, ok := caller.target()
	if !ok {
		return
	}
	home := caller
	if t.name == "" && t.loose { // a parameter: the function is known further out
		if b, ok := caller.function(t.expr); ok {
			args := t.args
			t = b.env.fn.callee(b.expr, nil)
			t.args, t.from, home = args, caller.fn, b.env
		}
	}
	if t.outer != nil {
		if t.outer.fn != nil && t.outer.fn == e.fn.parent && e.lexical == nil {
			// A literal that an earlier call returned: that call's arguments are
			// what the variables around it stand for.
			e.lexical = &env{site: site{frame: e.frame, fn: t.outer.fn}, depth: e.depth, bound: map[token.Pos]bound{}}
			e.lexical.bindTarget(*t.outer, caller, caller)
		}
		return
	}
	e.bindTarget(t, caller, home)
}

// bindTarget binds receiver, which is in home, and parameters of the call t of the caller.
func (e *env) bindTarget(t target, caller, home *env) {
	if e.fn.decl != nil && (t.recv.root != nil || t.recv.global != "") {
		e.bind(-1, bound{ref: t.recv, env: home})
	}
	last, variadic := e.fn.variadic()
	for i, a := range t.args {
		if t.from == caller.fn && !(variadic && i >= last) {
			e.bind(i, bound{ref: t.from.ref(a), expr: a, env: caller})
		}
	}
}

// function follows a parameter that is a function to the expression that was passed.
func (e *env) function(x ast.Expr) (bound, bool) {
	for range maxHops {
		id, ok := ast.Unparen(x).(*ast.Ident)
		if !ok {
			break
		}
		o := e.fn.object(id)
		if o == nil {
			break
		}
		b, ok := e.lookup(o.Pos())
		if !ok || b.expr == nil {
			break
		}
		if _, ok := ast.Unparen(b.expr).(*ast.Ident); !ok {
			return b, true
		}
		x, e = b.expr, b.env
	}
	return bound{}, false
}

// lookup finds what a parameter is bound to, also that of a function around a literal.
func (e *env) lookup(p token.Pos) (bound, bool) {
	for ; e != nil; e = e.lexical {
		if b, ok := e.bindings()[p]; ok {
			return b, true
		}
	}
	return bound{}, false
}

// bindCallback binds the receiver of a method that was handed to a function
// which cannot be read: once.Do(s.start).
func (e *env) bindCallback(caller *env, s symbol) {
	call, ok := caller.call()
	if !ok || s.recv == "" || s.literals > 0 {
		return
	}
	for _, a := range call.Args {
		t := caller.fn.callee(a, nil)
		if t.name == s.name && t.outer == nil && (t.recv.root != nil || t.recv.global != "") {
			e.bind(-1, bound{ref: t.recv, env: caller})
			return
		}
	}
}

func (e *env) bind(index int, b bound) {
	if p := e.fn.parameterAt(index); p != nil && p.Name != "_" {
		e.bound[p.Pos()] = b
	}
}

// canonical follows a ref outward as far as names lead: it returns the ref
// from there, the frame that has its root (nil for none), and its identity.
func (e *env) canonical(r ref) (out ref, home *env, id string) {
	r.steps = slices.Clone(r.steps)
	qualify := func(from int) {
		for i := range r.steps[:len(r.steps)-from] {
			if s := &r.steps[i]; s.key != "" && !strings.Contains(s.key, "#") {
				s.key += "#" + itoa(e.depth)
			}
		}
	}
	qualify(0)
	for range 200 {
		if r.root == nil || packageLevel(r.root) {
			break
		}
		at := r.root.Pos()
		owner := e.fn.owner(at)
		home = e
		for home != nil && home.fn != owner {
			home.bindings() // they may tell of the function around a literal
			home = home.lexical
		}
		if home == nil {
			break
		}
		if home.same != nil {
			home = home.same
		}
		b, ok := home.bindings()[at]
		if !ok || !b.ref.exact() || home.fn.assigned().parameterSet(home.fn, r.root) {
			break // what was passed has no name further out
		}
		n := len(r.steps)
		r = b.ref.join(r)
		e = b.env
		qualify(n)
		home = nil
	}
	r = r.whole()
	switch {
	case packageLevel(r.root), r.global != "":
		return r, nil, r.key()
	case home != nil:
		return r, home, itoa(home.depth) + ":" + r.key()
	}
	return r, nil, itoa(e.depth) + "^" + r.key()
}

// lockIn describes h with its way followed outward.
func (e *env) lockIn(h held) Lock {
	r, home, id := e.canonical(h.on)
	l := e.lock(h)
	fn := e.fn
	if home != nil {
		fn = home.fn
	}
	l.Name, l.Class = fn.lockName(r)
	l.Path = fn.path(r)
	l.Shared, l.Own = r.shared(), fn.own(r)
	l.ID = id
	switch {
	case !r.exact():
	case packageLevel(r.root), r.global != "":
		l.Global = true
	case home != nil:
		l.Global = home.onlyOne(r)
	}
	return l
}

// onlyOne tells whether a variable exists once in the program: one that
// function main sets once, and not in a loop.
func (e *env) onlyOne(r ref) bool {
	d := e.fn.decl
	if d == nil || d.Recv != nil || d.Name.Name != "main" || e.fn.file.ast.Name.Name != "main" {
		return false
	}
	a := e.fn.assigned()
	return a.count[r.root.Pos()] <= 1 && !a.loops[r.root.Pos()]
}

// innermost finds what the stack waits for, or releases.
func (t *Tree) innermost(h *Holding, stack []Frame, envs []*env) {
	i := 0
	for i < len(stack) && ownMachinery(stack[i].Func) {
		i++
	}
	if i == len(stack) || envs[i] == nil {
		return
	}
	e := envs[i]
	called := ""
	if i > 0 {
		called = stack[i-1].Func
	}
	locking := slices.ContainsFunc(stack[:i], func(f Frame) bool {
		return strings.HasSuffix(f.Func, "Mutex).Lock") || strings.HasSuffix(f.Func, "Mutex).RLock")
	})
	var direct bool
	switch method := called[strings.LastIndexByte(called, '.')+1:]; {
	case called == "":
		direct = true
	case !strings.HasPrefix(called, "sync."):
		return
	case method == "Lock" || method == "RLock":
		direct = true
	case method == "Unlock" || method == "RUnlock":
		for _, r := range e.releases() {
			h.Releases = append(h.Releases, e.lockIn(r))
		}
		return
	case strings.HasPrefix(called, "sync.(*Once)"), strings.HasPrefix(called, "sync.(*Cond)"):
		direct = locking
	}
	if direct {
		if list := e.acquired(); len(list) > 0 {
			l := e.lockIn(list[0])
			l.May = l.May || slices.ContainsFunc(list, func(o held) bool { return o.key != list[0].key })
			h.Waits = &l
			return
		}
	}
	if a, ok := e.awaited(); ok {
		l := e.lockIn(a)
		h.Awaits = &l
	}
}

// collect gathers the locks of all frames, outermost first, and takes those
// away that a frame further in has released.
func (t *Tree) collect(h *Holding, envs []*env) {
	type at struct{ frame, index int }
	open := map[string][]at{} // by identity and mode
	for i, e := range slices.Backward(envs) {
		if e == nil {
			continue
		}
		for _, g := range e.gone {
			l := e.lockIn(g)
			key := l.ID + "/" + l.Mode.String()
			holds := open[key]
			if len(holds) == 0 {
				continue
			}
			last := holds[len(holds)-1]
			if g.counts != released { // perhaps
				h.Frames[last.frame].Held[last.index].May = true
				continue
			}
			open[key] = holds[:len(holds)-1]
			h.Frames[last.frame].Held[last.index].ID = ""
			h.Frames[i].Released = append(h.Frames[i].Released, l)
		}
		for _, x := range e.held {
			l := e.lockIn(x)
			key := l.ID + "/" + l.Mode.String()
			if e.same != nil && slices.ContainsFunc(open[key], func(o at) bool { return h.Frames[o.frame].Held[o.index].Line == l.Line }) {
				continue // the loop's body is part of the function that holds it
			}
			open[key] = append(open[key], at{i, len(h.Frames[i].Held)})
			h.Frames[i].Held = append(h.Frames[i].Held, l)
		}
	}
	for i := range h.Frames {
		h.Frames[i].Held = slices.DeleteFunc(h.Frames[i].Held, func(l Lock) bool { return l.ID == "" })
	}
}
