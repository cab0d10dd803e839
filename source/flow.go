package source

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/cfg"
)

// counts is the set of how often a lock may be held, relative to the
// function's begin: a bit each for -1 (the caller's hold was released), 0, 1 and 2.
type counts uint8

const (
	released counts = 1 << iota
	free
	once
	twice

	taken = once | twice
)

// lock is the counts after a Lock (of a lock that can be held once only) or an RLock.
func (c counts) lock(m Mode) counts {
	var n counts
	if c&released != 0 {
		n |= free
	}
	if c&free != 0 {
		n |= once
	}
	if c&taken != 0 {
		if m == Read {
			n |= twice
		} else if n == 0 { // it waits for itself; if it ever goes on, it holds the lock
			n = once
		}
	}
	return n
}

// unlock is the counts after an Unlock. Only a lock that is held can be
// unlocked: where this function may have taken it, it has.
func (c counts) unlock() counts {
	if c&taken == 0 {
		return released
	}
	var n counts
	if c&once != 0 {
		n |= free
	}
	if c&twice != 0 {
		n |= once
	}
	return n
}

// held is what is known of one lock, in one mode, at a point.
type held struct {
	key      string // of the ref, with the mode
	on       ref
	mode     Mode
	counts   counts
	at       token.Pos // where this function took it last
	expr     string
	lockType string
}

// state is what is known at a point. States are not changed once made.
type state struct {
	locks  []held      // sorted by key; a lock that is missing is free
	defers []deferred  // by position
	tries  []condition // booleans that say whether a TryLock succeeded
}

type deferred struct {
	stmt *ast.DeferStmt
	sure bool // on all paths
}

type condition struct {
	v   *types.Var
	key string
}

func (s *state) find(key string) (held, bool) {
	i, ok := slices.BinarySearchFunc(s.locks, key, func(h held, k string) int { return cmp.Compare(h.key, k) })
	if !ok {
		return held{}, false
	}
	return s.locks[i], true
}

func (s *state) with(h held) *state {
	n := *s
	i, ok := slices.BinarySearchFunc(s.locks, h.key, func(x held, k string) int { return cmp.Compare(x.key, k) })
	n.locks = slices.Clone(s.locks)
	switch {
	case ok && h.counts == free:
		n.locks = slices.Delete(n.locks, i, i+1)
	case ok:
		n.locks[i] = h
	case h.counts != free:
		n.locks = slices.Insert(n.locks, i, h)
	}
	return &n
}

// maxLocks bounds the locks that a state tells apart.
const maxLocks = 64

// apply is the state after an effect of a call.
func (s *state) apply(e effect, at token.Pos, expr string) *state {
	key := e.on.key() + "/" + e.mode.String()
	h, ok := s.find(key)
	if !ok {
		if len(s.locks) >= maxLocks {
			return s
		}
		h = held{key: key, on: e.on, mode: e.mode, counts: free, lockType: e.lockType}
	}
	before := h.counts
	if e.count > 0 {
		h.counts = h.counts.lock(e.mode)
		h.at, h.expr = at, expr
	} else {
		h.counts = h.counts.unlock()
		if !ok {
			h.at, h.expr = at, expr
		}
	}
	if e.may || e.try {
		h.counts |= before
	}
	return s.with(h)
}

// sure narrows a lock that may be held to one that is, or to one that is not.
func (s *state) sure(key string, holds bool) *state {
	h, ok := s.find(key)
	if !ok {
		return s
	}
	n := h.counts &^ taken
	if holds {
		n = h.counts & taken
	}
	if n == 0 {
		return s
	}
	h.counts = n
	return s.with(h)
}

