package fanoutrunson

import (
	_ "embed"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds goroutines that work on although one of their siblings has failed.
var Detector = &detectors.Detector{
	Name:   "fan-out-runs-on",
	Family: detectors.Cancellation,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: firstError, Pattern: "errgroup-first-error", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindSyscallBegin, traceload.KindStop, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, fans: map[fanKey]*fan{}}
	},
}

const firstError = "first-error"

const (
	maxChildren = 32  // of a round, that are looked at one by one
	maxRounds   = 256 // of a fan-out that are kept; the rest is counted
	maxSites    = 8   // that are kept of what the parent does after a round
)

type observer struct {
	pass  *detectors.Pass
	slots dense.Slots[party] // by Goroutine.Slot
	free  []*parent          // of goroutines that have ended
	fans  map[fanKey]*fan
}

// fanKey is the function that starts goroutines, and what their parent runs.
type fanKey struct{ entry, starts traceload.FuncID }

// fan is a place where goroutines are started side by side and waited for.
type fan struct {
	key     fanKey
	rounds  []round
	more    int // rounds that were not kept
	parents int
	ids     [detectors.MaxGroupIDs]traceload.GoID // of the first parents
	lasts   []tally                               // where children waited last before they ended
	runs    traceload.FrameID                     // what the parent runs
	wait    traceload.StackID                     // where the parent waits for them
	start   traceload.StackID
	entry   traceload.StackID // of the children
	testing bool
}

// tally is how many children waited last at a line.
type tally struct {
	site traceload.FrameID
	n    int
}

// ended counts a child that waited last at site. What comes often moves to the
// front, where it is found soon.
func (f *fan) ended(site traceload.FrameID) {
	for i := range f.lasts {
		if f.lasts[i].site == site {
			f.lasts[i].n++
			if i > 0 {
				f.lasts[i], f.lasts[i-1] = f.lasts[i-1], f.lasts[i]
			}
			return
		}
	}
	f.lasts = append(f.lasts, tally{site, 1})
}

// round is one time that children were started and waited for.
type round struct {
	children int
	joined   traceload.Time // when the parent went on
	sites    [maxSites]traceload.FrameID
	nsites   int
	kids     []kid
	parent   traceload.GoID
}

// kid is one child of a round.
type kid struct {
	id   traceload.GoID
	born traceload.Time
	end  traceload.Time
	cpu  time.Duration     // running time
	last traceload.FrameID // where it waited last
}

// party is one goroutine's part, as a parent and as a child.
type party struct {
	id     traceload.GoID // 0 if the slot is free
	parent *parent        // nil as long as it has started nobody
	// As a child.
	of   traceload.GoID // whose; NoGoroutine if unknown
	slot int32          // of that one
	last traceload.FrameID
	cpu  time.Duration
}

// parent is what a goroutine that starts others is at.
type parent struct {
	fan   *fan
	open  bool // children are at work
	after int  // index+1 in fan.rounds of the round that is over, 0 for none
	count int  // children started in this round
	kids  []kid
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindUnblock:
		if ev.Wait == traceload.WaitWaitGroup && ev.By != nil && !g.System {
			o.join(p, ev)
		}
		return
	case traceload.KindStatus, traceload.KindCreate:
		o.appear(p, ev)
		return
	}
	y := o.slots.Of(g)
	if y == nil || g.System {
		return
	}
	if ev.From == traceload.StateRunning {
		y.cpu += ev.Lived
	}
	switch ev.Kind {
	case traceload.KindBlock, traceload.KindSyscallBegin:
		if site := p.SiteID(ev.Stack); site != 0 && ev.Wait != traceload.WaitRuntime {
			y.last = site
			if y.parent != nil {
				y.parent.visit(site)
			}
		}
	case traceload.KindEnd:
		o.endChild(p, g, y)
		if y.parent != nil {
			o.free = append(o.free, y.parent)
		}
		*y = party{}
	}
}

