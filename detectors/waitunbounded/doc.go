// Package waitunbounded finds waits that last far longer than others at the
// same line, that nothing would have ended, and that somebody waits for.
//
// # What it looks for
//
// A goroutine waits for the network, a channel or a lock. The others at that
// line took milliseconds; this one takes a hundred times as long, or is not
// over when the trace ends. There is no deadline, so whoever asked for the
// result waits along: network (a read, a write or an HTTP request to a peer
// that does not answer), channel (a plain send or receive whose other side
// does not come), lock (Lock and RLock cannot be given up).
//
// # How it decides
//
// A wait stands out if it lasted 200 ms and at least twenty times as long as
// nine of ten at the line, of which there must be twenty. Of a line where a
// deadline, a timer, a cancellation or the closing of a connection has ended a
// wait it is known that something does, and it is left out, as are selects
// (but for an HTTP client's own): they mostly have another way out.
//
// Idle goroutines wait long, too: for the next job, the next connection, the
// next message. So somebody must suffer. Either the stack shows that an answer
// was asked for (an HTTP client's request, or a handler that serves one), or
// another goroutine waits for this one: it had started it or given it work,
// which was not done, and waited for at least half of that time, and not in a
// select, out of which it may have another way. A worker that waits where it
// always waits for work has nothing to do and is left in peace; so is one that
// was started and lives as long as the program. And whoever was woken by a
// goroutine that had waited elsewhere all that time is but a link of a chain, and
// left out if that is told, or something ends waits there. A line at which a
// quarter of the waits stand out is one where that is usual. Where the source is at
// hand, a deadline of a connection or a client set within thirty lines, or of a
// context in a function on the wait's stack, speaks against it.
//
// # What it cannot see
//
// Deadlines that never passed: an http.Client with a Timeout of a minute looks
// like one without. Timeouts of the kernel. Whom a request in a buffered
// channel was for. Where the program is client and server at once and its server
// stands still at a lock, the lock alone is told. Lines that waited fewer than twenty times have no history.
// What the time was lost to: the other side may have had good reasons.
//
// # Repair
//
// Give each wait for somebody else an end: a context with a deadline for calls,
// SetReadDeadline before each read, select with ctx.Done() for channels, and
// for a lock that may be held for long a channel of one token. Decide what
// happens then: an error, a retry elsewhere, the last known value.
package waitunbounded
