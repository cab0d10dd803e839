// Package source reads the Go source of a traced program: the lines around a
// site, the channels that a statement waits on, and the locks that a function
// holds when control is at a line.
//
// A trace gives stacks, exact to the line, and nothing of the data: no lock has
// a name in it, no channel has an address. The source has the names. Everything
// here is optional: whoever asks gets false where the source is not at hand, or
// is not the one that was traced.
//
// # From a frame to an answer
//
//	Frame{Func, File, Line}
//	  │ resolve.go   which file below the given folders is this? (longest tail)
//	  ▼ read.go      read it, never leaving those folders
//	file
//	  │ load.go      parse its package, type-check the declarations, leniently
//	  ▼ function.go  which function or literal is it? does the line lie in it?
//	function
//	  │ flow.go      walk its control flow: where can control be, with what state?
//	  │ state.go     which locks at which point (statements.go: what changes them)
//	  │ call.go      which function is called, and on what
//	  │ effects.go   what a call does to locks: Lock, Unlock, wrappers of them
//	  ▼ ref.go       what an expression such as s.mu denotes (assigned.go, params.go,
//	                 conds.go: through variables, parameters, a Cond's L)
//	points: calls, channel operations, returns, each with its line and its locks
//	  │ match.go     which of them can the frame stand at?
//	  │ site.go      the frame in its place, if its file can be trusted
//	  ├─ locks.go    Held, Acquires, Releases, Calls: one frame (path.go: names for it)
//	  └─ walk.go     Walk: a whole stack, names flowing inward through arguments
//
// ChanOps (channels.go: what the statement at a line waits on), ChanUses
// (uses.go, tracer.go: all that can happen to a channel), Ends (enders.go: from
// where its wait can be ended), Reaches (reach.go: who may end that wait) and
// Lines (lines.go) go straight to the file.
//
// # What need not be read
//
// To read a package of the standard library takes longer than to analyse a small
// trace: net/http 40 ms. So Loop (loop.go) and MayWaitForTimer (timer.go) parse one
// file alone; Reaches looks whether any file of the package has the name in question
// before it parses them; and whoever asks does so last, when all else that is known
// leaves a finding possible.
//
// # Leniency
//
// The source need not be complete. Imports other than those of the same module
// are not followed, except for hand-written declarations of the few packages of
// the standard library that locks and channels are made of (std.go). Whatever
// go/types reports is swallowed. A call x.Lock() on something of unknown type
// counts as a lock, named by its text.
//
// # How locks are tracked
//
// Per function, forward over the control-flow graph of golang.org/x/tools/go/cfg.
// The state maps each lock, by what its expression denotes, to the set of
// possible counts (-1: released although the caller took it, 0, 1, 2). Where
// paths join, sets are united: a lock is surely held where all counts are
// positive, perhaps held ([Lock].May) where some are. Deferred calls run at
// the returns, in reverse. Functions whose net effect is to take or release a
// lock act as that effect on their callers.
//
// Two expressions denote one object if they lead from one variable over the
// same fields. Assigning to a variable (or a field on the way) therefore ends
// what was known under it; fields that other goroutines or other functions
// assign meanwhile are taken as constant. Through maps, slices and calls the
// object cannot be known: such locks are not [Path].Exact.
//
// # Trust
//
// A trace may come from anywhere, so its paths are treated as hostile: only
// regular files named *.go that lie, after resolving symbolic links, below the
// given folders, the module cache or GOROOT are read, up to a size. Nothing is
// executed or fetched. The total of files and bytes read is bounded too; once it
// is reached, further questions are answered with false ([Tree].Warnings says so).
//
// A frame that its file does not fit (no such function there, no such call at
// the line) is [StatusMismatch]. A file that more frames misfit than fit is not
// the traced one: it is not used any more, and [Tree].Warnings names it. One
// misfit alone proves little, for the compiler gets a line wrong now and then.
//
// # What it cannot see
//
//   - Whether two branches on the same condition go the same way: a lock taken
//     under one if and released under another is held perhaps.
//   - What an interface's method does, other than sync.Locker's. A type of the
//     program's own that has Lock and Unlock counts as a lock.
//   - Locks made of channels or atomics.
//   - Which element of a map or slice a varying index means, and whether two
//     pointers are equal: Relate then answers Unknown.
//   - Generated files of more than a megabyte: they are shown, not parsed.
package source