// meet is what is known where two paths meet.
func meet(a, b *state) *state {
	if a == nil || a == b {
		return b
	}
	if b == nil {
		return a
	}
	n := &state{}
	for i, j := 0, 0; i < len(a.locks) || j < len(b.locks); {
		var h held
		switch {
		case j == len(b.locks) || i < len(a.locks) && a.locks[i].key < b.locks[j].key:
			h = a.locks[i]
			h.counts |= free
			i++
		case i == len(a.locks) || b.locks[j].key < a.locks[i].key:
			h = b.locks[j]
			h.counts |= free
			j++
		default:
			h = a.locks[i]
			if o := b.locks[j]; o.counts&taken != 0 && (h.counts&taken == 0 || o.at < h.at) {
				h.at, h.expr = o.at, o.expr
			}
			h.counts |= b.locks[j].counts
			i++
			j++
		}
		n.locks = append(n.locks, h)
	}
	for i, j := 0, 0; i < len(a.defers) || j < len(b.defers); {
		switch {
		case j == len(b.defers) || i < len(a.defers) && a.defers[i].stmt.Pos() < b.defers[j].stmt.Pos():
			n.defers = append(n.defers, deferred{a.defers[i].stmt, false})
			i++
		case i == len(a.defers) || b.defers[j].stmt.Pos() < a.defers[i].stmt.Pos():
			n.defers = append(n.defers, deferred{b.defers[j].stmt, false})
			j++
		default:
			n.defers = append(n.defers, deferred{a.defers[i].stmt, a.defers[i].sure && b.defers[j].sure})
			i++
			j++
		}
	}
	for _, c := range a.tries {
		if slices.Contains(b.tries, c) {
			n.tries = append(n.tries, c)
		}
	}
	return n
}

func equal(a, b *state) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && slices.EqualFunc(a.locks, b.locks, func(x, y held) bool {
		return x.key == y.key && x.counts == y.counts && x.at == y.at
	}) && slices.Equal(a.defers, b.defers) && slices.Equal(a.tries, b.tries)
}

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

// node is the state after a statement or expression.
func (fl *flow) node(n ast.Node, s *state) *state {
	f := fl.fn.file
	if stmt, ok := n.(ast.Stmt); ok {
		if sel := fl.selects[stmt]; sel != nil {
			p := point{kind: pointSelect, node: sel, line: f.line(sel.Select), state: s}
			if len(sel.Body.List) == 2 { // with a default, compiled as the operation alone
				p.alt = f.line(stmt.Pos())
			}
			fl.point(p)
		}
	}
	if fl.record {
		p := point{kind: pointOther, node: n, line: f.line(n.Pos()), state: s}
		if ret, ok := n.(*ast.ReturnStmt); ok && len(ret.Results) == 0 { // it may be a made-up one at the end
			p.last = p.line
		} else {
			p.last = f.line(n.End() - 1)
		}
		fl.point(p)
	}
	switch n := n.(type) {
	case *ast.DeferStmt:
		s = fl.operands(n.Call, s)
		fl.point(point{kind: pointDefer, node: n, call: n.Call, line: f.line(n.Defer), state: s})
		i, found := slices.BinarySearchFunc(s.defers, n.Pos(), func(d deferred, p token.Pos) int { return int(d.stmt.Pos()) - int(p) })
		next := *s
		next.defers = slices.Clone(s.defers)
		if found {
			next.defers[i].sure = true
		} else {
			next.defers = slices.Insert(next.defers, i, deferred{n, true})
		}
		return &next
	case *ast.GoStmt:
		s = fl.operands(n.Call, s)
		fl.point(point{kind: pointGo, node: n, call: n.Call, line: f.line(n.Go), state: s})
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			s = fl.expr(e, s)
		}
		for i := len(s.defers) - 1; i >= 0; i-- {
			d := s.defers[i]
			p := point{kind: pointDeferred, node: d.stmt, call: d.stmt.Call, line: f.line(n.Return), alt: f.line(fl.fn.body().Rbrace), state: s}
			if !fl.openCoded {
				p.line, p.alt = p.alt, p.line
			}
			fl.point(p)
			after := fl.run1(d.stmt.Call, s)
			if d.sure {
				s = after
			} else {
				s = meet(after, s)
			}
		}
	case *ast.AssignStmt:
		for _, e := range n.Rhs {
			s = fl.expr(e, s)
		}
		for _, e := range n.Lhs {
			if _, ok := e.(*ast.Ident); !ok {
				s = fl.expr(e, s)
			}
		}
		for i, l := range n.Lhs {
			var from ast.Expr
			if len(n.Lhs) == len(n.Rhs) {
				from = n.Rhs[i]
			}
			s = fl.set(l, from, s)
		}
	case *ast.ValueSpec:
		for _, e := range n.Values {
			s = fl.expr(e, s)
		}
		for i, name := range n.Names {
			var from ast.Expr
			if len(n.Names) == len(n.Values) {
				from = n.Values[i]
			}
			s = fl.set(name, from, s)
		}
	case *ast.SendStmt:
		s = fl.expr(n.Value, fl.expr(n.Chan, s))
		if !fl.comms[n] {
			fl.point(point{kind: pointSend, node: n, line: f.line(n.Pos()), state: s})
		}
	case *ast.ExprStmt:
		s = fl.expr(n.X, s)
	case *ast.IncDecStmt:
		s = fl.expr(n.X, s)
	case ast.Expr:
		s = fl.expr(n, s)
	}
	return s
}

