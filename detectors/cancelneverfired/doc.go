// Package cancelneverfired finds goroutines that gather because nobody cancels their context or closes their done channel.
//
// # What it looks for
//
// context: goroutines wait for the end of a context whose cancel function is
// not called. done-channel: they wait for a channel that is closed to end
// them, and nobody closes it. foreign-context: goroutines that the standard
// library starts only until something is cancelled or closed: package
// context's watcher of a parent that is no context of its own making, the
// awaitDone of database/sql's rows and transactions, net/http's reader of a
// connection whose response body is neither read to its end nor closed.
//
// # How it decides
//
// Whether goroutines are stuck is judged as for goroutine-leak, from the same
// evidence. That a place waits for a cancellation is known when others at that
// line were woken by one: by context.(*cancelCtx).cancel, or by the closing of
// a channel where nobody ever sends. The goroutines of foreign-context give
// themselves away by their entry function; the line shown is the user's call
// that made them. A server's root context, which one goroutine or a constant
// few wait for, is no finding: the goroutines must gather.
//
// # What it cannot see
//
// If nobody at a line is ever woken the trace does not say what the line
// waits for; it is then reported as goroutine-leak, by its kind of wait. A
// context that nobody waits for leaves no event, however long it lives.
//
// # Repair
//
// Call cancel on every path (defer it where the context is made), close the
// done channel in Close, close rows and response bodies, and commit or roll
// back transactions.
package cancelneverfired
