package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// ref is what an expression denotes: a variable and the way from it over
// fields. A pointer and what it points to count as one thing.
type ref struct {
	root   *types.Var // nil if the way begins at no variable
	global string     // of a variable in a package whose source is not read: its full name
	text   string     // source of what the way begins at otherwise: a call, a literal
	former bool       // not what the expression denotes now, but what it did before an assignment
	steps  []step
	typ    types.Type // of what is denoted; nil if unknown
}

// step leads from a value to a part of it.
type step struct {
	name string // of the field; "[i]" for an element
	key  string // of an element with a variable index: which variable; else ""
	// owner is the type that has the field, "" if unknown or an element: a
	// named type, or for a struct without a name the field that it is the type of.
	owner, ownerPkg string
	shared          bool // the part is a pointer, interface or the like: others may have it too
	loose           bool // which part it is, differs from time to time
	inner           bool // the one lock of a type that is a lock itself: see lockItself
}

func (r ref) exact() bool {
	return !r.former && (r.root != nil || r.global != "") && !slices.ContainsFunc(r.steps, func(s step) bool { return s.loose })
}

// packageLevel tells whether v is declared outside functions.
func packageLevel(v *types.Var) bool {
	return v != nil && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

func (r ref) rootKey() string {
	var key string
	switch {
	case packageLevel(r.root):
		key = r.root.Pkg().Path() + "." + r.root.Name()
	case r.root != nil:
		key = r.root.Name() + "@" + strconv.Itoa(int(r.root.Pos()))
	case r.global != "":
		key = r.global
	default:
		key = "?" + r.text
	}
	if r.former {
		key = "~" + key
	}
	return key
}

func (s step) id() string {
	if s.key != "" {
		return "[" + s.key + "]"
	}
	return s.name
}

// key is equal for two refs in one function if they denote the same thing.
func (r ref) key() string {
	var b strings.Builder
	b.WriteString(r.rootKey())
	for _, s := range r.steps {
		b.WriteByte('.')
		b.WriteString(s.id())
	}
	return b.String()
}

// join continues r by the steps of another ref.
func (r ref) join(tail ref) ref {
	r.steps = append(slices.Clone(r.steps), tail.steps...)
	r.typ, r.former = tail.typ, r.former || tail.former
	return r
}

func (r ref) add(s step, typ types.Type) ref {
	r.steps = append(slices.Clone(r.steps), s)
	r.typ = typ
	return r
}

// within tells whether r denotes p or a part of it.
func (r ref) within(p ref) bool {
	return r.rootKey() == p.rootKey() && len(r.steps) >= len(p.steps) &&
		slices.EqualFunc(r.steps[:len(p.steps)], p.steps, func(a, b step) bool { return a.id() == b.id() })
}

// field adds the step to a field of a struct of type owner.
func (r ref) field(name string, owner, typ types.Type) ref {
	s := step{name: name, shared: typ != nil && !copied(typ)}
	s.ownerPkg, s.owner = typeName(owner)
	if _, std := stdSource[s.ownerPkg]; std { // cond.L, timer.C: whose are they?
		s.owner, s.ownerPkg = "", ""
	} else {
		s.inner = isLockType(typ) && lockItself(owner)
	}
	if s.owner == "" { // a struct without a name: the field that it is the type of
		i, elements := len(r.steps)-1, ""
		for ; i >= 0 && strings.HasPrefix(r.steps[i].name, "["); i-- {
			elements += "[]"
		}
		if i >= 0 && r.steps[i].owner != "" {
			s.owner, s.ownerPkg = r.steps[i].owner+"."+r.steps[i].name+elements, r.steps[i].ownerPkg
		}
	}
	return r.add(s, typ)
}

// whole is the lock that r is the inside of, or r itself.
func (r ref) whole() ref {
	for len(r.steps) > 0 && r.steps[len(r.steps)-1].inner {
		r.steps = r.steps[:len(r.steps)-1]
		r.typ = nil
	}
	return r
}

// along adds the fields that a selection goes through: those it does not
// write (embedded ones), and the selected one itself if it is a field.
func (r ref) along(sel *types.Selection) ref {
	t := sel.Recv()
	path := sel.Index()
	if sel.Kind() != types.FieldVal {
		path = path[:len(path)-1]
	}
	for _, i := range path {
		st, ok := under(deref(t)).(*types.Struct)
		if !ok || i >= st.NumFields() {
			return r
		}
		f := st.Field(i)
		r = r.field(f.Name(), t, f.Type())
		t = f.Type()
	}
	return r
}

// ref finds what an expression denotes.
func (fn *function) ref(e ast.Expr) ref {
	f := fn.file
	opaque := ref{text: f.text(e), typ: fn.typeOf(e)}
	t := f.pkg.tree
	if !t.enter(e) {
		return opaque
	}
	defer t.leave(e)
	switch e := e.(type) {
	case *ast.ParenExpr:
		return fn.ref(e.X)
	case *ast.StarExpr:
		r := fn.ref(e.X)
		r.typ = deref(r.typ)
		return r
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return fn.ref(e.X)
		}
	case *ast.Ident:
		v, ok := fn.object(e).(*types.Var)
		if !ok {
			return opaque
		}
		return fn.variable(v)
	case *ast.SelectorExpr:
		if imported := fn.imported(e.X); imported != "" {
			if v, ok := f.pkg.info.Uses[e.Sel].(*types.Var); ok {
				return ref{root: v, typ: v.Type()}
			}
			return ref{global: imported + "." + e.Sel.Name, typ: opaque.typ}
		}
		r := fn.ref(e.X)
		if sel := f.pkg.info.Selections[e]; sel != nil {
			if sel.Kind() != types.FieldVal {
				return opaque
			}
			if e.Sel.Name == "L" && isSync(r.typ, "Cond") {
				return fn.condLock(r)
			}
			return r.along(sel)
		}
		if fv, owner := fieldOf(r.typ, e.Sel.Name); fv != nil {
			return r.field(e.Sel.Name, owner, fv.Type())
		}
		return r.add(step{name: e.Sel.Name, shared: true}, nil)
	case *ast.IndexExpr:
		r := fn.ref(e.X)
		return r.add(fn.element(e.Index), elementType(r.typ, opaque.typ))
	case *ast.SliceExpr:
		r := fn.ref(e.X)
		return r.add(step{name: "[:]", loose: true}, r.typ)
	case *ast.TypeAssertExpr:
		r := fn.ref(e.X)
		if e.Type != nil {
			if r.typ = fn.typeOf(e.Type); r.typ == nil {
				r.typ = fn.namedType(e.Type)
			}
		}
		return r
	case *ast.CallExpr:
		if tv, ok := f.pkg.info.Types[e.Fun]; ok && tv.IsType() && len(e.Args) == 1 { // a conversion
			r := fn.ref(e.Args[0])
			r.typ = opaque.typ
			return r
		}
		if t := fn.target(e); t.fn != nil && !copied(opaque.typ) {
			if r, ok := t.result(); ok {
				return r
			}
		}
	}
	return opaque
}

