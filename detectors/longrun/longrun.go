package longrun

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/jobs"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
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
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p}
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
	slots dense.Slots[party] // by Goroutine.Slot
	jobs  jobs.Table
	asks  dense.Pairs[int] // how often those of the first job gave to those of the second
	takes dense.Answers
	kept  []*server // that have ended, and have something to tell
	free  []*server // that have ended, to be used again
	_     cpu.CacheLinePad
}

// party is one goroutine's present step.
type party struct {
	asked  traceload.GoID // whom it gave something last, NoGoroutine if nobody
	server *server
	began  traceload.Time // when the step began
	cpu    time.Duration  // running time of the step, ended slices
	doubt  time.Duration  // of this, in slices longer than the scheduler allows
	call   time.Duration  // its longest system call
	callAt traceload.StackID
	stack  traceload.StackID // where it was interrupted
	inCall traceload.StackID
	job    jobs.ID
	woke   uint8 // how often it has woken others, up to servesFrom
}

// step is a long step that is over.
type step struct {
	cause    string
	from, to traceload.Time
	share    float64 // of the time between, in which it ran, or was in the call
	number   int     // among the server's long steps; 0 if there is none
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if ev.Kind == traceload.KindStatus || ev.Kind == traceload.KindCreate {
		y := o.slots.At(g.Slot)
		if ev.Kind == traceload.KindStatus && ev.From == traceload.StateUnknown && y.asked != 0 {
			return // only its stack became known
		}
		*y = party{asked: traceload.NoGoroutine, began: p.Now}
		return
	}
	y := o.slots.Of(g)
	if y == nil || g.System {
		return
	}
	switch ev.From {
	case traceload.StateRunning:
		y.cpu += ev.Lived
		if ev.Lived > overlong {
			y.doubt += ev.Lived
		}
	case traceload.StateSyscall:
		if s := y.server; s != nil && ev.Lived < longSyscall && s.syscall.count > 0 && y.inCall == s.syscall.call {
			s.syscall.short++
		}
		if ev.FromKnown && ev.Lived > y.call {
			y.call, y.callAt = ev.Lived, y.inCall
		}
	}
	switch ev.Kind {
	case traceload.KindSyscallBegin:
		y.inCall = ev.Stack
	case traceload.KindStop:
		if ev.Stack != 0 {
			y.stack = ev.Stack
		}
	case traceload.KindBlock:
		if ev.Wait != traceload.WaitRuntime {
			o.endStep(p, g, y, 0)
		}
	case traceload.KindUnblock:
		if ev.Wait != traceload.WaitRuntime {
			if y.server != nil {
				y.server.turns++
			}
			o.woken(p, ev, y)
			y.begin(p.Now)
		}
	case traceload.KindEnd:
		o.endStep(p, g, y, 0)
		if s := y.server; s != nil {
			if s.cpu.lost >= lostAtLeast || s.syscall.lost >= lostAtLeast {
				o.kept = append(o.kept, s)
			} else {
				o.free = append(o.free, s)
			}
		}
		*y = party{asked: traceload.NoGoroutine}
	}
}

func (y *party) begin(now traceload.Time) {
	y.began, y.cpu, y.doubt, y.call, y.callAt, y.stack = now, 0, 0, 0, 0, 0
}

// endStep closes g's step; extra is the running time of a slice that goes on.
func (o *observer) endStep(p *traceload.Program, g *traceload.Goroutine, y *party, extra time.Duration) {
	if s := y.server; s != nil {
		cpu := y.cpu + extra
		s.steps.Add(cpu + y.call)
		if cpu >= longCPU || y.call >= longSyscall {
			s.take(p, y, cpu)
		}
	}
	y.begin(p.Now)
}

// take looks at a step that was long in some way, and took cpu of running time.
func (s *server) take(p *traceload.Program, y *party, cpu time.Duration) {
	st := step{from: y.began, to: p.Now}
	length := max(p.Now.Sub(y.began), 1)
	var stack traceload.StackID
	switch {
	case y.call >= longSyscall && y.call >= cpu:
		st.cause, st.share, stack = inSyscall, min(1, y.call.Seconds()/length.Seconds()), y.callAt
	case cpu >= longCPU && y.doubt < cpu/2 && y.stack != 0:
		st.cause, st.share, stack = onCPU, min(1, cpu.Seconds()/length.Seconds()), y.stack
	}
	if st.cause != "" {
		st.number = s.longStep(p, &st, stack, max(cpu, y.call))
		s.long[s.next] = st
		s.next = (s.next + 1) % remembered
	}
}

// serve makes a server of a goroutine that has woken others often enough.
func (o *observer) serve(p *traceload.Program, g *traceload.Goroutine, y *party) {
	if y.woke < servesFrom {
		y.woke++
		return
	}
	if n := len(o.free); n > 0 {
		y.server, o.free = o.free[n-1], o.free[:n-1]
	} else {
		y.server = new(server)
	}
	*y.server = server{id: g.ID, entry: g.Entry, created: g.CreatedAt}
}

