package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// This file follows one channel from the line that waits on it to where it is
// made, and from there into all that it is passed to.

// maxUses bounds the functions that one channel is followed into.
const maxUses = 40

// tracer follows one channel.
type tracer struct {
	tree   *Tree
	u      *Uses
	own    int // the first of frames that is not the goroutine's own, but its creator's
	frames []Frame
	wait   ast.Node // the operation asked for
	seen   map[*types.Var]bool
	passes []pass
	scope  *function          // where the variable followed is declared: nobody outside of it knows it
	back   map[*function]bool // functions whose result is followed by where it went already
	steps  int
}

func (tr *tracer) open(why string) {
	if tr.u.Open == "" {
		tr.u.Open = why
	}
}

// from follows the channel of an expression to where it comes from, and from
// there to all its uses. level is the index of the frame of fn.
func (tr *tracer) from(fn *function, e ast.Expr, level int) {
	if tr.steps++; tr.steps > maxUses {
		tr.open("passed on too often")
		return
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		v, ok := fn.object(e).(*types.Var)
		switch {
		case !ok:
			tr.open("of unknown origin")
		case packageLevel(v):
			tr.open("the package variable " + v.Name())
		default:
			tr.variable(fn, v, level)
		}
	case *ast.SelectorExpr:
		tr.open("reached through " + fn.file.text(e))
	case *ast.CallExpr:
		tr.call(fn, e, 0, level)
	default:
		tr.open("reached through " + fn.file.text(e))
	}
}

// variable follows a local variable, which may be a parameter.
func (tr *tracer) variable(fn *function, v *types.Var, level int) {
	if tr.seen[v] {
		return
	}
	owner := fn // the function or literal that declares v
	for owner.parent != nil && (v.Pos() < owner.from || owner.to <= v.Pos()) {
		owner = owner.parent
	}
	if index, ok := owner.parameter(v.Pos()); ok {
		tr.argument(owner, index, level)
	} else if from, ok := fn.assigned().once(v); ok && from.expr != nil {
		switch x := ast.Unparen(from.expr).(type) {
		case *ast.CallExpr:
			if size, isMake := fn.makeSize(x); isMake {
				tr.u.Made, tr.u.Buffer = true, size
				tr.home(owner, level)
				tr.u.Once = tr.once(owner, v)
			} else {
				tr.call(fn, x, max(from.index, 0), level)
			}
		case *ast.Ident:
			tr.from(fn, x, level)
		default:
			tr.open("comes from " + fn.file.text(x))
		}
	} else {
		tr.open("set more than once")
	}
	tr.uses(fn.outermost(), v, level)
}

// home notes whose variable the channel is.
func (tr *tracer) home(owner *function, level int) {
	tr.u.Home = owner.name()
	tr.u.Own = false
	for i := range tr.own { // is it on the goroutine's own stack?
		if f := tr.tree.file(tr.frames[i].File); f == owner.file {
			if list, _ := f.find(tr.frames[i]); slices.Contains(list, owner) {
				tr.u.Own = true
			}
		}
	}
}

// once tells whether the go statement of the innermost creating frame is in the
// function that declares v, and in no loop that v is not in as well.
func (tr *tracer) once(owner *function, v *types.Var) bool {
	if tr.own >= len(tr.frames) {
		return false
	}
	created := tr.frames[tr.own]
	if tr.tree.file(created.File) != owner.file {
		return false
	}
	if list, _ := owner.file.find(created); !slices.Contains(list, owner) {
		return false
	}
	once := true
	ast.Inspect(owner.body(), func(n ast.Node) bool {
		if n == nil || !owner.file.spans(n, created.Line) {
			return false
		}
		if isLoop(n) && !inside(n, v.Pos()) {
			once = false
		}
		return once
	})
	return once
}

// argument follows a parameter to what the caller passed.
func (tr *tracer) argument(fn *function, index, level int) {
	for i := level; i+1 < len(tr.frames); i++ {
		f := tr.tree.file(tr.frames[i].File)
		if f != fn.file {
			continue
		}
		if list, _ := f.find(tr.frames[i]); !slices.Contains(list, fn) {
			continue
		}
		caller := tr.frames[i+1]
		cf := tr.tree.file(caller.File)
		if cf == nil {
			break
		}
		outer, call, _ := cf.callAt(caller, fn)
		if call == nil || index >= len(call.Args) || index < 0 {
			break
		}
		if last, variadic := fn.variadic(); variadic && index >= last {
			break
		}
		tr.from(outer, call.Args[index], i+1)
		return
	}
	tr.open("a parameter of " + fn.name())
}

