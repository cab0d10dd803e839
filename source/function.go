package source

import (
	"bytes"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"
)

// Frame is one call on a stack, as a trace has it.
type Frame struct {
	Func string // full name: "net/http.(*conn).serve", "main.run.func1", "main.F[...]"
	File string
	Line int
	// Callee is the full name of the function that it called: the Func of the
	// next frame inward, also where that is the runtime's or sync's
	// ("runtime.chansend1", "sync.(*Mutex).Lock"). It tells calls on one line
	// apart, and is what a line is checked against. "" if unknown. Walk sets it.
	Callee string
}

// function is a declared function or a function literal.
type function struct {
	file   *file
	decl   *ast.FuncDecl // nil for a literal
	lit    *ast.FuncLit
	parent *function // of a literal: the function around it; nil at package level
	depth  int       // of a literal: how many literals deep

	first, last int       // lines
	from, to    token.Pos // the first position, and the one after the last

	checked bool      // of an outermost function: its body's types are known
	assigns *assigned // of an outermost function
	state   analysis  // how far flow is
	flow    *flow
	summary *summary
	effects map[*ast.CallExpr][]effect
	does    *deeds // see deeds
}

func (fn *function) node() ast.Node {
	if fn.decl != nil {
		return fn.decl
	}
	return fn.lit
}

func (fn *function) body() *ast.BlockStmt {
	if fn.decl != nil {
		return fn.decl.Body
	}
	return fn.lit.Body
}

func (fn *function) signature() *ast.FuncType {
	if fn.decl != nil {
		return fn.decl.Type
	}
	return fn.lit.Type
}

// outermost is the declared function, or the literal of a package variable,
// around fn.
func (fn *function) outermost() *function {
	for fn.parent != nil {
		fn = fn.parent
	}
	return fn
}

// name is for people: "(*Cache).Flush", "run", "a literal in run".
func (fn *function) name() string {
	top := fn.outermost()
	name := "a package variable"
	if top.decl != nil {
		name = top.decl.Name.Name
		if base, pointer := receiverType(top.decl); base != "" {
			if pointer {
				base = "(*" + base + ")"
			}
			name = base + "." + name
		}
	}
	if fn.decl == nil {
		return "a literal in " + name
	}
	return name
}

// receiverType is the name of the receiver's type, "" for a function.
func receiverType(d *ast.FuncDecl) (name string, pointer bool) {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return "", false
	}
	for e := d.Recv.List[0].Type; ; {
		switch x := e.(type) {
		case *ast.StarExpr:
			e, pointer = x.X, true
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name, pointer
		default:
			return "", pointer
		}
	}
}

// collect finds all functions and literals of the file, in source order.
func (f *file) collect() {
	for _, d := range f.ast.Decls {
		// Most have no literals. A declaration that the parser could not make sense of may
		// seem to have no text.
		if fn, ok := d.(*ast.FuncDecl); ok && bytes.Count(f.bytes(d), []byte("func")) == 1 {
			if fn.Name != nil && fn.Body != nil && fn.Type != nil {
				f.enter(&function{file: f, decl: fn})
			}
		} else if text := f.bytes(d); len(text) == 0 || bytes.Contains(text, []byte("func")) {
			f.collectIn(d)
		}
	}
}

// enter adds a function.
func (f *file) enter(fn *function) {
	fn.from, fn.to = fn.node().Pos(), fn.node().End()
	fn.first, fn.last = f.line(fn.from), f.line(fn.to-1)
	f.funcs = append(f.funcs, fn)
}

// collectIn finds the functions of a declaration.
func (f *file) collectIn(d ast.Decl) {
	var around []*function
	var open []ast.Node
	ast.Inspect(d, func(n ast.Node) bool {
		if n == nil {
			if top := open[len(open)-1]; len(around) > 0 && around[len(around)-1].node() == top {
				around = around[:len(around)-1]
			}
			open = open[:len(open)-1]
			return true
		}
		open = append(open, n)
		var fn *function
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name == nil || n.Body == nil || n.Type == nil {
				return true
			}
			fn = &function{file: f, decl: n}
		case *ast.FuncLit:
			if n.Body == nil || n.Type == nil {
				return true
			}
			fn = &function{file: f, lit: n, depth: 1}
			if len(around) > 0 {
				fn.parent = around[len(around)-1]
				fn.depth = fn.parent.depth + 1
			}
		default:
			return true
		}
		f.enter(fn)
		around = append(around, fn)
		return true
	})
}

// spans tells whether the line is one of n's.
func (f *file) spans(n ast.Node, line int) bool {
	return f.line(n.Pos()) <= line && line <= f.line(n.End()-1)
}

// at is the innermost function around a position.
func (f *file) at(p token.Pos) *function {
	var found *function
	for _, fn := range f.funcs {
		if fn.from <= p && p < fn.to {
			found = fn // source order: the inner ones come later
		}
	}
	return found
}

// check finds out the types in the body.
func (fn *function) check() {
	top := fn.outermost()
	if top.checked {
		return
	}
	top.checked = true
	f := top.file
	decl := &ast.FuncDecl{Name: &ast.Ident{NamePos: top.node().Pos(), Name: "_"}}
	if top.decl != nil { // under a blank name, so that it is no redeclaration
		decl.Recv, decl.Type, decl.Body = top.decl.Recv, top.decl.Type, top.decl.Body
	} else {
		p := top.lit.Pos()
		decl.Type = &ast.FuncType{Func: p, Params: &ast.FieldList{}}
		decl.Body = &ast.BlockStmt{Lbrace: p, Rbrace: top.lit.End() - 1, List: []ast.Stmt{&ast.AssignStmt{
			Lhs: []ast.Expr{&ast.Ident{NamePos: p, Name: "_"}}, TokPos: p, Tok: token.ASSIGN, Rhs: []ast.Expr{top.lit},
		}}}
	}
	part := &ast.File{
		Package: f.ast.Package, Name: f.ast.Name, FileStart: f.ast.FileStart, FileEnd: f.ast.FileEnd,
		GoVersion: f.ast.GoVersion, Imports: f.ast.Imports,
	}
	for _, d := range f.ast.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			part.Decls = append(part.Decls, g)
		}
	}
	part.Decls = append(part.Decls, decl)
	f.pkg.checkFiles([]*ast.File{part})
}

