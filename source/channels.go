package source

import (
	"bytes"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
)

// ChanKind is how a statement waits on channels.
type ChanKind uint8

const (
	ChanReceive ChanKind = iota
	ChanSend
	ChanRange
	ChanSelect
)

// String returns the statement's usual name.
func (k ChanKind) String() string {
	return [...]string{"receive", "send", "range", "select"}[k]
}

// ChanOrigin is where a channel comes from, as far as types tell.
type ChanOrigin uint8

const (
	OriginUnknown   ChanOrigin = iota
	OriginContext              // the Done channel of a context.Context
	OriginTimer                // time.After, or C of a time.Timer
	OriginTicker               // time.Tick, or C of a time.Ticker
	OriginField                // a field of a struct
	OriginPackage              // a package variable
	OriginLocal                // a local variable of the function
	OriginParameter            // a parameter of the function
	OriginCall                 // the result of another call
)

// ChanOp is an operation on channels that can block.
type ChanOp struct {
	Kind     ChanKind
	Line     int       // as the runtime reports it
	Channels []ChanRef // one, but for a select: then one for each case that is no default
	Default  bool      // of a select: it has a default, and so never waits
}

// ChanRef is one channel of a ChanOp.
type ChanRef struct {
	Expr   string // source text: "ctx.Done()", "s.done", "results"
	Send   bool
	Type   string // of the channel: "chan error"; "" if unknown
	Origin ChanOrigin
	Name   string // "Server.done" for a field, else as Lock.Name; "" if it has no name
	// Made says that the make of the channel can be seen, in the same function
	// or, for a field, wherever in the package the field is set; always with
	// the same size.
	Made bool
	// Fresh says that the channel, or the struct that holds it, is a variable
	// of the same function, declared within the innermost loop around the
	// operation if there is one: each time it is another.
	Fresh  bool
	Buffer int // if Made: the size of its buffer; -1 if it is no constant
	// Path is the way to the channel, as for locks.
	Path Path
}

// Channels returns the source text of the channels that the operations at a
// line wait on; false if the source is not at hand or has none there.
func (t *Tree) Channels(file string, line int) ([]string, bool) {
	ops, ok := t.ChanOps(file, line)
	if !ok {
		return nil, false
	}
	var list []string
	for _, op := range ops {
		for _, c := range op.Channels {
			list = append(list, c.Expr)
		}
	}
	return list, true
}

// ChanOps returns the operations at a line that can block on channels: mostly
// one. The line is that of the operator, of the for that ranges over a
// channel, or of the select (of its case where it has only one). false means
// that the source is not at hand or has no such operation there.
func (t *Tree) ChanOps(file string, line int) ([]ChanOp, bool) {
	f := t.file(file)
	if f == nil || t.trusts[file].stale() {
		return nil, false
	}
	var ops []ChanOp
	comms := map[ast.Node]bool{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil || !f.spans(n, line) {
			_, isFile := n.(*ast.File)
			return isFile
		}
		switch n := n.(type) {
		case *ast.SelectStmt:
			waits := f.selectOp(n, comms)
			if f.line(n.Select) == line && waits != nil {
				ops = append(ops, *waits)
			}
		case *ast.SendStmt:
			if f.line(n.Pos()) == line && !comms[n] {
				ops = append(ops, ChanOp{Kind: ChanSend, Line: line, Channels: []ChanRef{f.channel(n.Chan, true)}})
			}
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && f.line(n.OpPos) == line && !comms[n] {
				ops = append(ops, ChanOp{Kind: ChanReceive, Line: line, Channels: []ChanRef{f.channel(n.X, false)}})
			}
		case *ast.RangeStmt:
			if f.line(n.For) == line && n.X != nil && n.Value == nil && f.mayBeChannel(n.X) {
				ops = append(ops, ChanOp{Kind: ChanRange, Line: line, Channels: []ChanRef{f.channel(n.X, false)}})
			}
		}
		return true
	})
	return ops, len(ops) > 0
}

// selectOp describes a select; nil if it is compiled as its only case.
func (f *file) selectOp(s *ast.SelectStmt, comms map[ast.Node]bool) *ChanOp {
	op := &ChanOp{Kind: ChanSelect, Line: f.line(s.Select)}
	if s.Body == nil {
		return op
	}
	if len(s.Body.List) == 1 {
		if c, ok := s.Body.List[0].(*ast.CommClause); ok && c.Comm != nil {
			return nil
		}
	}
	for _, c := range s.Body.List {
		c, ok := c.(*ast.CommClause)
		if !ok {
			continue
		}
		if c.Comm == nil {
			op.Default = true
			continue
		}
		switch x := commOperation(c.Comm).(type) {
		case *ast.SendStmt:
			comms[x] = true
			op.Channels = append(op.Channels, f.channel(x.Chan, true))
		case *ast.UnaryExpr:
			comms[x] = true
			op.Channels = append(op.Channels, f.channel(x.X, false))
		}
	}
	return op
}

