package schedulerlatency

import (
	_ "embed"
	"time"

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
		return &observer{
			pass: p, hogs: map[hogKey]*hog{},
			pauses: pauses{calls: map[callKey]*call{}}, assists: assists{sites: map[traceload.FrameID]*assistSite{}},
		}
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
	pass      *detectors.Pass
	slots     dense.Slots[runner] // by Goroutine.Slot
	free      []*traits
	jobs      jobs.Table
	crews     []*crew          // by job; nil where it is not known what they run
	exchanges dense.Pairs[int] // by job: how often a goroutine of the first woke or started one of the second
	outermost dense.ByID[traceload.StackID, outer]
	hogs      map[hogKey]*hog

	clock    traceload.Time
	running  int           // goroutines that run, the runtime's own too
	ready    int           // goroutines that could
	fresh    int           // of these, those that have just become ready
	starving int64         // ∫ fresh over the time when all processors were busy, in ns
	waiting  int64         // ∫ fresh over all time, in ns
	standing int64         // ∫ ready over all time, in ns
	busy     time.Duration // running time of all processors
	own      time.Duration // … of the program's goroutines, ended slices only
	spilt    time.Duration // slices longer than the scheduler allows, while others waited
	samples  int

	// A stretch in which all processors ran and none looked for what had come
	// due: how long it was, when it ended, who stopped then.
	solid   time.Duration
	ended   traceload.Time
	changed traceload.Time
	stopped *traceload.Goroutine

	pauses  pauses
	assists assists
}

// runner is one goroutine's part in it: what most events touch, in 64 bytes.
type runner struct {
	crew   *crew
	traits *traits           // nil as long as there are none
	wait   time.Duration     // for a processor, before the burst
	burst  time.Duration     // running time since then
	harm   int64             // starving, over the slices of the burst
	hungry int64             // starving, when the slice began
	began  traceload.Time    // when the burst began
	timer  traceload.StackID // where a timer woke it the last time, if nothing else has since
	fresh  bool
	net    bool // the network ended the wait before the burst
}

// traits are what few goroutines have.
type traits struct {
	late    time.Duration        // of the wait for a processor, before it was found ready: an estimate
	outer   traceload.FrameID    // the outermost frame of the user's code at the last slice's end
	stack   traceload.StackID    // … and the whole stack
	samples int                  // CPU samples in this burst
	leaf    [4]traceload.FrameID // what the latest of them hit
	assist  assist
}

// crew is the goroutines of one job.
type crew struct {
	entry      traceload.FrameID
	job        jobs.ID
	key        jobs.Key
	keeps      bool // one of them has had a long burst
	goroutines int
	starved    victims
	starvedNet victims // of these, those that the network had woken
	ids        [detectors.MaxGroupIDs]traceload.GoID
	last       traceload.GoID
	distinct   int // goroutines in ids and beyond, counted when another one than the last starves
	stack      traceload.StackID
	reason     traceload.StringID
	bursts     int
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	o.advance(p)
	g := ev.G
	switch ev.Kind {
	case traceload.KindRangeBegin:
		o.rangeBegin(p, ev)
		return
	case traceload.KindRangeEnd:
		o.rangeEnd(p, ev)
		return
	case traceload.KindMetric:
		o.assists.metric(p, ev)
		return
	case traceload.KindSample:
		o.sample(p, ev)
		return
	}
	if ev.Kind == traceload.KindStatus || ev.Kind == traceload.KindCreate {
		r := o.slots.At(g.Slot)
		if ev.Kind == traceload.KindStatus && ev.From == traceload.StateUnknown && r.crew != nil {
			return // only its stack became known
		}
		o.clear(r)
		o.enter(ev, r)
		if ev.Kind == traceload.KindCreate {
			o.become(p, ev, r)
		}
		return
	}
	r := o.slots.Of(g)
	if r == nil {
		return
	}
	o.stretch(p, ev)
	o.leave(ev, r)
	o.enter(ev, r)
	switch ev.Kind {
	case traceload.KindUnblock:
		o.pauses.woken(p, ev)
		o.become(p, ev, r)
	case traceload.KindStart:
		if r.fresh {
			r.fresh, r.wait = false, ev.Lived
			o.fresh--
			if t := r.traits; t != nil {
				r.wait += t.late
			}
		}
		if t := r.traits; t != nil {
			t.late = 0
		}
	case traceload.KindStop:
		if !g.System {
			t := o.traitsOf(r)
			t.stack, t.outer = ev.Stack, o.outermostOf(p, ev.Stack)
		}
	case traceload.KindBlock, traceload.KindEnd:
		if ev.Wait != traceload.WaitRuntime || ev.Kind == traceload.KindEnd {
			o.settle(p, g, r)
		}
		if ev.Kind == traceload.KindEnd {
			if r.fresh {
				o.fresh--
			}
			o.clear(r)
		}
	}
}