// operands evaluates what a go or defer statement evaluates at once.
func (fl *flow) operands(call *ast.CallExpr, s *state) *state {
	if _, ok := call.Fun.(*ast.FuncLit); !ok {
		s = fl.expr(call.Fun, s)
	}
	for _, a := range call.Args {
		s = fl.expr(a, s)
	}
	return s
}

// expr evaluates the calls and receives in an expression, innermost first.
func (fl *flow) expr(e ast.Expr, s *state) *state {
	if e == nil {
		return s
	}
	f := fl.fn.file
	var open []ast.Node
	ast.Inspect(e, func(n ast.Node) bool {
		if n != nil {
			if _, ok := n.(*ast.FuncLit); ok {
				return false
			}
			open = append(open, n)
			return true
		}
		n = open[len(open)-1]
		open = open[:len(open)-1]
		switch n := n.(type) {
		case *ast.CallExpr:
			before := s
			for _, t := range fl.condWait(n) {
				// While a Cond waits, its lock is released.
				before = before.apply(t, n.Pos(), f.text(n))
			}
			fl.point(point{kind: pointCall, node: n, call: n, line: f.line(n.Lparen), state: before})
			s = fl.run1(n, s)
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !fl.comms[n] {
				fl.point(point{kind: pointReceive, node: n, line: f.line(n.OpPos), state: s})
			}
		}
		return true
	})
	return s
}

// run1 is the state after a call, its operands already evaluated.
func (fl *flow) run1(call *ast.CallExpr, s *state) *state {
	for _, e := range fl.fn.effectsOf(call) {
		s = s.apply(e, call.Lparen, fl.fn.lockText(call))
	}
	return s
}

// lockText is the source of the lock of s.mu.Lock(), or else of the call.
func (fn *function) lockText(call *ast.CallExpr) string {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		if _, ok := lockMethods[sel.Sel.Name]; ok {
			return fn.file.text(sel.X)
		}
	}
	return fn.file.text(call)
}

// condWait is the release that a Cond's Wait makes while it waits.
func (fl *flow) condWait(call *ast.CallExpr) []effect {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Wait" || len(call.Args) > 0 {
		return nil
	}
	t := fl.fn.target(call)
	if t.op.kind != opCondWait {
		return nil
	}
	return []effect{{on: fl.fn.condLock(t.on), count: -1}}
}