// callAt finds the one call of fn at a frame, with what is around it.
func (f *file) callAt(fr Frame, fn *function) (outer *function, found *ast.CallExpr, path []ast.Node) {
	count := 0
	var open []ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil {
			open = open[:len(open)-1]
			return true
		}
		if _, isFile := n.(*ast.File); !isFile && !f.spans(n, fr.Line) {
			return false
		}
		if call, ok := n.(*ast.CallExpr); ok {
			at := f.at(call.Pos())
			if at != nil {
				at.check()
				if at.target(call).fn == fn {
					outer, found, path = at, call, slices.Clone(open)
					count++
				}
			}
		}
		open = append(open, n)
		return true
	})
	if count != 1 {
		return nil, nil, nil
	}
	return outer, found, path
}

// call follows a channel that a call returned, as its result at index.
func (tr *tracer) call(fn *function, call *ast.CallExpr, index, level int) {
	callee := fn.target(call).fn
	if callee == nil {
		tr.open("comes from " + fn.file.text(call.Fun) + "()")
		return
	}
	e := callee.result(index)
	if e == nil {
		tr.open("comes from " + callee.name())
		return
	}
	callee.check()
	if tr.back == nil {
		tr.back = map[*function]bool{}
	}
	tr.back[callee] = true
	tr.passes = append(tr.passes, pass{fn, fn.enderAt(call), tr.scope, callee})
	tr.from(callee, e, len(tr.frames)) // its frame is not on the stack
}

// uses collects all that happens to a variable in the declared function around it.
func (tr *tracer) uses(top *function, v *types.Var, level int) {
	if tr.seen[v] {
		return
	}
	tr.seen[v] = true
	top.check()
	f := top.file
	defer func(outer *function) { tr.scope = outer }(tr.scope)
	tr.scope = f.at(v.Pos())
	var open []ast.Node
	ast.Inspect(top.node(), func(n ast.Node) bool {
		if n == nil {
			open = open[:len(open)-1]
			return true
		}
		if id, ok := n.(*ast.Ident); ok && f.pkg.info.Uses[id] == v {
			tr.use(f.at(id.Pos()), id, slices.Clone(open), level)
		}
		open = append(open, n)
		return true
	})
}

// use judges one appearance of the channel: e, within path (outermost first).
func (tr *tracer) use(fn *function, e ast.Expr, path []ast.Node, level int) {
	for len(path) > 0 {
		paren, ok := path[len(path)-1].(*ast.ParenExpr)
		if !ok {
			break
		}
		e, path = paren, path[:len(path)-1]
	}
	if len(path) == 0 || fn == nil {
		return
	}
	switch n := path[len(path)-1].(type) {
	case *ast.SendStmt:
		if n.Chan == e {
			tr.op(fn, n, UseSend, path)
		} else {
			tr.open("sent on " + fn.file.text(n.Chan))
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			tr.op(fn, n, UseReceive, path)
		} else {
			tr.open("pointed to")
		}
	case *ast.RangeStmt:
		if n.X == e {
			tr.op(fn, n, UseRange, path)
		}
	case *ast.CallExpr:
		tr.passed(fn, n, e, path, level)
	case *ast.ReturnStmt:
		tr.returned(fn, n, e, level)
	case *ast.AssignStmt:
		for i, x := range n.Rhs {
			if x != e {
				continue
			}
			if len(n.Lhs) != len(n.Rhs) {
				tr.open("stored")
				continue
			}
			tr.stored(fn, n.Lhs[i], level)
		}
	case *ast.ValueSpec:
		for i, x := range n.Values {
			if x == e && len(n.Names) == len(n.Values) {
				tr.stored(fn, n.Names[i], level)
			}
		}
	case *ast.KeyValueExpr, *ast.CompositeLit:
		tr.open("stored in a " + literalType(fn, path))
	case *ast.BinaryExpr, *ast.ExprStmt:
	default:
		tr.open("used in a way that cannot be followed")
	}
}

// literalType is the type of the innermost composite literal of a path.
func literalType(fn *function, path []ast.Node) string {
	for _, n := range slices.Backward(path) {
		if lit, ok := n.(*ast.CompositeLit); ok && lit.Type != nil {
			return fn.file.text(lit.Type)
		}
	}
	return "value"
}

func (tr *tracer) stored(fn *function, to ast.Expr, level int) {
	if id, ok := ast.Unparen(to).(*ast.Ident); ok {
		if id.Name == "_" {
			return
		}
		if v, ok := fn.object(id).(*types.Var); ok && !packageLevel(v) {
			tr.uses(fn.outermost(), v, level)
			return
		}
	}
	tr.open("stored in " + fn.file.text(to))
}

