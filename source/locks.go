package source

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Root says what kind of thing a Path begins at.
type Root uint8

const (
	RootUnknown   Root = iota // a call, a literal: not a variable
	RootReceiver              // the receiver of Path.Func
	RootParameter             // a parameter of Path.Func
	RootLocal                 // a local variable of Path.Func
	RootPackage               // a package variable
)

// Path is the way to an object: a variable and the fields that lead from it
// to the object. A pointer and what it points to count as one.
type Path struct {
	Root Root
	// Var is the variable: its name, for RootPackage with the import path in
	// front. For RootUnknown it is source text.
	Var string
	// Func is the function that declares the variable, "" if there is none:
	// "(*Cache).Flush". Literals belong to the function around them.
	Func string
	// Steps are names of fields, and "[i]" for elements.
	Steps []string
	// Exact is true if the path leads to the same object whenever it is walked
	// within one activation of Func: it begins at a variable, and no step goes
	// through an element that varies.
	Exact bool
}

// String writes the path as in a program: "s.cache.mu".
func (p Path) String() string {
	text := p.Var
	for _, s := range p.Steps {
		if !strings.HasPrefix(s, "[") {
			text += "."
		}
		text += s
	}
	return text
}

// Lock is a lock that a function holds, asks for or releases.
type Lock struct {
	// Name is for people: "Cache.mu" for a field, with the type that has it;
	// "store.registry" for a package variable; "local variable mu in run".
	Name string
	// Class is the same for all locks that are the same field of the same type,
	// or the same package variable: Name with the import path in front. It is ""
	// if unknown, and for local variables and parameters.
	Class string
	// Type is "sync.Mutex", "sync.RWMutex", "sync.Locker" or "sync.Once"; of
	// Holding.Awaits "sync.WaitGroup" or "sync.Cond"; "" if unknown.
	Type string
	Mode Mode
	// Expr is the lock in the source where it was taken: "s.mu"; or the call
	// that took it.
	Expr string
	// File and Line are where the frame's function took the lock, or where it
	// asks for it or releases it. File is as the frame names it.
	File string
	Line int
	// May is true if the lock is held only on some of the ways that lead here.
	May bool
	// Path is the way to the lock from the frame's own variables; in a
	// Holding, from those of the frame furthest out to which names lead.
	Path Path
	// Shared is true if the lock itself is reached through a pointer or an
	// interface, so that the object may be known by other names and classes too.
	Shared bool
	// ID is "" outside a Holding, see there.
	ID string
	// Global is true if ID means the same object in every stack.
	Global bool
	// Own is true if the lock lies in a value that the variable at the path's
	// root holds or was made for: another variable's is another lock.
	Own bool
}

// Status says whether the source of a frame could be used.
type Status uint8

const (
	StatusNoSource Status = iota // not at hand
	StatusMatched
	StatusMismatch // the file is not the one that was traced; see Tree.Warnings
	StatusOpaque   // the runtime's or the standard library's: not looked at by Walk
)

// Held returns the locks that the frame's own function holds when control is
// at its line, sorted by where they were taken: not those that its callers
// hold. While the line waits in a Cond's Wait, the Cond's lock counts as
// released. false means that the source is not at hand or does not match; an
// empty list with true that no lock is held.
func (t *Tree) Held(f Frame) ([]Lock, bool) {
	at, status := t.at(f)
	if status != StatusMatched {
		return nil, false
	}
	var locks []Lock
	for _, h := range t.place(f).taken {
		locks = append(locks, at.lock(h))
	}
	return locks, true
}

// Acquires returns the lock that the frame's line takes or waits for: by a
// call of Lock or RLock, of a function that ends holding it, or of Once.Do.
// Where the line takes several and Callee does not tell them apart, it is the
// first of them, with May set.
func (t *Tree) Acquires(f Frame) (Lock, bool) {
	at, status := t.at(f)
	if status != StatusMatched {
		return Lock{}, false
	}
	list := at.acquired()
	if len(list) == 0 {
		return Lock{}, false
	}
	l := at.lock(list[0])
	l.May = l.May || slices.ContainsFunc(list, func(h held) bool { return h.key != list[0].key })
	return l, true
}

