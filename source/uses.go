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
