package traceload

import (
	"regexp"
	"slices"
	"strings"
)

// Frame is one call on a stack.
type Frame struct {
	Func   string // full name, such as "net/http.(*conn).serve"
	File   string // as the compiler wrote it; with -trimpath it begins with the import path
	Line   int
	FuncID FuncID
	Origin Origin
}

// Origin says whose code a frame is.
type Origin uint8

const (
	OriginUser    Origin = iota // the traced program's own code and its dependencies
	OriginStd                   // the standard library
	OriginTesting               // package testing: scaffolding, never a site
	OriginRuntime               // runtime, sync, internal/...: how waiting is done, not why
)

// Wait says what a goroutine waits for, as far as reason and stack tell.
type Wait uint8

const (
	WaitUnknown     Wait = iota
	WaitChanSend         // a channel nobody receives from, or a full buffer
	WaitChanReceive      // also range over a channel
	WaitSelect           // a select with cases and no default
	WaitNilChan          // a send to or receive from a nil channel: for ever
	WaitEmptySelect      // select {}: for ever
	WaitMutex            // sync.Mutex.Lock, also inside sync.Once and RWMutex.Lock behind another writer
	WaitRWMutexW         // RWMutex.Lock that waits for readers to leave
	WaitRWMutexR         // RWMutex.RLock behind a writer that holds the lock or waits for it
	WaitWaitGroup        // sync.WaitGroup.Wait
	WaitCond             // sync.Cond.Wait
	WaitSleep            // time.Sleep
	WaitNetwork          // the network poller: sockets, pipes, also their accept and connect
	WaitSemaphore        // another semaphore of the standard library (internal/poll's descriptor lock)
	WaitRuntime          // the collector, the scheduler, the tracer: nothing of the program's

	NumWaits
)

// String returns a short phrase that completes "waits for".
func (w Wait) String() string {
	switch w {
	case WaitChanSend:
		return "a channel send"
	case WaitChanReceive:
		return "a channel receive"
	case WaitSelect:
		return "a select"
	case WaitNilChan:
		return "a nil channel"
	case WaitEmptySelect:
		return "an empty select"
	case WaitMutex:
		return "a mutex"
	case WaitRWMutexW:
		return "the readers of an RWMutex"
	case WaitRWMutexR:
		return "the writer of an RWMutex"
	case WaitWaitGroup:
		return "a WaitGroup"
	case WaitCond:
		return "a Cond"
	case WaitSleep:
		return "a sleep"
	case WaitNetwork:
		return "the network"
	case WaitSemaphore:
		return "a semaphore"
	case WaitRuntime:
		return "the runtime"
	}
	return "something unknown"
}

// Waits is a set of kinds of wait.
type Waits uint32

// Locks is the waits for a lock that some goroutine holds.
const Locks Waits = 1<<WaitMutex | 1<<WaitRWMutexW | 1<<WaitRWMutexR

// WaitSet returns the set of the given waits.
func WaitSet(waits ...Wait) Waits {
	var s Waits
	for _, w := range waits {
		s |= 1 << w
	}
	return s
}

// Has tells whether w is in the set.
func (s Waits) Has(w Wait) bool { return s>>(w&31)&1 != 0 }

// IsLock tells whether w waits for a lock that some goroutine holds.
func (w Wait) IsLock() bool { return WaitMutex <= w && w <= WaitRWMutexR }

// Stack is a stack and what follows from it alone, worked out once.
type Stack struct {
	ID StackID
	// Frames is innermost first. The runtime's parking frames are cut off, so
	// that a wait looks the same whether it was seen to begin or only found:
	// the first frame is the operation (runtime.chanrecv1, sync.(*Mutex).Lock,
	// time.Sleep, internal/poll.(*FD).Read, …).
	Frames []FrameID
	// Site is the index in Frames of the frame to show: the innermost one of
	// the user's code, failing that the innermost of the standard library that
	// is more than plumbing; -1 if there is none (the runtime's own stacks).
	Site int
	// Owner is the index in Frames of the function that called the operation:
	// the innermost frame outside runtime and sync, be it the user's or the
	// standard library's; -1 if there is none.
	Owner int
	// System is true for the stacks of the runtime's own goroutines and of
	// the tracer.
	System bool
	// Testing is true if a frame of package testing is on the stack.
	Testing bool
	// Derived is the reason that the parking frames give away, for goroutines
	// that parked before the trace began and so have no reason of their own.
	Derived StringID

	hint Wait // what the operation's frames say
	// semaphore is what a wait of reason "sync" is when hint does not tell:
	// the runtime's own semaphores guard the collector and the tracer.
	semaphore Wait
}