// Releases returns the locks that the frame's line releases: by a call of
// Unlock or RUnlock, a deferred one where the line is a return, or of a
// function that ends having released them. More than one means that it cannot
// be told which (or that one call releases several). false means that the
// source is not at hand, does not match, or that nothing is released there.
func (t *Tree) Releases(f Frame) ([]Lock, bool) {
	at, status := t.at(f)
	if status != StatusMatched {
		return nil, false
	}
	var locks []Lock
	for _, h := range at.releases() {
		locks = append(locks, at.lock(h))
	}
	return locks, len(locks) > 0
}

// Binding says what a receiver or parameter is at a call.
type Binding struct {
	Param string // its name in the called function, "" if that is not at hand
	Index int    // of the parameter, from 0; -1 for the receiver
	Path  Path   // the argument, from the caller's own variables
}

// Calls returns what the receiver and the arguments are of the call that the
// frame stands in: those from which a path leads, receiver first. false means
// that the source is not at hand or does not match, or that the line has
// several calls that may be meant.
func (t *Tree) Calls(f Frame) ([]Binding, bool) {
	at, status := t.at(f)
	if status != StatusMatched {
		return nil, false
	}
	call, ok := at.call()
	if !ok {
		return nil, false
	}
	tg := at.fn.target(call)
	var list []Binding
	add := func(index int, r ref) {
		if r.root == nil && r.global == "" {
			return
		}
		b := Binding{Index: index, Path: at.fn.path(r)}
		if tg.fn != nil {
			b.Param = tg.fn.parameterName(index)
		}
		list = append(list, b)
	}
	add(-1, tg.recv)
	for i, a := range tg.args {
		add(i, tg.from.ref(a))
	}
	return list, true
}

func (fn *function) parameterName(index int) string {
	lists := []*ast.FieldList{fn.signature().Params}
	if index < 0 {
		if fn.decl == nil || fn.decl.Recv == nil {
			return ""
		}
		lists[0], index = fn.decl.Recv, 0
	}
	if lists[0] == nil {
		return ""
	}
	for _, f := range lists[0].List {
		for _, name := range f.Names {
			if index == 0 {
				return name.Name
			}
			index--
		}
		if len(f.Names) == 0 {
			index--
		}
	}
	return ""
}

// site is a frame in its function, with the points that it can stand at.
type site struct {
	frame  Frame
	fn     *function // nil for the initialisation of package variables
	points []point
}

// placed is where a frame was found.
type placed struct {
	site
	status      Status
	taken, gone []held
}

// trust counts how many frames fit a file, and how many do not. The compiler
// gets a line wrong now and then, so one misfit alone proves nothing.
type trust struct {
	fits, misfits int
	why           string // the first misfit
}

func (tr *trust) stale() bool { return tr != nil && tr.misfits > tr.fits }

// at finds the frame in the source, once. A file that most frames do not fit is
// not used.
func (t *Tree) at(f Frame) (site, Status) {
	p := t.place(f)
	if p.status == StatusMatched && t.trusts[f.File].stale() {
		return p.site, StatusMismatch
	}
	return p.site, p.status
}

func (t *Tree) place(f Frame) *placed {
	if p, ok := t.places[f]; ok {
		return p
	}
	at, status, why := t.find(f)
	p := &placed{site: at, status: status}
	t.places[f] = p
	tr := t.trusts[f.File]
	if tr == nil {
		tr = &trust{}
		t.trusts[f.File] = tr
	}
	switch {
	case status == StatusMatched:
		tr.fits++
		p.taken, p.gone = at.held()
	case why != "":
		tr.misfits++
		if tr.why == "" {
			tr.why = why
		}
	}
	return p
}

