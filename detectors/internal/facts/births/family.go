package births

import (
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// kin is the family of a goroutine that is alive.
type kin struct {
	parent   traceload.GoID
	alive    int32          // children that are, of those that code outside the standard library started
	started  int32          // such children in all
	older    traceload.GoID // born beside it, right before
	younger  traceload.GoID // … right after
	lastAt   traceload.Time // when its last child was born
	lastBorn traceload.GoID
	lastFrom traceload.FuncID // the function that started it
	from     traceload.FuncID // the function that started this one
	watcher  traceload.GoID   // the last that the standard library started on its behalf
}

// loner is the kin of a goroutine of which nothing is known.
var loner = kin{parent: traceload.NoGoroutine, older: traceload.NoGoroutine,
	younger: traceload.NoGoroutine, lastBorn: traceload.NoGoroutine, watcher: traceload.NoGoroutine}

// besideWithin is how soon after each other one function starts goroutines that
// belong together, such as the reader and the writer of a connection.
const besideWithin = time.Millisecond

// join notes whose child a newborn goroutine is, and who was born beside it.
func (t *Table) join(p *traceload.Program, ev *traceload.Event, c, by *child) {
	st := p.Stack(ev.ByStack)
	if by == nil || st.Owner < 0 {
		return
	}
	from := p.Frame(st.Frames[st.Owner])
	if from.Origin == traceload.OriginStd {
		by.watcher = ev.G.ID // such as net/http's of a connection: nothing that its creator could wait for
		return
	}
	c.parent, c.from = ev.By.ID, from.FuncID
	by.alive++
	by.started++
	if by.lastFrom == from.FuncID && p.Now.Sub(by.lastAt) <= besideWithin {
		if last := t.alive.Of(p.Goroutine(by.lastBorn)); last != nil {
			last.younger, c.older = ev.G.ID, by.lastBorn
		}
	}
	by.lastAt, by.lastBorn, by.lastFrom = p.Now, ev.G.ID, from.FuncID
}

func (t *Table) leave(p *traceload.Program, c *child) {
	if parent := t.alive.Of(p.Goroutine(c.parent)); parent != nil {
		parent.alive--
	}
}

// Children returns how many goroutines g has started, as far as the trace
// shows, and how many of them are alive. What the standard library starts on
// g's behalf does not count.
func (t *Table) Children(g *traceload.Goroutine) (started, alive int) {
	if c := t.alive.Of(g); c != nil {
		return int(c.started), int(c.alive)
	}
	return 0, 0
}

// Serves tells whether g serves a connection that is open, as far as its family
// shows: the standard library watches the connection on g's behalf, or one born
// beside g waits for the network, or its creator does, still in the function
// that started g and few others.
func (t *Table) Serves(p *traceload.Program, g *traceload.Goroutine) bool {
	c := t.alive.Of(g)
	if c == nil {
		return false
	}
	if online(p.Goroutine(c.watcher)) || t.beside(p, c, (*child).elder) || t.beside(p, c, (*child).junior) {
		return true
	}
	creator := p.Goroutine(c.parent)
	if by := t.alive.Of(creator); by == nil || by.alive > fewChildren || !online(creator) {
		return false
	}
	return slices.ContainsFunc(p.Stack(creator.Stack).Frames, func(f traceload.FrameID) bool { return p.Frame(f).FuncID == c.from })
}

// fewChildren is how many goroutines somebody who serves one connection has.
const fewChildren = 4

func (c *child) elder() traceload.GoID  { return c.older }
func (c *child) junior() traceload.GoID { return c.younger }

// besideSteps is how far to look for those born beside a goroutine.
const besideSteps = 3

func (t *Table) beside(p *traceload.Program, c *child, next func(*child) traceload.GoID) bool {
	for range besideSteps {
		other := p.Goroutine(next(c))
		if online(other) {
			return true
		}
		if c = t.alive.Of(other); c == nil {
			return false
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
