package longrun

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

// Detector finds goroutines that serve others and now and then do something long meanwhile.
var Detector = &detectors.Detector{
	Name:   "long-run",
	Family: detectors.Scheduling,
	Doc:    doc,
	Yields: []string{"deadlock", "lock-held-while-blocked"},
	Causes: []detectors.Cause{
		{Name: onCPU, Pattern: "compute-off-the-loop", Cap: detectors.High},
		{Name: inSyscall, Pattern: "io-off-the-loop", Cap: detectors.High},
	},
	Watches: traceload.KindSet(traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd), // and the ends of those that work
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, works: []*work{nil}}
		p.Keep(&o.slots)
		return o
	},
}

const (
	onCPU     = "cpu"
	inSyscall = "syscall"
)

const (
	// longCPU is the running time from which a step is long: half as much again as the
	// scheduler's slice of 10 ms, so that its stack is known.
	longCPU = 15 * time.Millisecond
	// longSyscall is the time in one system call from which a step is long:
	// the scheduler gives the processor to others after 20 µs to 10 ms.
	longSyscall = 10 * time.Millisecond
	// overlong is a slice of running time that the scheduler would have ended:
	// the operating system kept the thread from running, or it could not be interrupted.
	overlong = 35 * time.Millisecond
	// remembered is how many long steps of a goroutine are kept: whoever
	// waited during one is mostly served within the next steps.
	remembered = 4
)

// observer cuts the life of each goroutine into steps: from one dealing with
// another goroutine (it was woken, or wakes one) to the next.
type observer struct {
	_ cpu.CacheLinePad

	pass  *detectors.Pass
	slots traceload.Beside[party]
	works []*work // by number; 0 is none
	jobs  jobs.Table
	asks  dense.Pairs[int] // how often those of the first job gave to those of the second
	takes dense.Answers
	kept  []*server // that have ended, and have something to tell
	free  []*server // that have ended, to be used again
	idle  []uint32  // numbers of works, likewise
	_     cpu.CacheLinePad
}

// party is one goroutine: what is known of all of them, in 24 bytes.
type party struct {
	asked traceload.GoID // whom it gave something last, 0 if nobody
	work  uint32         // the number of its work; 0 until it has woken others servesFrom times
	job   jobs.ID
	woke  uint8 // how often it has woken others, up to servesFrom
}

// work is what a goroutine does that has woken others often.
type work struct {
	server *server // nil until it does so once more
	present
	inCall traceload.StackID
}

// present is the step that it is at.
type present struct {
	began  traceload.Time // when the step began
	cpu    time.Duration  // running time of the step, ended slices
	doubt  time.Duration  // of this, in slices longer than the scheduler allows
	call   time.Duration  // its longest system call
	callAt traceload.StackID
	stack  traceload.StackID // where it was interrupted
}

// Observe implements detectors.Observer. What most events are is done right here.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	y := o.slots.At(g)
	if g.System {
		if ev.Kind == traceload.KindEnd { // it was taken for one of the program's
			o.dismiss(y)
		}
		return
	}
	w := o.works[y.work]
	switch ev.Kind {
	case traceload.KindBlock:
		if w == nil {
			return
		}
		cpu := w.cpu + ev.Lived
		if ev.From != traceload.StateRunning || ev.Wait == traceload.WaitRuntime || w.long(cpu) {
			o.watched(p, ev, y)
			return
		}
		w.pass(p.Now, cpu)
	case traceload.KindUnblock:
		if w != nil {
			if ev.From != traceload.StateWaiting || ev.Wait == traceload.WaitRuntime {
				o.watched(p, ev, y)
				return
			}
			w.wake(p.Now)
		}
		if ev.Wait != traceload.WaitRuntime {
			o.woken(p, ev, y)
		}
	default:
		if w != nil {
			o.watched(p, ev, y)
		}
	}
}

// watched takes an event of a goroutine whose steps are watched.
func (o *observer) watched(p *traceload.Program, ev *traceload.Event, y *party) {
	w := o.works[y.work]
	switch ev.From {
	case traceload.StateRunning:
		w.cpu += ev.Lived
		if ev.Lived > overlong {
			w.doubt += ev.Lived
		}
	case traceload.StateSyscall:
		if s := w.server; s != nil && ev.Lived < longSyscall {
			s.short(w.inCall)
		}
		if ev.FromKnown && ev.Lived > w.call {
			w.call, w.callAt = ev.Lived, w.inCall
		}
	}
	switch ev.Kind {
	case traceload.KindBlock:
		if ev.Wait != traceload.WaitRuntime {
			w.end(p, w.cpu)
		}
	case traceload.KindUnblock:
		if ev.Wait != traceload.WaitRuntime {
			w.wake(p.Now)
			o.woken(p, ev, y)
		}
	case traceload.KindSyscallBegin:
		w.inCall = ev.Stack
	case traceload.KindStop:
		if ev.Stack != 0 {
			w.stack = ev.Stack
		}
	case traceload.KindEnd:
		w.end(p, w.cpu)
		if s := w.server; s != nil {
			if s.matters() {
				o.kept = append(o.kept, s)
			} else {
				o.free = append(o.free, s)
			}
		}
		o.dismiss(y)
	}
}

// dismiss has a party work no longer, if it did.
func (o *observer) dismiss(y *party) {
	if y.work != 0 {
		o.idle = append(o.idle, y.work)
		y.work = 0
	}
}

func (w *work) begin(now traceload.Time) { w.present = present{began: now} }

// wake begins a step with the end of a wait.
func (w *work) wake(now traceload.Time) {
	if w.server != nil {
		w.server.turns++
	}
	w.begin(now)
}