// set is the state after an assignment: what was known of the old value is
// known of no expression any more, what was known of the new one is known of
// the variable too.
func (fl *flow) set(to, from ast.Expr, s *state) *state {
	if to == nil {
		return s
	}
	if id, ok := to.(*ast.Ident); ok {
		if id.Name == "_" {
			return s
		}
		if v, ok := fl.fn.object(id).(*types.Var); ok && from != nil {
			s = fl.remember(v, from, s)
		}
	}
	if len(s.locks) == 0 {
		return s
	}
	if _, ok := to.(*ast.IndexExpr); ok {
		return s
	}
	target := fl.fn.ref(to)
	if id, ok := to.(*ast.Ident); ok {
		if v, _ := fl.fn.object(id).(*types.Var); v == nil || target.root != v || len(target.steps) > 0 {
			return s // an alias, which is never set again
		}
	}
	var value ref
	if from != nil {
		value = fl.fn.ref(from)
	}
	next := s
	for _, h := range s.locks {
		if !h.on.within(target) || len(h.on.steps) == len(target.steps) && len(target.steps) > 0 || h.on.former {
			continue
		}
		next = next.with(held{key: h.key, counts: free})
		h.on.former = true
		h.key = h.on.key() + "/" + h.mode.String()
		if old, ok := next.find(h.key); ok {
			h.counts |= old.counts
		}
		next = next.with(h)
	}
	for _, h := range s.locks {
		if from == nil || value.rootKey() == target.rootKey() && len(value.steps) == 0 || !h.on.within(value) || !value.exact() {
			continue
		}
		old := h.key
		h.on = target.join(ref{steps: h.on.steps[len(value.steps):], typ: h.on.typ})
		h.key = h.on.key() + "/" + h.mode.String()
		next = next.with(held{key: old, counts: free}).with(h)
	}
	return next
}

// remember links a boolean to the TryLock that it is the result of.
func (fl *flow) remember(v *types.Var, from ast.Expr, s *state) *state {
	next := *s
	next.tries = slices.DeleteFunc(slices.Clone(s.tries), func(c condition) bool { return c.v == v })
	if call, ok := ast.Unparen(from).(*ast.CallExpr); ok {
		for _, e := range fl.fn.effectsOf(call) {
			if e.try {
				next.tries = append(next.tries, condition{v, e.on.key() + "/" + e.mode.String()})
			}
		}
	}
	if len(next.tries) == len(s.tries) && len(next.tries) == 0 {
		return s
	}
	return &next
}

// summary is the net effect of a function on locks that its callers know too.
type summary struct{ effects []effect }

// maxDepth bounds how far calls are followed for their effects.
const maxDepth = 8

// net returns the locks that fn leaves taken or released.
func (fn *function) net() []effect {
	if fn.summary != nil {
		return fn.summary.effects
	}
	t := fn.file.pkg.tree
	if fn.state == analysing || t.depth >= maxDepth {
		return nil
	}
	t.depth++
	fl := fn.analyse()
	t.depth--
	fn.summary = &summary{}
	if fl == nil || fl.out == nil {
		return nil
	}
	for _, h := range fl.out.locks {
		e := effect{on: h.on, mode: h.mode, lockType: h.lockType}
		switch {
		case h.on.former:
			continue
		case h.counts&taken != 0:
			e.count, e.may = 1, h.counts&^taken != 0
		case h.counts&released != 0:
			e.count, e.may = -1, h.counts&^released != 0
		default:
			continue
		}
		if e.may && e.count > 0 && slices.Contains(fn.returnedTries(), h.key) {
			e.may, e.try = false, true
		}
		fn.summary.effects = append(fn.summary.effects, e)
	}
	return fn.summary.effects
}

// returnedTries is the keys of the locks whose TryLock decides what fn returns.
func (fn *function) returnedTries() []string {
	var keys []string
	if call, ok := fn.result(0).(*ast.CallExpr); ok {
		for _, e := range fn.effectsOf(call) {
			if e.try {
				keys = append(keys, e.on.key()+"/"+e.mode.String())
			}
		}
	}
	return keys
}
