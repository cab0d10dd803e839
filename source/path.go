package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// This file describes to the outside what a ref denotes: the way to it, and
// whether it is an object of its own.

// Root says what kind of thing a Path begins at.
type Root uint8

const (
	RootUnknown   Root = iota // a call, a literal: not a variable
	RootReceiver              // the receiver of Path.Func
	RootParameter             // a parameter of Path.Func
	RootLocal                 // a local variable of Path.Func
	RootPackage               // a package variable
)

// Path is the way to an object: a variable and the fields that lead from it
// to the object. A pointer and what it points to count as one.
type Path struct {
	Root Root
	// Var is the variable: its name, for RootPackage with the import path in
	// front. For RootUnknown it is source text.
	Var string
	// Func is the function that declares the variable, "" if there is none:
	// "(*Cache).Flush". Literals belong to the function around them.
	Func string
	// Steps are names of fields, and "[i]" for elements.
	Steps []string
	// Exact is true if the path leads to the same object whenever it is walked
	// within one activation of Func: it begins at a variable, and no step goes
	// through an element that varies.
	Exact bool
}

// String writes the path as in a program: "s.cache.mu".
func (p Path) String() string {
	text := p.Var
	for _, s := range p.Steps {
		if !strings.HasPrefix(s, "[") {
			text += "."
		}
		text += s
	}
	return text
}

func (r ref) shared() bool {
	if n := len(r.steps); n > 0 {
		return r.steps[n-1].shared
	}
	return r.root == nil || r.typ == nil || !copied(r.typ)
}

// path describes a ref for the outside.
func (fn *function) path(r ref) Path {
	p := Path{Exact: r.exact()}
	for _, s := range r.steps {
		p.Steps = append(p.Steps, s.name)
	}
	switch {
	case packageLevel(r.root):
		p.Root, p.Var = RootPackage, r.root.Pkg().Path()+"."+r.root.Name()
	case r.global != "":
		p.Root, p.Var = RootPackage, r.global
	case r.root == nil:
		p.Var = r.text
	default:
		p.Root, p.Var = RootLocal, r.root.Name()
		if owner := fn.owner(r.root.Pos()); owner != nil {
			p.Func = owner.outermost().name()
			if i, ok := owner.parameter(r.root.Pos()); ok {
				p.Root = RootParameter
				if i < 0 {
					p.Root = RootReceiver
				}
			}
		}
	}
	return p
}

// owner is the function that declares the variable at p; nil at package level.
func (fn *function) owner(p token.Pos) *function {
	pk := fn.file.pkg
	if owner, ok := pk.owners[p]; ok {
		return owner
	}
	var owner *function
	for _, f := range pk.files {
		if base := f.pos.Base(); int(p) >= base && int(p) <= base+f.pos.Size() {
			owner = f.at(p)
			break
		}
	}
	pk.owners[p] = owner
	return owner
}

// own tells whether what r denotes lies in a variable of its own.
func (fn *function) own(r ref) bool {
	if r.root == nil || !r.exact() || slices.ContainsFunc(r.steps, func(s step) bool { return s.shared || s.key != "" }) {
		return false
	}
	if packageLevel(r.root) {
		return copied(r.root.Type())
	}
	owner := fn.owner(r.root.Pos())
	if owner == nil {
		return false
	}
	if _, ok := owner.parameter(r.root.Pos()); ok {
		return false
	}
	return owner.fresh(r.root)
}

// fresh tells whether a local variable was set to something newly made.
func (fn *function) fresh(v *types.Var) bool {
	if copied(v.Type()) {
		return true
	}
	from, ok := fn.assigned().once(v)
	return ok && from.expr != nil && from.index <= 0 && fn.makes(from.expr, maxDepth)
}

// makes tells whether an expression makes a new object.
func (fn *function) makes(e ast.Expr, left int) bool {
	if left <= 0 {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		return true
	case *ast.UnaryExpr:
		_, ok := ast.Unparen(e.X).(*ast.CompositeLit)
		return e.Op == token.AND && ok
	case *ast.Ident:
		if v, ok := fn.object(e).(*types.Var); ok && !packageLevel(v) {
			from, ok := fn.assigned().once(v)
			return ok && from.expr != nil && from.index <= 0 && !fn.assigned().parameterSet(fn, v) && fn.makes(from.expr, left-1)
		}
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && id.Name == "new" {
			if _, ok := fn.object(id).(*types.Builtin); ok {
				return true
			}
		}
		if t := fn.target(e); t.fn != nil && t.op.kind == opNone {
			if r := t.fn.result(0); r != nil {
				return t.fn.makes(r, left-1)
			}
		}
	}
	return false
}
