package fanoutrunson

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
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
		traceload.KindSyscallBegin, traceload.KindEnd),
	Begins: ^traceload.WaitSet(traceload.WaitRuntime),
	Ends:   traceload.WaitSet(traceload.WaitWaitGroup),
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, fans: map[fanKey]*fan{}}
		p.Keep(&o.slots)
		return o
	},
}

const firstError = "first-error"

const (
	maxChildren = 32  // of a round, that are looked at one by one
	maxRounds   = 256 // of a fan-out that are kept; the rest is counted
	maxSites    = 8   // that are kept of what the parent does after a round
)

type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	slots   traceload.Beside[party]
	parents []*parent
	free    []uint32 // numbers of parents that have ended
	tenures uint32   // so far
	fans    map[fanKey]*fan
	_       cpu.CacheLinePad
}

// fanKey is the function that starts goroutines, and what their parent runs.
type fanKey struct{ entry, starts traceload.FuncID }

// fan is a place where goroutines are started side by side and waited for.
type fan struct {
	key     fanKey
	rounds  []round
	more    int // rounds that were not kept
	parents detectors.Roll
	lasts   []tally           // where children waited last before they ended
	runs    traceload.FrameID // what the parent runs
	wait    traceload.StackID // where the parent waits for them
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

// party is one goroutine's part, as a parent and as a child. Parents go by their
// index in observer.parents plus one.
type party struct {
	last   traceload.FrameID
	parent uint32 // what it is as a parent; 0 as long as it has started nobody
	of     uint32 // whose child it is; 0 if unknown
	tenure uint32 // of that one
}

// parent is what a goroutine that starts others is at.
type parent struct {
	tenure uint32 // tells one that ended from the next of that number; 0: ended
	fan    *fan
	open   bool // children are at work
	after  int  // index+1 in fan.rounds of the round that is over, 0 for none
	count  int  // children started in this round
	kids   []kid
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	switch ev.Kind {
	case traceload.KindUnblock:
		if ev.By != nil && !ev.G.System {
			o.join(p, ev)
		}
		return
	case traceload.KindStatus, traceload.KindCreate:
		o.appear(p, ev)
		return
	}
	y := o.slots.At(ev.G)
	if ev.Kind == traceload.KindEnd {
		o.end(p, ev, y)
		return
	}
	if ev.G.System {
		return
	}
	if site := p.SiteID(ev.Stack); site != 0 {
		y.last = site
		if y.parent != 0 {
			o.parents[y.parent-1].visit(site)
		}
	}
}

// appear takes the first that is seen of a goroutine.
func (o *observer) appear(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	y := o.slots.At(g)
	if ev.Kind == traceload.KindCreate && ev.By != nil && !ev.By.System && !g.System {
		o.start(p, ev, o.slots.At(ev.By), y)
	}
}

// end takes the end of a goroutine, which may have been taken for one of the program's.
func (o *observer) end(p *traceload.Program, ev *traceload.Event, y *party) {
	if y.of != 0 && !ev.G.System {
		o.endChild(p, ev.G, y)
	}
	if y.parent != 0 {
		o.parents[y.parent-1].tenure = 0
		o.free = append(o.free, y.parent)
	}
}

// parentOf returns y as a parent, which it is from now on.
func (o *observer) parentOf(y *party) *parent {
	if y.parent != 0 {
		return o.parents[y.parent-1]
	}
	if n := len(o.free); n > 0 {
		y.parent, o.free = o.free[n-1], o.free[:n-1]
	} else {
		o.parents = append(o.parents, new(parent))
		y.parent = uint32(len(o.parents))
	}
	o.tenures++
	b := o.parents[y.parent-1]
	*b = parent{tenure: o.tenures, kids: b.kids[:0]}
	return b
}

// start notes that a parent, y, has started a child.
func (o *observer) start(p *traceload.Program, ev *traceload.Event, y, child *party) {
	site := p.SiteID(ev.ByStack)
	if site == 0 {
		return
	}
	b := o.parentOf(y)
	child.of, child.tenure = y.parent, b.tenure
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
	b := o.parents[y.of-1]
	if b.tenure != y.tenure { // the parent has ended
		return
	}
	if !b.open || p.Frame(p.SiteID(g.CreatedAt)).FuncID != b.fan.key.starts {
		return
	}
	b.fan.ended(y.last)
	if len(b.kids) < maxChildren {
		b.kids = append(b.kids, kid{g.ID, g.Born, p.Now, g.Spent(traceload.StateRunning), y.last})
	}
}

// join closes a round: the last child has woken its parent.
func (o *observer) join(p *traceload.Program, ev *traceload.Event) {
	w := o.slots.At(ev.G)
	if w.parent == 0 || !o.parents[w.parent-1].open {
		return
	}
	y := o.parents[w.parent-1]
	f := y.fan
	y.open = false
	by := ev.By
	if c := o.slots.Of(by); c != nil && by.Creator == ev.G.ID && len(y.kids) < maxChildren {
		y.kids = append(y.kids, kid{by.ID, by.Born, p.Now, by.Spent(traceload.StateRunning) + p.InState(by), c.last})
	}
	if y.count < 2 || y.count > maxChildren || len(y.kids) < y.count {
		return // others than its children had a part in it
	}
	f.wait = ev.Stack
	f.parents.Note(ev.G.ID)
	if len(f.rounds) >= maxRounds {
		f.more++
		return
	}
	f.rounds = append(f.rounds, round{children: y.count, joined: p.Now, kids: append([]kid(nil), y.kids...), parent: ev.G.ID})
	y.after = len(f.rounds)
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