// variable follows a local variable that is set once, to something that has a
// way of its own, to there.
func (fn *function) variable(v *types.Var) ref {
	r := ref{root: v, typ: v.Type()}
	if r.typ == types.Typ[types.Invalid] {
		r.typ = nil
	}
	if packageLevel(v) {
		return r
	}
	known := fn.assigned().refs
	if to, ok := known[v]; ok {
		return to
	}
	known[v] = r // should it lead back to itself
	known[v] = fn.followed(v, r)
	return known[v]
}

// followed is variable for a local one.
func (fn *function) followed(v *types.Var, r ref) ref {
	from, ok := fn.assigned().once(v)
	if !ok || from.expr == nil || from.index >= 0 || fn.assigned().parameterSet(fn, v) {
		return r
	}
	to := fn.ref(from.expr)
	if r.typ == nil {
		r.typ = to.typ
	}
	if copied(r.typ) || !to.exact() || !fn.stable(to.root) {
		return r
	}
	if to.typ == nil {
		to.typ = r.typ
	}
	return to
}

// imported returns the import path if e is the name of an imported package.
func (fn *function) imported(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		if p, ok := fn.object(id).(*types.PkgName); ok {
			return p.Imported().Path()
		}
	}
	return ""
}

// namedType resolves T or *T of the same package by name.
func (fn *function) namedType(e ast.Expr) types.Type {
	switch e := e.(type) {
	case *ast.StarExpr:
		return fn.namedType(e.X)
	case *ast.Ident:
		if o, ok := fn.file.pkg.types.Scope().Lookup(e.Name).(*types.TypeName); ok {
			return o.Type()
		}
	}
	return nil
}

// element is the step to an element of an array, slice or map.
func (fn *function) element(index ast.Expr) step {
	if tv, ok := fn.file.pkg.info.Types[index]; ok && tv.Value != nil {
		return step{name: "[" + tv.Value.ExactString() + "]"}
	}
	s := step{name: "[" + fn.file.text(index) + "]", loose: true}
	if id, ok := index.(*ast.Ident); ok {
		if v, ok := fn.object(id).(*types.Var); ok && fn.stable(v) {
			s.key, s.loose = ref{root: v}.key(), false
		}
	}
	return s
}

func (s step) class() string { return s.ownerPkg + "." + s.owner + "." + s.name }
