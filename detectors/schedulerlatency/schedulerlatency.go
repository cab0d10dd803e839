package schedulerlatency

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/jobs"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds goroutines that could run and do not, and who keeps them from it.
var Detector = &detectors.Detector{
	Name:   "scheduler-latency",
	Family: detectors.Scheduling,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: saturated, Pattern: "leave-processors-free", Cap: detectors.High},
		{Name: stopTheWorld, Pattern: "no-stop-the-world", Cap: detectors.High},
		{Name: gcAssist, Pattern: "allocate-less", Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStart, traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd,
		traceload.KindRangeBegin, traceload.KindRangeEnd, traceload.KindMetric, traceload.KindSample),
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{
			pass: p, hogs: map[hogKey]*hog{}, bursts: make([]int, 1), load: load{procs: 1},
			pauses: pauses{calls: map[callKey]*call{}}, assists: assists{sites: map[traceload.FrameID]*assistSite{}},
		}
		p.Keep(&o.slots)
		return o
	},
}

const (
	saturated    = "saturated"
	stopTheWorld = "stop-the-world"
	gcAssist     = "gc-assist"
)

const (
	// longBurst is the running time without a wait from which a goroutine
	// counts as one that keeps its processor: the scheduler's time slice
	// (runtime/proc.go, forcePreemptNS), after which it takes a processor away.
	longBurst = 10 * time.Millisecond
	// shortBurst bounds the work of a goroutine that suffers: whoever has much
	// more to do than that has to share anyway.
	shortBurst = 2 * time.Millisecond
	// starvedFrom is the shortest wait for a processor that counts. Starting a
	// goroutine on an idle processor takes some 10 to 100 µs.
	starvedFrom = 500 * time.Microsecond
	// overlong is a slice that the scheduler would have ended if it had been
	// able to: it looks every 10 ms at the latest, so a slice ends after 10 to
	// 20 ms where others wait. Longer ones mean that the operating system kept
	// the program's threads from running, or code that cannot be interrupted.
	overlong = 35 * time.Millisecond
	// While all processors are busy timers and the network are looked at only
	// when one of them is given up, or by the scheduler's watchdog every 10 ms:
	// who is found ready right after a longer stretch of that came due in it.
	solidFrom = time.Millisecond
	pollEvery = 10 * time.Millisecond
	soon      = 200 * time.Microsecond
)

// observer keeps, for each goroutine, its present burst: the running time
// since its last wait, over all slices.
type observer struct {
	_ cpu.CacheLinePad

	pass      *detectors.Pass
	slots     traceload.Beside[runner]
	traits    dense.Pool[traits]
	jobs      jobs.Table
	crews     []*crew          // by job; nil where it is not known what they run
	bursts    []int            // by job: bursts of its crew's goroutines; the first counts those of no crew
	exchanges dense.Pairs[int] // by job: how often a goroutine of the first woke or started one of the second; see crew.woken
	outermost dense.ByID[traceload.StackID, outer]
	hogs      map[hogKey]*hog

	load
	clock   traceload.Time // of the latest event
	own     time.Duration  // running time of the program's goroutines, ended slices only
	busy    time.Duration  // running time of all processors, known in Finish
	waiting int64          // ∫ fresh over all time, in ns, known in Finish
	unseen  int64          // … of which nobody saw: see comeLate
	spilt   time.Duration  // slices longer than the scheduler allows, while others waited
	samples int

	// A stretch in which all processors ran and none looked for what had come
	// due: how long it was, when it ended, who stopped then.
	solid   time.Duration // less than solidFrom: none, and the others do not count
	ended   traceload.Time
	stopped *traceload.Goroutine
	changed traceload.Time // when somebody began to run or stopped

	pauses  pauses
	assists assists
	_       cpu.CacheLinePad
}

