package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// UseKind is what a line does with a channel.
type UseKind uint8

const (
	UseSend UseKind = iota
	UseReceive
	UseRange
	UseClose
)

// String returns the verb, as in "sends".
func (k UseKind) String() string {
	return [...]string{"sends", "receives", "ranges", "closes"}[k]
}

// ends tells whether u ends a wait that sends (or else receives).
func (k UseKind) ends(send bool) bool {
	if send {
		return k == UseReceive || k == UseRange
	}
	return k == UseSend || k == UseClose
}

// Use is one operation on a channel.
type Use struct {
	Kind   UseKind
	Func   string // for people: "(*Cache).Flush", "a literal in run"
	File   string // the file's name, without folders
	Line   int    // of the operation; of the for of a range
	Select int    // the line of the select that it is a case of; 0 if of none
	// Exits is the other cases of that select: how it is left without Use.
	Exits []Exit
}

// Exit is a case by which a select is left.
type Exit struct {
	Expr   string // the channel: "ctx.Done()"; "default"
	Line   int    // of the case
	Origin ChanOrigin
}

// Uses is what the source shows of everything that can happen to one channel.
type Uses struct {
	Expr   string // the channel, at the line asked for
	Home   string // the function whose variable it is, for people; "" for others than local variables
	Send   bool   // the line asked for sends
	Range  bool   // … ranges over the channel
	Made   bool   // its make is seen
	Buffer int    // if Made: the size of its buffer, -1 if that is no constant
	Ops    []Use  // all operations that are seen, but for those of the line asked for
	// Open says why there may be others that are not seen: the channel is
	// "stored in s.subs", "passed to f"; "" if Ops is everything.
	Open string
	// Notified: signal.Notify sends on it.
	Notified bool
	// Own says that Home is a function on the stack asked for, so that the
	// channel is this goroutine's own and of whom it starts; otherwise it is
	// its creator's.
	Own bool
	// Once says that the go statement that created runs at most once for each
	// channel: no two of the goroutines that it starts share one.
	Once bool

	enders map[*function][]ender
}

// ender is a place in a function from which a wait for the channel can be ended.
type ender struct {
	line     int
	loops    [][2]int // lines of the loops around it
	deferred bool
}

// maxUses bounds the functions that one channel is followed into.
const maxUses = 40

// ChanUses returns what can happen to the channels that a stack waits on:
// stack[0] is the frame that waits, the user's innermost; created is the stack
// of the go statement, nil if unknown. It follows local variables into
// functions that they are passed to, and out of those that return them.
//
// false means that the source is not at hand, or the line waits in no way, or
// in more than one. Calls are followed as far as they are static; whatever
// cannot be followed makes the channel Open.
func (t *Tree) ChanUses(stack, created []Frame) ([]*Uses, bool) {
	if len(stack) == 0 {
		return nil, false
	}
	f := t.file(stack[0].File)
	if f == nil || t.trusts[stack[0].File].stale() {
		return nil, false
	}
	waits := f.waitsAt(stack[0].Line)
	if len(waits) == 0 {
		return nil, false
	}
	var list []*Uses
	for _, w := range waits {
		u := &Uses{Expr: f.text(w.channel), Send: w.send, Range: w.ranges, enders: map[*function][]ender{}}
		tr := &tracer{tree: t, u: u, own: len(stack), frames: append(slices.Clone(stack), created...), seen: map[*types.Var]bool{}, wait: w.node}
		tr.from(f.in(w.channel), w.channel, 0)
		tr.spread()
		list = append(list, u)
	}
	return list, true
}

// Ends tells whether whoever stands at a frame can still come to a place that
// ends a wait for the channel.
func (t *Tree) Ends(u *Uses, fr Frame) bool {
	f := t.file(fr.File)
	if f == nil {
		return false
	}
	list, _ := f.find(fr)
	return slices.ContainsFunc(list, func(fn *function) bool {
		return slices.ContainsFunc(u.enders[fn], func(e ender) bool {
			return e.deferred || fr.Line <= e.line || slices.ContainsFunc(e.loops, func(l [2]int) bool { return l[0] <= fr.Line && fr.Line <= l[1] })
		})
	})
}

// wait is one channel of the statement at a line.
type wait struct {
	channel ast.Expr
	node    ast.Node // the operation
	send    bool
	ranges  bool
}