// parking maps the frames that only do the waiting to the reason that they
// give away; "" if none. They stand above the operation in stacks that were
// taken from a parked goroutine (Go 1.23 and later), not in those of block events.
var parking = map[string]StringID{
	"runtime.gopark":                        textNone,
	"runtime.goparkunlock":                  textNone,
	"runtime.goexit0":                       textNone,
	"runtime.semacquire":                    textSync,
	"runtime.semacquire1":                   textSync,
	"runtime.chanrecv":                      textChanReceive,
	"runtime.chansend":                      textChanSend,
	"runtime.netpollblock":                  textNetwork,
	"internal/poll.runtime_pollWait":        textNetwork,
	"internal/poll.(*pollDesc).wait":        textNetwork,
	"internal/poll.(*pollDesc).waitRead":    textNetwork,
	"internal/poll.(*pollDesc).waitWrite":   textNetwork,
	"internal/poll.runtime_Semacquire":      textSync,
	"sync.runtime_Semacquire":               textSync,
	"sync.runtime_SemacquireMutex":          textSync,
	"sync.runtime_SemacquireRWMutex":        textSync,
	"sync.runtime_SemacquireRWMutexR":       textSync,
	"sync.runtime_SemacquireWaitGroup":      textSync,
	"sync.runtime_notifyListWait":           textCond,
	"sync.(*Mutex).lockSlow":                textSync,
	"internal/sync.runtime_SemacquireMutex": textSync,
	"internal/sync.(*Mutex).lockSlow":       textSync,
	"internal/sync.(*Mutex).Lock":           textSync,
	"internal/sync.(*Mutex).Unlock":         textNone,
	"internal/sync.(*Mutex).unlockSlow":     textNone,
	"internal/sync.runtime_Semrelease":      textNone,
	"sync.runtime_Semrelease":               textNone,
	"sync.(*Mutex).unlockSlow":              textNone,
	"sync.(*RWMutex).rUnlockSlow":           textNone,
	"sync.runtime_notifyListNotifyAll":      textNone,
	"sync.runtime_notifyListNotifyOne":      textNone,
	"runtime.goready":                       textNone,
	"runtime.ready":                         textNone,
	"runtime.systemstack_switch":            textNone,
	"runtime.send":                          textNone,
	"runtime.recv":                          textNone,
	"internal/synctest.Run":                 textNone,
	"runtime.(*synctestBubble).raceaddr":    textNone,
	"time.runtime_Sleep":                    textSleep,
	"runtime.timeSleep":                     textSleep,
	"runtime.notifyListWait":                textCond,
	"runtime.semrelease1":                   textNone,
	"runtime.readyWithTime":                 textNone,
	"runtime.asyncPreempt":                  textNone,
	"runtime.asyncPreempt2":                 textNone,
	"runtime.gopreempt_m":                   textNone,
	"runtime.mcall":                         textNone,
	"runtime.gosched_m":                     textNone,
	"runtime.goschedImpl":                   textNone,
	"runtime.morestack":                     textNone,
	"runtime.newstack":                      textNone,
	"syscall.Syscall":                       textNone,
	"syscall.Syscall6":                      textNone,
	"syscall.RawSyscall6":                   textNone,
}

// operations maps the function that a wait begins in to what it waits for and
// the runtime's word for it.
var operations = map[string]struct {
	wait   Wait
	reason StringID
}{
	"runtime.chanrecv1":      {WaitChanReceive, textChanReceive},
	"runtime.chanrecv2":      {WaitChanReceive, textChanReceive},
	"runtime.chansend1":      {WaitChanSend, textChanSend},
	"runtime.selectgo":       {WaitSelect, textSelect},
	"runtime.selectnbrecv":   {WaitChanReceive, textChanReceive},
	"runtime.selectnbsend":   {WaitChanSend, textChanSend},
	"runtime.block":          {WaitEmptySelect, textForever},
	"reflect.chanrecv":       {WaitChanReceive, textChanReceive},
	"reflect.chansend":       {WaitChanSend, textChanSend},
	"reflect.chansend0":      {WaitChanSend, textChanSend},
	"reflect.rselect":        {WaitSelect, textSelect},
	"time.Sleep":             {WaitSleep, textSleep},
	"sync.(*Cond).Wait":      {WaitCond, textCond},
	"sync.(*WaitGroup).Wait": {WaitWaitGroup, textSync},
	"sync.(*Mutex).Lock":     {WaitMutex, textSync},
	"sync.(*RWMutex).Lock":   {WaitRWMutexW, textSync},
	"sync.(*RWMutex).RLock":  {WaitRWMutexR, textSync},
	"sync.(*Once).doSlow":    {WaitMutex, textSync},
	"os/signal.signal_recv":  {WaitRuntime, textSystem},
	"runtime.gcMarkDone":     {WaitRuntime, textSync},
	"runtime.gcStart":        {WaitRuntime, textSync},
	"runtime.stopTheWorld":   {WaitRuntime, textSync},
	"runtime.stopTheWorldGC": {WaitRuntime, textSync},
	"runtime.traceAdvance":   {WaitRuntime, textSync},
	"runtime.StopTrace":      {WaitRuntime, textSync},
	"runtime.StartTrace":     {WaitRuntime, textSync},
	"runtime.GC":             {WaitRuntime, textSync},
	"runtime.ReadMemStats":   {WaitRuntime, textSync},
	"runtime.gcParkAssist":   {WaitRuntime, textGCAssist},
	"runtime.gcAssistAlloc":  {WaitRuntime, textGCAssist},
}

