// Package goroutineleak finds goroutines that wait for something that will never come.
//
// # What it looks for
//
// A leaked goroutine is blocked for ever: its stack, and all that its stack
// holds, stays. Thousands of goroutines wait in every healthy server, so the
// question is which of them are stuck and which are at rest. Causes, by what
// the goroutines wait for: chan-send, chan-receive, select, nil-channel,
// wait-group, cond, mutex, and context (a context that can never end).
// Goroutines that wait for a cancellation or a done channel that could come
// are cancel-never-fired's.
//
// # How it decides
//
// Goroutines parked at one line when the trace ends are judged together. They
// count as stuck if they have waited far longer than others ever did at that
// line (ten times what 99 of 100 waits took, twice the longest) and for a
// twentieth of the trace. Then named pieces of evidence are added up, each with
// a weight that is shown in the finding: what they wait for (a send has
// something to hand over; a nil channel is certain); whether they gathered all
// through the trace, stopped coming, or came together as a pool does; whether
// they were woken here before, by whom, and whether that goroutine has ended or
// is stuck itself; whether others were woken here, how soon, and by timers;
// whether the goroutines that started them have ended, whether all that a
// waiting parent started has ended, and whether they serve connections that
// are open. For a Cond it counts whether all who have ever signalled wait for a signal
// themselves. Before a lock it counts whether a goroutine is at work in the
// function that takes the lock, or in another method of its type, and whether
// those who queued there before the trace began are still being served. The
// weights stand in one place, internal/facts/waits/judge.go. The confidence is
// bounded by the length of the trace.
//
// Where the source is at hand it is asked what else happens to the channel: who
// sends on it, receives from it, closes it, in functions that it is passed to as
// well. If that is all that can happen to it (it is stored nowhere, nor used by a
// function that is returned, stored or handed on for later), and no
// goroutine alive that could know the channel stands where such a line can still
// be reached, nobody is left to end the wait. So a single goroutine may be told.
// The end of the test that started a goroutine is taken likewise: whatever still
// waits then is left behind, however short the trace. Only a goroutine that a
// sync.Once started, the one of its kind, may serve the whole program, whichever
// test came first; and those that were woken here a while after their test was over,
// and came back, are there for others as well. Waits that timers end are not stuck
// before their time, by what others took.
//
// Goroutines of the standard library and of many modules that are meant to wait
// (accept loops, flushers of logs, exporters of metrics, …) stand in a table,
// internal/facts/waits/known.txt, with the reason; so do those that exist only
// until something is closed. Programs can add rows for their own.
//
// Goroutines that were created a tenth of a second ago and have not run since
// are listed among those at rest: they wait for a processor.
//
// # What it cannot see
//
// A trace holds no values: which channel it is, and who else could send, it
// does not say. Goroutines parked before the trace began have no history; on a
// lock or a send they are still suspicious, on a receive or a select they are
// taken to be at rest. Without the source a single stuck goroutine is not told
// from a patient one unless the wait is for ever by its nature or its test is
// over; with the source, channels that are kept in fields, maps and package
// variables are not followed. A long poll or a timer that
// outlasts the trace is not told from a wait without end. Before Go 1.23 goroutines parked
// before the trace have no stack at all.
//
// # Repair
//
// Give every wait a way out: buffer the one result that may be abandoned, close
// the channel that is ranged over, select on the context's Done beside the
// operation, unlock and call Done in a defer.
package goroutineleak
