package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/cfg"
)

// pointKind is what happens at a point.
type pointKind uint8

const (
	pointCall     pointKind = iota
	pointDeferred           // a deferred call, run at a return
	pointReceive
	pointSend
	pointSelect
	pointRange // the head of a range loop, whatever it ranges over
	pointGo    // a go statement
	pointDefer // a defer statement, where nothing of it runs yet
	pointOther // a statement or expression as a whole
)

// point is a place in a function where control can be, with what is known
// there, before it happens.
type point struct {
	kind  pointKind
	node  ast.Node
	call  *ast.CallExpr // of pointCall, pointDeferred, pointGo and pointDefer
	line  int           // as the runtime reports it
	alt   int           // the line that it reports where the compiler has done otherwise; 0 for none
	last  int           // of pointOther: its last line
	state *state
}

// analysis says how far the flow of a function is known.
type analysis uint8

const (
	notAnalysed analysis = iota
	analysing
	analysed
)

// flow is the walk over one function.
type flow struct {
	fn      *function
	blocks  []*cfg.Block
	in      []*state
	out     *state                       // at the function's end, nil if it is never reached
	selects map[ast.Stmt]*ast.SelectStmt // the select whose first case a statement is
	comms   map[ast.Node]bool            // operations that wait as a case of a select, not by themselves
	empty   []*ast.SelectStmt            // select {}
	// openCoded tells that the compiler puts deferred calls at each return;
	// else they run at the function's last line.
	openCoded bool
	points    []point
	record    bool
}

// analyse walks a function once; nil if it cannot be done.
func (fn *function) analyse() *flow {
	if fn.state == analysed {
		return fn.flow
	}
	if fn.state == analysing {
		return nil
	}
	fn.state = analysing
	defer func() {
		if recover() != nil { // the graph of broken source
			fn.flow = nil
		}
		fn.state = analysed
	}()
	fn.check()
	fl := &flow{
		fn: fn, selects: map[ast.Stmt]*ast.SelectStmt{}, comms: map[ast.Node]bool{},
	}
	fl.prepare()
	fl.blocks = cfg.New(fn.body(), fn.mayReturn).Blocks
	fl.run()
	fn.flow = fl
	return fl
}

// prepare finds the selects, of which the graph shows only the cases, and what
// the compiler's choice of how to run deferred calls depends on.
func (fl *flow) prepare() {
	returns, defers, inLoop := 1, 0, false
	var open []ast.Node
	defer func() { fl.openCoded = !inLoop && defers <= 8 && returns*defers <= 15 }()
	ast.Inspect(fl.fn.body(), func(n ast.Node) bool {
		if n == nil {
			open = open[:len(open)-1]
			return true
		}
		if _, ok := n.(*ast.FuncLit); ok {
			return false
		}
		open = append(open, n)
		switch n := n.(type) {
		case *ast.ReturnStmt:
			returns++
		case *ast.DeferStmt:
			defers++
			inLoop = inLoop || slices.ContainsFunc(open, isLoop)
		case *ast.SelectStmt:
			if n.Body == nil || len(n.Body.List) == 0 {
				fl.empty = append(fl.empty, n)
				return true
			}
			if len(n.Body.List) == 1 { // compiled as the operation alone
				return true
			}
			first := true
			for _, c := range n.Body.List {
				c, ok := c.(*ast.CommClause)
				if !ok || c.Comm == nil {
					continue
				}
				if first {
					fl.selects[c.Comm] = n
					first = false
				}
				if x := commOperation(c.Comm); x != nil {
					fl.comms[x] = true
				}
			}
		}
		return true
	})
}

// commOperation is the send or receive of a select's case.
func commOperation(s ast.Stmt) ast.Node {
	var x ast.Expr
	switch s := s.(type) {
	case *ast.SendStmt:
		return s
	case *ast.ExprStmt:
		x = s.X
	case *ast.AssignStmt:
		if len(s.Rhs) == 1 {
			x = s.Rhs[0]
		}
	}
	if u, ok := ast.Unparen(x).(*ast.UnaryExpr); ok && u.Op == token.ARROW {
		return u
	}
	return nil
}