// runner is one goroutine's part in it: what most events touch, in 56 bytes.
type runner struct {
	wait   time.Duration     // for a processor, before the burst
	burst  time.Duration     // running time since the last wait
	harm   int64             // starving, over the slices of the burst
	hungry int64             // starving, when the slice began
	began  traceload.Time    // when the burst began
	timer  traceload.StackID // where a timer woke it the last time, if nothing else has since
	crew   jobs.ID           // whose crew it belongs to; 0 as long as it is not known what it runs
	traits uint32            // in observer.traits; 0 as long as there are none
	is     marks
}

// marks are what is true of a goroutine.
type marks uint8

const (
	fresh     marks = 1 << iota // it became ready, and has not run since
	fromNet                     // the network ended the wait before the burst
	late                        // traits.late is not 0
	assisting                   // traits.assist is on
	sampled                     // traits.samples is not 0
)

// traits are what few goroutines have.
type traits struct {
	late    time.Duration        // of the wait for a processor, before it was found ready: an estimate
	outer   traceload.FrameID    // the outermost frame of the user's code at the last slice's end
	stack   traceload.StackID    // … and the whole stack
	samples int                  // CPU samples in this burst
	leaf    [4]traceload.FrameID // what the latest of them hit
	assist  assist
}

// Observe implements detectors.Observer. What most events are is done right here,
// and what is rare by calls that come last: so nothing need be kept for after them.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g == nil {
		o.others(p, ev, nil)
		return
	}
	r := o.slots.At(g)
	now := p.Now
	o.clock = now
	switch ev.Kind {
	case traceload.KindStart:
		if ev.From != traceload.StateRunnable || r.is&(late|assisting) != 0 {
			o.start(p, ev, r)
			return
		}
		o.ready.down(now)
		o.run(now, r)
		if r.is&fresh != 0 {
			r.is &^= fresh
			r.wait = ev.Lived
			o.fresh.less(now)
		}
	case traceload.KindBlock, traceload.KindEnd:
		if ev.From != traceload.StateRunning || ev.Wait == traceload.WaitRuntime || g.System || !r.usual(ev.Lived) {
			o.cease(p, ev, r)
			return
		}
		o.stretch(now, g)
		o.vacate(now)
		o.own += ev.Lived
		o.bursts[r.crew]++
		r.burst, r.harm, r.wait = 0, 0, 0
		if ev.Kind == traceload.KindEnd {
			o.end(now, r)
		}
	case traceload.KindUnblock:
		if ev.Waker != traceload.WakerGoroutine || ev.From != traceload.StateWaiting || ev.Wait == traceload.WaitRuntime || g.System || r.crew == 0 {
			o.unblock(p, ev, r)
			return
		}
		o.ready.up(now)
		r.began, r.timer = now, 0
		r.is &^= fromNet
		o.become(p, ev, r)
	case traceload.KindCreate:
		o.create(p, ev, r)
	default:
		o.others(p, ev, r)
	}
}

// start: a goroutine got a processor.
func (o *observer) start(p *traceload.Program, ev *traceload.Event, r *runner) {
	o.leave(p, ev, r)
	o.run(p.Now, r)
	if r.is&fresh != 0 {
		r.is &^= fresh
		r.wait = ev.Lived
		o.fresh.less(p.Now)
	}
	if r.traits != 0 {
		t := o.traits.At(r.traits)
		r.is &^= late
		r.wait += t.late // 0 unless it was fresh
		t.late = 0
		t.assist.resume(p.Now)
	}
}

// cease: a goroutine's burst ends, unless it only waits for the runtime.
func (o *observer) cease(p *traceload.Program, ev *traceload.Event, r *runner) {
	o.leave(p, ev, r)
	if ev.Kind == traceload.KindEnd {
		o.settle(p, ev.G, r)
		o.end(p.Now, r)
	} else if ev.Wait != traceload.WaitRuntime {
		o.settle(p, ev.G, r)
	}
}

// end: a goroutine has ended.
func (o *observer) end(now traceload.Time, r *runner) {
	if r.is&fresh != 0 {
		o.fresh.less(now)
	}
	o.clear(r)
}

