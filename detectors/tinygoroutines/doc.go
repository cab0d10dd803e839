// Package tinygoroutines finds goroutines that do less work than starting them costs.
//
// # What it looks for
//
// spawn-per-item: one go statement starts a goroutine for each item, and what
// the goroutine does takes less than to create it, to have it scheduled, to wake
// a processor for it, and to clean up after it.
//
// # How it decides
//
// It counts the goroutines that were started and ended at each go statement of
// the program's own (errgroup.Go, WaitGroup.Go and the like included), and how
// long each ran. A start belongs to a burst if another at the same line came no
// more than 200 µs before. There must be 2,000 in bursts; half of them must run for
// no more than 1 µs, measured with the tracer on; no more than a tenth may wait
// for anything but a lock, a send or their own children, since who waits is not there to compute; and
// starting them must cost half a percent of one processor over the whole trace.
//
// A start is reckoned to cost 0.4 µs of processor time, in all: 0.4 to 0.9 µs
// were measured without a tracer, on a Linux machine of the 2020s. Severity follows from
// the share of the bursts that this makes up.
//
// # What it cannot see
//
// What the collector does for the stacks and closures of so many goroutines, and
// what keeps a cache cold. Goroutines that end after the trace, or were started
// before it. Work that is tiny only sometimes is judged by the half that is.
//
// # Repair
//
// Do the items in a plain loop, or give each goroutine a chunk of a thousand and
// a few chunks to each processor. A limit (errgroup.SetLimit) bounds how many are
// alive, and saves none of this.
package tinygoroutines
