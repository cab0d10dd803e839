package source

import (
	"go/ast"
	"slices"
)

// This file is what a call as a whole does to locks: a lock's own methods by
// definition, other functions by the net effect of their bodies, so that
// wrappers of Lock and Unlock count as these.

// effect is what a call does to a lock, when it is over.
type effect struct {
	on       ref
	mode     Mode
	count    int  // 1: taken, -1: released
	may      bool // not on all paths
	try      bool // only if the call returns true
	lockType string
}

// effectsOf returns what a call does to locks.
func (fn *function) effectsOf(call *ast.CallExpr) []effect {
	if list, ok := fn.effects[call]; ok {
		return list
	}
	if fn.effects == nil {
		fn.effects = map[*ast.CallExpr][]effect{}
	}
	fn.effects[call] = nil // for a function that calls itself
	list := fn.target(call).effects()
	fn.effects[call] = list
	return list
}

func (t target) effects() []effect {
	t.on = t.on.whole()
	switch t.op.kind {
	case opLock:
		return []effect{{on: t.on, mode: t.op.mode, count: 1, lockType: t.lockType}}
	case opTry:
		return []effect{{on: t.on, mode: t.op.mode, count: 1, try: true, lockType: t.lockType}}
	case opUnlock:
		return []effect{{on: t.on, mode: t.op.mode, count: -1, lockType: t.lockType}}
	}
	if t.fn == nil || !t.fn.file.pkg.mayLock(t.fn) {
		return nil
	}
	var list []effect
	for _, e := range t.fn.net() {
		if on, ok := t.translate(e.on); ok {
			e.on = on.whole()
			list = append(list, e)
		}
	}
	return list
}

// summary is the net effect of a function on locks that its callers know too.
type summary struct{ effects []effect }

// maxDepth bounds how far calls are followed for their effects.
const maxDepth = 8

// net returns the locks that fn leaves taken or released.
func (fn *function) net() []effect {
	if fn.summary != nil {
		return fn.summary.effects
	}
	t := fn.file.pkg.tree
	if fn.state == analysing || t.depth >= maxDepth {
		return nil
	}
	t.depth++
	fl := fn.analyse()
	t.depth--
	fn.summary = &summary{}
	if fl == nil || fl.out == nil {
		return nil
	}
	for _, h := range fl.out.locks {
		e := effect{on: h.on, mode: h.mode, lockType: h.lockType}
		switch {
		case h.on.former:
			continue
		case h.counts&taken != 0:
			e.count, e.may = 1, h.counts&^taken != 0
		case h.counts&released != 0:
			e.count, e.may = -1, h.counts&^released != 0
		default:
			continue
		}
		if e.may && e.count > 0 && slices.Contains(fn.returnedTries(), h.key) {
			e.may, e.try = false, true
		}
		fn.summary.effects = append(fn.summary.effects, e)
	}
	return fn.summary.effects
}

// returnedTries is the keys of the locks whose TryLock decides what fn returns.
func (fn *function) returnedTries() []string {
	var keys []string
	if call, ok := fn.result(0).(*ast.CallExpr); ok {
		for _, e := range fn.effectsOf(call) {
			if e.try {
				keys = append(keys, e.on.key()+"/"+e.mode.String())
			}
		}
	}
	return keys
}

// mayLock tells, by names alone, whether a function may end with another set
// of locks than it began with: whether it calls a lock's methods, or calls
// functions that do.
func (p *pkg) mayLock(fn *function) bool {
	if p.lockish == nil {
		p.findLockish()
	}
	return fn.decl == nil || p.lockish[fn.decl.Name.Name]
}

func (p *pkg) findLockish() {
	p.lockish = map[string]bool{}
	mentions := map[string][]string{} // name used to the names of functions that use it
	for _, f := range p.files {
		for _, d := range f.ast.Decls {
			d, ok := d.(*ast.FuncDecl)
			if !ok || d.Body == nil {
				continue
			}
			// Not only calls: an Unlock may be returned, or passed on.
			ast.Inspect(d.Body, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					mentions[id.Name] = append(mentions[id.Name], d.Name.Name)
				}
				return true
			})
		}
	}
	var work []string
	for name := range lockMethods {
		work = append(work, name)
	}
	for len(work) > 0 {
		name := work[len(work)-1]
		work = work[:len(work)-1]
		for _, user := range mentions[name] {
			if !p.lockish[user] {
				p.lockish[user] = true
				work = append(work, user)
			}
		}
	}
}
