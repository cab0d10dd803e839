package serialwaits

import (
	"hash/maphash"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// about is what a stack says by itself, worked out once.
type about uint8

const (
	looked        about = 1 << iota
	doesSend            // a system call that writes to a connection
	isServing           // only frames of the standard library: a server's own waiting and reading
	isUsers             // a channel operation, or the wait for a Cond, of the program itself
	doesReceive         //
	inSQL               // within a call of a pooled database
	inTransaction       //
	inTest              //
)

// is tells whether a stack is one of these, or any of several.
func (a about) is(what about) bool { return a&what != 0 }

func (o *observer) about(p *traceload.Program, id traceload.StackID) about {
	if int(id) >= len(o.stacks) || o.stacks[id] == 0 {
		o.find(p, id)
	}
	return o.stacks[id]
}

// known is about for a stack that was looked at; 0 for others.
func (o *observer) known(id traceload.StackID) about {
	if int(id) < len(o.stacks) {
		return o.stacks[id]
	}
	return 0
}

func (o *observer) find(p *traceload.Program, id traceload.StackID) {
	if n := int(id) + 1 - len(o.stacks); n > 0 {
		o.stacks = append(o.stacks, make([]about, n)...)
	}
	o.stacks[id] = looked | o.look(p, p.Stack(id))
}

func (o *observer) look(p *traceload.Program, st *traceload.Stack) (a about) {
	if st.Testing {
		a |= inTest
	}
	if len(st.Frames) == 0 {
		return a
	}
	top := p.Frame(st.Frames[0]).Func
	if strings.HasPrefix(top, "runtime.chanrecv") {
		a |= doesReceive
	}
	if st.Owner >= 0 && p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginUser && !strings.Contains(top, "semaphore") {
		a |= isUsers
	}
	a |= isServing
	var not about
	for _, id := range st.Frames {
		f := o.frames.At(id)
		if !f.known {
			*f = frameOf(p.Frame(id))
		}
		a |= f.is
		not |= f.not
	}
	return a &^ not
}

// frame is what a frame says about the stacks that it is in: there are far fewer.
type frame struct {
	known   bool
	is, not about
}

func frameOf(f *traceload.Frame) frame {
	of := frame{known: true}
	switch fn := f.Func; {
	case fn == "net.(*conn).Write", strings.HasPrefix(fn, "net.(*UDPConn).Write"):
		of.is = doesSend
	case strings.HasPrefix(fn, "database/sql.(*DB)."):
		of.is = inSQL
	case strings.HasPrefix(fn, "database/sql.(*Tx)."), strings.HasPrefix(fn, "database/sql.(*Conn)."):
		of.is = inTransaction
	case strings.HasPrefix(fn, "golang.org/x/sync/semaphore."):
		of.not = isUsers
	case f.Origin == traceload.OriginUser && isTransaction(fn):
		of.is = inTransaction
	}
	if f.Origin == traceload.OriginUser || f.Func == "runtime.main" {
		of.not |= isServing
	}
	return of
}

// isTransaction tells by its name whether a function belongs to a database
// transaction, whose calls have an order and share a connection.
func isTransaction(fn string) bool {
	return strings.Contains(fn, "Tx)") || strings.Contains(fn, ".Tx.") || strings.Contains(fn, "InTx") || strings.Contains(fn, "WithTx") || strings.Contains(fn, "Transaction")
}

// exchange is where a goroutine stood when it asked, and when it waited.
type exchange struct{ ask, wait traceload.StackID }

// call is what a program makes calls with, at one place: a line, and how control
// came there.
type call struct {
	place []traceload.FrameID // frames from the call outward
	site  int                 // index in place: the line to show
	raw   bool                // written to and read from one connection by the goroutine itself
	wait  traceload.StackID   // of the first
}

var seed = maphash.MakeSeed()

// call returns the call that asking at one stack and waiting at another is part
// of; nil if they are none.
func (o *observer) call(p *traceload.Program, x exchange, wait traceload.Wait) *call {
	if x.ask == 0 || x.wait == 0 {
		return nil
	}
	if c := o.calls.Find(uint32(x.ask), uint32(x.wait)); c != nil {
		return *c
	}
	c := newCall(p, x, wait, o.about(p, x.ask))
	if c != nil {
		c = o.intern(c)
	}
	*o.calls.At(uint32(x.ask), uint32(x.wait)) = c
	return c
}

func newCall(p *traceload.Program, x exchange, wait traceload.Wait, asks about) *call {
	ask, answer := p.Stack(x.ask).Frames, p.Stack(x.wait).Frames
	common := 0 // frames that both have, from the outside
	for common < min(len(ask), len(answer)) && ask[len(ask)-1-common] == answer[len(answer)-1-common] {
		common++
	}
	c := &call{place: answer[len(answer)-common:], wait: x.wait}
	if common < len(ask) && common < len(answer) {
		a, w := p.Frame(ask[len(ask)-1-common]), p.Frame(answer[len(answer)-1-common])
		if a.FuncID == w.FuncID {
			if a.Line > w.Line {
				return nil // it waits first, and asks then: whoever serves does
			}
			if w.Origin == traceload.OriginUser && x.ask != x.wait && !asks.is(doesSend) {
				c.place = answer[len(answer)-common-1:] // it asks and waits itself
			}
		}
	}
	if c.site = siteOf(p, c.place); c.site < 0 {
		return nil
	}
	c.raw = asks.is(doesSend) && wait == traceload.WaitNetwork && !pooled(p, answer)
	return c
}

// siteOf returns the innermost frame of the program's own code, or, failing that,
// of its dependencies; -1 if there is none.
func siteOf(p *traceload.Program, place []traceload.FrameID) int {
	dependency := -1
	for i, id := range place {
		f := p.Frame(id)
		if f.Origin != traceload.OriginUser {
			continue
		}
		if !strings.Contains(f.File, "@v") && !strings.Contains(f.File, "/vendor/") {
			return i
		}
		if dependency < 0 {
			dependency = i
		}
	}
	return dependency
}

// pooled tells whether a client that can have several connections, or several
// questions under way on one, does the waiting.
func pooled(p *traceload.Program, frames []traceload.FrameID) bool {
	for _, id := range frames {
		fn := p.Frame(id).Func
		if strings.HasPrefix(fn, "database/sql.(*DB).") || strings.HasPrefix(fn, "net/http.(*Client).") || strings.HasPrefix(fn, "net/http.(*Transport).") ||
			strings.HasPrefix(fn, "net/rpc.(*Client).") || strings.Contains(fn, "net.(*Resolver).") {
			return true
		}
	}
	return false
}

// intern returns the call with the same place.
func (o *observer) intern(c *call) *call {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, f := range c.place {
		maphash.WriteComparable(&h, f)
	}
	sum := h.Sum64()
	for _, old := range o.byPlace[sum] {
		if old.raw == c.raw && equal(old.place, c.place) {
			return old
		}
	}
	o.byPlace[sum] = append(o.byPlace[sum], c)
	return c
}

func equal(a, b []traceload.FrameID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// split returns how many outer frames two calls have in common, if the next frame
// inward is one function at two lines: then that function makes both, b after a.
func split(p *traceload.Program, a, b *call) (outer int, ok bool) {
	n, m := len(a.place), len(b.place)
	for outer < min(n, m) && a.place[n-1-outer] == b.place[m-1-outer] {
		outer++
	}
	if outer == n || outer == m {
		return 0, false
	}
	f, g := p.Frame(a.place[n-1-outer]), p.Frame(b.place[m-1-outer])
	return outer, f.FuncID == g.FuncID && f.Origin == traceload.OriginUser && f.Line < g.Line
}

// goesOn tells whether a wait may be for the rest of the last answer: it is in the
// function that made the call, further down.
func (o *observer) goesOn(p *traceload.Program, v *visitor, wait traceload.StackID) bool {
	if v.unit == 0 {
		return false
	}
	c := o.units[v.unit].last
	frames := p.Stack(wait).Frames
	n, m := len(c.place), len(frames)
	outer := 0
	for outer < min(n, m) && c.place[n-1-outer] == frames[m-1-outer] {
		outer++
	}
	if outer == n {
		return true
	}
	if outer == m {
		return false
	}
	f, g := p.Frame(c.place[n-1-outer]), p.Frame(frames[m-1-outer])
	return f.FuncID == g.FuncID && f.Line <= g.Line
}
