// Package timerchurn finds timers that wake goroutines, or are made, for nothing.
//
// # What it looks for
//
// polling: a goroutine sleeps for some milliseconds, looks whether something
// has happened, finds nothing to do and sleeps again, many times over. Each
// look wakes a thread, and what it waits for is noticed half a pause late on
// average. after-in-loop: time.After, time.Tick or time.NewTimer on every turn
// of a hot loop, so that a good part of the processor time goes into timers
// that hardly ever fire.
//
// # How it decides
//
// A wake-up found nothing to do if the goroutine ran for a few microseconds,
// woke and started nobody, made no system call, and went back to sleep at the
// same line. Sixty of these, at fifty a second and more, with pauses up to
// 25 milliseconds, are worth a look. What makes them a poll is that somebody
// else decides when they end: right before the looks that found something,
// another goroutine came to the same place of its own (it blocked, or ended),
// and before the others it mostly did not. Where the source is at hand the loop
// tells: it ends, or leaves out the pause, by a condition. A loop that counts
// is work in steps, and one that pauses on every turn keeps a pace; both are
// left in peace, as is a ticker that starts work, and a loop that only now and
// then finds nothing to do.
//
// A timer that is made leaves no event in a trace. So time.After in a loop is
// told from CPU samples, where a profile was taken during the trace, or from
// the source together with how often the line waits.
//
// The delay is estimated as half a pause for each look that found something.
// A wake-up is reckoned at what the goroutine ran plus 5 µs for the timer and
// the scheduler, which is the least that was measured; on an idle machine it
// is several times that.
//
// # What it cannot see
//
// What the goroutine looks at. Whether it could have been told: another
// process, a device or a remote service has to be polled, and such a look
// makes system calls, so it is not counted here. A poll by a ticker is only
// told with its source. Without CPU samples and source, timers made in a loop
// are invisible. Before Go 1.23 each of these stayed in memory until it fired;
// the trace does not tell how much that was.
//
// # Repair
//
// Have whoever changes the state say so: close a channel, send on it, signal a
// Cond. Make one timer before the loop and reset it.
package timerchurn