// passed follows the channel into a call.
func (tr *tracer) passed(fn *function, call *ast.CallExpr, e ast.Expr, path []ast.Node, level int) {
	index := slices.IndexFunc(call.Args, func(a ast.Expr) bool { return a == e })
	if index < 0 {
		return
	}
	name := lastName(call.Fun)
	if o, ok := ast.Unparen(call.Fun).(*ast.Ident); ok {
		if _, builtin := fn.object(o).(*types.Builtin); builtin || fn.object(o) == nil {
			switch name {
			case "close":
				tr.op(fn, call, UseClose, path)
				return
			case "len", "cap", "print", "println":
				return
			case "append":
				tr.open("appended to " + fn.file.text(call.Args[0]))
				return
			}
		}
	}
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && fn.imported(sel.X) == "os/signal" && name == "Notify" {
		tr.u.Notified = true
	}
	if tv, ok := fn.file.pkg.info.Types[call.Fun]; ok && tv.IsType() {
		tr.use(fn, call, path[:len(path)-1], level) // a conversion
		return
	}
	callee := fn.target(call).fn
	if callee == nil {
		tr.open("passed to " + fn.file.text(call.Fun))
		return
	}
	if last, variadic := callee.variadic(); variadic && index >= last {
		tr.open("passed to " + callee.name())
		return
	}
	if tr.steps++; tr.steps > maxUses {
		tr.open("passed on too often")
		return
	}
	param := callee.parameterAt(index)
	if param == nil || param.Name == "_" {
		return // nobody can use it
	}
	callee.check()
	tr.passes = append(tr.passes, pass{fn, fn.enderAt(call), tr.scope, callee})
	if v, ok := callee.object(param).(*types.Var); ok {
		tr.uses(callee.outermost(), v, len(tr.frames))
		return
	}
	tr.open("passed to " + callee.name())
}

// returned follows the channel to whoever called fn.
func (tr *tracer) returned(fn *function, ret *ast.ReturnStmt, e ast.Expr, level int) {
	if tr.back[fn] {
		return
	}
	for i := level; i+1 < len(tr.frames); i++ {
		f := tr.tree.file(tr.frames[i].File)
		if f != fn.file {
			continue
		}
		if list, _ := f.find(tr.frames[i]); !slices.Contains(list, fn) {
			continue
		}
		cf := tr.tree.file(tr.frames[i+1].File)
		if cf == nil || len(ret.Results) != 1 {
			break
		}
		outer, call, path := cf.callAt(tr.frames[i+1], fn)
		if call == nil {
			break
		}
		defer func(scope *function) { tr.scope = scope }(tr.scope)
		tr.scope = outer
		tr.use(outer, call, path, i+1)
		tr.home(outer, i+1)
		return
	}
	tr.open("returned by " + fn.name())
}

// op notes an operation.
func (tr *tracer) op(fn *function, n ast.Node, kind UseKind, path []ast.Node) {
	f := fn.file
	if n != tr.wait {
		use := Use{Kind: kind, Func: fn.name(), File: f.rel[strings.LastIndexByte(f.rel, '/')+1:], Line: f.line(n.Pos())}
		if kind == UseReceive {
			use.Line = f.line(n.(*ast.UnaryExpr).OpPos)
		}
		for i, x := range slices.Backward(path) {
			c, ok := x.(*ast.CommClause)
			if !ok {
				continue
			}
			if s, ok := path[max(0, i-2)].(*ast.SelectStmt); ok && c.Comm != nil && inside(c.Comm, n.Pos()) {
				use.Select = f.line(s.Select)
				use.Exits = fn.exits(s, c)
			}
			break
		}
		tr.u.Ops = append(tr.u.Ops, use)
	}
	if kind.ends(tr.u.Send) && n != tr.wait {
		tr.ender(fn, fn.enderAt(n), tr.scope)
	}
}

// exits lists the cases of a select but one.
func (fn *function) exits(s *ast.SelectStmt, but *ast.CommClause) (list []Exit) {
	for _, c := range s.Body.List {
		c, ok := c.(*ast.CommClause)
		if !ok || c == but {
			continue
		}
		x := Exit{Expr: "default", Line: fn.file.line(c.Case)}
		switch op := commOperation(c.Comm).(type) {
		case *ast.SendStmt:
			x.Expr = fn.file.text(op.Chan)
		case *ast.UnaryExpr:
			x.Expr, x.Origin = fn.file.text(op.X), fn.chanOrigin(op.X, fn.ref(op.X))
		}
		list = append(list, x)
	}
	return list
}
