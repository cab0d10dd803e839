package source

import (
	"go/ast"
	"go/token"
	"slices"
)

// reachDepth is how many calls deep Reaches looks.
const reachDepth = 3

// Ending is what ends a wait.
type Ending uint8

const (
	EndsSend      Ending = iota // a receive from the channel
	EndsReceive                 // a send on the channel, or its closing
	EndsWaitGroup               // Done
	EndsCond                    // Signal or Broadcast
	EndsPerhaps                 // any use of the name: it may be passed on to whoever ends the wait
)

// Reaches tells whether the function of a frame, or one of its package that it
// calls, has a statement that ends waits of that kind on a variable or field of
// that name. Calls are followed by name only, so it errs towards true. false
// also means that the source is not at hand.
func (t *Tree) Reaches(f Frame, name string, how Ending) bool {
	src := t.file(f.File)
	if src == nil || t.trusts[f.File].stale() || name == "" || src.pkg.foreign(parseSymbol(f.Func)) {
		return false
	}
	list, _ := src.find(f)
	seen := map[ast.Node]bool{}
	return slices.ContainsFunc(list, func(fn *function) bool { return src.pkg.reaches(fn.node(), name, how, reachDepth, seen) })
}

func (p *pkg) reaches(n ast.Node, name string, how Ending, depth int, seen map[ast.Node]bool) bool {
	if seen[n] {
		return false
	}
	seen[n] = true
	found := false
	called := map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		found = found || ends(n, name, how)
		if call, ok := n.(*ast.CallExpr); ok {
			called[lastName(call.Fun)] = true
		}
		return !found
	})
	if found || depth == 0 {
		return found
	}
	for _, fn := range p.funcs {
		if fn.decl != nil && called[fn.decl.Name.Name] && p.reaches(fn.decl, name, how, depth-1, seen) {
			return true
		}
	}
	return false
}

// ends tells whether n is a statement or expression that ends a wait.
func ends(n ast.Node, name string, how Ending) bool {
	switch n := n.(type) {
	case *ast.Ident:
		return how == EndsPerhaps && n.Name == name
	case *ast.UnaryExpr:
		return how == EndsSend && n.Op == token.ARROW && lastName(n.X) == name
	case *ast.RangeStmt:
		return how == EndsSend && lastName(n.X) == name
	case *ast.SendStmt:
		return how == EndsReceive && lastName(n.Chan) == name
	case *ast.CallExpr:
		if how == EndsReceive {
			return lastName(n.Fun) == "close" && len(n.Args) == 1 && lastName(n.Args[0]) == name
		}
		sel, ok := ast.Unparen(n.Fun).(*ast.SelectorExpr)
		if !ok || lastName(sel.X) != name {
			return false
		}
		return how == EndsWaitGroup && sel.Sel.Name == "Done" || how == EndsCond && (sel.Sel.Name == "Signal" || sel.Sel.Name == "Broadcast")
	}
	return false
}

// lastName is the name at the end of x, a.x or a().x; "" if there is none.
func lastName(e ast.Expr) string {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