// in is the function around an expression, its types known. At package level
// it is a stand-in.
func (f *file) in(e ast.Node) *function {
	fn := f.at(e.Pos())
	if fn == nil {
		fn = &function{file: f, lit: &ast.FuncLit{Type: &ast.FuncType{}, Body: &ast.BlockStmt{}}, checked: true}
	}
	fn.check()
	return fn
}

func (f *file) mayBeChannel(e ast.Expr) bool {
	fn := f.in(e)
	t := fn.ref(e).typ
	if t == nil {
		t = fn.typeOf(e)
	}
	if t == nil {
		return true
	}
	_, ok := coreChan(t)
	return ok
}

func coreChan(t types.Type) (*types.Chan, bool) {
	if t == nil {
		return nil, false
	}
	c, ok := t.Underlying().(*types.Chan)
	return c, ok
}

// channel describes the channel that an expression denotes.
func (f *file) channel(e ast.Expr, send bool) ChanRef {
	fn := f.in(e)
	r := fn.ref(e)
	c := ChanRef{Expr: f.text(e), Send: send}
	typ := fn.typeOf(e)
	if typ == nil {
		typ = r.typ
	}
	if typ != nil {
		c.Type = types.TypeString(typ, func(p *types.Package) string { return p.Name() })
	}
	c.Origin = fn.chanOrigin(e, r)
	if r.root != nil || r.global != "" {
		c.Name, _ = fn.lockName(r)
		c.Path = fn.path(r)
	}
	if c.Origin == OriginLocal || c.Origin == OriginParameter || c.Origin == OriginField || c.Origin == OriginPackage {
		c.Buffer, c.Made = fn.made(e, r)
	}
	c.Fresh = c.Made && r.root != nil && !packageLevel(r.root) && f.inTurn(e, r.root.Pos())
	return c
}

// inTurn tells whether a position lies within the innermost function or loop
// around an expression.
func (f *file) inTurn(e ast.Expr, at token.Pos) bool {
	var turn ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil || e.Pos() < n.Pos() || e.Pos() >= n.End() {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncDecl:
			turn = n.Body
		case *ast.FuncLit:
			turn = n.Body
		case *ast.ForStmt:
			turn = n.Body
		case *ast.RangeStmt:
			turn = n.Body
		}
		return true
	})
	return turn != nil && turn.Pos() <= at && at < turn.End()
}

// chanOrigin follows local variables to where the channel comes from.
func (fn *function) chanOrigin(e ast.Expr, r ref) ChanOrigin {
	e = ast.Unparen(e)
	for range maxHops {
		id, ok := e.(*ast.Ident)
		if !ok {
			break
		}
		v, ok := fn.object(id).(*types.Var)
		if !ok || packageLevel(v) || fn.assigned().parameterSet(fn, v) {
			break
		}
		from, ok := fn.assigned().once(v)
		if !ok || from.expr == nil || from.index >= 0 {
			break
		}
		e = ast.Unparen(from.expr)
	}
	switch e := e.(type) {
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		if ok && fn.imported(sel.X) == "time" {
			switch sel.Sel.Name {
			case "After":
				return OriginTimer
			case "Tick":
				return OriginTicker
			}
		}
		if ok && sel.Sel.Name == "Done" && len(e.Args) == 0 && fn.isContext(sel) {
			return OriginContext
		}
		if id, ok := e.Fun.(*ast.Ident); ok && id.Name == "make" {
			return OriginLocal
		}
		return OriginCall
	case *ast.SelectorExpr:
		if e.Sel.Name == "C" {
			switch pkg, name := typeName(fn.ref(e.X).typ); {
			case pkg == "time" && name == "Timer":
				return OriginTimer
			case pkg == "time" && name == "Ticker":
				return OriginTicker
			}
		}
	}
	if len(r.steps) > 0 && !strings.HasPrefix(r.steps[len(r.steps)-1].name, "[") {
		return OriginField
	}
	switch fn.path(r).Root {
	case RootPackage:
		return OriginPackage
	case RootLocal:
		return OriginLocal
	case RootParameter, RootReceiver:
		return OriginParameter
	}
	return OriginUnknown
}

// isContext tells whether x.Done is a context's: by its type, be it
// context.Context itself or a type that embeds or implements it; by the names
// alone where the type is unknown.
func (fn *function) isContext(sel *ast.SelectorExpr) bool {
	s := fn.file.pkg.info.Selections[sel]
	if s == nil {
		switch x := ast.Unparen(sel.X).(type) {
		case *ast.Ident:
			return strings.Contains(strings.ToLower(x.Name), "ctx")
		case *ast.SelectorExpr:
			return strings.Contains(strings.ToLower(x.Sel.Name), "ctx")
		case *ast.CallExpr: // r.Context().Done()
			inner, ok := x.Fun.(*ast.SelectorExpr)
			return ok && inner.Sel.Name == "Context"
		}
		return false
	}
	if m, ok := s.Obj().(*types.Func); ok && m.Pkg() != nil && m.Pkg().Path() == "context" {
		return true
	}
	ctx := fn.file.pkg.tree.stdPackage("context")
	if ctx == nil {
		return false
	}
	iface, ok := under(ctx.Scope().Lookup("Context").Type()).(*types.Interface)
	return ok && (types.Implements(s.Recv(), iface) || types.Implements(types.NewPointer(s.Recv()), iface))
}

