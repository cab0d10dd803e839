package traceload

import (
	"errors"
	"fmt"
	"math"
)

// Each thread writes its own events, in order; the clocks of threads agree only
// roughly. So the events of a generation are put in order as follows, as package
// internal/trace of the Go tree does. Of the threads' next events the earliest is
// tried first. It may come only if the goroutine, or the processor, that it is
// about is in the state that the event begins from, and where another thread can
// bring it there, if the event has the next number in that one's sequence.
// Otherwise the next event of another thread is tried.
//
//	thread 1   GoBlock(7) ───────────┐
//	thread 2                  GoUnblock(7, seq 4) ──┐
//	thread 3                                  GoStart(7, seq 5)
//
// A generation begins with nothing known: the runtime writes the status of a
// goroutine, or a processor, before its first event in each generation.

// order puts one generation's events in order and makes records of them, with
// the generation's own ids of strings and stacks.
type order struct {
	g         *generation
	out       *records // what is not handed on yet
	emit      func()   // hands on out, and makes room in it
	abandoned bool     // nobody wants the rest
	last      int64    // time of the event before
	events    int64
	frontier  []turn // of the threads that have a next event; a heap, by time
	threads   map[uint64]*osThread
	procs     map[uint64]*processor
	// What records have referred to so far, by id; 0, which is none, always has been.
	stacks, texts met
	roster
	stops map[GoID]StringID // why goroutines have stopped the world, those that have
	gcSeq uint64
	gc    gcState
}

type osThread struct {
	id uint64
	p  *processor
	g  *ordered // that runs on it, or is in a system call
}

type processor struct {
	status uint64
	seq    uint64
}

// ordered is a goroutine as far as order is concerned.
type ordered struct {
	id     GoID
	seq    uint64
	status uint32 // 0 once it has ended
	n      int32  // its number in the roster, by which records name it
}

// roster is the goroutines of one generation. It is used again for others: with
// many goroutines it would be most of what is thrown away.
type roster struct {
	live goTable
	all  []*[64]ordered
	used int        // of all
	free []*ordered // of these, those that have ended
}

// clear makes the roster empty.
func (r *roster) clear() {
	r.live.clear()
	r.used, r.free = 0, r.free[:0]
}

type gcState uint8

const (
	gcUnknown gcState = iota
	gcRunning
	gcStopped
)

// Status of goroutines and processors, from internal/trace/tracev2/events.go.
const (
	goRunnable, goRunning, goSyscall, goWaiting              = 1, 2, 3, 4
	procRunning, procIdle, procSyscall, procAbandoned        = 1, 2, 3, 4
	noThread                                          uint64 = 1<<64 - 1
)

var goStates = [...]State{StateUnknown, StateRunnable, StateRunning, StateSyscall, StateWaiting}

// Texts that are no string of the generation stand in records as one of these
// until they are interned.
const (
	textProcs StringID = 1<<31 + iota
	textHeap
	textHeapGoal
	textMarkPhase
	textSweep
	textMarkAssist
	textStopped // the world, for the reason that is in text2
)

// fixedTexts are what they stand for: the words of golang.org/x/exp/trace.
var fixedTexts = [...]string{
	0:                          metricProcs,
	textHeap - textProcs:       "/memory/classes/heap/objects:bytes",
	textHeapGoal - textProcs:   "/gc/heap/goal:bytes",
	textMarkPhase - textProcs:  "GC concurrent mark phase",
	textSweep - textProcs:      "GC incremental sweep",
	textMarkAssist - textProcs: "GC mark assist",
	textStopped - textProcs:    "stop-the-world (%s)",
}

func (o *order) thread(id uint64) *osThread {
	t := o.threads[id]
	if t == nil {
		t = &osThread{id: id}
		o.threads[id] = t
	}
	return t
}

// tick counts an event and returns its time: later than the one before.
func (o *order) tick(at int64) int64 {
	o.events++
	if at <= o.last {
		at = after(o.last)
	}
	o.last = at
	return at
}

// after is the time after another: the same at the end of all time, which damage may bring.
func after(time int64) int64 {
	if time == math.MaxInt64 {
		return time
	}
	return time + 1
}

// goroutine is the number of the one that runs on the cursor's thread.
func (c *cursor) goroutine() int32 {
	if c.thread == nil || c.thread.g == nil || c.thread.g.status == 0 {
		return nobody
	}
	return c.thread.g.n
}

func (o *order) text(id uint64) (StringID, error) {
	if id == 0 || id < uint64(len(o.g.strings)) && o.g.strings[id].from != 0 {
		return StringID(id), nil
	}
	return 0, fmt.Errorf("string %d is missing", id)
}

func (o *order) stack(id uint64) (StackID, error) {
	if id == 0 || id < uint64(len(o.g.stacks)) && o.g.stacks[id].from != 0 {
		return StackID(id), nil
	}
	return 0, fmt.Errorf("stack %d is missing", id)
}