// systemEntries are the prefixes of the entry functions of goroutines that the runtime, the
// tracer and the profiler start for themselves.
var systemEntries = []string{
	"runtime.", "runtime/trace.", "runtime/pprof.", "runtime/metrics.", "internal/runtime/", "os/signal.loop",
	"internal/trace", "runtime/debug.",
}

// userEntries are entry functions in package runtime that run the user's code;
// corostart is the other side of an iter.Pull.
var userEntries = map[string]bool{"runtime.main": true, "runtime.goexit": true, "runtime.corostart": true}

// trimParking cuts the parking frames off and returns the reason that they give away.
func trimParking(whole []FrameID, frames []Frame) (rest []FrameID, reason StringID) {
	rest = whole
	for len(rest) > 1 {
		r, ok := parking[frames[rest[0]].Func]
		if !ok {
			break
		}
		if r != textNone {
			reason = r
		}
		rest = rest[1:]
	}
	return rest, reason
}

// newStack works out what follows from a stack without parking frames; parked
// is the reason that those gave away, textNone if there were none.
func newStack(id StackID, trimmed []FrameID, parked StringID, frames []Frame) *Stack {
	s := &Stack{ID: id, Frames: trimmed, Derived: parked, Site: -1, Owner: -1, semaphore: WaitSemaphore}
	// The operation: frames of runtime and sync, until other code begins. The
	// collector may start under any of them (runtime.gcStart below mallocgc).
	for i, f := range s.Frames {
		fr := &frames[f]
		if fr.Origin != OriginRuntime {
			s.Owner = i
			break
		}
		if op, ok := operations[fr.Func]; ok && (s.hint == WaitUnknown || op.wait == WaitRuntime) {
			s.hint = op.wait
			if s.Derived == textNone || op.wait == WaitCond || op.wait == WaitSleep {
				s.Derived = op.reason
			}
		}
	}
	if s.hint == WaitUnknown {
		switch top := frames[s.Frames[0]].Func; {
		case strings.HasPrefix(top, "internal/poll.(*fdMutex)"), s.Derived == textSync && strings.HasPrefix(top, "internal/poll."):
			s.hint, s.Derived = WaitSemaphore, textSync
		case strings.HasPrefix(top, "internal/poll."):
			s.hint = WaitNetwork
			if s.Derived == textNone {
				s.Derived = textNetwork
			}
		}
	}
	if strings.HasPrefix(frames[s.Frames[0]].Func, "runtime.") {
		s.semaphore = WaitRuntime
	}
	std := -1
	for i, f := range s.Frames {
		switch fr := &frames[f]; fr.Origin {
		case OriginUser:
			if s.Site < 0 {
				s.Site = i
			}
		case OriginStd:
			if std < 0 && !isPlumbing(fr.Func) {
				std = i
			}
		case OriginTesting:
			s.Testing = true
		}
	}
	if s.Site < 0 {
		s.Site = std
	}
	s.System = isSystemEntry(frames[s.Frames[len(s.Frames)-1]].Func)
	return s
}

func isSystemEntry(entry string) bool {
	if userEntries[entry] {
		return false
	}
	return slices.ContainsFunc(systemEntries, func(p string) bool { return strings.HasPrefix(entry, p) })
}

