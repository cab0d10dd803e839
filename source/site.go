package source

import (
	"cmp"
	"go/ast"
	"slices"
	"strings"
)

// This file finds the place in the source where a frame stands, whether the
// file can be trusted to be the traced one, and what happens to locks at that
// place.

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

// short drops the path of the package from a function's name.
func short(fn string) string {
	plain := dropBrackets(fn)
	return plain[strings.LastIndexByte(plain, '/')+1:]
}