var (
	errNoThread    = errors.New("an event of no thread")
	errNoProcessor = errors.New("an event of a thread without a processor")
	errNoGoroutine = errors.New("an event of a thread without a goroutine")
	errBusy        = errors.New("a thread begins what it is at already")
	errState       = errors.New("a goroutine is not in the state that its event begins from")
	errProcState   = errors.New("a processor is not in the state that its event begins from")
)

// running returns the thread that c is about, whose goroutine runs.
func (c *cursor) running() (*osThread, error) {
	t := c.thread
	switch {
	case t == nil:
		return nil, errNoThread
	case t.p == nil:
		return nil, errNoProcessor
	case t.g == nil:
		return nil, errNoGoroutine
	}
	return t, nil
}

// advance takes c's event if it may come now, and then makes a record of it if it
// is one for us. It says false if the event has to wait for another thread's.
func (o *order) advance(c *cursor) (bool, error) {
	switch c.typ {
	case evGoBlock, evGoStop, evGoDestroy:
		return true, o.leave(c)
	case evGoStart:
		return o.start(c)
	case evGoUnblock:
		g := o.live.get(GoID(c.arg(0)))
		if g == nil || g.status != goWaiting || c.arg(1) != g.seq+1 {
			return false, nil
		}
		stack := c.arg(2)
		if !o.stacks.has(stack) {
			if err := o.meet(0, 0, stack); err != nil {
				return false, err
			}
		}
		g.status, g.seq = goRunnable, c.arg(1)
		r := o.record(c.time, KindUnblock, g.n, StateWaiting, StateRunnable)
		r.text, r.stack = textOf(c.goroutine()), StackID(stack)
		return true, nil
	case evGoCreate, evGoCreateBlocked:
		return true, o.create(c)
	case evGoSyscallBegin:
		return true, o.syscallBegin(c)
	case evGoSyscallEnd:
		return true, o.syscallEnd(c)
	case evGoSyscallEndBlocked:
		return o.syscallEndBlocked(c)
	case evGoStatus, evGoStatusStack:
		return true, o.goStatus(c)
	case evProcStart, evProcStop, evProcSteal, evProcStatus:
		return o.processor(c)
	case evGoSwitch, evGoSwitchDestroy:
		return o.goSwitch(c)
	case evGoCreateSyscall:
		return true, o.createSyscall(c)
	case evGoDestroySyscall:
		return true, o.destroySyscall(c)
	case evGCActive, evGCBegin, evGCEnd:
		return o.collector(c)
	case evUserTaskBegin, evUserTaskEnd, evUserRegionBegin, evUserRegionEnd, evUserLog:
		return true, o.annotation(c)
	case evClockSnapshot:
		return false, errors.New("a snapshot of the clocks among a thread's events")
	}
	return true, o.measure(c)
}

// leave: the running goroutine blocks, yields or ends.
func (o *order) leave(c *cursor) error {
	t, err := c.running()
	if err != nil {
		return err
	}
	g := t.g
	if g.status != goRunning {
		return errState
	}
	t.g = nil
	if c.typ == evGoDestroy {
		o.record(c.time, KindEnd, g.n, StateRunning, StateEnded)
		o.drop(g)
		return nil
	}
	text, stack := c.arg(0), c.arg(1)
	if !o.texts.has(text) || !o.stacks.has(stack) {
		if err := o.meet(text, stack, 0); err != nil {
			return err
		}
	}
	var r *record
	if c.typ == evGoBlock {
		g.status = goWaiting
		r = o.record(c.time, KindBlock, g.n, StateRunning, StateWaiting)
	} else {
		g.status = goRunnable
		r = o.record(c.time, KindStop, g.n, StateRunning, StateRunnable)
	}
	r.text, r.stack = StringID(text), StackID(stack)
	return nil
}

func (o *order) start(c *cursor) (bool, error) {
	g := o.live.get(GoID(c.arg(0)))
	if g == nil || g.status != goRunnable || c.arg(1) != g.seq+1 {
		return false, nil
	}
	t := c.thread
	switch {
	case t == nil:
		return false, errNoThread
	case t.p == nil:
		return false, errNoProcessor
	case t.g != nil:
		return false, errBusy
	}
	g.status, g.seq = goRunning, c.arg(1)
	t.g = g
	o.record(c.time, KindStart, g.n, StateRunnable, StateRunning)
	return true, nil
}

func (o *order) create(c *cursor) error {
	t := c.thread
	switch {
	case t == nil:
		return errNoThread
	case t.p == nil:
		return errNoProcessor
	case t.g != nil && t.g.status != goRunning:
		return errState
	}
	stack, byStack := c.arg(1), c.arg(2)
	if !o.stacks.has(stack) || !o.stacks.has(byStack) {
		if err := o.meet(0, stack, byStack); err != nil {
			return err
		}
	}
	status, to := uint32(goRunnable), StateRunnable
	if c.typ == evGoCreateBlocked {
		status, to = goWaiting, StateWaiting
	}
	g, err := o.born(c.arg(0), status)
	if err != nil {
		return err
	}
	r := o.record(c.time, KindCreate, g.n, StateEnded, to)
	by := c.goroutine()
	r.text, r.stack = textOf(by), StackID(stack)
	x := o.extra(r, g.id)
	x.byStack = StackID(byStack)
	if x.value = int64(NoGoroutine); by != nobody {
		x.value = int64(t.g.id)
	}
	return nil
}