// wait joins the reason that the runtime gave and what the stack says.
func (s *Stack) wait(reason StringID) Wait {
	if s.hint == WaitRuntime || s.System {
		return WaitRuntime
	}
	switch reason {
	case textForever:
		if s.hint == WaitEmptySelect {
			return WaitEmptySelect
		}
		if s.hint == WaitUnknown {
			return WaitUnknown
		}
		return WaitNilChan
	case textSystem, textPreempted, textGCAssist, textGCSweep, textGCEnds, textGCWeak, textDebugCall:
		return WaitRuntime
	case textChanSend:
		return WaitChanSend
	case textChanReceive:
		return WaitChanReceive
	case textSelect:
		return WaitSelect
	case textSleep:
		return WaitSleep
	case textNetwork:
		return WaitNetwork
	case textCond:
		return WaitCond
	case textSync:
		if s.hint == WaitUnknown {
			return s.semaphore
		}
	}
	return s.hint
}

// plumbing are the packages of the standard library whose frames say how a
// wait is done, not what for.
var plumbing = []string{"internal/", "syscall.", "time.", "context.", "reflect.", "iter."}

func isPlumbing(fn string) bool {
	return slices.ContainsFunc(plumbing, func(p string) bool { return strings.HasPrefix(fn, p) })
}

// NewFrame makes a frame of what a report says of it. It has no FuncID.
func NewFrame(fn, file string, line int) Frame { return newFrame(0, fn, file, line) }

// newFrame classifies a frame by its function's package and its file.
func newFrame(id FuncID, fn, file string, line int) Frame {
	f := Frame{Func: fn, File: file, Line: line, FuncID: id}
	pkg := PackagePath(fn)
	switch first, _, _ := strings.Cut(pkg, "/"); {
	case pkg == "testing" || strings.HasPrefix(pkg, "testing/"):
		f.Origin = OriginTesting
	case strings.HasSuffix(file, "_test.go"):
		f.Origin = OriginUser // also the tests of the standard library itself
	case pkg == "runtime", pkg == "sync", pkg == "internal/sync", pkg == "sync/atomic", strings.HasPrefix(pkg, "internal/runtime/"),
		strings.HasPrefix(pkg, "golang.org/x/sync/"), // errgroup and semaphore extend package sync: the line that calls them is the one to show
		strings.HasSuffix(file, "_cgo_gotypes.go"),   // what cgo generates around a call of C
		pkg == "" && fn != "":
		f.Origin = OriginRuntime
	case stdTrees[first]:
		f.Origin = OriginStd
	}
	if fn == "time.Sleep" || fn == "reflect.rselect" || fn == "reflect.chanrecv" || fn == "reflect.chansend" || fn == "reflect.chansend0" {
		f.Origin = OriginRuntime
	}
	return f
}

// IsDependency tells from a frame's file whether it belongs to a module that the
// traced program depends on: one in the module cache, whose folders carry a
// version (also with -trimpath), or in a vendor folder.
func IsDependency(file string) bool {
	file = strings.ReplaceAll(file, `\`, "/")
	return strings.Contains(file, "@v") && versioned.MatchString(file) || strings.Contains(file, "/vendor/")
}

// versioned is the version in a path of the module cache: "x@v1.2.3/file.go".
var versioned = regexp.MustCompile(`@v\d+\.\d+\.\d+[^/]*/`)

// Own tells whether a frame is the traced program's own: neither the standard
// library's nor a dependency's. Without a file it is not known to be.
func (f *Frame) Own() bool { return f.Origin == OriginUser && f.File != "" && !IsDependency(f.File) }

// OwnFrame returns the innermost frame of a stack that is the program's own,
// nil if there is none.
func (p *Program) OwnFrame(id StackID) *Frame {
	for _, f := range p.t.stacks[id].Frames {
		if fr := &p.t.frames[f]; fr.Own() {
			return fr
		}
	}
	return nil
}

// PackagePath returns the import path in a full function name:
// "net/http" for "net/http.(*conn).serve". Dots in the last element of a path
// are written as %2e by the linker, so the first dot after the last slash ends it.
func PackagePath(fn string) string {
	// A generic function's type arguments may hold slashes: pkg.F[example.com/x.T].
	head := fn
	if i := strings.IndexByte(head, '['); i >= 0 {
		head = head[:i]
	}
	slash := strings.LastIndexByte(head, '/')
	dot := strings.IndexByte(head[slash+1:], '.')
	if dot < 0 {
		return ""
	}
	return head[:slash+1+dot]
}

// stdTrees are the first path elements of the standard library's packages.
var stdTrees = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`archive bufio bytes cmp compress container context crypto database debug embed
		encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin
		reflect regexp runtime simd slices sort strconv strings structs sync syscall testing text time unicode unique
		unsafe vendor weak`) {
		m[name] = true
	}
	return m
}()
