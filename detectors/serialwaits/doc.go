// Package serialwaits finds requests and tasks that wait for one answer after the other where they could wait for all at once.
//
// # What it looks for
//
// same-call: a request makes the same call again and again, a round trip each
// (the "N+1 queries"). independent-calls: a function waits for several different
// calls in a row, and none of them needs what another gave.
//
// # How it decides
//
// A call is a wait for an answer: the goroutine wrote to a connection, woke
// another goroutine, or started one, and then, further down the same function,
// waits until something other than a timer wakes it. It counts for the innermost
// line of the program that made both. Receiving a job, or a request, is no call, nor
// is sleeping, waiting for a lock or a WaitGroup, or for an actor that answers itself.
//
// Calls are counted by request: from where a server's goroutine reads a request to
// where it reads the next, in a goroutine that was started for one piece of
// work, or in a runtime/trace task or region. Three such must have been seen whole
// (one will do for a task or region). Goroutines that were started side by side for
// one fan-out already share the work, and are left in peace; so is main, and so are
// goroutines whose one piece of work takes more than a quarter of the trace.
//
// same-call: at least 5 calls each time. Side by side, eight at a time, they would
// take as long as the longest of them or an eighth of the sum. independent-calls: two or
// more; they would take as long as the longest. There is a finding if that saves
// 1 ms and a fifth of the time that the request takes.
//
// Whether a call needs the answer of the one before is not in a trace. The source
// tells, where it is at hand: what a call gives goes into a later one, or decides
// whether it is made; the loop takes jobs from a channel; a call gives nothing
// back and so may be there for its effect. Without the source, different calls are
// not said to be independent: the finding has low severity and says what is not
// known. The same call again and again is reported then too, less surely. Calls on
// one connection (written to and read by the goroutine itself, no net/http,
// database/sql or net/rpc) are a conversation that has an order, and are of low
// severity too; transactions are left out.
//
// # What it cannot see
//
// What the other side can bear. Without the source: that pages are fetched each of
// which names the next. Dependence by what a receiver points to, or by what
// a call changes elsewhere. Calls answered so fast that nobody waited.
//
// # Repair
//
// Ask for all at once if the other side can answer that; or run the calls side by
// side, with a limit (errgroup.SetLimit, a semaphore). On one connection that answers
// in order, write many requests before reading their answers.
package serialwaits
