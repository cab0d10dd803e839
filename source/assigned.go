package source

import (
	"go/ast"
	"go/token"
	"go/types"
)

// This file counts how often variables are set: only one that is set once
// denotes the same thing all the time, and can be followed to where it comes
// from.

// stable tells whether a variable keeps its value, as far as its function shows.
func (fn *function) stable(v *types.Var) bool {
	return v == nil || packageLevel(v) || fn.assigned().count[v.Pos()] <= 1 && !fn.assigned().parameterSet(fn, v)
}

// assigned is how often the variables of a declared function, with the
// literals in it, are set. Variables are known by position: go/types may have
// made more than one object of a parameter.
type assigned struct {
	count map[token.Pos]int
	from  map[token.Pos]origin // what it was set to, if that was seen
	loops map[token.Pos]bool   // declared inside a loop
	refs  map[*types.Var]ref   // see function.variable
}

// origin is the expression that a variable was set to.
type origin struct {
	expr  ast.Expr
	index int // of the result, if expr has several; else -1
}

// once returns what a variable is set to that is set exactly once.
func (a *assigned) once(v *types.Var) (origin, bool) {
	if a.count[v.Pos()] != 1 {
		return origin{}, false
	}
	return a.from[v.Pos()], true
}

// parameterSet tells whether v is a parameter that the function sets anew.
func (a *assigned) parameterSet(fn *function, v *types.Var) bool {
	if a.count[v.Pos()] == 0 {
		return false
	}
	for g := fn.file.at(v.Pos()); g != nil; g = g.parent {
		if _, ok := g.parameter(v.Pos()); ok {
			return true
		}
	}
	return false
}

// assigned counts once for all literals in a declared function.
func (fn *function) assigned() *assigned {
	top := fn.outermost()
	if top.assigns != nil {
		return top.assigns
	}
	top.check()
	a := &assigned{count: map[token.Pos]int{}, from: map[token.Pos]origin{}, loops: map[token.Pos]bool{}, refs: map[*types.Var]ref{}}
	top.assigns = a
	info := fn.file.pkg.info
	set := func(e ast.Expr, from origin, times int) {
		id, ok := ast.Unparen(e).(*ast.Ident)
		if !ok {
			return
		}
		if v, ok := fn.object(id).(*types.Var); ok {
			a.count[v.Pos()] += times
			a.from[v.Pos()] = from
		}
	}
	loops := 0
	var open []ast.Node
	ast.Inspect(top.node(), func(n ast.Node) bool {
		if n == nil {
			if isLoop(open[len(open)-1]) {
				loops--
			}
			open = open[:len(open)-1]
			return true
		}
		open = append(open, n)
		if isLoop(n) {
			loops++
		}
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				switch {
				case len(n.Lhs) == len(n.Rhs):
					set(l, origin{n.Rhs[i], -1}, 1)
				case len(n.Rhs) == 1:
					set(l, origin{n.Rhs[0], i}, 1)
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				switch {
				case len(n.Names) == len(n.Values):
					set(name, origin{n.Values[i], -1}, 1)
				case len(n.Values) == 1:
					set(name, origin{n.Values[0], i}, 1)
				}
			}
		case *ast.RangeStmt:
			set(n.Key, origin{}, 2)
			set(n.Value, origin{}, 2)
		case *ast.IncDecStmt:
			set(n.X, origin{}, 2)
		case *ast.UnaryExpr:
			// A pointer whose address is taken may be set through it.
			if id, ok := n.X.(*ast.Ident); ok && n.Op == token.AND {
				if v, ok := fn.object(id).(*types.Var); ok && !copied(v.Type()) {
					a.count[v.Pos()] += 2
				}
			}
		case *ast.TypeSwitchStmt:
			var x ast.Expr
			if as, ok := n.Assign.(*ast.AssignStmt); ok && len(as.Rhs) == 1 {
				if ta, ok := as.Rhs[0].(*ast.TypeAssertExpr); ok {
					x = ta.X
				}
			}
			for _, c := range n.Body.List {
				if v := info.Implicits[c]; v != nil && x != nil {
					// All clauses' variables have the position of the one that is written.
					a.count[v.Pos()] = 1
					a.from[v.Pos()] = origin{x, -1}
				}
			}
		case *ast.Ident:
			if v, ok := info.Defs[n].(*types.Var); ok && loops > 0 {
				a.loops[v.Pos()] = true
			}
		}
		return true
	})
	return a
}

// isLoop tells whether what is in n can run more than once.
func isLoop(n ast.Node) bool {
	switch n.(type) {
	case *ast.ForStmt, *ast.RangeStmt, *ast.LabeledStmt:
		return true
	}
	return false
}