// born enters a goroutine that must not be there yet.
func (o *order) born(id uint64, status uint32) (*ordered, error) {
	if id == 0 || id > 1<<62 {
		return nil, fmt.Errorf("a goroutine of number %d", id)
	}
	g, fresh := o.add(GoID(id))
	if !fresh {
		return nil, fmt.Errorf("goroutine %d begins twice", id)
	}
	g.status = status
	return g, nil
}

// add returns the goroutine of that number, and whether it is new.
func (r *roster) add(id GoID) (g *ordered, fresh bool) {
	if g := r.live.get(id); g != nil {
		return g, false
	}
	if n := len(r.free); n > 0 {
		g, r.free = r.free[n-1], r.free[:n-1]
	} else {
		if r.used == 64*len(r.all) {
			r.all = append(r.all, new([64]ordered))
		}
		g = &r.all[r.used/64][r.used%64]
		g.n = int32(r.used)
		r.used++
	}
	*g = ordered{id: id, n: g.n}
	r.live.put(g)
	return g, true
}

// number returns the number of a goroutine, nobody if it is not there.
func (r *roster) number(id GoID) int32 {
	if g := r.live.get(id); g != nil {
		return g.n
	}
	return nobody
}

// drop forgets a goroutine that has ended.
func (r *roster) drop(g *ordered) {
	r.live.remove(g.id)
	g.status = 0 // also for a thread that takes it for its own
	r.free = append(withRoom(r.free, r.used), g)
}

func (o *order) syscallBegin(c *cursor) error {
	t, err := c.running()
	if err != nil {
		return err
	}
	if t.g.status != goRunning {
		return errState
	}
	if c.arg(0) != t.p.seq+1 {
		return errProcState
	}
	stack := c.arg(1)
	if !o.stacks.has(stack) {
		if err := o.meet(0, stack, 0); err != nil {
			return err
		}
	}
	t.g.status, t.p.status, t.p.seq = goSyscall, procSyscall, c.arg(0)
	o.record(c.time, KindSyscallBegin, t.g.n, StateRunning, StateSyscall).stack = StackID(stack)
	return nil
}

func (o *order) syscallEnd(c *cursor) error {
	t, err := c.running()
	if err != nil {
		return err
	}
	if t.g.status != goSyscall {
		return errState
	}
	if t.p.status != procSyscall {
		return errProcState
	}
	t.g.status, t.p.status = goRunning, procRunning
	o.record(c.time, KindSyscallEnd, t.g.n, StateSyscall, StateRunning)
	return nil
}

// syscallEndBlocked comes only when the processor was taken from the thread.
func (o *order) syscallEndBlocked(c *cursor) (bool, error) {
	t := c.thread
	switch {
	case t == nil:
		return false, errNoThread
	case t.p != nil && t.p.status == procSyscall:
		return false, nil
	case t.g == nil:
		return false, errNoGoroutine
	case t.g.status != goSyscall:
		return false, errState
	}
	t.g.status = goRunnable
	o.record(c.time, KindSyscallEnd, t.g.n, StateSyscall, StateRunnable)
	t.g = nil
	return true, nil
}

func (o *order) goStatus(c *cursor) error {
	id, on, status := c.arg(0), c.arg(1), c.arg(2)
	if status == 0 || status >= uint64(len(goStates)) || id == 0 || id > 1<<62 {
		return fmt.Errorf("goroutine %d has status %d", id, status)
	}
	stack := uint64(0)
	if c.typ == evGoStatusStack {
		stack = c.arg(3)
		if err := o.meet(0, stack, 0); err != nil {
			return err
		}
	}
	g, fresh := o.add(GoID(id))
	from := StateUnknown
	if !fresh {
		if g.status != uint32(status) {
			return errState
		}
		from = goStates[status]
	}
	g.status, g.seq = uint32(status), 0
	switch status {
	case goRunning:
		if c.thread == nil {
			return errNoThread
		}
		c.thread.g = g
	case goSyscall:
		switch {
		case on == noThread:
			return errNoThread
		case c.thread != nil && on == c.thread.id:
			c.thread.g = g
		default:
			if t, known := o.threads[on]; !known {
				o.thread(on).g = g
			} else if t.g == nil {
				t.g = g
			} else if t.g != g {
				return errBusy
			}
		}
	}
	r := o.record(c.time, KindStatus, g.n, from, goStates[status])
	r.stack = StackID(stack)
	o.extra(r, g.id)
	return nil
}
