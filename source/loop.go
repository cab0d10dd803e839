package source

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// Loop says how a line of a function is repeated by the function itself.
type Loop uint8

const (
	LoopNone   Loop = iota // no loop of its function is around it
	LoopCounts             // the innermost loop counts, or ranges over something
	LoopPaces              // it goes on until it is stopped, and comes to the line on every turn
	LoopLooks              // it goes on until it finds what it looks for, or comes to the line only when it finds nothing
)

// Loop tells what loop is around the statements of a line; false if the source
// is not at hand. A condition about a context, a time or an error is not what a
// loop looks for.
func (t *Tree) Loop(file string, line int) (Loop, bool) {
	f := t.parsed(t.resolve(file))
	if f == nil || t.trusts[file].stale() {
		return LoopNone, false
	}
	kind, found := LoopNone, false
	var around []ast.Node // from the innermost function inwards
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if _, isFile := n.(*ast.File); isFile {
			return true
		}
		if n == nil || !f.spans(n, line) {
			return false
		}
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			around = around[:0]
			found = true
		}
		around = append(around, n)
		return true
	})
	for i := len(around) - 1; i >= 0; i-- {
		switch loop := around[i].(type) {
		case *ast.RangeStmt:
			return LoopCounts, found
		case *ast.ForStmt:
			if loop.Init != nil || loop.Post != nil {
				return LoopCounts, found
			}
			if looks(loop.Cond) || conditional(around[i+1:]) || leaves(loop.Body) {
				return LoopLooks, found
			}
			return LoopPaces, found
		}
	}
	return kind, found
}

// conditional tells whether a branch is between a loop and a line within it.
func conditional(inner []ast.Node) bool {
	for i, n := range inner {
		switch n := n.(type) {
		case *ast.IfStmt: // the line is in a branch, not in the condition
			return i+1 < len(inner) && inner[i+1] != n.Cond && inner[i+1] != n.Init && looks(n.Cond)
		case *ast.CommClause: // of a select that looks for more than the end of everything
			sel, ok := stmtAround(inner, i).(*ast.SelectStmt)
			return n.Comm == nil && ok && slices.ContainsFunc(sel.Body.List, func(s ast.Stmt) bool {
				c, ok := s.(*ast.CommClause)
				return ok && c.Comm != nil && !endsAll(c.Comm)
			})
		case *ast.CaseClause:
			return true
		}
	}
	return false
}

// stmtAround is the statement around the block that the i-th node lies in.
func stmtAround(nodes []ast.Node, i int) ast.Node {
	if i < 2 {
		return nil
	}
	return nodes[i-2]
}

// endsAll tells whether a case of a select receives from a context, or from what
// is called as the channels that are closed when all is over.
func endsAll(comm ast.Stmt) bool {
	e := commExpr(comm)
	if e == nil {
		return false
	}
	if !looks(e) {
		return true
	}
	name := ""
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	switch strings.ToLower(name) {
	case "done", "stop", "stopped", "quit", "exit", "closed", "closing", "shutdown":
		return true
	}
	return false
}

// commExpr is what a case of a select receives from; nil for a send.
func commExpr(s ast.Stmt) ast.Expr {
	if x, ok := commOperation(s).(*ast.UnaryExpr); ok {
		return x.X
	}
	return nil
}

// leaves tells whether a loop's body ends its turn where it has found something.
func leaves(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CommClause: // the end of everything is not what it looks for
			return n.Comm == nil || looks(commExpr(n.Comm))
		case *ast.IfStmt:
			if !looks(n.Cond) {
				return true
			}
			for _, s := range n.Body.List {
				switch s := s.(type) {
				case *ast.ReturnStmt:
					found = true
				case *ast.BranchStmt:
					found = found || s.Tok == token.BREAK || s.Tok == token.CONTINUE
				}
			}
		}
		return !found
	})
	return found
}

// looks tells whether a condition may be about something that others change.
func looks(cond ast.Expr) bool {
	if cond == nil {
		return false
	}
	yes := true
	ast.Inspect(cond, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			name := strings.ToLower(id.Name)
			if strings.Contains(name, "ctx") || strings.Contains(name, "err") || name == "true" || name == "time" || strings.Contains(name, "deadline") || name == "stop" || name == "stopped" || name == "closed" {
				yes = false
			}
		}
		return yes
	})
	return yes
}