// unblock: a goroutine is ready.
func (o *observer) unblock(p *traceload.Program, ev *traceload.Event, r *runner) {
	if ev.From != traceload.StateWaiting {
		o.leave(p, ev, r) // something is missing
	}
	o.ready.up(p.Now)
	switch {
	case ev.G.System:
	case ev.Wait == traceload.WaitRuntime:
		o.pauses.collected(p, ev)
	default:
		r.began = p.Now
		o.join(p, ev.G, r)
		if o.due(p, ev, r) && o.become(p, ev, r) && (ev.Waker == traceload.WakerNetwork || ev.Waker == traceload.WakerTimer) {
			o.comeLate(p, r)
		}
	}
}

// usual tells whether nothing is to be said of a burst that ends after a slice of d
// but that it was: it was neither long nor came late.
func (r *runner) usual(d time.Duration) bool {
	burst := r.burst + d
	return burst < longBurst && (r.wait < starvedFrom || burst > shortBurst || r.wait < 2*burst) &&
		r.is&(assisting|sampled) == 0
}

// others takes events of rarer kinds; r is nil for those of no goroutine.
func (o *observer) others(p *traceload.Program, ev *traceload.Event, r *runner) {
	switch ev.Kind {
	case traceload.KindStatus:
		if ev.From != traceload.StateUnknown || r.crew == 0 { // else only its stack became known
			o.clear(r)
			o.enter(p, ev, r)
		}
	case traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd:
		o.move(p, ev, r)
	case traceload.KindMetric:
		o.resize(o.clock, max(int64(p.Procs), 1))
		o.assists.metric(p, ev)
	case traceload.KindSample:
		o.sample(p, ev, r)
	case traceload.KindRangeBegin:
		o.rangeBegin(p, ev, r)
	case traceload.KindRangeEnd:
		o.rangeEnd(p, ev, r)
	}
	o.clock = p.Now
}

// move: a goroutine gave its processor up, or began or ended a system call.
func (o *observer) move(p *traceload.Program, ev *traceload.Event, r *runner) {
	o.leave(p, ev, r)
	o.enter(p, ev, r)
	if ev.Kind == traceload.KindStop && !ev.G.System {
		t := o.traitsOf(r)
		t.stack, t.outer = ev.Stack, o.outermostOf(p, ev.Stack)
	}
}

// create takes the first event of a goroutine that the trace saw begin.
func (o *observer) create(p *traceload.Program, ev *traceload.Event, r *runner) {
	o.clear(r)
	o.enter(p, ev, r)
	if !ev.G.System && ev.Wait != traceload.WaitRuntime {
		r.began = p.Now
		o.join(p, ev.G, r)
		o.become(p, ev, r)
	}
}

// clear forgets a goroutine.
func (o *observer) clear(r *runner) {
	if r.traits != 0 {
		o.traits.Give(r.traits)
	}
	*r = runner{}
}

// traitsOf returns r's traits, from now on if it had none.
func (o *observer) traitsOf(r *runner) *traits {
	if r.traits == 0 {
		r.traits = o.traits.Take()
	}
	return o.traits.At(r.traits)
}

// leave counts a goroutine out of its old state.
func (o *observer) leave(p *traceload.Program, ev *traceload.Event, r *runner) {
	switch ev.From {
	case traceload.StateRunnable:
		o.ready.down(p.Now)
	case traceload.StateRunning:
		o.stop(p, ev, r)
	}
}

// enter counts a goroutine into its new state.
func (o *observer) enter(p *traceload.Program, ev *traceload.Event, r *runner) {
	switch ev.To {
	case traceload.StateRunning:
		o.run(p.Now, r)
		if r.is&assisting != 0 {
			o.traits.At(r.traits).assist.resume(p.Now)
		}
	case traceload.StateRunnable:
		o.ready.up(p.Now)
	}
}

// run notes that a goroutine begins to run.
func (o *observer) run(now traceload.Time, r *runner) {
	o.changed = now
	r.hungry = o.occupy(now)
}

