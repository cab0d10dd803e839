package births

import (
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// kin is the family of a goroutine that is alive. Those born beside it are
// told by how far their ids are from its own, 0 is none: goroutines that are born
// one right after the other are never too far apart for that.
type kin struct {
	older   int32  // born beside it, right before
	younger int32  // … right after
	started uint32 // in Table.parents, what it started itself; 0 if nothing
	of      uint32 // likewise, what its creator started if it is that one's child; 0 if not
}

// parenthood is what a goroutine has started. Children are those that code
// outside the standard library started.
type parenthood struct {
	id       traceload.GoID // who
	children int32
	alive    int32          // of children
	last     traceload.GoID // child; if there are any
	lastAt   traceload.Time
	lastFrom traceload.FuncID // the function that started it
	// watcher is the last that the standard library started on its behalf; 0 if none.
	watcher traceload.GoID
}

// besideWithin is how soon after each other one function starts goroutines that
// belong together, such as the reader and the writer of a connection.
const besideWithin = time.Millisecond

// join notes whose child a newborn goroutine is, and who was born beside it.
func (t *Table) join(p *traceload.Program, ev *traceload.Event, c, by *child) {
	st := p.Stack(ev.ByStack)
	if by == nil || st.Owner < 0 {
		return
	}
	if by.started == 0 {
		by.started = t.parents.Take()
		t.parents.At(by.started).id = ev.By.ID
	}
	started := t.parents.At(by.started)
	from := p.Frame(st.Frames[st.Owner])
	if from.Origin == traceload.OriginStd {
		started.watcher = ev.G.ID // such as net/http's of a connection: nothing that its creator could wait for
		return
	}
	c.of = by.started
	if started.lastFrom == from.FuncID && p.Now.Sub(started.lastAt) <= besideWithin {
		if last := t.of(p.Goroutine(started.last)); last != nil {
			if d := ev.G.ID - started.last; d == traceload.GoID(int32(d)) {
				last.younger, c.older = int32(d), int32(-d)
			}
		}
	}
	started.children++
	started.alive++
	started.last, started.lastAt, started.lastFrom = ev.G.ID, p.Now, from.FuncID
}

// startedBy returns what c has started.
func (t *Table) startedBy(c *child) parenthood {
	if c == nil || c.started == 0 {
		return parenthood{}
	}
	return *t.parents.At(c.started)
}

// Children returns how many goroutines g has started, as far as the trace
// shows, and how many of them are alive. What the standard library starts on
// g's behalf does not count.
func (t *Table) Children(g *traceload.Goroutine) (started, alive int) {
	of := t.startedBy(t.of(g))
	return int(of.children), int(of.alive)
}

// Serves tells whether g serves a connection that is open, as far as its family
// shows: the standard library watches the connection on g's behalf, or one born
// beside g waits for the network, or its creator does, still in the function
// that started g and few others.
func (t *Table) Serves(p *traceload.Program, g *traceload.Goroutine) bool {
	c := t.of(g)
	if c == nil {
		return false
	}
	if online(p.Goroutine(t.startedBy(c).watcher)) || t.beside(p, g, (*child).elder) || t.beside(p, g, (*child).junior) {
		return true
	}
	if c.of == 0 {
		return false
	}
	creator := p.Goroutine(g.Creator)
	if by := t.of(creator); by == nil || t.startedBy(by).alive > fewChildren || !online(creator) {
		return false
	}
	st := p.Stack(g.CreatedAt)
	from := p.Frame(st.Frames[st.Owner]).FuncID
	return slices.ContainsFunc(p.Stack(creator.Stack).Frames, func(f traceload.FrameID) bool { return p.Frame(f).FuncID == from })
}

// fewChildren is how many goroutines somebody who serves one connection has.
const fewChildren = 4

func (c *child) elder() int32  { return c.older }
func (c *child) junior() int32 { return c.younger }

// besideSteps is how far to look for those born beside a goroutine.
const besideSteps = 3

func (t *Table) beside(p *traceload.Program, g *traceload.Goroutine, next func(*child) int32) bool {
	for range besideSteps {
		c := t.of(g)
		if c == nil || next(c) == 0 {
			return false
		}
		if g = p.Goroutine(g.ID + traceload.GoID(next(c))); online(g) {
			return true
		}
	}
	return false
}

func online(g *traceload.Goroutine) bool {
	return g != nil && g.State == traceload.StateWaiting && g.Wait == traceload.WaitNetwork
}

// Network tells whether a stack waits for a peer over the network, if only by
// way of a goroutine of the standard library: a request for its answer.
func (t *Table) Network(p *traceload.Program, stack traceload.StackID) bool {
	return t.network.Of(p, stack, network)
}

func network(p *traceload.Program, stack traceload.StackID) bool {
	st := p.Stack(stack)
	if st.Owner < 0 {
		return false
	}
	f := p.Frame(st.Frames[st.Owner])
	pkg := traceload.PackagePath(f.Func)
	return f.Origin == traceload.OriginStd && (pkg == "net" || strings.HasPrefix(pkg, "net/"))
}
