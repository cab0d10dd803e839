package locks

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// Cause is what a goroutine waited for while it held a lock.
type Cause uint8

const (
	CauseNone    Cause = iota
	CauseSleep         // time.Sleep
	CauseNetwork       // a connection, also by way of net/http, crypto/tls or database/sql
	CauseChannel       // a send or a receive
	CauseSelect        // a select
	CauseSyscall       // a system call, a file or a child process
	CauseWait          // a WaitGroup or a Cond
	CauseLock          // another lock
)

// String returns the cause's name in the contract.
func (c Cause) String() string {
	return [...]string{"none", "sleep", "network", "channel", "select", "syscall", "wait", "lock"}[c]
}

// note is what a stack says about locks and waits, worked out once per stack.
type note struct {
	node int32 // of the frame that called Lock or Unlock, or Cond.Wait; 0 if none
	// What the frames between that call and the wait do.
	unlock bool // Unlock or RUnlock
	write  bool // RWMutex.Unlock
	read   bool // RLock or RUnlock
	cond   bool // inside Cond.Wait, which gives up its lock and takes it again
	once   bool // inside Once.Do: the others wait for what it makes, as they should
	// Whose wait it is where the standard library does the waiting.
	network, file bool
}

// mark is what most events need to know of a stack.
type mark struct {
	reason traceload.StringID // the runtime's word for the wait that began here last
	wait   traceload.Wait     // the kind of that wait
	cause  Cause              // of that wait
	flags  uint8
}

const (
	plain uint8 = 1 << iota // that wait was not for a lock, and has a cause
	wakes                   // whether it unlocks was asked for
	frees                   // it does
)

// unlocks is note.unlock.
func (t *Table) unlocks(p *traceload.Program, id traceload.StackID) bool {
	m := t.marks.At(id)
	if m.flags&wakes == 0 {
		m.flags |= wakes
		if t.note(p, id).unlock {
			m.flags |= frees
		}
	}
	return m.flags&frees != 0
}

// note returns what stack id says.
func (t *Table) note(p *traceload.Program, id traceload.StackID) *note {
	if int(id) < len(t.notes) {
		if n := t.notes[id]; n != nil {
			return n
		}
	}
	return t.newNote(p, id)
}

func (t *Table) newNote(p *traceload.Program, id traceload.StackID) *note {
	if int(id) >= len(t.notes) {
		t.notes = append(t.notes, make([]*note, int(id)+1-len(t.notes))...)
	}
	t.notes[id] = t.study(p, p.Stack(id))
	return t.notes[id]
}

func (t *Table) study(p *traceload.Program, s *traceload.Stack) *note {
	n := new(note)
	lock, rw := false, false
	for _, id := range s.Frames[:max(s.Owner, 0)] {
		switch p.Frame(id).Func {
		case "sync.(*Mutex).Lock":
			lock = true
		case "sync.(*Mutex).Unlock":
			n.unlock = true
		case "sync.(*RWMutex).Lock":
			lock, rw = true, true
		case "sync.(*RWMutex).RLock":
			lock, rw, n.read = true, true, true
		case "sync.(*RWMutex).Unlock":
			n.unlock, n.write, rw = true, true, true
		case "sync.(*RWMutex).RUnlock":
			n.unlock, n.read, rw = true, true, true
		case "sync.(*Cond).Wait":
			n.cond = true
		case "sync.(*Once).doSlow":
			n.once = true
		}
	}
	if lock || n.unlock || n.cond {
		fn := p.Frame(s.Frames[s.Owner]).FuncID
		n.node = t.node(nodeKey{s.Frames[s.Owner], rw}, fn)
		t.class(n.node).once = t.class(n.node).once || n.once
		if in := t.locksIn; lock && !slices.Contains(in[fn], n.node) {
			in[fn] = append(in[fn], n.node)
		}
		if in := t.exitsIn; n.unlock && !slices.Contains(in[fn], n.node) {
			in[fn] = append(in[fn], n.node)
		}
	}
	for _, id := range s.Frames {
		f := p.Frame(id)
		if f.Origin == traceload.OriginUser || f.Origin == traceload.OriginTesting {
			break
		}
		switch pkg := traceload.PackagePath(f.Func); {
		case pkg == "net", strings.HasPrefix(pkg, "net/"), pkg == "crypto/tls", strings.HasPrefix(pkg, "database/sql"):
			n.network = true
		case pkg == "os/exec", pkg == "os":
			n.file = true
		}
	}
	return n
}

// causeOf says what a wait at the stack is for; CauseNone for what is no wait of
// the program's.
func (n *note) causeOf(w traceload.Wait) Cause {
	switch w {
	case traceload.WaitUnknown, traceload.WaitRuntime, traceload.WaitNilChan, traceload.WaitEmptySelect:
		return CauseNone
	case traceload.WaitSleep:
		return CauseSleep
	}
	switch {
	case n.network:
		return CauseNetwork
	case n.file:
		return CauseSyscall
	}
	switch w {
	case traceload.WaitNetwork:
		return CauseNetwork
	case traceload.WaitChanSend, traceload.WaitChanReceive:
		return CauseChannel
	case traceload.WaitSelect:
		return CauseSelect
	case traceload.WaitWaitGroup, traceload.WaitCond:
		return CauseWait
	case traceload.WaitMutex, traceload.WaitRWMutexR, traceload.WaitRWMutexW:
		return CauseLock
	}
	return CauseNone
}

// meeting is where two stacks of one goroutine part: the function that was
// active at both moments, at which lines.
type meeting struct {
	fn          traceload.FuncID
	first, then int // lines in fn
	owner       bool
	caller      bool
}

// meet walks both stacks from the outermost frame in, as long as they are
// equal, to the function in which they part. owner says that this function
// calls Unlock itself (then), caller that it calls the one that does. It
// returns false if the two stacks cannot belong to one activation of a
// function that holds the lock at first and gives it up then.
//
//	time.Sleep < (*Cache).fetch:30 < (*Cache).Get:14 < main.serve:7
//	sync.(*Mutex).Unlock <           (*Cache).Get:18 < main.serve:7     part in Get: 14, 18
func meet(p *traceload.Program, first, then *traceload.Stack) (meeting, bool) {
	i, j := len(first.Frames)-1, len(then.Frames)-1
	for i >= 0 && j >= 0 && first.Frames[i] == then.Frames[j] {
		i, j = i-1, j-1
	}
	if i >= 0 && j >= 0 && j >= then.Owner {
		a, b := p.Frame(first.Frames[i]), p.Frame(then.Frames[j])
		if a.FuncID == b.FuncID {
			return meeting{a.FuncID, a.Line, b.Line, j == then.Owner, j == then.Owner+1}, true
		}
		return meeting{}, false
	}
	// All frames of then are equal down to the one that calls Unlock: a
	// deferred Unlock shows the line of the return statement, which may call too.
	if j == then.Owner-1 && i >= 0 && then.Owner >= 0 {
		f := p.Frame(then.Frames[then.Owner])
		return meeting{f.FuncID, f.Line, f.Line, true, false}, true
	}
	return meeting{}, false
}

// lineIn returns the line at which the stack passes through fn, innermost
// call first; false if it does not.
func lineIn(p *traceload.Program, s *traceload.Stack, fn traceload.FuncID) (int, bool) {
	for _, id := range s.Frames[max(s.Owner, 0):] {
		if f := p.Frame(id); f.FuncID == fn {
			return f.Line, true
		}
	}
	return 0, false
}
