package source

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// The L of a Cond is a second name for a lock that a field or variable has
// already. This file finds which, where the Cond is made.

// condLock is what L of a Cond is: the lock that it was made with, if that can
// be seen.
func (fn *function) condLock(cond ref) ref {
	l := cond.field("L", cond.typ, nil)
	l.steps[len(l.steps)-1].shared = true
	if n := len(cond.steps); n > 0 {
		if made, ok := fn.file.pkg.conds()[cond.steps[n-1].class()]; ok && cond.steps[n-1].owner != "" {
			if made.root != nil {
				return made
			}
			cond.steps = slices.Clone(cond.steps[:n-1])
			return cond.join(made)
		}
		return l
	}
	if packageLevel(cond.root) {
		if made, ok := fn.file.pkg.conds()[cond.rootKey()]; ok {
			return made
		}
		return l
	}
	if cond.root != nil {
		if from, ok := fn.assigned().once(cond.root); ok && from.expr != nil && from.index < 0 {
			if arg := condArgument(from.expr); arg != nil {
				return fn.ref(arg)
			}
		}
	}
	return l
}

// condArgument returns x of sync.NewCond(x), sync.Cond{L: x} and &sync.Cond{L: x}; else nil.
func condArgument(e ast.Expr) ast.Expr {
	e = ast.Unparen(e)
	if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.AND {
		e = u.X
	}
	named := func(e ast.Expr, name string) bool {
		s, ok := e.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != name {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		return ok && x.Name == "sync"
	}
	switch e := e.(type) {
	case *ast.CallExpr:
		if named(e.Fun, "NewCond") && len(e.Args) == 1 {
			return e.Args[0]
		}
	case *ast.CompositeLit:
		if named(e.Type, "Cond") {
			for _, elt := range e.Elts {
				if kv, ok := elt.(*ast.KeyValueExpr); ok {
					if k, ok := kv.Key.(*ast.Ident); ok && k.Name == "L" {
						return kv.Value
					}
				}
			}
		}
	}
	return nil
}

// conds returns the locks of the package's Conds: for a field, by its class,
// the steps from the struct that has the field (no root), or a package
// variable; for a package variable, by its key.
func (p *pkg) conds() map[string]ref {
	if p.condLocks != nil {
		return p.condLocks
	}
	p.condLocks = map[string]ref{}
	for _, f := range p.files {
		if !strings.Contains(string(f.src), "sync.") || !strings.Contains(string(f.src), "Cond") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if len(n.Lhs) != len(n.Rhs) {
					return true
				}
				for i, l := range n.Lhs {
					if arg := condArgument(n.Rhs[i]); arg != nil {
						p.condMade(f, l, arg)
					} else if sel, ok := l.(*ast.SelectorExpr); ok && sel.Sel.Name == "L" {
						p.condMade(f, sel.X, n.Rhs[i])
					}
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						if arg := condArgument(n.Values[i]); arg != nil {
							p.condMade(f, name, arg)
						}
					}
				}
			case *ast.CompositeLit:
				p.condInLiteral(f, n)
			}
			return true
		})
	}
	return p.condLocks
}

// condMade notes that cond was made with lock, if cond is a field or a package variable.
func (p *pkg) condMade(f *file, cond, lock ast.Expr) {
	fn := f.at(cond.Pos())
	if fn == nil {
		fn = &function{file: f, lit: &ast.FuncLit{Type: &ast.FuncType{}, Body: &ast.BlockStmt{}}, checked: true}
	}
	fn.check()
	c, l := fn.ref(cond), fn.ref(lock)
	n := len(c.steps)
	switch {
	case n == 0 && packageLevel(c.root):
		p.condLocks[c.rootKey()] = l
	case n == 0 || c.steps[n-1].owner == "":
	case packageLevel(l.root) && !packageLevel(c.root):
		p.condLocks[c.steps[n-1].class()] = l
	default:
		whole := c
		whole.steps = c.steps[:n-1]
		if l.within(whole) && len(l.steps) >= n {
			p.condLocks[c.steps[n-1].class()] = ref{steps: l.steps[n-1:], typ: l.typ}
		}
	}
}

// condInLiteral understands T{mu: mu, cond: sync.NewCond(mu)}.
func (p *pkg) condInLiteral(f *file, lit *ast.CompositeLit) {
	for _, elt := range lit.Elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		arg, ok := condArgument(kv.Value).(*ast.Ident)
		if !ok {
			continue
		}
		fn := f.at(lit.Pos())
		if fn == nil {
			return
		}
		fn.check()
		typ := fn.typeOf(lit)
		if typ == nil && lit.Type != nil {
			typ = fn.namedType(lit.Type)
		}
		for _, other := range lit.Elts {
			okv, ok := other.(*ast.KeyValueExpr)
			if !ok || okv == kv || typ == nil {
				continue
			}
			value := okv.Value
			if id, ok := value.(*ast.Ident); !ok || id.Name != arg.Name {
				continue
			}
			ck, ok1 := kv.Key.(*ast.Ident)
			lk, ok2 := okv.Key.(*ast.Ident)
			if ok1 && ok2 {
				lf, _ := fieldOf(typ, lk.Name)
				if lf != nil {
					c := ref{}.field(ck.Name, typ, nil)
					p.condLocks[c.steps[0].class()] = ref{}.field(lk.Name, typ, lf.Type())
				}
			}
		}
	}
}
