// Package lockheldwhileblocked finds goroutines that wait for something else while they hold a lock that others wait for.
//
// # What it looks for
//
// A critical section that sleeps, talks to the network, sends on a channel,
// sits in a system call, waits for a WaitGroup or takes another lock makes all
// who want the lock wait for that too. Causes, by what the holder waits for:
// sleep, network (also through net/http, crypto/tls or database/sql), channel,
// select, syscall (also files and child processes), wait (a WaitGroup or a
// Cond), and lock (another lock).
//
// # How it decides
//
// A waiter's wake-up names the goroutine that unlocked, and where. What that
// goroutine was blocked on since the lock was last released, and while the
// waiter waited, is why the waiter waited; earlier owners during the same wait
// bear their own part. The holder's stack when it was blocked and its stack at
// the Unlock must part in the function that holds the lock, and, where the
// line at which it locks is known from others that wait there, the line that
// blocks must lie between the two. Where lines cannot tell, the coincidence
// must repeat and account for most of the time that the lock was held. System
// calls below a millisecond are left out. A Cond's Wait gives up its own lock
// and is no finding for that lock; waiting for a sync.Once is none either.
//
// # What it cannot see
//
// A lock that nobody waits for leaves no event, so a slow critical section
// without waiters is not found. A trace has no addresses: locks whose lines
// wake each other are one, and two locks that one function unlocks at the same
// return cannot be told apart. Who held a lock when a waiter began to wait is
// known only from the releases that follow. A holder that never releases it
// within the trace is certain only if it had to wait for the lock itself;
// otherwise it is guessed, with less confidence, where one goroutine alone is
// blocked behind the line at which others wait and nobody gets on. Locks that
// nobody releases within the trace are not known to be one lock across functions.
//
// # Repair
//
// Do what waits before the Lock or after the Unlock: copy what it needs under
// the lock, release it, wait, and lock again to store the result. Send after
// unlocking, never wait for goroutines that need the lock, and take two locks,
// if it must be two, always in the same order and for short. Where the lock is there
// so that only one asks the network, share that one's answer (a single flight).
package lockheldwhileblocked
