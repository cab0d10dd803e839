package detectors

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// What formats draw is looked up in a second reading of the trace, when it is
// known what was found and only if a format asks for it (package scenes). All
// of it is optional: in a report that was not meant to be drawn it is nil.

// Parts says what of a report is to be drawn.
type Parts uint8

// The parts, each of which needs the second reading.
const (
	Scenes     Parts = 1 << iota // Finding.Scene
	Activities                   // Trace.Activity
	Losses                       // Trace.Lost

	NoParts  Parts = 0
	AllParts       = Scenes | Activities | Losses
)

// Only returns the report with no other parts than these, and itself if it has
// no others.
func (r *Report) Only(parts Parts) *Report {
	if parts == AllParts {
		return r
	}
	only := *r
	only.Traces, only.Findings = slices.Clone(r.Traces), slices.Clone(r.Findings)
	for i := range only.Traces {
		if parts&Activities == 0 {
			only.Traces[i].Activity = nil
		}
		if parts&Losses == 0 {
			only.Traces[i].Lost = nil
		}
	}
	if parts&Scenes == 0 {
		for i := range only.Findings {
			only.Findings[i].Scene = nil
		}
	}
	return &only
}

// Scene is what the goroutines of one finding did in the stretch of time that
// shows the defect. It shows what matters and says what it leaves out.
type Scene struct {
	From   traceload.Time `json:"from_ns"`
	To     traceload.Time `json:"to_ns"`
	Frames []Frame        `json:"frames"` // what Span.Frame counts in
	Tracks []Track        `json:"tracks"` // the most important first
	Wakes  []Wake         `json:"wakes"`  // in order of time
	// Curve is how many goroutines of the finding's groups were alive over the
	// whole trace; empty where that is not what is wrong.
	Curve   []Point `json:"curve"`
	LeftOut LeftOut `json:"left_out"`
}

// Track is one goroutine's part in a scene.
type Track struct {
	Goroutine int64           `json:"goroutine"`
	Role      Role            `json:"role"`           // "" for one that only woke somebody
	Group     int             `json:"group"`          // index in Finding.Groups, -1 if in none
	Entry     string          `json:"entry"`          // the function that the go statement started; "" if unknown
	Born      *traceload.Time `json:"born,omitempty"` // nil if not in the trace
	Ended     *traceload.Time `json:"ended,omitempty"`
	// Since and Until are when the first span really began and the last one
	// really ended, if that is beyond the scene: the beginning and the end of the
	// trace where it was not seen.
	Since traceload.Time `json:"since_ns"`
	Until traceload.Time `json:"until_ns"`
	Spans []Span         `json:"spans"` // in order of time, without overlap or gaps
}

// What a goroutine that is alive can be doing, in reports.
const (
	StateRunning  = "running"
	StateRunnable = "runnable"
	StateWaiting  = "waiting"
	StateSyscall  = "syscall"
)

// Span is a stretch of time that a goroutine spent in one state.
type Span struct {
	From   traceload.Time `json:"from_ns"`
	To     traceload.Time `json:"to_ns"`
	State  string         `json:"state"`  // running, runnable, waiting, syscall
	Reason string         `json:"reason"` // the runtime's own word for the wait; "" if none
	Frame  int            `json:"frame"`  // index in Scene.Frames of the line where it waited; -1 if unknown
	// Merged counts the spans that this one stands for, where they were too many
	// and too short to be shown one by one; 1 for one that is shown as it was.
	Merged int `json:"merged"`
}

// Wake is one goroutine making another runnable.
type Wake struct {
	T  traceload.Time `json:"t_ns"`
	By int            `json:"by"` // index in Scene.Tracks; -1 for a timer, the network or the runtime
	Of int            `json:"of"` // index in Scene.Tracks
	// What tells what By was doing, or what woke it otherwise: "created",
	// "woken", "timer", "network", "runtime".
	What string `json:"what"`
}

// Point is a number of goroutines at a time.
type Point struct {
	T traceload.Time `json:"t_ns"`
	N int            `json:"n"`
}

// WaitNode is one place in a finding's graph of who waits for whom: a goroutine,
// or several that stand there alike. Each waits for one other at most.
type WaitNode struct {
	Goroutine int64    `json:"goroutine"` // the first of them
	Count     int      `json:"count"`     // how many they are
	Site      Frame    `json:"site"`      // the program's line where they wait
	Holds     []string `json:"holds"`     // what they hold meanwhile, in words: "Cache.mu since cache.go:46"
	Waits     string   `json:"waits"`     // what for, in words: "waits for Store.mu at store.go:31"
	For       int      `json:"for"`       // index of the node that would have to end the wait; -1 if nobody would
}

// LeftOut counts what a scene does not show.
type LeftOut struct {
	Goroutines int `json:"goroutines"` // of the finding's groups
	Spans      int `json:"spans"`      // of the goroutines shown, within From and To
	Wakes      int `json:"wakes"`
}

// Activity is what all goroutines of a trace did over time, without the runtime's own.
type Activity struct {
	Step   time.Duration `json:"step_ns"` // how long each of the equal parts of the trace is
	States []StateCount  `json:"states"`
	Spent  []Spent       `json:"spent"` // where goroutines' time went, the most first
}

// StateCount is how many goroutines were in one state over time.
type StateCount struct {
	State  string    `json:"state"`  // running, runnable, waiting, syscall
	Reason string    `json:"reason"` // for waiting: the runtime's own word for it
	Mean   []float64 `json:"mean"`   // the mean number of goroutines in each part of the trace
}

// Spent is the time that goroutines spent in one state, summed over them.
type Spent struct {
	State  string        `json:"state"`
	Reason string        `json:"reason"`
	Time   time.Duration `json:"time_ns"`
}

// Lost is time that goroutines did not run, at one stack and for one reason.
type Lost struct {
	State  string        `json:"state"` // runnable, waiting, syscall
	Reason string        `json:"reason"`
	Stack  []Frame       `json:"stack"` // innermost first
	Time   time.Duration `json:"time_ns"`
	Count  int           `json:"count"` // how often
}
