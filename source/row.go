package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// RowLoop is what makes a line run again and again.
type RowLoop uint8

const (
	RowNoLoop RowLoop = iota // no loop of the function is around it
	RowItems                 // over a list, a map, or a number of times
	RowQueue                 // it takes from a channel each time
	RowOpen                  // until something happens
)

// Row is what the source says of calls that one function makes one after the other.
type Row struct {
	Loop RowLoop // of one call: the innermost loop around it
	// Feeds says that what a call gives goes into a later one (for one call: into
	// the same one, the next time round), or decides whether that is made. Errors do not count.
	Feeds bool
	// Values says that each call gives something besides an error. One that gives
	// nothing may be there for what it changes, and its order may matter.
	Values bool
}

// InRow looks at calls of a frame's function, by their lines in the order in
// which they are made; several calls must stand on different lines, and of one the
// frame's Callee says which it is, if it is known. false means
// that the source is not at hand, or that there is no call at one of the lines.
//
// It follows values through assignments, not through fields of what a call's
// receiver points to, nor into other functions.
func (t *Tree) InRow(f Frame, lines []int) (Row, bool) {
	src := t.file(f.File)
	if src == nil || t.trusts[f.File].stale() || len(lines) == 0 || src.pkg.foreign(parseSymbol(f.Func)) {
		return Row{}, false
	}
	list, fits := src.find(f)
	if !fits || len(list) != 1 || list[0].body() == nil {
		return Row{}, false
	}
	fn := list[0]
	fn.check()
	r := &rowReader{fn: fn, body: fn.body(), lines: lines, fed: map[any]bool{}, made: map[int]bool{}, values: true}
	var row Row
	if len(lines) == 1 {
		r.callee = plainName(f.Callee)
		loop, kind := r.loopAround(lines[0])
		if row.Loop = kind; loop != nil {
			r.loop, r.body = loop, loopBody(loop)
		}
	}
	r.block(r.body.List)
	if r.loop != nil { // once more, with what the first round has left
		for v := range r.fed {
			if o, ok := v.(types.Object); ok && r.body.Pos() <= o.Pos() && o.Pos() < r.body.End() {
				delete(r.fed, v)
			}
		}
		r.round = 1
		clear(r.made)
		if f, ok := r.loop.(*ast.ForStmt); ok && (r.mentions(f.Cond) || r.mentions(f.Post)) {
			r.feeds = true
		}
		r.block(r.body.List)
	}
	if len(r.made) < len(lines) {
		return Row{}, false
	}
	row.Feeds, row.Values = r.feeds, r.values
	return row, true
}

// rowReader walks statements in their order and keeps what the calls have given so far.
type rowReader struct {
	fn     *function
	body   *ast.BlockStmt
	loop   ast.Stmt // around the only line; nil if none
	round  int      // of the loop
	lines  []int
	callee string // the name of the function that the only line calls; "" if unknown

	fed    map[any]bool // types.Object, or the name where types are unknown
	made   map[int]bool // lines of calls passed so far
	feeds  bool
	values bool
}

// calledName is the name of the function that is called, without the types of one that is generic.
func calledName(call *ast.CallExpr) string {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.IndexExpr:
		return lastName(f.X)
	case *ast.IndexListExpr:
		return lastName(f.X)
	}
	return lastName(call.Fun)
}

// plainName is the name after the last dot of a full name; "" for a literal's.
func plainName(full string) string {
	name := dropBrackets(full)
	name = name[strings.LastIndexByte(name, '.')+1:]
	if isNumbered(name, "func") || isNumbered(name, "gowrap") || isNumber(name) {
		return ""
	}
	return name
}

func loopBody(n ast.Stmt) *ast.BlockStmt {
	switch n := n.(type) {
	case *ast.ForStmt:
		return n.Body
	case *ast.RangeStmt:
		return n.Body
	}
	return nil
}

// loopAround returns the innermost loop of the function around a line, not one
// of a literal in it that the line is not in.
func (r *rowReader) loopAround(line int) (loop ast.Stmt, kind RowLoop) {
	f := r.fn.file
	ast.Inspect(r.fn.body(), func(n ast.Node) bool {
		if n == nil || !f.spans(n, line) {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.RangeStmt:
			if f.spans(n.Body, line) {
				loop, kind = n, RowItems
				if n.X != nil && r.isChannel(n.X) {
					kind = RowQueue
				}
			}
		case *ast.ForStmt:
			if f.spans(n.Body, line) {
				loop, kind = n, RowOpen
				if n.Cond != nil && n.Post != nil {
					kind = RowItems
				}
				if receives(n) {
					kind = RowQueue
				}
			}
		}
		return true
	})
	return loop, kind
}