// find is place without its memory. why says that the file cannot be that of
// the trace; it is "" where only this one frame does not fit.
func (t *Tree) find(f Frame) (at site, s Status, why string) {
	src := t.file(f.File)
	if src == nil || src.pkg.foreign(parseSymbol(f.Func)) {
		return site{}, StatusNoSource, ""
	}
	list, fits := src.find(f)
	if !fits {
		if src.cgo() {
			return site{}, StatusMismatch, ""
		}
		return site{}, StatusMismatch, "no " + short(f.Func) + " at line " + itoa(f.Line)
	}
	if len(list) == 0 {
		return site{frame: f}, StatusMatched, ""
	}
	analysed, acts := false, false
	for _, fn := range list {
		fl := fn.analyse()
		if fl == nil {
			continue
		}
		analysed = true
		if points, ok := fn.at(f); ok {
			return site{f, fn, points}, StatusMatched, ""
		}
		acts = acts || f.Callee != "" && fl.acts(f.Line)
	}
	switch {
	case !analysed:
		return site{}, StatusNoSource, ""
	case acts:
		// It is another function that is called there. But goroutines that were
		// preempted may lack a frame: that proves nothing about the file.
		return site{}, StatusMismatch, ""
	}
	return site{}, StatusMismatch, "no call at line " + itoa(f.Line) + " in " + short(f.Func)
}

// cgo tells whether the file is rewritten before it is compiled.
func (f *file) cgo() bool {
	for _, i := range f.ast.Imports {
		if i.Path != nil && i.Path.Value == `"C"` {
			return true
		}
	}
	return false
}

// foreign tells whether a function is not declared in the package although its
// lines are there: cgo writes such functions, and within the standard library
// the linker gives functions to other packages (time.Sleep to package runtime).
func (p *pkg) foreign(s symbol) bool {
	std := p.tree.moduleOf(p.root, p.dir).path == "std"
	return strings.HasPrefix(s.name, "_C") || std && strings.TrimSuffix(s.pkg, "_test") != p.path && s.pkg != "main"
}

// held returns the locks held at the site, and those released though the
// function did not take them, both by position. Either may be so on some ways only.
func (at site) held() (taken_, gone []held) {
	if len(at.points) == 0 {
		return nil, nil
	}
	var s *state
	for _, p := range at.points {
		s = meet(s, p.state)
	}
	for _, h := range s.locks {
		switch {
		case h.counts&taken != 0:
			taken_ = append(taken_, h)
		case h.counts&released != 0:
			gone = append(gone, h)
		}
	}
	byPos := func(a, b held) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) }
	slices.SortFunc(taken_, byPos)
	slices.SortFunc(gone, byPos)
	return taken_, gone
}

// once returns the Once whose Do is called at the site: it is held like a lock
// as long as the function runs.
func (at site) once() (held, bool) {
	for _, p := range at.points {
		if p.call != nil && p.kind == pointCall {
			if t := at.fn.target(p.call); t.op.kind == opOnce {
				return at.whole(t, p), true
			}
		}
	}
	return held{}, false
}

// whole is the hold on the object of a method that is no lock's.
func (at site) whole(t target, p point) held {
	return held{key: t.on.key(), on: t.on, counts: once, at: p.call.Lparen, expr: at.fn.file.text(p.call.Fun), lockType: t.lockType}
}

// acquired returns the locks that calls at the site take.
func (at site) acquired() []held {
	var list []held
	for _, p := range at.points {
		if p.call == nil || p.kind >= pointGo {
			continue
		}
		t := at.fn.target(p.call)
		if t.op.kind == opOnce {
			list = append(list, at.whole(t, p))
			continue
		}
		if t.op.kind == opCondWait && strings.Contains(at.frame.Callee, "Cond") {
			l := at.fn.condLock(t.on)
			list = append(list, held{key: l.key(), on: l, counts: once, at: p.call.Lparen, expr: at.fn.file.text(p.call.Fun)})
			continue
		}
		list = append(list, at.effects(p, 1)...)
	}
	return list
}

