// Package headofline finds results that are ready and wait behind a slow one, because they are taken in a fixed order.
//
// # What it looks for
//
// A goroutine takes results one by one from several others, each of which
// gives its own on a channel of its own, in the order in which they were
// started. One slow result holds up all that come after it, ready or not, and
// with them the workers that made them, or whoever hands out the work.
//
// # How it decides
//
// A goroutine that waits to give a result at some line, while the taker waits
// for another one's result from the same line, cannot share a channel with it:
// it would have been taken. So the taker keeps an order. The time that one stood ready
// counts as lost if it makes another result afterwards and did not have to wait for
// work, or if its creator was waiting for its place. Where results do not wait (their channels have
// a buffer) it is the goroutine that hands out the work that does: its wait for the
// taker, while that waits for a result and goroutines started later have ended,
// counts. A plain join, where everybody gives one result and ends, costs
// nothing, in whatever order, and is not told.
//
// # What it cannot see
//
// Results in buffered channels that hold nobody up: that the taker could have
// done its own work on them meanwhile. Orders kept by hand, in maps or heaps
// of what came too early. Whether the order is needed.
//
// # Repair
//
// Let all results come through one channel, each with its number, and take
// them as they come. Where order matters, put them in order at the end, or let
// a bounded number of results be ready ahead of the slow one.
package headofline