// stop notes that a goroutine runs no longer.
func (o *observer) stop(p *traceload.Program, ev *traceload.Event, r *runner) {
	if ev.To != traceload.StateSyscall {
		o.stretch(p.Now, ev.G)
	}
	o.vacate(p.Now)
	if ev.G.System {
		return
	}
	o.slice(p.Now, r, ev.Lived)
	if r.is&assisting != 0 {
		o.traits.At(r.traits).assist.pause(p.Now)
	}
}

// stretch notes when a processor becomes free to look for what has come due,
// after all had been busy.
func (o *observer) stretch(now traceload.Time, g *traceload.Goroutine) {
	o.solid = 0
	if d := now.Sub(o.changed); d >= solidFrom && o.full() {
		o.solid, o.ended, o.stopped = d, now, g
	}
	o.changed = now
}

// slice adds a slice of running time to the burst.
func (o *observer) slice(now traceload.Time, r *runner, d time.Duration) {
	starving := o.starving(now) - r.hungry
	o.own += d
	r.burst += d
	r.harm += starving
	if d > overlong && starving > int64(d)/2 {
		o.spilt += d
	}
}

// settle judges the burst that ends now.
func (o *observer) settle(p *traceload.Program, g *traceload.Goroutine, r *runner) {
	if !g.System {
		if r.crew == 0 && r.burst >= longBurst {
			o.join(p, g, r)
		}
		if r.crew != 0 {
			c := o.crews[r.crew]
			o.bursts[r.crew]++
			switch {
			case r.burst >= longBurst:
				c.keeps = true
				o.hog(p, g, c, r)
			case r.wait >= starvedFrom && r.burst <= shortBurst && r.wait >= 2*r.burst:
				c.starve(g, r)
			}
		}
	}
	r.burst, r.harm, r.wait = 0, 0, 0
	if r.is&sampled != 0 {
		r.is &^= sampled
		o.traits.At(r.traits).samples = 0
	}
}

// outer is the outermost frame of a stack, once it has been looked for.
type outer struct {
	frame traceload.FrameID
	known bool
}

func (o *observer) outermostOf(p *traceload.Program, stack traceload.StackID) traceload.FrameID {
	at := o.outermost.At(stack)
	if !at.known {
		*at = outer{outermost(p, p.Stack(stack)), true}
	}
	return at.frame
}

// outermost returns the outermost frame of the user's code, 0 if there is none.
func outermost(p *traceload.Program, s *traceload.Stack) traceload.FrameID {
	for i := len(s.Frames) - 1; i >= 0; i-- {
		if p.Frame(s.Frames[i]).Origin == traceload.OriginUser {
			return s.Frames[i]
		}
	}
	return 0
}

// sample takes a CPU sample.
func (o *observer) sample(p *traceload.Program, ev *traceload.Event, r *runner) {
	o.samples++
	if r == nil || ev.G.System {
		return
	}
	t := o.traitsOf(r)
	if s := p.Stack(ev.Stack); len(s.Frames) > 0 {
		t.leaf[t.samples%len(t.leaf)] = s.Frames[0]
		if t.outer == 0 {
			t.outer, t.stack = o.outermostOf(p, ev.Stack), ev.Stack
		}
	}
	t.samples++
	r.is |= sampled
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	o.busy = time.Duration(o.running.until(p.Now))
	o.waiting = o.fresh.until(p.Now) + o.unseen
	for g := range p.Live {
		r := o.slots.At(g)
		if g.State == traceload.StateRunning && !g.System {
			o.slice(p.Now, r, p.InState(g))
		}
		if g.State == traceload.StateRunning || g.State == traceload.StateRunnable {
			o.settle(p, g, r)
		}
	}
	for _, c := range o.crews {
		if c != nil {
			o.book(c)
		}
	}
	o.judgeSaturation(p)
	o.pauses.judge(o, p)
	o.assists.judge(o, p)
}
