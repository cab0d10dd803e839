// Package longrun finds goroutines that serve others and keep all of them waiting while they do something long.
//
// # What it looks for
//
// A goroutine that others deal with through channels or a sync.Cond, quickly
// as a rule: an event loop, an actor, the owner of some state. Now and then it
// does something long in between, and whoever wants it meanwhile has to wait.
// cpu: it computes for 15 ms or more. syscall: it sits in a system call or a
// call of C code for 10 ms or more.
//
// # How it decides
//
// The life of each goroutine is cut into steps: from one time that it is woken
// by another goroutine, or wakes one, to the next. Running time and system
// calls are measured per step. A finding wants a goroutine that deals with
// others at least 40 times and half of whose steps take 2 ms or less, and at least
// two steps that are ten times as long as that, during which others
// stood waiting, at least once two of them. If there is a long step for each
// five times that it is woken, or more, the long step is its work, as syncing is for one
// that commits for a group, and nothing is told; nor if the same line mostly makes
// short calls, as it does where a disk is slow at times. Those count that wait to hand it
// something, or have given it something before and wait for what comes back: the part
// of their wait that fell into the long step. Workers that wait for work lose nothing.
//
// The place is the innermost line that all long steps have in common. A step
// whose running time lies in slices longer than the scheduler allows (35 ms) does not count:
// there the operating system kept the thread from running.
//
// # What it cannot see
//
// Whether one of those that wait needs just this result. Who waits through the
// network. Goroutines that take long each time are a bottleneck by design and are not
// told; locks that are held for long belong to lock-contention. In a system
// call the trace does not tell work from waiting. The stack of a computation is known only if
// the scheduler interrupted it.
//
// # Repair
//
// Let another goroutine do the long work, on a copy or a snapshot, and hand
// its result back through the loop's own channel; or do it in chunks that
// leave room for the others in between.
package longrun
