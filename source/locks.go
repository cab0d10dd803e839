package source

import (
	"slices"
	"strings"
)

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
			if p := tg.fn.parameterAt(index); p != nil {
				b.Param = p.Name
			}
		}
		list = append(list, b)
	}
	add(-1, tg.recv)
	for i, a := range tg.args {
		add(i, tg.from.ref(a))
	}
	return list, true
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
