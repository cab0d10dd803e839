// Package chattyhandoff finds goroutines that hand over so little at a time that the handing over costs more than the work.
//
// # What it looks for
//
// per-item: items go from one goroutine to another one by one, and for each of
// them one of the two has to be woken, although there is hardly anything to do
// for it. ping-pong: a goroutine asks another one and waits for the answer,
// over channels or a sync.Cond, and the answer takes less than waking the two;
// also goroutines that take turns for tiny steps.
//
// # How it decides
//
// It follows the wake-ups that a send, a receive or a Cond's Signal causes at
// the program's own lines, by the line that gives and the line that takes. At
// least 5,000 of them must follow another one within 200 µs, at 2,000 a second
// over the whole trace; half of them must give the taker no more than 10 µs to
// do; and handing over must take a twentieth of the time that these bursts last.
// What a hand-over takes is an estimate: the time that the woken goroutine was
// ready before it ran, up to 1 µs (beyond, it waited for a processor), and
// 0.1 µs for parking and waking. Time lost is set against the length of the
// bursts: whoever waits for a burst waits that much longer. But where the bursts
// fill less than a tenth of the trace it is set against that tenth, so that a
// finding of medium severity has cost a hundredth of a processor at least.
//
// It is a ping-pong if most transfers answer one that the taker gave just
// before. Who asks is who begins after a pause, then the side that has more
// goroutines, then the one with the deeper stack. Channels and Conds that
// goroutines use from both sides pass on a lock or a permit, no items, and are
// left alone.
//
// # What it cannot see
//
// Transfers over a buffered channel that was neither empty nor full: they wake
// nobody, and are cheap for that. Which channel it is: two channels between the
// same two lines are one to it. Of two selects that wake each other, who sends:
// it is taken to be the one that wakes the other after a pause. Hand-overs by
// the standard library (io.Pipe, net/http) and coroutines (iter.Pull) are not
// counted. The tracer itself makes each hand-over slower, by about a third.
//
// # Repair
//
// Hand over slices, bounded by size and time; or do the work where the item is,
// under a mutex or with an atomic. A buffer helps only as far as it keeps both
// sides from waiting: for a burst, but not where the taker is slower on average.
package chattyhandoff
