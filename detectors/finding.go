package detectors

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Family groups detectors by what they look after.
type Family string

// The families of the contract.
const (
	Locks        Family = "locks"
	Growth       Family = "growth"
	Cancellation Family = "cancellation"
	Timeouts     Family = "timeouts"
	Batching     Family = "batching"
	Scheduling   Family = "scheduling"
)

// Families lists all families in the order in which documents show them.
func Families() []Family {
	return []Family{Locks, Growth, Cancellation, Timeouts, Batching, Scheduling}
}

// Finding is one defect with its evidence, its wording and its remedy: plain
// data, without a handle into the trace. A room fills in everything above the
// line; rank.go does the rest, so that severities compare across rooms.
type Finding struct {
	Rank        int      `json:"rank"`  // from 1; set by rank.go
	Trace       int      `json:"trace"` // index in Report.Traces; of the worst if it is in several
	Fingerprint string   `json:"fingerprint"`
	Detector    string   `json:"detector"`
	Family      Family   `json:"family"`
	Cause       string   `json:"cause"`
	Severity    Severity `json:"severity"`   // set by rank.go
	Confidence  float64  `json:"confidence"` // in [0, 1]: that this is a defect and not how the program is meant to be
	Score       float64  `json:"score"`      // set by rank.go; higher is worse

	Title   string   `json:"title"`   // one line: who does what, at whose expense
	Detail  string   `json:"detail"`  // some sentences: where, since when, what it costs
	Picture []string `json:"picture"` // the finding drawn in text, a line each; mostly empty
	// Graph is who waits for whom, those that wait in a circle first, in its
	// order; mostly empty.
	Graph    []WaitNode `json:"graph"`
	Evidence []Evidence `json:"evidence"`
	Impact   Impact     `json:"impact"`
	Estimate *Estimate  `json:"estimate,omitempty"` // nil where none is made
	Site     Frame      `json:"site"`               // the user's line to look at
	// Caller is the innermost frame of the program's own code on the way to a
	// site in a dependency; zero where the site is the program's own, or nothing
	// of the program leads there. Set by run.go.
	Caller   Frame           `json:"caller"`
	Source   []SourceLine    `json:"source"` // the lines around it, where the source is at hand; set by run.go
	Groups   []Group         `json:"groups"`
	Tests    []string        `json:"tests"` // that the goroutines of Groups belong to, sorted, at most MaxTests; empty where unknown; set by run.go
	Timeline []TimelineEvent `json:"timeline"`
	WrongIf  string          `json:"wrong_if"` // one sentence: when this is no defect
	Pattern  Pattern         `json:"pattern"`

	// Scene is the finding as a picture; nil if none was asked for. Set by package scenes.
	Scene *Scene `json:"scene,omitempty"`

	// Seen says in which traces the problem was found, in their order, and how
	// it stood there. Everything else is from the worst of them. Set by rank.go.
	Seen []Sighting `json:"seen"`

	// Effect is what the defect does to the program; severity follows from it.
	Effect Effect `json:"-"`
	// Unproven says that the trace suggests the defect, and that what would
	// prove it is not at hand: the finding has low severity at most.
	Unproven bool `json:"-"`
	// Active is how long the defect was at work, for one that comes in bursts
	// (EffectWastes only); 0 means throughout the trace.
	Active time.Duration `json:"-"`
	// OutlivesTest says that a test started the goroutines and has ended
	// without them: however short the trace, nothing more is to be waited for.
	OutlivesTest bool `json:"-"`
	// Explains lists further lines whose trouble this finding accounts for: a
	// finding of a detector that yields to this one is dropped if it stands there.
	Explains []Frame `json:"-"`
	// Repair is the id of the repair that fits this finding, one of its cause's;
	// "" for Cause.Pattern.
	Repair string `json:"-"`
	// Adds is what a finding that this one yields to should say as well, as
	// sentences: it becomes the end of that finding's Detail.
	Adds string `json:"-"`
	// Key holds functions beside Site.Func that tell this problem from others
	// of the same cause in the same function; they enter the fingerprint.
	Key []string `json:"-"`
}