// clear forgets a goroutine.
func (o *observer) clear(r *runner) {
	if r.traits != nil {
		o.free = append(o.free, r.traits)
	}
	*r = runner{}
}

// traitsOf returns r's traits, from now on if it had none.
func (o *observer) traitsOf(r *runner) *traits {
	if r.traits == nil {
		if n := len(o.free); n > 0 {
			r.traits, o.free = o.free[n-1], o.free[:n-1]
			*r.traits = traits{}
		} else {
			r.traits = new(traits)
		}
	}
	return r.traits
}

// advance brings the sums up to the present.
func (o *observer) advance(p *traceload.Program) {
	dt := int64(p.Now - o.clock)
	if dt <= 0 {
		return
	}
	o.clock = p.Now
	o.waiting += dt * int64(o.fresh)
	o.standing += dt * int64(o.ready)
	if o.running >= max(p.Procs, 1) {
		o.starving += dt * int64(o.fresh)
	}
	o.busy += time.Duration(dt * int64(o.running))
}

// enter counts a goroutine into its new state.
func (o *observer) enter(ev *traceload.Event, r *runner) {
	switch ev.G.State {
	case traceload.StateRunning:
		o.running++
		r.hungry = o.starving
		if r.traits != nil {
			r.traits.assist.resume(o.clock)
		}
	case traceload.StateRunnable:
		o.ready++
	}
}

// leave counts a goroutine out of its old state.
func (o *observer) leave(ev *traceload.Event, r *runner) {
	switch ev.From {
	case traceload.StateRunning:
		o.running = max(o.running-1, 0)
		o.slice(ev.G, r, ev.Lived)
	case traceload.StateRunnable:
		o.ready = max(o.ready-1, 0)
	}
}

// slice adds a slice of running time to the burst.
func (o *observer) slice(g *traceload.Goroutine, r *runner, d time.Duration) {
	if g.System {
		return
	}
	o.own += d
	r.burst += d
	r.harm += o.starving - r.hungry
	if r.traits != nil {
		r.traits.assist.pause(o.clock)
	}
	if d > overlong && o.starving-r.hungry > int64(d)/2 {
		o.spilt += d
	}
}

// become notes that a goroutine could run from now on.
func (o *observer) become(p *traceload.Program, ev *traceload.Event, r *runner) {
	g := ev.G
	if g.System || ev.Wait == traceload.WaitRuntime {
		return
	}
	if r.crew == nil {
		r.crew = o.crewOf(p, g)
	}
	r.began, r.net = p.Now, ev.Waker == traceload.WakerNetwork
	again := ev.Waker == traceload.WakerTimer && r.timer == ev.Stack
	r.timer = 0
	if ev.Waker == traceload.WakerTimer {
		r.timer = ev.Stack
	}
	if again || ev.Waker == traceload.WakerRuntime {
		return // a ticker; nobody is known to wait for it
	}
	if by := o.slots.Of(ev.By); by != nil && !ev.By.System {
		if by.crew == nil {
			by.crew = o.crewOf(p, ev.By)
		}
		if by.crew != nil && r.crew != nil && by.crew != r.crew && !ev.Wait.IsLock() {
			*o.exchanges.At(uint32(by.crew.job), uint32(r.crew.job))++
		}
		if by.crew != nil && (by.crew.keeps || by.burst+p.InState(ev.By) > longBurst) {
			return // it waits for a processor to go on with what a hog gave it
		}
	}
	if g.State == traceload.StateRunnable && !r.fresh {
		r.fresh = true
		o.fresh++
		if ev.Waker == traceload.WakerNetwork || ev.Waker == traceload.WakerTimer {
			o.comeLate(p, r)
		}
	}
}