func (r *rowReader) isChannel(e ast.Expr) bool {
	t := r.fn.typeOf(e)
	if t == nil {
		return false
	}
	_, ok := coreChan(t)
	return ok
}

// receives tells whether a loop takes from a channel itself, not in a literal or an inner loop.
func receives(loop *ast.ForStmt) (found bool) {
	ast.Inspect(loop, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.RangeStmt:
			return false
		case *ast.ForStmt:
			return n == loop
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		}
		return !found
	})
	return found
}

func (r *rowReader) block(list []ast.Stmt) {
	for _, s := range list {
		r.stmt(s)
	}
}

// stmt takes one statement, and those in it in the order of the source.
func (r *rowReader) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case nil:
	case *ast.BlockStmt:
		r.block(s.List)
	case *ast.LabeledStmt:
		r.stmt(s.Stmt)
	case *ast.IfStmt:
		r.stmt(s.Init)
		r.simple(s.Cond, nil)
		r.decide(s, s.Cond)
		r.block(s.Body.List)
		r.stmt(s.Else)
	case *ast.ForStmt:
		r.stmt(s.Init)
		r.decide(s, s.Cond)
		r.block(s.Body.List)
		r.stmt(s.Post)
	case *ast.RangeStmt:
		r.simple(s.X, []ast.Expr{s.Key, s.Value})
		r.decide(s, s.X)
		r.block(s.Body.List)
	case *ast.SwitchStmt:
		r.stmt(s.Init)
		r.decide(s, s.Tag)
		for _, c := range s.Body.List {
			if c, ok := c.(*ast.CaseClause); ok {
				for _, e := range c.List {
					r.decide(c, e)
				}
				r.block(c.Body)
			}
		}
	case *ast.TypeSwitchStmt:
		r.stmt(s.Init)
		r.stmt(s.Assign)
		for _, c := range s.Body.List {
			if c, ok := c.(*ast.CaseClause); ok {
				r.block(c.Body)
			}
		}
	case *ast.SelectStmt:
		for _, c := range s.Body.List {
			if c, ok := c.(*ast.CommClause); ok {
				r.stmt(c.Comm)
				r.block(c.Body)
			}
		}
	case *ast.AssignStmt:
		var right []ast.Expr
		right = append(right, s.Rhs...)
		if s.Tok != token.ASSIGN && s.Tok != token.DEFINE {
			right = append(right, s.Lhs...) // x += …
		}
		r.assign(s, right, s.Lhs)
	case *ast.DeclStmt:
		if g, ok := s.Decl.(*ast.GenDecl); ok {
			for _, spec := range g.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					var left []ast.Expr
					for _, name := range v.Names {
						left = append(left, name)
					}
					r.assign(s, v.Values, left)
				}
			}
		}
	case *ast.ExprStmt:
		r.assign(s, []ast.Expr{s.X}, nil)
	case *ast.ReturnStmt:
		r.assign(s, s.Results, []ast.Expr{&ast.Ident{Name: "_result"}})
	case *ast.SendStmt:
		r.assign(s, []ast.Expr{s.Chan, s.Value}, nil)
	case *ast.DeferStmt, *ast.GoStmt, *ast.IncDecStmt, *ast.BranchStmt, *ast.EmptyStmt:
	}
}

func (r *rowReader) simple(e ast.Expr, left []ast.Expr) {
	if e != nil {
		r.assign(e, []ast.Expr{e}, left)
	}
}

// decide takes a condition: if it depends on a call it decides about those in
// the statement, and, if that leaves, about all after it.
func (r *rowReader) decide(s ast.Node, cond ast.Expr) {
	if cond == nil || !r.mentions(cond) {
		return
	}
	for _, line := range r.lines {
		if r.fn.file.spans(s, line) && (!r.made[line] || r.loop != nil) && !(r.fn.file.spans(cond, line)) {
			r.feeds = true
		}
	}
	if (len(r.made) < len(r.lines) || r.loop != nil) && canLeave(s) {
		r.feeds = true
	}
}

// canLeave tells whether a statement can leave the sequence around it.
func canLeave(s ast.Node) (found bool) {
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = true
		case *ast.BranchStmt:
			found = found || n.Tok == token.BREAK || n.Tok == token.GOTO
		}
		return !found
	})
	return found
}

// assign takes right, whose values go to left. A call at one of the lines gives
// its values to left, and to what it is given the address of.
func (r *rowReader) assign(s ast.Node, right, left []ast.Expr) {
	call := r.callIn(right)
	fed := slices.ContainsFunc(right, func(e ast.Expr) bool { return r.mentions(e) })
	if call != nil {
		line := r.lineOf(call)
		if r.mentions(call) && (len(r.made) > 0 || r.round > 0) {
			r.feeds = true
		}
		r.made[line] = true
		given := r.feedAll(right, left)
		r.values = r.values && given
		return
	}
	if fed {
		r.feedAll(right, left)
	}
}

