// Package flight keeps the last seconds of a service's trace, saves them when
// something goes wrong, and reports on them.
//
//	rec, err := flight.Start(flight.Options{Dir: "/var/lib/shop/flights", SlowRequest: time.Second})
//	if err != nil {
//		log.Print(err) // a nil Recorder does nothing: the service goes on without
//	}
//	defer rec.Close()
//	debug.Handle("/debug/tracedoc", rec.Handler())
//	http.ListenAndServe(addr, rec.Middleware(next))
//
// The runtime's flight recorder ([runtime/trace.FlightRecorder]) holds the trace in memory. A
// snapshot of it is taken when a request is slow, there are too many goroutines or
// suddenly more, many deadlines expire at once, a signal comes, somebody asks over
// HTTP, or the program calls [Recorder.Trigger] or [Recorder.Snapshot]: what is not
// named in [Options] or mounted does not happen, and nothing listens by itself.
//
// # Snapshots
//
// A snapshot is a trace, shop-20261126T055012.123Z-slow-request.trace, and beside it a
// .json file with its [Snapshot]: why it was taken, when, of which process and build.
// tracedoc analyze reads the files, or the folder. What is in the folder is whole: it
// was written in a hidden folder, .tracedoc-flight, brought down to the disk, and
// moved. What a killed process has left there is removed by the next one to start or
// to write; one that is being written is locked, so that several processes may share
// the folder.
//
// The disk holds at most Options.Keep snapshots and Options.KeepBytes, and the one
// that is being written. At most one snapshot is taken for each [Cause] in
// Options.Interval, and fewer of a trouble that goes on: so of two days of it the
// first hour is not lost.
//
// # What it does to the service
//
// Tracing itself costs the most, and depends on how many events the service makes.
// flight/example, under 1,000 requests a second of three goroutines each, on a machine of two
// processors that the load shares (go run ./flight/bench -for 4s, Go 1.26):
//
//	                            p50 ms  p99 ms  p99.9 ms  processors  memory MB
//	            without flight    3.12    3.95      5.21       0.155         19
//	                 recording    3.16    4.12      5.37       0.182         23
//	   a snapshot every second    3.17    4.32      6.29       0.189         23
//	one report after the other    3.32    7.59     11.76       0.373         58
//
// Memory: the runtime takes Options.WindowBytes as a hint. It drops nothing but whole
// generations of about a second, and not the youngest, so that a program that writes
// 40 MB a second would hold more than 40 MB where 4 are asked for. A Recorder
// therefore ends generations earlier where they are too large, which leads to about 5 MB
// there, after the first second; it takes more for as long as the processors are too
// busy to let it. Stats.HeldBytes says how much it is.
//
// An analysis works on a copy of the window, or on a snapshot on the disk. One is made
// at a time; others are told to come back. Goroutines have no priorities, and to make
// the thread of one nice would keep a processor of the runtime from all others while the thread
// waits. So one goroutine decodes and one analyses, and after every few milliseconds of
// work they sleep for longer, so that they take about Options.Share of one processor;
// time in which they wait for a processor counts as work, so they take less of a busy
// one. Ranking and writing the report at the end is not held back. The memory for it
// grows with the window, and lies in the service's own heap. If that is too much, leave
// the reports to another machine, which costs the service one copy of the window:
//
//	tracedoc analyze 'http://host:6060/debug/tracedoc?format=trace'
//
// No panic leaves this package but those of handlers that Middleware passes on. The
// program grows by about 11 MB.
//
// # Beside other traces
//
// A program can have one flight recorder: while there is another one (that of package
// tracetest, for example) Start fails. The handler of net/http/pprof, trace.Start and
// go test -trace may record at the same time. But the runtime hands out the trace to
// all of them in step: while the client of one takes nothing, no snapshot can be
// written, and Close cannot end. Both give up after some seconds and say so.
//
// # With tracedoc record
//
// tracedoc record -- ./server runs a program that uses this package and reports on
// it. It does so by the environment: TRACEDOC_FLIGHT_DIR is the folder for snapshots
// instead of Options.Dir, where NAME-PID.started.json then says that recording has
// begun; TRACEDOC_FLIGHT_SIGNAL is a signal for a snapshot (SIGUSR1), and TRACEDOC_FLIGHT_WINDOW
// replaces Options.Window. Close then takes a last snapshot.
package flight
