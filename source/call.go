package source

import (
	"go/ast"
	"go/token"
	"go/types"
)

// Mode is how a lock is held or asked for.
type Mode uint8

const (
	Write Mode = iota // Lock, also of a Mutex
	Read              // RLock
)

// String returns the method that takes the lock.
func (m Mode) String() string {
	if m == Read {
		return "RLock"
	}
	return "Lock"
}

// op is what a method does to the thing that it is called on.
type op struct {
	kind opKind
	mode Mode
}

type opKind uint8

const (
	opNone opKind = iota
	opLock
	opTry
	opUnlock
	opCondWait  // releases the Cond's L, waits, takes it again
	opGroupWait // WaitGroup.Wait
	opOnce      // Once.Do: holds the Once while the function runs
)

// lockMethods are the methods of sync's locks, and of whatever else calls its
// methods so.
var lockMethods = map[string]op{
	"Lock": {opLock, Write}, "RLock": {opLock, Read}, "TryLock": {opTry, Write}, "TryRLock": {opTry, Read},
	"Unlock": {opUnlock, Write}, "RUnlock": {opUnlock, Read},
}

// target is what a call calls.
type target struct {
	expr ast.Expr  // as the program writes it
	name string    // as the call names it; "" for a literal or a variable
	fn   *function // nil if its body is not at hand
	// loose is true if nobody can say here which function it is: a variable,
	// a parameter, a field, a method of an interface.
	loose bool

	op       op
	on       ref    // what op acts on
	lockType string // "sync.Mutex"; "" if unknown

	recv  ref // the receiver; also that of a method whose body is not at hand
	args  []ast.Expr
	from  *function // where the arguments are
	outer *target   // of a function that another call returned: that call
}

// called marks an expression that is being resolved as a function, see Tree.enter.
type called struct{ e ast.Expr }

// target resolves the function of a call as far as the source shows it.
func (fn *function) target(call *ast.CallExpr) target {
	return fn.callee(call.Fun, call.Args)
}

func (fn *function) callee(e ast.Expr, args []ast.Expr) target {
	t := target{expr: e, args: args, from: fn}
	tree := fn.file.pkg.tree
	if !tree.enter(called{e}) {
		t.loose = true
		return t
	}
	defer tree.leave(called{e})
	info := fn.file.pkg.info
	switch e := e.(type) {
	case *ast.ParenExpr:
		return fn.callee(e.X, args)
	case *ast.IndexExpr: // F[int], or an element of a slice of functions
		if _, ok := fn.typeOf(e.X).(*types.Signature); ok {
			return fn.callee(e.X, args)
		}
		t.loose = true
	case *ast.IndexListExpr:
		return fn.callee(e.X, args)
	case *ast.FuncLit:
		t.fn = fn.file.literal(e)
	case *ast.Ident:
		switch o := fn.object(e).(type) {
		case *types.Func:
			t.name, t.fn = o.Name(), fn.file.pkg.tree.declared(o)
		case *types.Var:
			if from, ok := fn.assigned().once(o); ok && from.expr != nil && !packageLevel(o) && !fn.assigned().parameterSet(fn, o) {
				if from.index < 0 {
					return fn.callee(from.expr, args)
				}
				if call, ok := from.expr.(*ast.CallExpr); ok {
					return fn.returned(call, from.index, args)
				}
			}
			t.loose = true
		case *types.Builtin:
			t.name = o.Name()
		default:
			t.name, t.loose = e.Name, true
		}
	case *ast.SelectorExpr:
		t.name = e.Sel.Name
		if fn.imported(e.X) != "" {
			switch o := info.Uses[e.Sel].(type) {
			case *types.Func:
				t.fn = fn.file.pkg.tree.declared(o)
			case *types.Var:
				t.name, t.loose = "", true
			}
			return t
		}
		fn.method(&t, e)
	case *ast.CallExpr:
		return fn.returned(e, 0, args)
	default:
		t.loose = true
	}
	return t
}

// method resolves x.M.
func (fn *function) method(t *target, e *ast.SelectorExpr) {
	sel := fn.file.pkg.info.Selections[e]
	if sel == nil { // of unknown type
		t.recv, t.loose = fn.ref(e.X), true
		if o, ok := lockMethods[t.name]; ok && len(t.args) == 0 {
			t.op, t.on = o, t.recv
		}
		return
	}
	m, _ := sel.Obj().(*types.Func)
	switch sel.Kind() {
	case types.FieldVal:
		t.name, t.loose = "", true
		return
	case types.MethodExpr: // T.M(x, ...)
		if len(t.args) > 0 {
			t.recv, t.args = fn.ref(t.args[0]), t.args[1:]
			t.recv = t.recv.along(sel)
		}
	default:
		t.recv = fn.ref(e.X)
		if _, ok := under(sel.Recv()).(*types.Interface); !ok {
			t.recv = t.recv.along(sel)
		}
	}
	if m == nil {
		return
	}
	recvPkg, recvType := "", ""
	iface := false
	if sig, ok := m.Type().(*types.Signature); ok && sig.Recv() != nil {
		recvPkg, recvType = typeName(sig.Recv().Type())
		iface = types.IsInterface(sig.Recv().Type())
	}
	t.loose = iface
	if recvPkg == "sync" && m.Pkg() != nil && m.Pkg().Path() == "sync" {
		fn.syncMethod(t, e, recvType)
		return
	}
	if iface {
		// An interface of the program's own that has the methods of a lock.
		if o, ok := lockMethods[t.name]; ok && len(t.args) == 0 {
			t.op, t.on = o, t.recv
		}
		return
	}
	t.fn = fn.file.pkg.tree.declared(m)
	if o, ok := lockMethods[t.name]; ok && t.fn == nil && len(t.args) == 0 { // a lock of a package that is not read
		t.op, t.on = o, t.recv
	}
}

