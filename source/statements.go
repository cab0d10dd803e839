package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// This file is what a single statement or expression does to the state: in
// which order its parts run, at which of them control can stand, and what an
// assignment makes of what was known.

// node is the state after a statement or expression.
func (fl *flow) node(n ast.Node, s *state) *state {
	f := fl.fn.file
	if stmt, ok := n.(ast.Stmt); ok {
		if sel := fl.selects[stmt]; sel != nil {
			p := point{kind: pointSelect, node: sel, line: f.line(sel.Select), state: s}
			if len(sel.Body.List) == 2 { // with a default, compiled as the operation alone
				p.alt = f.line(stmt.Pos())
			}
			fl.point(p)
		}
	}
	if fl.record {
		p := point{kind: pointOther, node: n, line: f.line(n.Pos()), state: s}
		if ret, ok := n.(*ast.ReturnStmt); ok && len(ret.Results) == 0 { // it may be a made-up one at the end
			p.last = p.line
		} else {
			p.last = f.line(n.End() - 1)
		}
		fl.point(p)
	}
	switch n := n.(type) {
	case *ast.DeferStmt:
		s = fl.operands(n.Call, s)
		fl.point(point{kind: pointDefer, node: n, call: n.Call, line: f.line(n.Defer), state: s})
		i, found := slices.BinarySearchFunc(s.defers, n.Pos(), func(d deferred, p token.Pos) int { return int(d.stmt.Pos()) - int(p) })
		next := *s
		next.defers = slices.Clone(s.defers)
		if found {
			next.defers[i].sure = true
		} else {
			next.defers = slices.Insert(next.defers, i, deferred{n, true})
		}
		return &next
	case *ast.GoStmt:
		s = fl.operands(n.Call, s)
		fl.point(point{kind: pointGo, node: n, call: n.Call, line: f.line(n.Go), state: s})
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			s = fl.expr(e, s)
		}
		for i := len(s.defers) - 1; i >= 0; i-- {
			d := s.defers[i]
			p := point{kind: pointDeferred, node: d.stmt, call: d.stmt.Call, line: f.line(n.Return), alt: f.line(fl.fn.body().Rbrace), state: s}
			if !fl.openCoded {
				p.line, p.alt = p.alt, p.line
			}
			fl.point(p)
			after := fl.run1(d.stmt.Call, s)
			if d.sure {
				s = after
			} else {
				s = meet(after, s)
			}
		}
	case *ast.AssignStmt:
		for _, e := range n.Rhs {
			s = fl.expr(e, s)
		}
		for _, e := range n.Lhs {
			if _, ok := e.(*ast.Ident); !ok {
				s = fl.expr(e, s)
			}
		}
		for i, l := range n.Lhs {
			var from ast.Expr
			if len(n.Lhs) == len(n.Rhs) {
				from = n.Rhs[i]
			}
			s = fl.set(l, from, s)
		}
	case *ast.ValueSpec:
		for _, e := range n.Values {
			s = fl.expr(e, s)
		}
		for i, name := range n.Names {
			var from ast.Expr
			if len(n.Names) == len(n.Values) {
				from = n.Values[i]
			}
			s = fl.set(name, from, s)
		}
	case *ast.SendStmt:
		s = fl.expr(n.Value, fl.expr(n.Chan, s))
		if !fl.comms[n] {
			fl.point(point{kind: pointSend, node: n, line: f.line(n.Pos()), state: s})
		}
	case *ast.ExprStmt:
		s = fl.expr(n.X, s)
	case *ast.IncDecStmt:
		s = fl.expr(n.X, s)
	case ast.Expr:
		s = fl.expr(n, s)
	}
	return s
}

// operands evaluates what a go or defer statement evaluates at once.
func (fl *flow) operands(call *ast.CallExpr, s *state) *state {
	if _, ok := call.Fun.(*ast.FuncLit); !ok {
		s = fl.expr(call.Fun, s)
	}
	for _, a := range call.Args {
		s = fl.expr(a, s)
	}
	return s
}