// appear takes the first that is seen of a goroutine.
func (o *observer) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	y := o.slots.At(g.Slot)
	if y.id != g.ID {
		*y = party{id: g.ID, of: traceload.NoGoroutine}
	}
	if ev.Kind == traceload.KindCreate && ev.By != nil && !ev.By.System && !g.System {
		if by := o.slots.Of(ev.By); by != nil {
			y.of, y.slot = ev.By.ID, ev.By.Slot
			o.start(p, ev, by)
		}
	}
}

// parentOf returns y as a parent, which it is from now on.
func (o *observer) parentOf(y *party) *parent {
	if y.parent == nil {
		if n := len(o.free); n > 0 {
			y.parent, o.free = o.free[n-1], o.free[:n-1]
			*y.parent = parent{kids: y.parent.kids[:0]}
		} else {
			y.parent = new(parent)
		}
	}
	return y.parent
}

// start notes that a parent has started a child.
func (o *observer) start(p *traceload.Program, ev *traceload.Event, y *party) {
	site := p.SiteID(ev.ByStack)
	if site == 0 {
		return
	}
	y.id = ev.By.ID // some formats tell nothing of those that are older than the trace
	b := o.parentOf(y)
	key := fanKey{p.Frame(p.EntryID(ev.By)).FuncID, p.Frame(site).FuncID}
	if b.fan == nil || b.fan.key != key {
		f := o.fans[key]
		if f == nil {
			f = &fan{key: key}
			o.fans[key] = f
		}
		b.fan, b.open = f, false
		f.testing = f.testing || p.Stack(ev.ByStack).Testing
	}
	if !b.open {
		b.open, b.count, b.after, b.kids = true, 0, 0, b.kids[:0]
	}
	b.count++
	if b.count == 1 {
		b.fan.start, b.fan.entry, b.fan.runs = ev.ByStack, ev.Stack, p.EntryID(ev.By)
	}
	b.visit(site)
}

// visit notes what a parent does after a round.
func (y *parent) visit(site traceload.FrameID) {
	if y.after == 0 || y.open || y.fan == nil {
		return
	}
	r := &y.fan.rounds[y.after-1]
	for _, s := range r.sites[:r.nsites] {
		if s == site {
			return
		}
	}
	if r.nsites < maxSites {
		r.sites[r.nsites] = site
		r.nsites++
	}
}

// endChild notes the end of a child whose parent still waits for others.
func (o *observer) endChild(p *traceload.Program, g *traceload.Goroutine, y *party) {
	of := o.slots.At(y.slot)
	if of.id != y.of {
		return // the parent has ended
	}
	b := of.parent
	if b == nil || b.fan == nil || !b.open || p.Frame(p.SiteID(g.CreatedAt)).FuncID != b.fan.key.starts {
		return
	}
	b.fan.ended(y.last)
	if len(b.kids) < maxChildren {
		b.kids = append(b.kids, kid{g.ID, g.Born, p.Now, y.cpu, y.last})
	}
}

// join closes a round: the last child has woken its parent.
func (o *observer) join(p *traceload.Program, ev *traceload.Event) {
	w := o.slots.Of(ev.G)
	if w == nil || w.parent == nil || !w.parent.open {
		return
	}
	y := w.parent
	f := y.fan
	y.open = false
	by := ev.By
	if c := o.slots.Of(by); c != nil && by.Creator == ev.G.ID && len(y.kids) < maxChildren {
		y.kids = append(y.kids, kid{by.ID, by.Born, p.Now, c.cpu + p.InState(by), c.last})
	}
	if y.count < 2 || y.count > maxChildren || len(y.kids) < y.count {
		return // others than its children had a part in it
	}
	f.wait = ev.Stack
	f.note(ev.G.ID)
	if len(f.rounds) >= maxRounds {
		f.more++
		return
	}
	f.rounds = append(f.rounds, round{children: y.count, joined: p.Now, kids: append([]kid(nil), y.kids...), parent: ev.G.ID})
	y.after = len(f.rounds)
}

// note counts a parent that is not among the first ones already.
func (f *fan) note(id traceload.GoID) {
	for _, old := range f.ids[:min(f.parents, len(f.ids))] {
		if old == id {
			return
		}
	}
	if f.parents < len(f.ids) {
		f.ids[f.parents] = id
	}
	f.parents++
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