// syncMethod resolves the methods of package sync.
func (fn *function) syncMethod(t *target, e *ast.SelectorExpr, recvType string) {
	t.on, t.lockType = t.recv, "sync."+recvType
	switch recvType {
	case "Mutex", "RWMutex", "Locker":
		t.op = lockMethods[t.name]
		if x := rlocker(fn, e.X); x != nil {
			t.on, t.lockType = fn.ref(x), "sync.RWMutex"
			t.op.mode = Read
		}
	case "Cond":
		if t.name == "Wait" {
			t.op, t.lockType = op{kind: opCondWait}, "sync.Cond"
		}
	case "WaitGroup":
		if t.name == "Wait" {
			t.op = op{kind: opGroupWait}
		}
	case "Once":
		if t.name == "Do" {
			t.op = op{kind: opOnce}
		}
	}
}

// rlocker returns x of x.RLocker(), also through a variable; else nil.
func rlocker(fn *function, e ast.Expr) ast.Expr {
	e = ast.Unparen(e)
	if id, ok := e.(*ast.Ident); ok {
		if v, ok := fn.object(id).(*types.Var); ok && !packageLevel(v) {
			if from, ok := fn.assigned().once(v); ok && from.expr != nil && from.index < 0 {
				e = ast.Unparen(from.expr)
			}
		}
	}
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return nil
	}
	if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "RLocker" {
		return s.X
	}
	return nil
}

// returned resolves a function that a call returns: s.lock()() with
// func (s *S) lock() func() { s.mu.Lock(); return s.mu.Unlock }.
func (fn *function) returned(call *ast.CallExpr, index int, args []ast.Expr) target {
	outer := fn.callee(call.Fun, call.Args)
	if outer.fn != nil {
		if e := outer.fn.result(index); e != nil {
			t := outer.fn.callee(e, nil)
			if !t.loose || t.op.kind != opNone {
				t.name, t.outer = "", &outer
				if t.op.kind != opNone {
					on, ok := outer.translate(t.on)
					if !ok {
						return target{loose: true, args: args, from: fn}
					}
					t.on, t.recv = on, on
				}
				return t
			}
		}
	}
	return target{loose: true, args: args, from: fn}
}

// declared finds the body of a function; nil if it is not at hand.
func (t *Tree) declared(o *types.Func) *function {
	o = o.Origin()
	if p := t.byTypes[o.Pkg()]; p != nil {
		return p.funcs[o.Pos()]
	}
	return nil
}

// literal finds the function of a literal.
func (f *file) literal(lit *ast.FuncLit) *function {
	for _, fn := range f.funcs {
		if fn.lit == lit {
			return fn
		}
	}
	return nil
}

// result is the expression that fn returns at that index, if it has just one
// return statement; else nil.
func (fn *function) result(index int) ast.Expr {
	var found *ast.ReturnStmt
	n := 0
	ast.Inspect(fn.body(), func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = node
			n++
		}
		return true
	})
	if n != 1 || index >= len(found.Results) {
		return nil
	}
	fn.check()
	return found.Results[index]
}

// result is what a call of t returns, where that has a way of its own from the
// receiver, an argument or a package variable.
func (t target) result() (ref, bool) {
	e := t.fn.result(0)
	if e == nil {
		return ref{}, false
	}
	r := t.fn.ref(e)
	if !r.exact() {
		return ref{}, false
	}
	return t.translate(r)
}

// translate turns what a ref denotes inside the called function into what it
// denotes at the call; false if it is the called function's own affair.
func (t target) translate(r ref) (ref, bool) {
	switch {
	case r.global != "" || packageLevel(r.root):
		return r, true
	case r.root == nil || t.fn == nil:
		return ref{}, false
	}
	at := r.root.Pos()
	i, ok := t.fn.parameter(at)
	switch {
	case !ok && t.fn.lit != nil && !inside(t.fn.lit, at): // a variable of the function around the literal
		if t.outer != nil {
			return t.outer.translate(r)
		}
		return r, true
	case !ok:
		return ref{}, false
	case i < 0:
		return t.recv.join(r), true
	}
	if last, ok := t.fn.variadic(); i >= len(t.args) || ok && i >= last {
		return ref{}, false
	}
	base := t.from.ref(t.args[i])
	if t.outer != nil && t.from == t.outer.fn {
		if base, ok = t.outer.translate(base); !ok {
			return ref{}, false
		}
	}
	return base.join(r), true
}

func inside(n ast.Node, p token.Pos) bool { return n.Pos() <= p && p < n.End() }
