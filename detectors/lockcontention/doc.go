// Package lockcontention finds locks that goroutines queue for because they are in use too much.
//
// # What it looks for
//
// A lock whose holders do nothing wrong, each for itself, and that still costs
// more than what it guards. Causes: convoy (many critical sections, one after
// the other, with a queue in front), writer-starved (a writer of an RWMutex
// waits for readers that hold it for long, and new readers wait behind the
// writer), and readers-blocked (readers of an RWMutex wait for a writer that
// works for long while it holds it).
//
// # How it decides
//
// Lines that lock and unlock and wake each other are one lock. All that was
// waited there is added up, less what lock-held-while-blocked explains, less
// the time in which holders could run and had no processor: that is the
// machine's fault. A convoy is a queue of more than one goroutine on average,
// as long as there is one, with many waits of several goroutines. A starved
// writer waited often, and long, and was woken by the last reader; what
// readers lost behind it counts as well. Readers are blocked if a writer woke
// them after long. Where the waiters were not served first in, first out,
// several locks share the lines: the time is divided by their estimated number
// before it is judged, and the confidence is lower. Locks of the standard
// library must be worse to be told. Where a single hold took most of what was
// lost, the lock stood still once and is not told here.
//
// # What it cannot see
//
// A trace has no addresses: that many locks of one type are meant is an
// estimate. Spinning for a lock, and the cost of an uncontended one, leave no
// event. Goroutines that a Cond's Broadcast wakes all want its lock at once;
// their waiting is left out. Who held the lock for how long is known only
// while others waited.
//
// # Repair
//
// Take work out of the critical section first. Then divide the lock by key, let
// readers load a snapshot that nobody changes, or read in short chunks so that
// a writer gets in between.
package lockcontention
