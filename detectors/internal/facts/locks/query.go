package locks

import (
	"github.com/tracedoc/tracedoc/traceload"
)

// ID names a class of locks during the walk. Two ids may become one class
// later: compare them only at one moment.
type ID int32

// Of returns the class of the lock that the stack waits for in Lock or RLock;
// false if it does not.
func (t *Table) Of(p *traceload.Program, stack traceload.StackID) (ID, bool) {
	n := t.note(p, stack)
	if n.node == 0 || n.unlock || n.cond {
		return 0, false
	}
	return ID(t.root(n.node)), true
}

// IsSingle tells whether the class was seen to be one lock: its waiters were
// served first in, first out, as only those of one lock always are.
func (t *Table) IsSingle(id ID) bool {
	c := t.class(int32(id))
	return c.single() && c.inOrder > 0
}

// Window is a line of a function that locks, or that unlocks.
type Window struct {
	Lock   ID
	Line   int
	Unlock bool
}

// WindowsIn returns the lines at which fn was seen to lock and to unlock so
// far, itself or by a call, in no order. waiting are stacks of goroutines that
// wait for locks now.
func (t *Table) WindowsIn(p *traceload.Program, fn traceload.FuncID, waiting []traceload.StackID) []Window {
	var list []Window
	add := func(stack traceload.StackID, node int32, unlock bool) {
		if n, ok := lineIn(p, p.Stack(stack), fn); ok {
			list = append(list, Window{ID(t.root(node)), n, unlock})
		}
	}
	for _, l := range t.lines {
		add(l.Stack, l.node, false)
	}
	for _, x := range t.exits {
		add(x.Stack, x.node, true)
	}
	for _, stack := range waiting {
		if n := t.note(p, stack); n.node != 0 && !n.unlock && !n.cond {
			add(stack, n.node, false)
		}
	}
	return list
}
