// Package goroutinegrowth finds places that start goroutines faster than they end.
//
// # What it looks for
//
// unbounded: at one go statement more goroutines are born than end, steadily,
// until the trace is over; nothing holds the door. Each of them may finish in
// the end, but memory and latency grow with the backlog. burst: hundreds or
// thousands are started at once although only a few of them can work at a
// time; the rest wait in line, each with a stack of its own.
//
// # How it decides
//
// Births and ends are counted per go statement in 64 slices of the trace's
// time. unbounded wants at least 30 more alive at the end, a climb in each
// quarter of the time since the first birth, with the last quarter no flatter
// than a third of the mean: a warm-up that levels off is no growth, and a
// sawtooth is none either. A burst wants 500 alive at once, born within a
// twentieth of the trace (or 50 ms) by one goroutine, of whose lives at least
// half passed in a queue of the program's own (a lock, a channel, a select);
// sleeping and waiting for the network is not queueing.
//
// # What it cannot see
//
// Whether the climb would have ended after the trace did: a short trace of a
// service that is starting looks like growth. What the goroutines that were
// alive before the trace began were started by.
//
// # Repair
//
// Bound how many run at once (errgroup.SetLimit, a semaphore) at the place
// that starts them, so that the caller feels the pressure; for a burst, let a
// fixed pool of workers take items from a channel.
package goroutinegrowth