// expr evaluates the calls and receives in an expression, innermost first.
func (fl *flow) expr(e ast.Expr, s *state) *state {
	if e == nil {
		return s
	}
	f := fl.fn.file
	var open []ast.Node
	ast.Inspect(e, func(n ast.Node) bool {
		if n != nil {
			if _, ok := n.(*ast.FuncLit); ok {
				return false
			}
			open = append(open, n)
			return true
		}
		n = open[len(open)-1]
		open = open[:len(open)-1]
		switch n := n.(type) {
		case *ast.CallExpr:
			before := s
			for _, t := range fl.condWait(n) {
				// While a Cond waits, its lock is released.
				before = before.apply(t, n.Pos(), f.text(n))
			}
			fl.point(point{kind: pointCall, node: n, call: n, line: f.line(n.Lparen), state: before})
			s = fl.run1(n, s)
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !fl.comms[n] {
				fl.point(point{kind: pointReceive, node: n, line: f.line(n.OpPos), state: s})
			}
		}
		return true
	})
	return s
}

// run1 is the state after a call, its operands already evaluated.
func (fl *flow) run1(call *ast.CallExpr, s *state) *state {
	for _, e := range fl.fn.effectsOf(call) {
		s = s.apply(e, call.Lparen, fl.fn.lockText(call))
	}
	return s
}

// lockText is the source of the lock of s.mu.Lock(), or else of the call.
func (fn *function) lockText(call *ast.CallExpr) string {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		if _, ok := lockMethods[sel.Sel.Name]; ok {
			return fn.file.text(sel.X)
		}
	}
	return fn.file.text(call)
}

// condWait is the release that a Cond's Wait makes while it waits.
func (fl *flow) condWait(call *ast.CallExpr) []effect {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Wait" || len(call.Args) > 0 {
		return nil
	}
	t := fl.fn.target(call)
	if t.op.kind != opCondWait {
		return nil
	}
	return []effect{{on: fl.fn.condLock(t.on), count: -1}}
}

// set is the state after an assignment: what was known of the old value is
// known of no expression any more, what was known of the new one is known of
// the variable too.
func (fl *flow) set(to, from ast.Expr, s *state) *state {
	if to == nil {
		return s
	}
	if id, ok := to.(*ast.Ident); ok {
		if id.Name == "_" {
			return s
		}
		if v, ok := fl.fn.object(id).(*types.Var); ok && from != nil {
			s = fl.remember(v, from, s)
		}
	}
	if len(s.locks) == 0 {
		return s
	}
	if _, ok := to.(*ast.IndexExpr); ok {
		return s
	}
	target := fl.fn.ref(to)
	if id, ok := to.(*ast.Ident); ok {
		if v, _ := fl.fn.object(id).(*types.Var); v == nil || target.root != v || len(target.steps) > 0 {
			return s // an alias, which is never set again
		}
	}
	var value ref
	if from != nil {
		value = fl.fn.ref(from)
	}
	next := s
	for _, h := range s.locks {
		if !h.on.within(target) || len(h.on.steps) == len(target.steps) && len(target.steps) > 0 || h.on.former {
			continue
		}
		next = next.with(held{key: h.key, counts: free})
		h.on.former = true
		h.key = h.on.key() + "/" + h.mode.String()
		if old, ok := next.find(h.key); ok {
			h.counts |= old.counts
		}
		next = next.with(h)
	}
	for _, h := range s.locks {
		if from == nil || value.rootKey() == target.rootKey() && len(value.steps) == 0 || !h.on.within(value) || !value.exact() {
			continue
		}
		old := h.key
		h.on = target.join(ref{steps: h.on.steps[len(value.steps):], typ: h.on.typ})
		h.key = h.on.key() + "/" + h.mode.String()
		next = next.with(held{key: old, counts: free}).with(h)
	}
	return next
}

// remember links a boolean to the TryLock that it is the result of.
func (fl *flow) remember(v *types.Var, from ast.Expr, s *state) *state {
	next := *s
	next.tries = slices.DeleteFunc(slices.Clone(s.tries), func(c condition) bool { return c.v == v })
	if call, ok := ast.Unparen(from).(*ast.CallExpr); ok {
		for _, e := range fl.fn.effectsOf(call) {
			if e.try {
				next.tries = append(next.tries, condition{v, e.on.key() + "/" + e.mode.String()})
			}
		}
	}
	if len(next.tries) == len(s.tries) && len(next.tries) == 0 {
		return s
	}
	return &next
}
