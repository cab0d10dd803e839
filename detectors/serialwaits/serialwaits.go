package serialwaits

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds waits in a row that could be waits side by side.
var Detector = &detectors.Detector{
	Name:   "serial-waits",
	Family: detectors.Batching,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: sameCall, Pattern: "bounded-calls", Others: []string{"errgroup-limit", onOneConnection}, Cap: detectors.Medium},
		{Name: independentCalls, Pattern: "run-side-by-side", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock, traceload.KindSyscallBegin,
		traceload.KindTaskBegin, traceload.KindTaskEnd, traceload.KindRegionBegin, traceload.KindRegionEnd), // and the ends of those that have units or marks
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, units: []*unit{nil}, byPlace: map[uint64][]*call{}, rows: map[rowKey]*row{}, loops: map[*call]*loop{}}
		p.Keep(&o.slots)
		return o
	},
}

const (
	sameCall         = "same-call"
	independentCalls = "independent-calls"
)

// together is how close in time the goroutines of one fan-out are started, by one
// goroutine at one line.
const together = time.Millisecond

// observer follows each goroutine from call to call.
type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	calls   dense.Pairs[*call] // by exchange; nil for what is no call
	byPlace map[uint64][]*call // by hash of the place
	stacks  []about            // by StackID; 0: not looked at yet
	frames  dense.ByID[traceload.FrameID, frame]
	slots   traceload.Beside[visitor]
	units   []*unit                                // by number; 0 is none
	marks   dense.Goroutines[marks]                // of those that the program marks
	latest  dense.ByID[traceload.StackID, sibling] // by go statement

	rows  map[rowKey]*row
	loops map[*call]*loop
	found []*row   // in order of appearance
	again []*loop  // likewise
	free  []uint32 // numbers of units that are nobody's
	_     cpu.CacheLinePad
}

// sibling is the last goroutine that was started at a line.
type sibling struct {
	id      traceload.GoID
	creator traceload.GoID
	born    traceload.Time
	crowd   bool // it followed another one
}

// ask is what a goroutine did last that may be a question.
type ask struct {
	on    traceload.Time
	whom  traceload.GoID    // NoGoroutine: a connection
	at    traceload.StackID // 0: nothing
	child bool              // it was started for this
}

// visitor is what is known of one goroutine that is alive.
type visitor struct {
	ask    ask
	began  traceload.Time     // when its present unit began
	unit   uint32             // the number of its calls; 0 as long as there are none
	named  traceload.StringID // what the unit is called
	since  bound              // what began the unit
	waited bool               // it has waited for something outside, at any time
	crowd  bool               // it is one of a fan-out
	skip   bool               // main's, the runtime's, a test's own
}

// marks are the tasks and regions that one goroutine has open.
type marks struct {
	task    int64 // the one that named the unit; 0 if none
	regions int32
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g == nil {
		return
	}
	if g.System {
		if v := o.slots.At(g); ev.Kind == traceload.KindEnd && v.unit != 0 { // it was taken for one of the program's
			o.drop(v)
		}
		return
	}
	switch ev.Kind {
	case traceload.KindBlock:
		o.block(p, ev)
	case traceload.KindUnblock:
		if at, by := o.known(ev.Stack), o.known(ev.ByStack); at != 0 && by != 0 {
			o.wake(p, ev, at, by)
		} else {
			o.wakeAtNew(p, ev)
		}
	case traceload.KindSyscallBegin:
		o.syscall(p, ev)
	case traceload.KindCreate:
		o.birth(p, ev)
	case traceload.KindStatus:
		o.status(p, g)
	case traceload.KindEnd:
		o.end(p, g)
	default:
		o.mark(p, ev)
	}
}

// block takes the beginning of a wait at a stack that may be a server's own.
func (o *observer) block(p *traceload.Program, ev *traceload.Event) {
	if o.about(p, ev.Stack).is(isServing) {
		o.close(p, ev.G, o.slots.At(ev.G), fromServer)
	} else {
		o.pass.Overlook(ev)
	}
}

func (o *observer) syscall(p *traceload.Program, ev *traceload.Event) {
	switch a := o.about(p, ev.Stack); {
	case a.is(doesSend):
		o.slots.At(ev.G).ask = ask{at: ev.Stack, on: p.Now, whom: traceload.NoGoroutine}
	case a.is(isServing):
		o.close(p, ev.G, o.slots.At(ev.G), fromServer) // reads the next request
	}
}

func (o *observer) status(p *traceload.Program, g *traceload.Goroutine) {
	v := o.slots.At(g)
	v.skip = v.skip || o.isMain(p, g)
}

func (o *observer) end(p *traceload.Program, g *traceload.Goroutine) {
	o.close(p, g, o.slots.At(g), fromBirth)
	o.marks.Leave(g)
}

