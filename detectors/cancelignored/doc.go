// Package cancelignored finds goroutines that go on working after they were told to stop.
//
// # What it looks for
//
// outlives: a context is cancelled, or a done channel closed; some of the
// goroutines that were to stop do, and others go on, in a busy loop or in a call
// that knows nothing of the context, although nobody needs their work any more.
// The same where a caller was cancelled and left while the goroutine that it had
// started for the answer goes on. slow-to-stop: somebody waits for those that go
// on, such as a shutdown or a reload that cancels and then waits for all.
//
// # How it decides
//
// A cancellation shows where it wakes somebody: the waker stands in
// context.(*cancelCtx).cancel, or at the line that closes the channel, and its
// caller is the line that gave the order. The siblings of those that it woke,
// started by the same go statement and the same goroutine, have the same
// context, as far as the trace tells, and run the same code. Those that go on
// for more than 100ms are reported: who stopped, how fast, who did not, for how
// long, and what it did. Where a goroutine stands all the time from the order
// on is the line to mend: the call that does not hear of the context.
//
// A sibling that waits, later, where others were woken by the order has a
// context of its own; then nothing is said about any of that family. That it
// happened again and again, that those woken ended soon, that somebody waits,
// and that those who go on do so round after round speaks for a defect. Against
// it speaks that they are handed further work meanwhile, as by a queue that is
// drained on purpose, and that it happened once and they then ended: whoever
// has a piece of work in hand may be meant to finish it. A closed channel
// counts only if whoever closes it does not also send to those who wait there.
//
// # What it cannot see
//
// A cancellation that wakes nobody leaves no event: if all of a context's
// goroutines are deaf, none is found. Which context a goroutine was given: with
// one worker on each of several contexts, born together and all of them busy,
// the others look deaf until they wait again. A busy loop that is never
// interrupted leaves no stack; then the line that started it is shown.
//
// # Repair
//
// Pass the context to the call that waits; look at ctx.Err in a loop that
// computes; give a connection a deadline in the past when the context ends.
package cancelignored
