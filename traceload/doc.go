// Package traceload turns the bytes of a Go execution trace into what happened
// to each goroutine: born, blocked, woken (by whom, from which line), started,
// stopped, in a system call, ended.
//
// [Open] finds the bytes (file, standard input, URL) and unpacks them; [Walk]
// decodes them through golang.org/x/exp/trace and hands each [Event], with the
// state of the traced [Program] as of that event, to one observer function.
//
// # How the pieces fit
//
//	Open ──bytes──▶ generationScanner ──▶ x/exp/trace ──raw──▶ decoder ══batches══▶ Program ──▶ observe
//	               (where generations      (one event   events (interns,            (state per
//	                begin and end)          at a time)          no pointers)         goroutine)
//
// Reading raw events, which takes the longest, the decoder and the walk each run
// on a goroutine of their own. What crosses the double line is
// a batch of small pointer-free records, in order, together with a snapshot of
// the append-only tables of strings, frames and stacks. Nothing behind that
// line knows how the batches came to be: one day several generations will be
// decoded side by side. No other package imports x/exp/trace.
//
// # Memory
//
// At any moment there is one generation of the trace (x/exp/trace holds it
// whole; the runtime starts a new one about every second), a few batches, one
// record per goroutine that is alive, and the distinct stacks seen so far.
package traceload