func (at site) releases() []held {
	var list []held
	for _, p := range at.points {
		if p.call == nil || p.kind >= pointGo {
			continue
		}
		list = append(list, at.effects(p, -1)...)
	}
	slices.SortStableFunc(list, func(a, b held) int { return cmp.Compare(a.key, b.key) })
	return slices.CompactFunc(list, func(a, b held) bool { return a.key == b.key })
}

func (at site) effects(p point, count int) []held {
	var list []held
	for _, e := range at.fn.effectsOf(p.call) {
		if e.count == count && !e.try {
			h := held{
				key: e.on.key() + "/" + e.mode.String(), on: e.on, mode: e.mode, counts: once, at: p.call.Lparen,
				expr: at.fn.lockText(p.call), lockType: e.lockType,
			}
			if e.may {
				h.counts |= free
			}
			list = append(list, h)
		}
	}
	return list
}

// awaited returns the WaitGroup or Cond that the site waits for.
func (at site) awaited() (held, bool) {
	for _, p := range at.points {
		if p.call == nil {
			continue
		}
		if t := at.fn.target(p.call); t.op.kind == opCondWait || t.op.kind == opGroupWait {
			return at.whole(t, p), true
		}
	}
	return held{}, false
}

// call is the one call that the frame stands in.
func (at site) call() (*ast.CallExpr, bool) {
	var found *ast.CallExpr
	for _, p := range at.points {
		if p.call == nil || p.call == found {
			continue
		}
		if found != nil {
			return nil, false
		}
		found = p.call
	}
	return found, found != nil
}

// target is what the frame stands in: a call, or a loop that ranges over a function.
func (at site) target() (target, bool) {
	if call, ok := at.call(); ok {
		return at.fn.target(call), true
	}
	if len(at.points) == 1 && at.points[0].kind == pointRange {
		return at.fn.callee(at.points[0].node.(*ast.RangeStmt).X, nil), true
	}
	return target{}, false
}

// lock describes h for the outside.
func (at site) lock(h held) Lock {
	l := Lock{
		Mode: h.mode, Type: h.lockType, Expr: h.expr, File: at.frame.File, Line: at.fn.file.line(h.at),
		May: h.counts&^taken != 0, Path: at.fn.path(h.on),
	}
	l.Name, l.Class = at.fn.lockName(h.on)
	l.Shared, l.Own = h.on.shared(), at.fn.own(h.on)
	if l.Type == "" {
		if pkg, name := typeName(h.on.typ); pkg == "sync" {
			l.Type = "sync." + name
		}
	}
	return l
}

func (r ref) shared() bool {
	if n := len(r.steps); n > 0 {
		return r.steps[n-1].shared
	}
	return r.root == nil || r.typ == nil || !copied(r.typ)
}

// path describes a ref for the outside.
func (fn *function) path(r ref) Path {
	p := Path{Exact: r.exact()}
	for _, s := range r.steps {
		p.Steps = append(p.Steps, s.name)
	}
	switch {
	case packageLevel(r.root):
		p.Root, p.Var = RootPackage, r.root.Pkg().Path()+"."+r.root.Name()
	case r.global != "":
		p.Root, p.Var = RootPackage, r.global
	case r.root == nil:
		p.Var = r.text
	default:
		p.Root, p.Var = RootLocal, r.root.Name()
		if owner := fn.owner(r.root.Pos()); owner != nil {
			p.Func = owner.outermost().name()
			if i, ok := owner.parameter(r.root.Pos()); ok {
				p.Root = RootParameter
				if i < 0 {
					p.Root = RootReceiver
				}
			}
		}
	}
	return p
}