// object is the variable, function or package that an identifier stands for;
// nil if unknown.
func (fn *function) object(id *ast.Ident) types.Object {
	info := fn.file.pkg.info
	if o := info.Defs[id]; o != nil {
		return o
	}
	return info.Uses[id]
}

// typeOf is the type of an expression; nil if unknown.
func (fn *function) typeOf(e ast.Expr) types.Type {
	var t types.Type
	if tv, ok := fn.file.pkg.info.Types[e]; ok {
		t = tv.Type
	} else if id, ok := e.(*ast.Ident); ok {
		if o := fn.object(id); o != nil {
			t = o.Type()
		}
	}
	if t == types.Typ[types.Invalid] {
		return nil
	}
	return t
}

// symbol is a function's name in a trace, taken apart.
type symbol struct {
	pkg      string
	recv     string // type of the receiver, without star and type arguments
	name     string
	literals int  // how many function literals deep
	wrapper  bool // a go or defer statement's wrapper: it stands for the function around it
	body     bool // the body of a range over a function: likewise
}

// parseSymbol takes a name such as "example.com/x.(*T[...]).M.func1.2" apart.
func parseSymbol(name string) symbol {
	var s symbol
	plain := dropBrackets(name)
	if i := strings.LastIndexByte(plain, '/'); i >= 0 {
		s.pkg, plain = plain[:i+1], plain[i+1:]
	}
	first, rest, ok := strings.Cut(plain, ".")
	if !ok {
		return symbol{name: plain}
	}
	s.pkg += first
	parts := strings.Split(strings.TrimSuffix(rest, "-fm"), ".")
	for i, p := range parts {
		if head, n, ok := strings.Cut(p, "-range"); ok && isNumber(n) {
			parts[i], s.body = head, i == len(parts)-1
		}
	}
	if len(parts) > 1 && parts[0] == "init" && isNumber(parts[1]) { // init.0 is the first init function of a package
		parts = slices.Delete(parts, 1, 2)
	}
	if n := len(parts) - 1; n > 0 && (isNumbered(parts[n], "gowrap") || isNumbered(parts[n], "deferwrap")) {
		s.wrapper = true
		parts = parts[:n]
	}
	for n := len(parts) - 1; n > 0 && (isNumbered(parts[n], "func") || isNumber(parts[n])); n-- {
		s.literals++
		parts = parts[:n]
	}
	// What is left is receiver and name; where functions were inlined, those of
	// the innermost one come last.
	s.name = parts[len(parts)-1]
	if len(parts) > 1 {
		s.recv = strings.Trim(parts[len(parts)-2], "(*)")
	}
	return s
}

// dropBrackets removes type arguments.
func dropBrackets(s string) string {
	if !strings.Contains(s, "[") {
		return s
	}
	var b strings.Builder
	depth := 0
	for _, c := range s {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func isNumber(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return !unicode.IsDigit(c) }) < 0
}

func isNumbered(s, prefix string) bool {
	n, ok := strings.CutPrefix(s, prefix)
	return ok && isNumber(n)
}

// find returns the functions that the frame can be: one, or where several
// literals share a line, all of those. fits is false if the file has no such
// function around that line.
func (f *file) find(fr Frame) (list []*function, fits bool) {
	s := parseSymbol(fr.Func)
	var spanning []*function
	for _, fn := range f.funcs {
		if fn.first <= fr.Line && fr.Line <= fn.last {
			spanning = append(spanning, fn)
		}
	}
	named := func(fn *function) bool {
		d := fn.outermost().decl
		if d == nil {
			return s.name == "init" || s.name == "glob" || s.name == ""
		}
		recv, _ := receiverType(d)
		return d.Name.Name == s.name && (s.recv == "" || recv == s.recv || s.literals > 0)
	}
	var literals []*function
	for _, fn := range spanning {
		if !named(fn) {
			continue
		}
		if fn.decl != nil {
			if s.literals == 0 {
				return []*function{fn}, true
			}
			continue
		}
		literals = append(literals, fn)
	}
	if s.literals > 0 {
		// A literal's depth is in its name, unless inlining has mixed names.
		for depth := s.literals; depth > 0; depth-- {
			for _, fn := range literals {
				if fn.depth == depth {
					list = append(list, fn)
				}
			}
			if len(list) > 0 {
				return list, true
			}
		}
		if n := len(literals); n > 0 {
			return literals[n-1:], true
		}
		// A function that is really called func1.
		s.literals, s.name = 0, fr.Func[strings.LastIndexByte(fr.Func, '.')+1:]
		if i := slices.IndexFunc(spanning, func(fn *function) bool { return fn.decl != nil && fn.decl.Name.Name == s.name }); i >= 0 {
			return spanning[i : i+1], true
		}
		return nil, false
	}
	if s.name == "init" { // package variables are initialised in a function that nobody wrote
		for _, d := range f.ast.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR && f.spans(g, fr.Line) {
				return nil, true
			}
		}
	}
	return nil, false
}
