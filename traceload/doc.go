// Package traceload turns the bytes of a Go execution trace into what happened
// to each goroutine: born, blocked, woken (by whom, from which line), started,
// stopped, in a system call, ended.
//
// [Open] finds the bytes (file, standard input, URL) and unpacks them; [Walk]
// decodes them and hands each [Event], with the state of the traced [Program] as
// of that event, to one observer function.
//
// # How the pieces fit
//
//	                            ┌▶ order (generation 1) ─┐
//	Open ──▶ generationScanner ─┼▶ order (generation 2) ─┼══batches══▶ translator ──▶ Program ──▶ observe
//	        (where generations  └▶ order (generation 3) ─┘ in order    (ids for what   (state per
//	         begin and end)       (events in order)                     is new)         goroutine)
//
// A generation, of which the runtime writes about one a second, carries all
// strings and stacks that its events refer to, so several are decoded at a time,
// each on a goroutine of its own. What crosses the double line is batches of small
// pointer-free records, in order. Nothing behind that line knows how they came to be.
//
// Formats that order does not know (up to Go 1.21, and those to come) go through
// golang.org/x/exp/trace and decoder instead. No other package imports x/exp/trace.
//
// # Memory
//
// At any moment there are a few generations of the trace ([Limits] bounds them),
// some batches of each, one record per goroutine that is alive, and the distinct
// stacks seen so far. A plain file is not copied into buffers but mapped, on Linux.
// Where goroutines are more than what processors' caches hold, a Program reads those
// of the next few records ahead, all at once (warm.go).
package traceload