// waitsAt returns the channels of the one statement at a line that waits; nil
// if there are more statements or none.
func (f *file) waitsAt(line int) (list []wait) {
	statements := 0
	inSelect := map[ast.Node]bool{}
	add := func(n ast.Node, at int) {
		if at != line && !inSelect[n] {
			return
		}
		switch n := n.(type) {
		case *ast.SendStmt:
			list = append(list, wait{channel: n.Chan, node: n, send: true})
		case *ast.UnaryExpr:
			list = append(list, wait{channel: n.X, node: n})
		case *ast.RangeStmt:
			list = append(list, wait{channel: n.X, node: n, ranges: true})
		}
		if !inSelect[n] {
			statements++
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil || !f.spans(n, line) && !inSelect[n] {
			_, isFile := n.(*ast.File)
			return isFile
		}
		switch n := n.(type) {
		case *ast.SelectStmt:
			if n.Body == nil || f.line(n.Select) != line || len(n.Body.List) < 2 {
				return true
			}
			statements++
			for _, c := range n.Body.List {
				if c, ok := c.(*ast.CommClause); ok && c.Comm != nil {
					if op := commOperation(c.Comm); op != nil {
						inSelect[op] = true
						add(op, line)
					}
				}
			}
			return false
		case *ast.SendStmt:
			add(n, f.line(n.Pos()))
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				add(n, f.line(n.OpPos))
			}
		case *ast.RangeStmt:
			if n.X != nil && n.Value == nil && f.line(n.For) == line && f.mayBeChannel(n.X) {
				add(n, line)
			}
		}
		return true
	})
	if statements != 1 {
		return nil
	}
	return list
}

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

// pass is a place from which the channel goes into a function.
type pass struct {
	from  *function
	at    ender
	scope *function
	into  *function
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
		tr.call(fn, e, level)
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
				tr.callIndex(fn, x, max(from.index, 0), level)
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

// call follows a channel that a call returned.
func (tr *tracer) call(fn *function, call *ast.CallExpr, level int) { tr.callIndex(fn, call, 0, level) }

func (tr *tracer) callIndex(fn *function, call *ast.CallExpr, index, level int) {
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
	pos, ok := callee.parameterPos(index)
	if !ok {
		return // a parameter without a name
	}
	callee.check()
	tr.passes = append(tr.passes, pass{fn, fn.enderAt(call), tr.scope, callee})
	for _, f := range callee.signature().Params.List {
		for _, name := range f.Names {
			if v, ok := callee.object(name).(*types.Var); ok && name.Pos() == pos {
				tr.uses(callee.outermost(), v, len(tr.frames))
				return
			}
		}
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
		use := Use{Kind: kind, Func: fn.name(), File: base(f.rel), Line: f.line(n.Pos())}
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

func base(rel string) string {
	for i := len(rel) - 1; i >= 0; i-- {
		if rel[i] == '/' {
			return rel[i+1:]
		}
	}
	return rel
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

// ender notes that a wait can be ended from a place, and so from the places
// where the literals around it begin, as far as they are in scope.
func (tr *tracer) ender(fn *function, e ender, scope *function) {
	for {
		tr.u.enders[fn] = append(tr.u.enders[fn], e)
		if fn.parent == nil || fn == scope {
			return
		}
		e = fn.parent.enderAt(fn.lit)
		fn = fn.parent
	}
}

// spread carries enders to those who pass the channel on.
func (tr *tracer) spread() {
	done := make([]bool, len(tr.passes))
	for changed := true; changed; {
		changed = false
		for i, p := range tr.passes {
			if !done[i] && len(tr.u.enders[p.into]) > 0 {
				done[i], changed = true, true
				tr.ender(p.from, p.at, p.scope)
			}
		}
	}
}

// enderAt describes a place in fn.
func (fn *function) enderAt(n ast.Node) ender {
	e := ender{line: fn.file.line(n.Pos())}
	if _, ok := n.(*ast.CallExpr); ok { // a frame in it may stand at any of its lines
		e.line = fn.file.line(n.End() - 1)
	}
	ast.Inspect(fn.body(), func(x ast.Node) bool {
		if x == nil || !inside(x, n.Pos()) {
			return false
		}
		switch x := x.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			e.loops = append(e.loops, [2]int{fn.file.line(x.Pos()), fn.file.line(x.End() - 1)})
		case *ast.DeferStmt:
			e.deferred = true
		case *ast.LabeledStmt: // perhaps the aim of a goto
			e.loops = append(e.loops, [2]int{fn.first, fn.last})
		}
		return true
	})
	return e
}
