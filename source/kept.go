package source

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// kept says what becomes of a literal that is there to be called later, by whoever comes to it:
// "returned by newPool", "stored in s.stop", "passed to time.AfterFunc". It is "" for one that,
// as far as is known, runs where it stands: called, deferred, started, or passed to what calls it.
func (fn *function) kept() string {
	var path []ast.Node
	ast.Inspect(fn.parent.node(), func(n ast.Node) bool {
		if n == nil || !inside(n, fn.lit.Pos()) || slices.Contains(path, ast.Node(fn.lit)) {
			return false
		}
		path = append(path, n)
		return true
	})
	at := slices.Index(path, ast.Node(fn.lit))
	if at < 0 {
		return ""
	}
	fn.parent.check()
	return fn.parent.keeps(path[:at+1], true)
}

// keeps is kept for the last node of a path, a function. That may be a variable's; then all that
// happens to the variable counts, unless it was one's already.
func (fn *function) keeps(path []ast.Node, follow bool) string {
	e := path[len(path)-1]
	for i := len(path) - 2; i >= 0; i-- {
		switch n := path[i].(type) {
		case *ast.ParenExpr:
			e = n
			continue
		case *ast.CallExpr:
			tv, ok := fn.file.pkg.info.Types[n.Fun]
			if ok && tv.IsType() || len(n.Args) == 1 && n.Args[0] == e && strings.HasSuffix(lastName(n.Fun), "Func") {
				e = n // a conversion, also to http.HandlerFunc, of which no type is known, or sync.OnceFunc
				continue
			}
			if n.Fun != e && slices.Contains(keepers, lastName(n.Fun)) {
				return "passed to " + fn.file.text(n.Fun)
			}
		case *ast.SendStmt:
			if n.Value == e {
				return "sent on " + fn.file.text(n.Chan)
			}
		case *ast.ReturnStmt:
			return "returned by " + fn.name()
		case *ast.KeyValueExpr, *ast.CompositeLit:
			return "stored in a " + literalType(fn, path[:i+1])
		case *ast.AssignStmt:
			if at := slices.IndexFunc(n.Rhs, func(x ast.Expr) bool { return x == e }); at >= 0 && len(n.Lhs) == len(n.Rhs) {
				return fn.keepsIn(n.Lhs[at], follow)
			}
		case *ast.ValueSpec:
			if at := slices.IndexFunc(n.Values, func(x ast.Expr) bool { return x == e }); at >= 0 && len(n.Names) == len(n.Values) {
				return fn.keepsIn(n.Names[at], follow)
			}
		}
		return ""
	}
	return ""
}

// keepers are functions that call another later on, or have it called whenever something comes.
var keepers = []string{"AfterFunc", "AddCleanup", "SetFinalizer", "Cleanup", "Handle", "HandleFunc", "append"}

// keepsIn is keeps for a function that is assigned to something.
func (fn *function) keepsIn(to ast.Expr, follow bool) string {
	id, ok := ast.Unparen(to).(*ast.Ident)
	if !ok {
		return "stored in " + fn.file.text(to)
	}
	v, ok := fn.object(id).(*types.Var)
	switch {
	case id.Name == "_" || !ok || !follow:
		return ""
	case packageLevel(v):
		return "stored in " + id.Name
	}
	where := ""
	var path []ast.Node
	ast.Inspect(fn.outermost().node(), func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return true
		}
		path = append(path, n)
		if use, ok := n.(*ast.Ident); ok && where == "" && fn.file.pkg.info.Uses[use] == v {
			where = fn.keeps(path, false)
		}
		return true
	})
	return where
}
