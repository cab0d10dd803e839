// Package fanoutrunson finds fan-outs that go on working after the first failure, for results that nobody uses any more.
//
// # What it looks for
//
// A goroutine starts several others side by side and waits for all of them,
// with a sync.WaitGroup or an errgroup. One of them fails early. The others
// do not learn of it and work to their end, and only then their parent
// returns the error: it waits longer than it needs, and they work for nothing.
//
// # How it decides
//
// A trace does not show errors, only what goroutines do. So rounds of one
// fan-out are compared. After most rounds the parent goes on to do something
// with the results, a wait, a system call or a goroutine at some line; after
// others it leaves that out. If at least 80% of these others, and at most a
// quarter of the former, had a child that ended before its time (it left out
// what its siblings did, or took less than half of what even the quickest
// takes), then the early end is taken for a failure and the round for a dropped one.
// What counts is the time from that end until the parent goes on. Siblings
// that are cancelled end soon and cost little. Where the source is at hand it
// shows whether an error is returned there, or whether the errors of all are collected
// on purpose, in which case nothing is told.
//
// # What it cannot see
//
// Why the early one ended, and whether the errors of all are wanted: without
// source, and outside of an errgroup, it stays below the confidence that is shown
// by default. Fan-outs with fewer than three rounds that fail and five that do not. Parents that do
// nothing visible with the results. Parents that return on the first error
// and leave the others behind: see goroutine-leak.
//
// # Repair
//
// Run them with a context that the first error cancels, as errgroup.WithContext
// does, and have them heed it.
package fanoutrunson