// made finds the make of a channel. ok is false if none is seen, or several
// that differ.
func (fn *function) made(e ast.Expr, r ref) (buffer int, ok bool) {
	if len(r.steps) == 0 {
		if r.root == nil {
			return 0, false
		}
		if packageLevel(r.root) {
			return fn.file.pkg.makes(r.rootKey(), r.root.Name())
		}
		from, ok := fn.assigned().once(r.root)
		if !ok || from.expr == nil || from.index >= 0 {
			return 0, false
		}
		return fn.makeSize(from.expr)
	}
	last := r.steps[len(r.steps)-1]
	if last.owner == "" {
		return 0, false
	}
	return fn.file.pkg.makes(last.class(), last.name)
}

// makeSize is the buffer of make(chan T, n).
func (fn *function) makeSize(e ast.Expr) (int, bool) {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return 0, false
	}
	id, ok := call.Fun.(*ast.Ident)
	if !ok || id.Name != "make" {
		return 0, false
	}
	if _, ok := ast.Unparen(call.Args[0]).(*ast.ChanType); !ok {
		if _, ok := coreChan(fn.typeOf(call.Args[0])); !ok {
			return 0, false
		}
	}
	if len(call.Args) == 1 {
		return 0, true
	}
	if tv := fn.file.pkg.info.Types[call.Args[1]]; tv.Value != nil {
		if n, ok := constant.Int64Val(constant.ToInt(tv.Value)); ok && n >= 0 && n < 1<<31 {
			return int(n), true
		}
	}
	return -1, true
}

// chanMake is a place where a channel is made and given a name.
type chanMake struct {
	file *file
	to   ast.Expr          // what it is assigned to, nil in a composite literal
	lit  *ast.CompositeLit // the literal
	make ast.Expr
}

// makes is the buffer that a field (by its class) or package variable (by its
// key) of that name is always made with.
func (p *pkg) makes(key, name string) (buffer int, ok bool) {
	if p.chanMakes == nil {
		p.findMakes()
	}
	for _, m := range p.chanMakes[name] {
		fn := m.file.in(m.make)
		n, isChan := fn.makeSize(m.make)
		if !isChan {
			continue
		}
		var r ref
		if m.lit != nil {
			typ := fn.typeOf(m.lit)
			if typ == nil {
				continue
			}
			r = ref{}.field(name, typ, nil)
		} else {
			r = fn.ref(m.to)
		}
		switch last := len(r.steps) - 1; {
		case last >= 0 && r.steps[last].class() == key:
		case last < 0 && packageLevel(r.root) && r.rootKey() == key:
		default:
			continue
		}
		if ok && n != buffer {
			return 0, false
		}
		buffer, ok = n, true
	}
	return buffer, ok
}

// findMakes finds the makes of the package by name, without asking for types.
func (p *pkg) findMakes() {
	p.chanMakes = map[string][]chanMake{}
	for _, f := range p.files {
		for _, d := range f.ast.Decls {
			if text := f.bytes(d); len(text) == 0 || bytes.Contains(text, []byte("make")) {
				p.findMakesIn(f, d)
			}
		}
	}
}

func (p *pkg) findMakesIn(f *file, d ast.Decl) {
	assign := func(to, from ast.Expr) {
		if isMake(from) {
			switch x := ast.Unparen(to).(type) {
			case *ast.Ident:
				p.chanMakes[x.Name] = append(p.chanMakes[x.Name], chanMake{file: f, to: to, make: from})
			case *ast.SelectorExpr:
				p.chanMakes[x.Sel.Name] = append(p.chanMakes[x.Sel.Name], chanMake{file: f, to: to, make: from})
			}
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i := 0; len(n.Lhs) == len(n.Rhs) && i < len(n.Lhs); i++ {
				assign(n.Lhs[i], n.Rhs[i])
			}
		case *ast.ValueSpec:
			for i := 0; len(n.Names) == len(n.Values) && i < len(n.Names); i++ {
				assign(n.Names[i], n.Values[i])
			}
		case *ast.CompositeLit:
			for _, elt := range n.Elts {
				if kv, ok := elt.(*ast.KeyValueExpr); ok && isMake(kv.Value) {
					if name, ok := kv.Key.(*ast.Ident); ok {
						p.chanMakes[name.Name] = append(p.chanMakes[name.Name], chanMake{file: f, lit: n, make: kv.Value})
					}
				}
			}
		}
		return true
	})
}

// isMake is a cheap look before types are asked.
func isMake(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Args) > 2 {
		return false
	}
	id, ok := call.Fun.(*ast.Ident)
	if !ok || id.Name != "make" {
		return false
	}
	switch ast.Unparen(call.Args[0]).(type) {
	case *ast.ChanType, *ast.Ident, *ast.SelectorExpr:
		return true
	}
	return false
}
