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
// Births and ends are counted per go statement in 32 to 64 slices of the
// trace's time. unbounded wants at least 30 more alive at the end than ever
// before the climb, a climb in each quarter of the time since it began, with
// the last quarter no flatter than a third of the mean, and births that go on
// until the end: a warm-up that levels off is no growth, and a sawtooth, which
// falls to less than half in between, is none either. Those that were there before
// the trace began, started with the same function, and ended in it are taken off.
// What the goroutines do then decides the confidence. That they stand in a queue
// (before a lock, in a send, or handing a turn on to each other), that each lives
// longer than the ones before it, that others of their kind ended soon, or that
// each starts more of its kind, speaks for it. That they serve connections, or
// that those which end had lived for a good part of the trace, speaks against it.
// Goroutines that are stuck for good are left to goroutine-leak and
// cancel-never-fired.
//
// A burst wants 500 alive at once, started within four slices of time by one
// goroutine, of whose lives at least half passed in a queue that moves: before
// a lock, in a send, or in a receive, select or Cond where they are served one
// after the other. Sleeping, waiting for the network, and a thousand questions
// that are answered in any order are not queueing; nor do the workers of a pool
// queue, who wait for work and do not end. All weights stand in
// internal/facts/births/judge.go.
//
// # What it cannot see
//
// Whether the climb would have ended after the trace did: a short trace of a
// service that is starting looks like growth. What the goroutines that were
// alive before the trace began were started by. A channel's or a lock's
// identity: two queues at one line are one.
//
// # Repair
//
// Bound how many run at once (errgroup.SetLimit, a semaphore) at the place
// that starts them, so that the caller feels the pressure; where requests to a
// server start them, refuse at the door what is too much. For a burst, let a fixed
// pool of workers take items from a channel. Where items differ in size, bound what
// they need together (semaphore.Weighted).
package goroutinegrowth
