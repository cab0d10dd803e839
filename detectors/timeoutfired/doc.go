// Package timeoutfired finds waits that a deadline or a timer ended in vain, by the call that waited.
//
// # What it looks for
//
// context-deadline: a context's deadline passes while a goroutine waits, in a
// select of the program's own or somewhere inside a call such as an HTTP
// request or a query. The time until then was spent for nothing. timer-select:
// the same with a timer in a select beside the answer (time.After). Told for
// each line that waits: how many of how many waits, how long those that ended
// well took against the limit (is it too short, or do some never come?), and
// whether whoever was asked is still at work.
//
// # How it decides
//
// When a context's deadline passes the runtime starts a goroutine that cancels
// it, and its wake-up names the one that waited; also through derived contexts,
// context.AfterFunc, helpers of the standard library, and a watcher that the
// waiting goroutine started. Of parent and child that one deadline wakes, the
// child did the call. Goroutines that only listen for the end of a context, and
// loops that run until a deadline, are no calls: they are woken by their own
// creator or by cancellation otherwise, wait shorter than usual when the end
// comes, and then end themselves. Nor is it a call where the user's own code
// waits and nothing shows that an answer was awaited (see below): a listener for
// news, an idle worker, a long poll.
//
// A timer that ends a select may as well be a ticker, a flush, a pause or an
// idle limit. So it counts only if something shows that an answer was awaited:
// the goroutine had started or woken another one in the same function and is
// woken by that one when it goes well; or it waits to hand something over; or
// those that wake it come to wait there, too. Against it speaks a goroutine
// that comes back to the same select without having asked anybody, a timer that
// beats evenly whenever the wait began, one that fires when nothing is
// outstanding, and one after which the answer is awaited further (a hedge).
//
// The weights of all this are added up and shown as evidence. What happened
// once, or in fewer than one of ten waits without costing much, is left out
// unless --min-confidence is lowered: limits are there for that.
//
// # What it cannot see
//
// Calls that never had to wait, so "12 of 40" counts waits. Deadlines of
// connections (SetReadDeadline): the trace shows them as data that arrived.
// Timers inside the standard library (ResponseHeaderTimeout). Requests that
// went through a buffered channel to a goroutine that was busy wake nobody: if
// all requests to a timer-select do, it is taken for a pause. So is a single
// goroutine's loop in which every single wait times out: that is how a ticker
// that starts work looks. A wait for nothing but ctx.Done() is taken for a
// pause as well.
//
// # Repair
//
// Find out first what the slow ones wait for. Then give the call the time that
// it needs and divide what the caller has left among the steps; hand the
// deadline down to the work by its context, so that the work ends, too. Where
// another attempt follows each at once, wait before it, longer every time.
package timeoutfired