// long tells whether a step that takes cpu of running time is long in some way.
func (w *work) long(cpu time.Duration) bool { return cpu >= longCPU || w.call >= longSyscall }

// pass ends a step that took cpu of running time.
func (w *work) pass(now traceload.Time, cpu time.Duration) {
	if w.server != nil {
		w.server.steps.Add(cpu + w.call)
	}
	w.begin(now)
}

// end ends a step that took cpu of running time, and looks at it if it was long.
func (w *work) end(p *traceload.Program, cpu time.Duration) {
	if w.server != nil && w.long(cpu) {
		w.server.take(p, w, cpu)
	}
	w.pass(p.Now, cpu)
}

// woken takes the end of g's wait by another goroutine: a step of the other's ends.
func (o *observer) woken(p *traceload.Program, ev *traceload.Event, y *party) {
	by := ev.By
	if by == nil {
		return
	}
	b := o.slots.At(by)
	if b == y || by.System || ev.Wait.IsLock() {
		return
	}
	w, now := o.works[b.work], p.Now
	if y.job == 0 || b.job == 0 || w == nil || w.server == nil || by.State != traceload.StateRunning {
		o.turn(p, ev, y, b)
		return
	}
	cpu := w.cpu + now.Sub(max(by.Since, w.began))
	if w.long(cpu) {
		o.turn(p, ev, y, b)
		return
	}
	w.pass(now, cpu)
	w.cpu = -now.Sub(by.Since) // what it has run of this slice belongs to the step that is over
	if y.job != b.job {        // equals take turns, as with a semaphore: none serves the others
		o.deal(p, ev, y, b)
	}
}

// turn is woken where there is more to do.
func (o *observer) turn(p *traceload.Program, ev *traceload.Event, y, b *party) {
	if y.job == 0 {
		y.job = o.jobs.Of(p, ev.G)
	}
	if b.job == 0 {
		b.job = o.jobs.Of(p, ev.By)
	}
	if w := o.worker(ev.By, b); w != nil {
		cpu := w.cpu
		running := ev.By.State == traceload.StateRunning
		if running {
			cpu += p.Now.Sub(max(ev.By.Since, w.began))
		}
		w.end(p, cpu)
		if running {
			w.cpu = -p.InState(ev.By)
		}
	}
	if y.job != b.job {
		o.deal(p, ev, y, b)
	}
}

// worker returns the work of b, of g's, which has woken somebody; nil if it has not
// done so often enough. After that it is made a server.
func (o *observer) worker(g *traceload.Goroutine, b *party) *work {
	switch {
	case b.woke < servesFrom:
		if b.woke++; b.woke < servesFrom {
			return nil
		}
		if n := len(o.idle); n > 0 {
			b.work, o.idle = o.idle[n-1], o.idle[:n-1]
		} else {
			b.work = uint32(len(o.works))
			o.works = append(o.works, new(work))
		}
		o.pass.SeeEnd(g)
		w := o.works[b.work]
		*w = work{}
		if g.State == traceload.StateSyscall && g.SinceKnown {
			w.inCall = g.Stack
		}
	case o.works[b.work].server == nil:
		o.serve(g, o.works[b.work])
	}
	return o.works[b.work]
}

// serve makes a server of a goroutine.
func (o *observer) serve(g *traceload.Goroutine, w *work) {
	if n := len(o.free); n > 0 {
		w.server, o.free = o.free[n-1], o.free[:n-1]
	} else {
		w.server = new(server)
	}
	*w.server = server{id: g.ID, entry: g.Entry, created: g.CreatedAt}
}

// deal takes that a goroutine woke one of another job: who serves whom.
func (o *observer) deal(p *traceload.Program, ev *traceload.Event, y, b *party) {
	gives := ev.Wait == traceload.WaitChanSend || ev.Wait == traceload.WaitSelect && o.takes.Of(p, ev.ByStack, takes)
	if gives { // ev.G gives, by takes
		y.asked = ev.By.ID
		*o.asked(y, b)++
	} else { // by gives, ev.G takes
		b.asked = ev.G.ID
		*o.asked(b, y)++
	}
	w := o.works[b.work]
	if w == nil || w.server == nil {
		return
	}
	asked := gives || y.asked == ev.By.ID || *o.asked(y, b) >= askedOften
	if asked && ev.FromKnown {
		w.server.serve(p, ev)
	}
}

// asked is how often goroutines of the one's job have given to those of the other's.
func (o *observer) asked(from, to *party) *int {
	return o.asks.At(uint32(from.job), uint32(to.job))
}

// servesFrom is how often a goroutine must have woken others to be watched:
// a work is kept for those alone.
const servesFrom = 6

// askedOften is how often goroutines of one job must have given to those of
// another before each of them is taken to wait for an answer.
const askedOften = 10

// takes tells whether the waker's operation takes from a channel; a select
// of a loop that serves others mostly does.
func takes(p *traceload.Program, stack traceload.StackID) bool {
	s := p.Stack(stack)
	if len(s.Frames) == 0 {
		return false
	}
	switch p.Frame(s.Frames[0]).Func {
	case "runtime.chanrecv1", "runtime.chanrecv2", "runtime.selectgo", "runtime.selectnbrecv":
		return true
	}
	return false
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if w := o.works[o.slots.At(g).work]; w != nil && w.server != nil && w.server.matters() {
			o.kept = append(o.kept, w.server)
		}
	}
	for _, s := range o.kept {
		for _, cause := range []string{onCPU, inSyscall} {
			s.judge(o, p, cause)
		}
	}
}