// feedAll is feed for left, and for what a function in right is given the address of, as
// Decode and Scan are: it writes there. It returns whether any of it is of interest.
func (r *rowReader) feedAll(right, left []ast.Expr) (given bool) {
	for _, l := range left {
		given = r.feed(l) || given
	}
	for _, e := range right {
		ast.Inspect(e, func(n ast.Node) bool {
			if u, ok := n.(*ast.UnaryExpr); ok && u.Op == token.AND {
				given = r.feed(u.X) || given
			}
			_, literal := n.(*ast.FuncLit)
			return !literal
		})
	}
	return given
}

// callIn returns the call in list that stands at one of the lines, nil if none does.
func (r *rowReader) callIn(list []ast.Expr) (found *ast.CallExpr) {
	for _, e := range list {
		ast.Inspect(e, func(n ast.Node) bool {
			if _, ok := n.(*ast.FuncLit); ok || found != nil {
				return false
			}
			if call, ok := n.(*ast.CallExpr); ok && r.lineOf(call) != 0 && (r.callee == "" || calledName(call) == r.callee) {
				found = call
			}
			return true
		})
	}
	return found
}

// lineOf returns which of the lines a call stands at; 0 if none. The runtime
// gives the line of the opening parenthesis, or where the call begins.
func (r *rowReader) lineOf(call *ast.CallExpr) int {
	for _, line := range r.lines {
		if r.fn.file.line(call.Lparen) == line || r.fn.file.line(call.Pos()) == line {
			return line
		}
	}
	return 0
}

// feed notes that what e denotes now holds what a call gave. It returns false for
// what is of no interest: errors, and the blank name.
func (r *rowReader) feed(e ast.Expr) bool {
	switch x := ast.Unparen(e).(type) {
	case nil:
		return false
	case *ast.Ident:
		if x.Name == "_" || r.isError(x) {
			return false
		}
		if x.Name != "_result" {
			r.fed[r.key(x)] = true
		}
		return true
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr, *ast.SliceExpr:
		if k := r.place(x); k != nil {
			r.fed[k] = true
		}
		return true
	}
	return true
}

// fieldIn is a field of a variable, or of the elements of one: s.pages in s.pages[i].text, the
// prices of lines in lines[i].price.
type fieldIn struct{ variable, field any }

// elementOf returns the variable that e is, or is an element of, and by which indexes; nil if none.
func elementOf(e ast.Expr) (id *ast.Ident, by []ast.Expr) {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			return x, by
		case *ast.IndexExpr:
			e, by = x.X, append(by, x.Index)
		case *ast.StarExpr:
			e = x.X
		default:
			return nil, nil
		}
	}
}

// place is what x.f, x[i] and *x begin with: a variable, or a field of one; nil if neither.
func (r *rowReader) place(e ast.Expr) any {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			return r.key(x)
		case *ast.SelectorExpr:
			if id, _ := elementOf(x.X); id != nil {
				return fieldIn{r.key(id), x.Sel.Name}
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func (r *rowReader) key(id *ast.Ident) any {
	if o := r.fn.object(id); o != nil {
		return o
	}
	return id.Name
}

func (r *rowReader) isError(id *ast.Ident) bool {
	if t := r.fn.typeOf(id); t != nil {
		n, ok := t.(*types.Named)
		return ok && n.Obj().Pkg() == nil && n.Obj().Name() == "error"
	}
	return strings.HasPrefix(id.Name, "err") || strings.HasSuffix(id.Name, "Err")
}

// mentions tells whether an expression uses what a call has given. Storing into
// an element or a field of a list does not count as using the list.
func (r *rowReader) mentions(n ast.Node) (found bool) {
	if n == nil || n == ast.Node((*ast.Ident)(nil)) {
		return false
	}
	switch e := n.(type) {
	case ast.Expr:
		if e == nil {
			return false
		}
	case *ast.IncDecStmt:
		n = e.X
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			if n.Op == token.AND { // only its address: something to be filled
				if r.place(n.X) != nil {
					return false
				}
			}
		case *ast.SelectorExpr:
			if id, by := elementOf(n.X); id != nil {
				k := r.key(id)
				found = found || r.fed[k] || r.fed[fieldIn{k, n.Sel.Name}] || slices.ContainsFunc(by, func(e ast.Expr) bool { return r.mentions(e) })
				return false // its other fields are no matter
			}
		case *ast.Ident:
			found = found || r.fed[r.key(n)]
		}
		return !found
	})
	return found
}