// woken takes the end of g's wait by another goroutine: who serves whom.
func (o *observer) woken(p *traceload.Program, ev *traceload.Event, y *party) {
	by := ev.By
	b := o.slots.Of(by)
	if b == nil || by == ev.G || by.System || ev.Wait.IsLock() {
		return
	}
	if y.job == 0 {
		y.job = o.jobs.Of(p, ev.G)
	}
	if b.job == 0 {
		b.job = o.jobs.Of(p, by)
	}
	var extra time.Duration
	if by.State == traceload.StateRunning {
		extra = p.Now.Sub(max(by.Since, b.began))
	}
	if b.server == nil {
		o.serve(p, by, b)
	}
	o.endStep(p, by, b, extra)
	if by.State == traceload.StateRunning {
		b.cpu = -p.Now.Sub(by.Since) // what it has run of this slice belongs to the step that is over
	}
	if y.job == b.job {
		return // equals that take turns, as with a semaphore: none serves the others
	}
	gives := ev.Wait == traceload.WaitChanSend || ev.Wait == traceload.WaitSelect && o.takes.Of(p, ev.ByStack, takes)
	if gives { // ev.G gives, by takes
		y.asked = by.ID
		*o.asked(y, b)++
	} else { // by gives, ev.G takes
		b.asked = ev.G.ID
		*o.asked(b, y)++
	}
	s := b.server
	if s == nil {
		return
	}
	asked := gives || y.asked == by.ID || *o.asked(y, b) >= askedOften
	if asked && ev.FromKnown {
		s.serve(p, ev)
	}
}

// asked is how often goroutines of the one's job have given to those of the other's.
func (o *observer) asked(from, to *party) *int {
	return o.asks.At(uint32(from.job), uint32(to.job))
}

// servesFrom is how often a goroutine must have woken others to be watched:
// state is kept for those alone.
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

// server is a goroutine that others wait for.
type server struct {
	id             traceload.GoID
	entry, created traceload.StackID
	steps          histogram.Histogram // time that each step took
	served         int
	turns          int                 // times that it was woken
	waits          histogram.Histogram // of those that it served, how long they had waited
	cpu, syscall   toll
	long           [remembered]step // its last ones
	next           uint8
}

// toll is what the long steps of one kind have cost.
type toll struct {
	count     int
	total     time.Duration
	longest   step
	length    time.Duration       // of the longest
	path      []traceload.FrameID // the user's frames that all of them have in common, outermost first
	stack     traceload.StackID
	call      traceload.StackID // of the first
	short     int               // such calls that were not long, since then
	testing   bool
	lost      time.Duration
	hit       int // waits that they made longer
	steps     int // long steps that made somebody wait
	several   int // … at least two at a time
	last      int // the step that hit somebody last
	lastHits  int
	victims   int
	ids       [detectors.MaxGroupIDs]traceload.GoID
	waitStack traceload.StackID
	reason    traceload.StringID
	entry     traceload.StackID
	createdAt traceload.StackID
	first     traceload.Time
}

func (s *server) of(cause string) *toll {
	if cause == inSyscall {
		return &s.syscall
	}
	return &s.cpu
}

// longStep notes a long step and returns its number.
func (s *server) longStep(p *traceload.Program, st *step, stack traceload.StackID, length time.Duration) int {
	t := s.of(st.cause)
	t.count++
	t.total += length
	if t.count == 1 {
		t.call = stack
	}
	if length > t.length {
		t.length, t.longest, t.stack = length, *st, stack
	}
	t.testing = t.testing || p.Stack(stack).Testing
	t.narrow(p, stack)
	return t.count
}

// narrow keeps of the path what the stack shares with it.
func (t *toll) narrow(p *traceload.Program, stack traceload.StackID) {
	frames := p.Stack(stack).Frames
	if t.count == 1 {
		for i := len(frames) - 1; i >= 0; i-- {
			if p.Frame(frames[i]).Origin == traceload.OriginUser {
				t.path = append(t.path, frames[i])
			}
		}
		return
	}
	n := 0
	for i := len(frames) - 1; i >= 0 && n < len(t.path); i-- {
		if p.Frame(frames[i]).Origin != traceload.OriginUser {
			continue
		}
		if frames[i] != t.path[n] {
			break
		}
		n++
	}
	t.path = t.path[:n]
}

// serve takes the end of a wait for the server: what of it fell into its long steps.
func (s *server) serve(p *traceload.Program, ev *traceload.Event) {
	s.served++
	s.waits.Add(ev.Lived)
	began := p.Now - traceload.Time(ev.Lived)
	for i := range s.long {
		st := &s.long[i]
		if st.number == 0 || st.to <= began {
			continue
		}
		overlap := time.Duration(float64(st.to.Sub(max(st.from, began))) * st.share)
		if overlap < longSyscall/10 {
			continue
		}
		t := s.of(st.cause)
		t.lost += overlap
		t.hit++
		if st.number != t.last {
			t.last, t.lastHits = st.number, 0
			t.steps++
		}
		if t.lastHits++; t.lastHits == 2 {
			t.several++
		}
		t.note(ev.G)
		if t.first == 0 {
			t.first = began
		}
		t.waitStack, t.reason = ev.Stack, ev.Reason
	}
}

func (t *toll) note(g *traceload.Goroutine) {
	for _, id := range t.ids[:min(t.victims, len(t.ids))] {
		if id == g.ID {
			return
		}
	}
	if t.victims < len(t.ids) {
		t.ids[t.victims] = g.ID
	}
	t.victims++
	t.entry, t.createdAt = g.Entry, g.CreatedAt
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		if y := o.slots.Of(g); y != nil && y.server != nil {
			o.kept = append(o.kept, y.server)
		}
	}
	for _, s := range o.kept {
		for _, cause := range []string{onCPU, inSyscall} {
			s.judge(o, p, cause)
		}
	}
}