// mayReturn is false for the calls that are known to end the goroutine or the program.
func (fn *function) mayReturn(call *ast.CallExpr) bool {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		_, builtin := fn.object(f).(*types.Builtin)
		return f.Name != "panic" || !builtin && fn.object(f) != nil
	case *ast.SelectorExpr:
		switch fn.imported(f.X) + "." + f.Sel.Name {
		case "os.Exit", "runtime.Goexit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "log.Panicln", "syscall.Exit":
			return false
		}
	}
	return true
}

// run finds the states at the begin of all blocks, then goes over them once
// more to record the points.
func (fl *flow) run() {
	fl.in = make([]*state, len(fl.blocks))
	fl.in[0] = &state{}
	work := []*cfg.Block{fl.blocks[0]}
	for steps := 64 * len(fl.blocks); len(work) > 0 && steps > 0; steps-- {
		b := work[0]
		work = work[1:]
		out := fl.block(b)
		for i, succ := range b.Succs {
			s := fl.edge(b, i, out)
			if n := meet(fl.in[succ.Index], s); !equal(n, fl.in[succ.Index]) {
				fl.in[succ.Index] = n
				if !slices.Contains(work, succ) {
					work = append(work, succ)
				}
			}
		}
	}
	fl.record = true
	for _, b := range fl.blocks {
		if fl.in[b.Index] == nil {
			continue
		}
		out := fl.block(b)
		if ret := b.Return(); ret != nil {
			fl.out = meet(fl.out, out)
		} else if len(b.Succs) == 0 {
			fl.emptySelect(b, out)
		}
	}
}

// emptySelect finds the point of a select without cases: the graph just ends
// before it.
func (fl *flow) emptySelect(b *cfg.Block, out *state) {
	var last token.Pos
	if len(b.Nodes) > 0 {
		last = b.Nodes[len(b.Nodes)-1].Pos()
		if s, ok := b.Nodes[len(b.Nodes)-1].(*ast.ExprStmt); ok {
			if call, ok := s.X.(*ast.CallExpr); ok && !fl.fn.mayReturn(call) {
				return
			}
		}
	}
	for _, s := range fl.empty {
		if s.Pos() > last {
			fl.point(point{kind: pointSelect, node: s, line: fl.fn.file.line(s.Pos()), state: out})
			return
		}
	}
}

// edge narrows a state to one of the two ways that a condition leads.
func (fl *flow) edge(b *cfg.Block, i int, s *state) *state {
	if len(b.Succs) != 2 || len(b.Nodes) == 0 {
		return s
	}
	if e, ok := b.Nodes[len(b.Nodes)-1].(ast.Expr); ok {
		return fl.assume(e, i == 0, s)
	}
	return s
}

func (fl *flow) assume(e ast.Expr, holds bool, s *state) *state {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return fl.assume(e.X, holds, s)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return fl.assume(e.X, !holds, s)
		}
	case *ast.BinaryExpr:
		if e.Op == token.LAND && holds || e.Op == token.LOR && !holds {
			return fl.assume(e.Y, holds, fl.assume(e.X, holds, s))
		}
		if call, ok := ast.Unparen(e.Y).(*ast.CallExpr); ok && e.Op == token.LAND {
			return fl.assume(call, false, s) // a TryLock that failed, or was not reached
		}
	case *ast.CallExpr:
		for _, x := range fl.fn.effectsOf(e) {
			if x.try {
				s = s.sure(x.on.key()+"/"+x.mode.String(), holds)
			}
		}
	case *ast.Ident:
		if v, ok := fl.fn.object(e).(*types.Var); ok {
			for _, c := range s.tries {
				if c.v == v {
					s = s.sure(c.key, holds)
				}
			}
		}
	}
	return s
}

func (fl *flow) point(p point) {
	if fl.record {
		fl.points = append(fl.points, p)
	}
}

// block is the state after a block.
func (fl *flow) block(b *cfg.Block) *state {
	s := fl.in[b.Index]
	f := fl.fn.file
	if r, ok := b.Stmt.(*ast.RangeStmt); ok {
		switch b.Kind {
		case cfg.KindRangeLoop:
			fl.point(point{kind: pointRange, node: r, line: f.line(r.For), state: s})
		case cfg.KindRangeBody:
			s = fl.set(r.Key, nil, fl.set(r.Value, nil, s))
		}
	}
	for _, n := range b.Nodes {
		s = fl.node(n, s)
	}
	return s
}
