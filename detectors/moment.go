package detectors

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Moment is what all goroutines of a trace did at one time, without the
// runtime's own.
type Moment struct {
	T          traceload.Time
	Source     string
	Duration   time.Duration // of the trace
	Complete   bool          // whether the trace could be read whole
	Goroutines int
	Procs      int      // GOMAXPROCS; 0 if unknown
	Ranges     []string // what the runtime was about: a collection, a stop of the world
	Crowds     []Crowd  // the largest first
}

// Crowd is the goroutines that did the same at one time: in one state, for one
// reason, at one stack.
type Crowd struct {
	State      string
	Reason     string
	Stack      []Frame // innermost first; of one that runs, only the function that it was started with
	CreatedBy  Frame   // where the first of them was created; zero if unknown
	Count      int
	Goroutines []int64 // some of them, in the order of their ids
	Shortest   time.Duration
	Longest    time.Duration // how long they had been in that state by then
	AtLeast    bool          // the longest began before the trace did
	Stay       int           // how many of them stayed so until the trace ended
}