// stretch notes when a processor becomes free to look for what has come due,
// after all had been busy.
func (o *observer) stretch(p *traceload.Program, ev *traceload.Event) {
	switch {
	case ev.From == traceload.StateRunning && ev.To != traceload.StateSyscall:
		o.solid = 0
		if o.running >= max(p.Procs, 1) {
			o.solid = p.Now.Sub(o.changed)
		}
		o.ended, o.changed, o.stopped = p.Now, p.Now, ev.G
	case ev.To == traceload.StateRunning:
		o.changed = p.Now
	}
}

// comeLate reckons how long ago the timer or the data came due that make r
// ready: nobody looked while all processors were busy.
func (o *observer) comeLate(p *traceload.Program, r *runner) {
	if o.solid < solidFrom || p.Now.Sub(o.ended) > soon {
		return
	}
	late := min(o.solid, pollEvery) / 2 // at some time within the stretch
	o.traitsOf(r).late = late
	o.starving += int64(late)
	o.waiting += int64(late)
	if s := o.stopped; s != nil && !s.System && s.State == traceload.StateRunnable {
		if stopped := o.slots.Of(s); stopped != nil {
			stopped.harm += int64(late)
		}
	}
}

// settle judges the burst that ends now.
func (o *observer) settle(p *traceload.Program, g *traceload.Goroutine, r *runner) {
	if g.System || r.crew == nil && r.burst < longBurst {
		r.reset()
		return
	}
	if r.crew == nil {
		r.crew = o.crewOf(p, g)
	}
	if c := r.crew; c != nil {
		c.bursts++
		switch {
		case r.burst >= longBurst:
			c.keeps = true
			o.hog(p, g, r)
		case r.wait >= starvedFrom && r.burst <= shortBurst && r.wait >= 2*r.burst:
			c.starve(p, g, r)
		}
	}
	r.reset()
}

func (r *runner) reset() {
	r.burst, r.harm, r.wait = 0, 0, 0
	if r.traits != nil {
		r.traits.samples = 0
	}
}

// crewOf returns the crew of g, nil as long as it is not known what g runs.
func (o *observer) crewOf(p *traceload.Program, g *traceload.Goroutine) *crew {
	entry := p.EntryID(g)
	if entry == 0 {
		return nil
	}
	job := o.jobs.Of(p, g)
	for len(o.crews) <= int(job) {
		o.crews = append(o.crews, nil)
	}
	c := o.crews[job]
	if c == nil {
		c = &crew{job: job, key: jobs.KeyOf(p, g), entry: entry, last: traceload.NoGoroutine}
		o.crews[job] = c
	}
	c.goroutines++
	return c
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
func (o *observer) sample(p *traceload.Program, ev *traceload.Event) {
	o.samples++
	r := o.slots.Of(ev.G)
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
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	o.advance(p)
	for g := range p.Live {
		r := o.slots.Of(g)
		if r == nil {
			continue
		}
		if g.State == traceload.StateRunning {
			o.slice(g, r, p.InState(g))
		}
		if g.State == traceload.StateRunning || g.State == traceload.StateRunnable {
			o.settle(p, g, r)
		}
	}
	o.judgeSaturation(p)
	o.pauses.judge(o, p)
	o.assists.judge(o, p)
}
