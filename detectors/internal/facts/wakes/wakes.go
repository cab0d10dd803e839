// Package wakes says by what one goroutine woke another, from the stack of the
// one that did. It is no fact of the walk: each user keeps a Table of its own.
package wakes

import (
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// How is what the waker did.
type How uint8

const (
	unseen  How = iota
	Other       // the runtime's doing, or something unknown
	Cancel      // a context was cancelled
	Close       // a channel was closed
	Send        // a send, or a select's
	Receive     // a receive, or a select's
	Unlock      // a lock was released
	Signal      // a Cond was signalled
	Done        // a WaitGroup came to zero
	Connect     // a connection was closed, or its deadline set
)

// Table remembers the answer for each stack. The zero Table is ready to use.
type Table struct{ how []How }

// Of classifies the stack of a waker; id 0 is Other.
func (t *Table) Of(p *traceload.Program, id traceload.StackID) How {
	if int(id) >= len(t.how) || t.how[id] == unseen {
		t.find(p, id)
	}
	return t.how[id]
}

// Known is Of for a stack that was classified; 0 for others.
func (t *Table) Known(id traceload.StackID) How {
	if int(id) < len(t.how) {
		return t.how[id]
	}
	return unseen
}

func (t *Table) find(p *traceload.Program, id traceload.StackID) {
	for len(t.how) <= int(id) {
		t.how = append(t.how, unseen)
	}
	t.how[id] = Other
	if id != 0 {
		t.how[id] = Classify(p, id)
	}
}

// depth is how many frames of context may stand above the one that cancels: a
// parent cancels its children.
const depth = 4

// Classify is Table.Of without a table, for who keeps the answer itself.
func Classify(p *traceload.Program, id traceload.StackID) How {
	st := p.Stack(id)
	if len(st.Frames) == 0 {
		return Other
	}
	for _, f := range st.Frames[:min(len(st.Frames), depth)] {
		if p.Frame(f).Func == "context.(*cancelCtx).cancel" {
			return Cancel
		}
	}
	switch top := p.Frame(st.Frames[0]); {
	case strings.HasPrefix(top.Func, "runtime.chansend"), top.Func == "runtime.selectnbsend", top.Func == "runtime.selectgo":
		return Send
	case strings.HasPrefix(top.Func, "runtime.chanrecv"), top.Func == "runtime.selectnbrecv":
		return Receive
	case strings.HasPrefix(top.Func, "sync.(*Mutex)."), strings.HasPrefix(top.Func, "sync.(*RWMutex)."):
		return Unlock
	case strings.HasPrefix(top.Func, "sync.(*Cond)."):
		return Signal
	case strings.HasPrefix(top.Func, "sync.(*WaitGroup)."):
		return Done
	case strings.HasPrefix(top.Func, "internal/poll."):
		return Connect
	case strings.HasPrefix(top.Func, "context."):
		return Other
	case top.Func == "runtime.closechan", top.Origin == traceload.OriginUser, top.Origin == traceload.OriginStd:
		return Close // since Go 1.22 the stack of a close begins at the line that closes
	}
	return Other
}