// mark takes the beginning or end of a task or region.
func (o *observer) mark(p *traceload.Program, ev *traceload.Event) {
	v, m := o.slots.At(ev.G), o.marks.Enter(ev.G)
	o.pass.SeeEnd(ev.G)
	switch ev.Kind {
	case traceload.KindRegionBegin:
		m.regions++
		if m.regions == 1 && v.named == 0 {
			v.name(p, ev.Text)
		}
	case traceload.KindRegionEnd:
		if m.regions--; m.regions <= 0 {
			m.regions = 0
			if m.task == 0 {
				o.unname(p, ev.G, v)
			}
		}
	case traceload.KindTaskBegin:
		if m.task == 0 && v.named == 0 {
			m.task = ev.Value
			v.name(p, ev.Text)
		}
	case traceload.KindTaskEnd:
		if m.task != 0 && m.task == ev.Value {
			m.task = 0
			o.unname(p, ev.G, v)
		}
	}
}

// isMain tells whether g is the main goroutine, whose work is no request: only
// tasks and regions bound it.
func (o *observer) isMain(p *traceload.Program, g *traceload.Goroutine) bool {
	e := p.Entry(g)
	return e != nil && (e.Func == "runtime.main" || e.Func == "main.main" || e.Func == "testing.tRunner")
}

func (o *observer) birth(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	v := o.slots.At(g)
	v.skip, v.since, v.began = o.isMain(p, g), fromBirth, p.Now
	if ev.By == nil {
		return
	}
	if by := o.slots.Of(ev.By); by != nil {
		by.ask = ask{at: ev.ByStack, on: p.Now, whom: g.ID, child: true}
	}
	if st := p.Stack(ev.ByStack); st.Owner < 0 || st.Owner != st.Site {
		return // a server's own goroutines
	}
	s := o.latest.At(ev.ByStack)
	if s.creator == ev.By.ID && s.id != 0 && p.Now.Sub(s.born) <= together {
		v.crowd = true
		if !s.crowd {
			if w := p.Goroutine(s.id); w != nil {
				o.slots.At(w).crowd = true
			}
		}
	}
	*s = sibling{id: g.ID, creator: ev.By.ID, born: p.Now, crowd: v.crowd}
}

// wakeAtNew is wake where one of the stacks was not looked at yet.
func (o *observer) wakeAtNew(p *traceload.Program, ev *traceload.Event) {
	o.wake(p, ev, o.about(p, ev.Stack), o.about(p, ev.ByStack))
}

// wake takes the end of a wait: of a call, of rest, or of neither. Where the woken
// and the waker stood is about a and did.
func (o *observer) wake(p *traceload.Program, ev *traceload.Event, a, did about) {
	by := o.slots.Of(ev.By)
	if ev.Waker == traceload.WakerGoroutine {
		if did&(doesReceive|isUsers) == doesReceive|isUsers {
			if !by.rests(p.Now) {
				o.close(p, ev.By, by, fromRest) // it has taken a job
			}
		} else {
			by.ask = ask{at: ev.ByStack, on: p.Now, whom: ev.G.ID}
		}
	}
	v := o.slots.At(ev.G)
	switch ev.Wait {
	case traceload.WaitSleep, traceload.WaitNetwork:
		v.waited = true
	case traceload.WaitChanReceive, traceload.WaitSelect, traceload.WaitCond:
	default: // locks, WaitGroups, sends: neither a call nor rest
		return
	}
	asked := ask{at: v.ask.at, on: v.ask.on, whom: v.ask.whom}
	v.ask.at = 0
	if ev.Wait == traceload.WaitSleep && a.is(inSQL) && !a.is(inTest) {
		asked = ask{at: ev.Stack, on: p.Now - traceload.Time(ev.Lived), whom: traceload.NoGoroutine} // a driver's way of waiting
	} else if ev.Waker != traceload.WakerGoroutine && ev.Waker != traceload.WakerNetwork {
		if (a.is(isUsers) || ev.Wait == traceload.WaitSleep) && !v.rests(p.Now) {
			o.close(p, ev.G, v, fromRest) // a pause, or a time-out
		}
		return
	}
	if a.is(inTransaction|inTest) || v.skip && v.named == 0 {
		return
	}
	var c *call
	if asked.at != 0 {
		c = o.call(p, exchange{asked.at, ev.Stack}, ev.Wait)
	}
	switch {
	case c == nil && a.is(isUsers):
		if !v.rests(p.Now) {
			o.close(p, ev.G, v, fromRest) // it has been given a job
		}
	case c == nil && ev.Wait == traceload.WaitNetwork && !o.goesOn(p, v, ev.Stack):
		o.close(p, ev.G, v, fromServer) // it has read a request from a connection of its own
	case c == nil: // the rest of an answer, or the standard library's affair
	case by != nil && asked.whom == ev.By.ID && !a.is(isUsers):
		v.ask.at = asked.at // net/http's goroutine that writes has taken it; the answer comes from another one
	case by != nil && asked.whom == ev.By.ID && !(v.ask.child && by.waited):
		// Answered by computing, or by a goroutine that answers everybody in turn.
	default:
		if v.unit == 0 {
			v.unit = o.newUnit()
			o.pass.SeeEnd(ev.G)
		}
		o.units[v.unit].add(p, c, p.Now.Sub(asked.on))
	}
}

// Finish implements detectors.Observer. Requests that are under way are not judged.
func (o *observer) Finish(p *traceload.Program) { o.judge(p) }
