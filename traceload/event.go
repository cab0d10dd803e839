package traceload

import "time"

// Time is a moment on the trace's clock: nanoseconds since the trace's first event.
type Time int64

// Sub returns the time that passed from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// GoID is the runtime's number for a goroutine; the runtime never uses one twice.
type GoID int64

// NoGoroutine stands for "no goroutine": the scheduler, a timer, the network poller.
const NoGoroutine GoID = -1

// State is what a goroutine is doing as far as the scheduler is concerned.
type State uint8

const (
	StateUnknown  State = iota // not seen yet
	StateEnded                 // ended (runtime/trace: NotExist)
	StateRunnable              // could run, waits for a processor
	StateRunning
	StateSyscall
	StateWaiting // blocked; see Goroutine.Reason
)

// String returns the word that the JSON report uses for the state.
func (s State) String() string {
	switch s {
	case StateEnded:
		return "ended"
	case StateRunnable:
		return "runnable"
	case StateRunning:
		return "running"
	case StateWaiting:
		return "waiting"
	case StateSyscall:
		return "syscall"
	}
	return "unknown"
}

// Kind says what kind of thing happened.
type Kind uint8

const (
	// KindStatus: a goroutine that existed before the trace began was seen for
	// the first time. Event.To is its state then; it may be dated long after
	// the trace began (the runtime writes it at the end of a generation), so
	// Goroutine.Since counts from the trace's start and SinceKnown is false.
	KindStatus       Kind = iota
	KindCreate            // G was created by By at ByStack; Stack is G's entry
	KindBlock             // G began to wait
	KindUnblock           // G's wait ended; who woke it is in Waker, By, ByStack
	KindStart             // G began to run
	KindStop              // G stopped running but could go on (preempted, yielded)
	KindSyscallBegin      // G entered a system call
	KindSyscallEnd        // G left a system call (to running, or runnable if its processor was taken)
	KindEnd               // G ended; the last event of this G
	KindRangeBegin        // a range named Text began: GC, stop-the-world, mark assist (G is nil for those of the program)
	KindRangeEnd          //
	KindTaskBegin         // a runtime/trace task (Value) of type Text began
	KindTaskEnd           //
	KindRegionBegin       // a runtime/trace region of type Text began in task Value
	KindRegionEnd         //
	KindLog               // runtime/trace.Log: category Text, message Text2, task Value
	KindMetric            // the metric named Text took the value Value
	KindSample            // a CPU sample with Stack (G may be nil)

	NumKinds
)

// Kinds is a set of kinds.
type Kinds uint32

// KindSet returns the set of the given kinds.
func KindSet(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has tells whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Waker says what ended a wait.
type Waker uint8

const (
	WakerNone      Waker = iota // not a wake-up
	WakerGoroutine              // another goroutine: By, at ByStack
	WakerTimer                  // a timer: sleep, ticker, time.After, a deadline of a net.Conn does not show as one
	WakerNetwork                // the network poller: data, a connection, or a net deadline; the trace cannot tell them apart
	WakerDeadline               // a context's deadline: By is the goroutine that the runtime started to cancel it
	WakerRuntime                // the scheduler or the collector, or a cause that the trace does not name
)

// Event is one thing that happened to one goroutine (G), or to the program (G
// is nil). It is valid only during the call that hands it out; copy what is
// needed. G and By are live: they show the state after the event.
type Event struct {
	Time  Time
	G     *Goroutine
	By    *Goroutine    // the goroutine that did it to G: creator, waker; nil if none
	Lived time.Duration // how long G was in From; counted from the trace's start where FromKnown is false
	Kind  Kind
	From  State // state of G before
	To    State // state of G after
	// FromKnown is false where From began before the trace did, so that Lived
	// is only a lower bound.
	FromKnown bool
	Wait      Wait     // the kind of wait that begins (KindBlock) or ends (KindUnblock)
	Waker     Waker    // for KindUnblock
	Reason    StringID // the runtime's own word for it; for KindStop why it stopped
	Stack     StackID  // where G stood: wait, stop, system call, entry (KindCreate), sample
	ByStack   StackID  // where By stood
	Text      StringID // name of a range, task, region or metric; category of a log
	Text2     StringID // message of a log
	Value     int64    // metric value, task id
	Parent    int64    // parent of a task
}
