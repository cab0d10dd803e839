// Package deadlock finds goroutines that wait for each other, and locks that nobody will release.
//
// # What it looks for
//
// Knots: goroutines of which each waits for what the next one holds, so that
// none can go on. self-lock: a goroutine waits for a lock that it holds
// itself. lock-order: two or more take locks in different orders.
// recursive-read: an RLock inside an RLock, with a writer waiting in between.
// lock-channel: the holder of a lock sends, receives or selects, and the other
// side needs that lock. lock-wait: the holder waits for a WaitGroup or a Cond,
// and who should end that needs the lock. unreleased: a lock that somebody took
// and left without unlocking, by a return, a panic or a turn of a loop.
//
// # How it decides
//
// A graph of who waits for what and who holds it is built when the trace ends,
// and whenever a wait that lasted 50 ms is ended by a timer or a deadline. What
// a goroutine holds is read from the source where it is at hand (--source): each
// frame of its stack is walked from the outermost in. Without source it holds a
// lock if it stands between a line that was seen to lock and one that was seen
// to unlock in the same function; failing that, behind a line that locks or
// before one that unlocks; failing that, if it alone is at work in a method of
// the type that the lock belongs to. Lines where nobody was ever woken are taken
// to work on the lock of the other methods of their type, unless that type is
// known to have several. No such conclusion is drawn while a goroutine that
// still moves may hold the lock.
// Which goroutine would end a wait on a channel, a WaitGroup or a Cond is known
// from who used to, and from who started whom. A cycle of waits that have all
// lasted 50 ms is a knot. A lock is unreleased if its waiters have not moved for
// a tenth of the trace and no goroutine that is parked holds it. Confidence is
// highest where the source names the holders (0.95), 0.7 where lines do, 0.55
// where only the type of the methods does, and lower where several locks have the
// same name and only their standing still says that they are one. Where more
// goroutines hold one of several locks of a kind and wait for another than a circle
// needs, one circle is told as an example, and how many may be in it.
//
// # What it cannot see
//
// A trace has no addresses: two locks of one type in two objects are told apart
// by the order in which waiters are served, or by the source, or not at all;
// the finding then says so. A running goroutine has no stack at that moment, so
// what it holds is unknown. Locks taken through C or by other processes.
//
// # Repair
//
// Take locks in one order everywhere; do not call out, send, receive or wait
// with a lock held; unlock in a defer right after locking; do not RLock twice.
package deadlock
