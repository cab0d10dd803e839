package births

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// kin is the family of a goroutine that is alive.
type kin struct {
	id       traceload.GoID
	parent   traceload.GoID
	alive    int32          // children that are, of those that code outside the standard library started
	started  int32          // such children in all
	older    traceload.GoID // born beside it, right before
	younger  traceload.GoID // … right after
	lastAt   traceload.Time // when its last child was born
	lastBorn traceload.GoID
	lastFrom traceload.FuncID // the function that started it
}

// loner is the kin of a goroutine of which nothing is known.
var loner = kin{id: traceload.NoGoroutine, parent: traceload.NoGoroutine, older: traceload.NoGoroutine,
	younger: traceload.NoGoroutine, lastBorn: traceload.NoGoroutine}

// beside is how soon after each other one function starts goroutines that
// belong together, such as the reader and the writer of a connection.
const beside = time.Millisecond

// join notes whose child a newborn goroutine is, and who was born beside it.
func (t *Table) join(p *traceload.Program, ev *traceload.Event) {
	by := t.child(ev.By)
	st := p.Stack(ev.ByStack)
	if by == nil || st.Owner < 0 {
		return
	}
	from := p.Frame(st.Frames[st.Owner])
	if from.Origin == traceload.OriginStd {
		return // such as net/http's watcher of a connection: nothing that its creator could wait for
	}
	c := &t.slots[ev.G.Slot]
	c.parent = by.id
	by.alive++
	by.started++
	if by.lastFrom == from.FuncID && p.Now.Sub(by.lastAt) <= beside {
		if last := t.child(p.Goroutine(by.lastBorn)); last != nil {
			last.younger, c.older = c.id, last.id
		}
	}
	by.lastAt, by.lastBorn, by.lastFrom = p.Now, c.id, from.FuncID
}

func (t *Table) leave(p *traceload.Program, c *child) {
	if parent := t.child(p.Goroutine(c.parent)); parent != nil {
		parent.alive--
	}
}

// Children returns how many goroutines g has started, as far as the trace
// shows, and how many of them are alive. What the standard library starts on
// g's behalf does not count.
func (t *Table) Children(g *traceload.Goroutine) (started, alive int) {
	if c := t.child(g); c != nil {
		return int(c.started), int(c.alive)
	}
	return 0, 0
}

// besideSteps is how far to look for those born beside a goroutine.
const besideSteps = 3

// BesideNetwork tells whether a goroutine that was born together with g, from
// the same function, waits for the network: they serve one connection, which is open.
func (t *Table) BesideNetwork(p *traceload.Program, g *traceload.Goroutine) bool {
	c := t.child(g)
	if c == nil {
		return false
	}
	waits := func(next func(*child) traceload.GoID) bool {
		for c, i := c, 0; i < besideSteps; i++ {
			other := p.Goroutine(next(c))
			if c = t.child(other); c == nil {
				return false
			}
			if other.State == traceload.StateWaiting && other.Wait == traceload.WaitNetwork {
				return true
			}
		}
		return false
	}
	return waits(func(c *child) traceload.GoID { return c.older }) || waits(func(c *child) traceload.GoID { return c.younger })
}
