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

// deref removes pointers and alias names.
func deref(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	return t
}

// typeName returns the package and name of a named type or a pointer to one.
func typeName(t types.Type) (pkg, name string) {
	switch t := deref(t).(type) {
	case *types.Named:
		if p := t.Obj().Pkg(); p != nil {
			pkg = p.Path()
		}
		return pkg, t.Obj().Name()
	case *types.TypeParam:
		return "", t.Obj().Name()
	}
	return "", ""
}

func isSync(t types.Type, name string) bool {
	pkg, n := typeName(t)
	return pkg == "sync" && n == name
}

// copied tells whether assigning a value of that type makes another object.
func copied(t types.Type) bool {
	if t == nil {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Struct, *types.Array, *types.Basic:
		return true
	}
	return false
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

// lockItself tells whether a type only dresses a lock up: it is called a lock
// and has one in it. People, and the program, mean the whole of it.
func lockItself(t types.Type) bool {
	_, name := typeName(t)
	if !looksLikeLock(name) {
		return false
	}
	st, ok := under(deref(t)).(*types.Struct)
	if !ok {
		return false
	}
	n := 0
	for f := range st.Fields() {
		if isLockType(f.Type()) {
			n++
		}
	}
	return n == 1
}

func isLockType(t types.Type) bool {
	pkg, name := typeName(t)
	return pkg == "sync" && lockTypes[name] || pkg != "" && pkg != "sync" && looksLikeLock(name)
}

var lockTypes = map[string]bool{"Mutex": true, "RWMutex": true, "Locker": true}

func looksLikeLock(typeName string) bool {
	name := strings.ToLower(typeName)
	return strings.HasSuffix(name, "mutex") || strings.HasSuffix(name, "lock") || strings.HasSuffix(name, "locker")
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

func under(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	return t.Underlying()
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

// stable tells whether a variable keeps its value, as far as its function shows.
func (fn *function) stable(v *types.Var) bool {
	return v == nil || packageLevel(v) || fn.assigned().count[v.Pos()] <= 1 && !fn.assigned().parameterSet(fn, v)
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

// fieldOf looks a field up in a type that go/types knew, where it did not
// know the expression.
func fieldOf(t types.Type, name string) (f *types.Var, owner types.Type) {
	if t == nil {
		return nil, nil
	}
	st, ok := under(deref(t)).(*types.Struct)
	if !ok {
		return nil, nil
	}
	for f := range st.Fields() {
		if f.Name() == name {
			return f, t
		}
	}
	return nil, nil
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

func elementType(container, known types.Type) types.Type {
	if known != nil {
		return known
	}
	switch t := under(deref(container)).(type) {
	case *types.Slice:
		return t.Elem()
	case *types.Array:
		return t.Elem()
	case *types.Map:
		return t.Elem()
	}
	return nil
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

// parameter returns the index of the parameter declared at p; -1 for the receiver.
func (fn *function) parameter(p token.Pos) (int, bool) {
	if fn.decl != nil && fn.decl.Recv != nil {
		for _, f := range fn.decl.Recv.List {
			for _, name := range f.Names {
				if name.Pos() == p {
					return -1, true
				}
			}
		}
	}
	i := 0
	if params := fn.signature().Params; params != nil {
		for _, f := range params.List {
			for _, name := range f.Names {
				if name.Pos() == p {
					return i, true
				}
				i++
			}
			if len(f.Names) == 0 {
				i++
			}
		}
	}
	return 0, false
}

// variadic tells whether the last parameter takes any number of arguments.
func (fn *function) variadic() (last int, ok bool) {
	params := fn.signature().Params
	if params == nil || len(params.List) == 0 {
		return 0, false
	}
	f := params.List[len(params.List)-1]
	_, ok = f.Type.(*ast.Ellipsis)
	n := 0
	for _, f := range params.List {
		n += max(1, len(f.Names))
	}
	return n - 1, ok
}

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

func (s step) class() string { return s.ownerPkg + "." + s.owner + "." + s.name }

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