// Effect says what a defect does to the program.
type Effect uint8

const (
	// EffectDelays: goroutines lose Impact.Blocked and go on.
	EffectDelays Effect = iota
	// EffectStops: the goroutines concerned will never go on, and others or
	// the program's callers wait for them.
	EffectStops
	// EffectGrows: goroutines (and what they hold) gather for ever.
	EffectGrows
	// EffectWastes: processor time goes into something avoidable.
	EffectWastes
)

// Impact says what a defect costs.
type Impact struct {
	Goroutines  int           `json:"goroutines"`  // how many suffer
	Blocked     time.Duration `json:"blocked_ns"`  // the time they lost to this cause, summed
	Occurrences int           `json:"occurrences"` // how often it happened
}

// Sighting is how a problem stood in one trace.
type Sighting struct {
	Trace      int      `json:"trace"` // index in Report.Traces
	Severity   Severity `json:"severity"`
	Confidence float64  `json:"confidence"`
	Impact     Impact   `json:"impact"`
}

// Estimate says what the repair would save of what this trace shows. It is
// reckoned from the trace's own numbers and was not measured; a number of zero
// claims nothing.
type Estimate struct {
	Text       string        `json:"text"`       // what would be saved, and how that was reckoned: one or two sentences
	Time       time.Duration `json:"time_ns"`    // that goroutines would no longer lose, summed over them, as Impact.Blocked is
	CPU        time.Duration `json:"cpu_ns"`     // that would no longer be used
	Wakeups    int           `json:"wakeups"`    // of goroutines that would not happen
	Syscalls   int           `json:"syscalls"`   // that would not be made
	Goroutines int           `json:"goroutines"` // that would not be started
}

// Evidence is one observation behind a judgement.
type Evidence struct {
	Text   string  `json:"text"`   // such as "none of the 40 has been woken since it parked here"
	Weight float64 `json:"weight"` // how much it moved the judgement; negative speaks against a defect
}

// Frame is one call in the program's source.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// Role says which part a group of goroutines plays in a finding.
type Role string

// The roles of the contract.
const (
	Holder    Role = "holder"
	Waiter    Role = "waiter"
	Stuck     Role = "stuck"
	Leaked    Role = "leaked"
	Creator   Role = "creator"
	Canceller Role = "canceller"
	Sender    Role = "sender"
	Receiver  Role = "receiver"
	Worker    Role = "worker"
	Victim    Role = "victim"
)

// MaxGroupIDs is how many goroutine ids a group lists at most.
const MaxGroupIDs = 16

// MaxTests is how many tests a finding lists at most.
const MaxTests = 16

// Group is a set of goroutines that play one role, share a stack and a wait reason.
type Group struct {
	Role       Role    `json:"role"`
	Count      int     `json:"count"`      // the full number
	Goroutines []int64 `json:"goroutines"` // at most MaxGroupIDs of them
	Entry      string  `json:"entry"`      // the function that the go statement started; "" if unknown
	State      string  `json:"state"`      // waiting, running, runnable, syscall, ended
	Reason     string  `json:"reason"`     // the runtime's own word for the wait
	Stack      []Frame `json:"stack"`      // innermost first, whole
	CreatedBy  Frame   `json:"created_by"` // zero if unknown

	// Rest holds the ids beyond MaxGroupIDs, for Finding.Tests; nil in a report.
	Rest []int64 `json:"-"`
}

// TimelineEvent is one step of the story that a finding tells.
type TimelineEvent struct {
	T         traceload.Time `json:"t_ns"`
	Goroutine int64          `json:"goroutine"`
	Event     string         `json:"event"` // created, blocked, woken, released, cancelled, expired, ended, …
	Text      string         `json:"text"`
}

// Pattern is a repair: what to do, why it helps, and how it looks.
type Pattern struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Why    string   `json:"why"`
	Before string   `json:"before"`
	After  string   `json:"after"`
	Links  []string `json:"links"`
}