// owner is the function that declares the variable at p; nil at package level.
func (fn *function) owner(p token.Pos) *function {
	pk := fn.file.pkg
	if owner, ok := pk.owners[p]; ok {
		return owner
	}
	var owner *function
	for _, f := range pk.files {
		if base := f.pos.Base(); int(p) >= base && int(p) <= base+f.pos.Size() {
			owner = f.at(p)
			break
		}
	}
	pk.owners[p] = owner
	return owner
}

// lockName names what a ref denotes, and its class.
func (fn *function) lockName(r ref) (name, class string) {
	var tail string
	i := len(r.steps) - 1
	for ; i >= 0 && strings.HasPrefix(r.steps[i].name, "["); i-- {
		tail = r.steps[i].name + tail
	}
	if i >= 0 && r.steps[i].owner != "" {
		s := r.steps[i]
		name = s.owner + "." + s.name
		if s.ownerPkg != "" {
			class = s.ownerPkg + "." + name + anyElement(tail)
		}
		return name + tail, class
	}
	p := fn.path(r)
	switch p.Root {
	case RootPackage:
		full := p.String()
		name = full[strings.LastIndexByte(p.Var, '/')+1:]
		if r.root != nil { // by the package's name, where that differs from its path
			name = r.root.Pkg().Name() + full[len(r.root.Pkg().Path()):]
		}
		return name, full
	case RootUnknown:
		return p.String(), ""
	}
	what := map[Root]string{RootLocal: "local variable ", RootParameter: "parameter ", RootReceiver: "receiver "}[p.Root]
	if i >= 0 { // a field of something of unknown type
		what = ""
	}
	name = what + p.String()
	if p.Func != "" {
		name += " in " + p.Func
	}
	return name, ""
}

// anyElement writes "[]" for each element.
func anyElement(tail string) string { return strings.Repeat("[]", strings.Count(tail, "[")) }

// short drops the path of the package from a function's name.
func short(fn string) string {
	plain := dropBrackets(fn)
	return plain[strings.LastIndexByte(plain, '/')+1:]
}

// own tells whether what r denotes lies in a variable of its own.
func (fn *function) own(r ref) bool {
	if r.root == nil || !r.exact() || slices.ContainsFunc(r.steps, func(s step) bool { return s.shared || s.key != "" }) {
		return false
	}
	if packageLevel(r.root) {
		return copied(r.root.Type())
	}
	owner := fn.owner(r.root.Pos())
	if owner == nil {
		return false
	}
	if _, ok := owner.parameter(r.root.Pos()); ok {
		return false
	}
	return owner.fresh(r.root)
}

// fresh tells whether a local variable was set to something newly made.
func (fn *function) fresh(v *types.Var) bool {
	if copied(v.Type()) {
		return true
	}
	from, ok := fn.assigned().once(v)
	return ok && from.expr != nil && from.index <= 0 && fn.makes(from.expr, maxDepth)
}

// makes tells whether an expression makes a new object.
func (fn *function) makes(e ast.Expr, left int) bool {
	if left <= 0 {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		return true
	case *ast.UnaryExpr:
		_, ok := ast.Unparen(e.X).(*ast.CompositeLit)
		return e.Op == token.AND && ok
	case *ast.Ident:
		if v, ok := fn.object(e).(*types.Var); ok && !packageLevel(v) {
			from, ok := fn.assigned().once(v)
			return ok && from.expr != nil && from.index <= 0 && !fn.assigned().parameterSet(fn, v) && fn.makes(from.expr, left-1)
		}
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && id.Name == "new" {
			if _, ok := fn.object(id).(*types.Builtin); ok {
				return true
			}
		}
		if t := fn.target(e); t.fn != nil && t.op.kind == opNone {
			if r := t.fn.result(0); r != nil {
				return t.fn.makes(r, left-1)
			}
		}
	}
	return false
}
