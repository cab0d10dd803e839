// Package tracetest makes tests fail on what they do wrong with goroutines:
// leaks, deadlocks, cancellations that never come or are ignored.
//
//	func TestCheckout(t *testing.T) {
//		tracetest.Check(t)
//		…
//	}
//
// Check records a trace of the test with the flight recorder of [runtime/trace],
// and when the test ends has tracedoc's detectors judge it. A finding fails the
// test with its title, the line to look at, the evidence and the repair. [Main]
// does the same for a whole package, from its TestMain.
//
// # What counts
//
// Only what the test's own goroutines did: those that descend from the test by
// go statements, which the trace tells. So tests that run in parallel, and
// subtests, are told apart, and what another test left behind does not count.
// Check waits up to a second ([Grace]) for the test's goroutines to end, but not
// for those that are meant to stay, such as the idle connections of net/http.
// Goroutines that a test shares with others on purpose, such as a pool that is
// started once, belong to the test that started them: see [Ignore].
//
// Without options a test fails from severity medium on, and only by the
// detectors that judge what a test must not leave behind: deadlock,
// goroutine-leak, goroutine-growth, cancel-never-fired and cancel-ignored. How
// much time a test loses depends on the machine that it runs on; [Only] adds
// those detectors where that is wanted.
//
// # With the flags of go test
//
// The runtime has one flight recorder, which all checks share: while a test
// that is checked runs, the program can have none of its own. Under
// go test -trace the check steps aside, and says so: the trace that go test
// writes names the tests, and tracedoc analyze judges it. A test that hangs
// until -timeout ends the process has its report written to standard error
// shortly before, and the trace kept. The trace of a failing test is kept too,
// where the message says: in the folder of [testing.T.ArtifactDir] under
// go test -artifacts, otherwise in the temporary folder.
//
// A trace is kept in memory while a checked test runs, the last 64 MB of it. What
// a test with more than that did in the beginning is not judged.
package tracetest
