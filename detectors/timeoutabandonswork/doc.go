// Package timeoutabandonswork finds work that goes on after its caller's time was up.
//
// # What it looks for
//
// A goroutine starts another one for an answer and waits, with a timer or a
// deadline. The time is up, it leaves, and the other one knows nothing of it.
// late-sender: it finishes, wants to hand over its answer on a channel without
// room, and waits for ever: nobody is there any more. still-running: it works
// on, for longer than its caller waited, on an answer that nobody wants, with
// all that it holds: a connection, a query, a lock.
//
// # How it decides
//
// Who waits for whom is taken from births: a goroutine that waits in a select or
// a receive waits for those that it started in the same function, or one call
// from it, and that have not answered. That others of the same go statement
// answered at that line shows that an answer is what they are for. A caller that
// comes back to wait on has not left; one that gets the answer later has hedged
// its request; a goroutine whose answer goes to others who wait at that line
// does shared work. All these are left in peace, and so is work that ends
// within 50ms, or within the time that the caller had waited, and work that is
// told to stop by the same deadline.
//
// That it happens again and again, that the work goes on for much longer than
// the caller's patience, and that the senders have stood there ever since speaks
// for a defect. What happened once is left out unless --min-confidence is lowered.
//
// # What it cannot see
//
// An answer that is put into a buffered channel leaves no event; whether
// somebody still reads it, or a cache keeps it, does not show. Requests handed to
// a pool of workers instead of a goroutine of their own. Callers whose goroutine
// is started by a library.
//
// # Repair
//
// Pass the caller's context to the work, so that it ends with it. Give the
// channel room for one answer, so that a late one can be left there.
package timeoutabandonswork
