package source

import (
	"go/ast"
	"slices"
)

// This file answers who can still end a wait: it gathers the places from which
// that can be done, in the function that does it and in those that lead there,
// and tells whether a goroutine can yet come to one of them.

// ends tells whether u ends a wait that sends (or else receives).
func (k UseKind) ends(send bool) bool {
	if send {
		return k == UseReceive || k == UseRange
	}
	return k == UseSend || k == UseClose
}

// ender is a place in a function from which a wait for the channel can be ended.
type ender struct {
	line     int
	loops    [][2]int // lines of the loops around it
	deferred bool
}

// Ends tells whether whoever stands at a frame can still come to a place that
// ends a wait for the channel.
func (t *Tree) Ends(u *Uses, fr Frame) bool {
	f := t.file(fr.File)
	if f == nil {
		return false
	}
	list, _ := f.find(fr)
	return slices.ContainsFunc(list, func(fn *function) bool {
		return slices.ContainsFunc(u.enders[fn], func(e ender) bool {
			return e.deferred || fr.Line <= e.line || slices.ContainsFunc(e.loops, func(l [2]int) bool { return l[0] <= fr.Line && fr.Line <= l[1] })
		})
	})
}

// pass is a place from which the channel goes into a function.
type pass struct {
	from  *function
	at    ender
	scope *function
	into  *function
}

// ender notes that a wait can be ended from a place, and so from the places
// where the literals around it begin, as far as they are in scope.
func (tr *tracer) ender(fn *function, e ender, scope *function) {
	for {
		tr.u.enders[fn] = append(tr.u.enders[fn], e)
		if fn.parent == nil || fn == scope {
			return
		}
		if where := fn.kept(); where != "" {
			tr.open("known to a function that is " + where)
			return
		}
		e = fn.parent.enderAt(fn.lit)
		fn = fn.parent
	}
}

// spread carries enders to those who pass the channel on.
func (tr *tracer) spread() {
	done := make([]bool, len(tr.passes))
	for changed := true; changed; {
		changed = false
		for i, p := range tr.passes {
			if !done[i] && len(tr.u.enders[p.into]) > 0 {
				done[i], changed = true, true
				tr.ender(p.from, p.at, p.scope)
			}
		}
	}
}

// enderAt describes a place in fn.
func (fn *function) enderAt(n ast.Node) ender {
	e := ender{line: fn.file.line(n.Pos())}
	if _, ok := n.(*ast.CallExpr); ok { // a frame in it may stand at any of its lines
		e.line = fn.file.line(n.End() - 1)
	}
	ast.Inspect(fn.body(), func(x ast.Node) bool {
		if x == nil || !inside(x, n.Pos()) {
			return false
		}
		switch x := x.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			e.loops = append(e.loops, [2]int{fn.file.line(x.Pos()), fn.file.line(x.End() - 1)})
		case *ast.DeferStmt:
			e.deferred = true
		case *ast.LabeledStmt: // perhaps the aim of a goto
			e.loops = append(e.loops, [2]int{fn.first, fn.last})
		}
		return true
	})
	return e
}
