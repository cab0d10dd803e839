package detectors

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Schema is the name of the JSON report's schema. It changes only by adding;
// what must break it gets a new name.
const Schema = "tracedoc/report/v1"

// Report is all that was read and found, ranked. It is the only thing that an
// output format sees, and it encodes to JSON and back without loss.
type Report struct {
	Schema string  `json:"schema"`
	Tool   Tool    `json:"tool"`
	Traces []Trace `json:"traces"`
	// Detectors lists who looked at the traces: what is not in Findings was not
	// found by these. Empty in reports of earlier versions.
	Detectors []Ran     `json:"detectors"`
	Findings  []Finding `json:"findings"`
	// Suppressed lists what was found and is left out because somebody decided
	// so: it is known (a baseline), or to be ignored.
	Suppressed []Suppressed `json:"suppressed"`
	// Omitted counts the findings that filters left out (Options.MinSeverity,
	// MinConfidence, Top), so that an empty list is not mistaken for a clean bill.
	Omitted int `json:"omitted"`
}

// Ran says which detector looked at the traces.
type Ran struct {
	Name   string `json:"name"`
	Family Family `json:"family"`
	About  string `json:"about"` // what it finds, in half a sentence
}

// Suppressed is a finding that was left out by decision.
type Suppressed struct {
	Fingerprint string   `json:"fingerprint"`
	Detector    string   `json:"detector"`
	Cause       string   `json:"cause"`
	Severity    Severity `json:"severity"`
	Title       string   `json:"title"`
	Site        Frame    `json:"site"`
	By          string   `json:"by"`     // "baseline" or "ignore"
	Reason      string   `json:"reason"` // what was given as the reason; "" if nothing was
}

// Tool says who made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Trace says what one analysed trace is.
type Trace struct {
	Source      string        `json:"source"`
	Format      string        `json:"format"`
	StartTime   *time.Time    `json:"start_time,omitempty"` // nil where the trace carries no wall clock
	Duration    time.Duration `json:"duration_ns"`
	Bytes       int64         `json:"bytes"`
	Events      int64         `json:"events"`
	Goroutines  int64         `json:"goroutines"`
	Complete    bool          `json:"complete"`
	UnreadBytes int64         `json:"unread_bytes"`
	// Warnings says what went wrong with reading, and which detectors could
	// not judge this trace and why: neither a finding nor silence.
	Warnings []string `json:"warnings"`
	// NotJudged lists the detectors that had no answer; Warnings says it too.
	NotJudged []NotJudged `json:"not_judged"`
	// Idle is what was looked at and left in peace.
	Idle Idle `json:"idle"`
	// CannotShow lists what this trace cannot show, each with the recording that would.
	CannotShow []string `json:"cannot_show"`
	// Activity and Lost are what formats draw; nil if none asked for it. Set by package scenes.
	Activity *Activity `json:"activity,omitempty"`
	Lost     []Lost    `json:"lost,omitempty"`

	// Names are the names of tasks and regions, which texts of findings may hold:
	// for redaction, and not part of what a report says.
	Names []string `json:"-"`
}

// NotJudged is a detector that had no answer for a trace, and why.
type NotJudged struct {
	Detector string `json:"detector"`
	Reason   string `json:"reason"`
}

// Idle counts goroutines that waited at the end and were judged to be at rest.
type Idle struct {
	Goroutines int        `json:"goroutines"`
	Sites      []IdleSite `json:"sites"` // the largest first
}

// IdleSite is one place where goroutines rest.
type IdleSite struct {
	Site       Frame  `json:"site"`
	Goroutines int    `json:"goroutines"`
	Why        string `json:"why"` // what speaks for rest: "woken 318 times, as a pool of workers is"
}

// Worst returns the highest severity among the findings; ok is false if there are none.
func (r *Report) Worst() (worst Severity, ok bool) {
	for i := range r.Findings {
		worst, ok = max(worst, r.Findings[i].Severity), true
	}
	return worst, ok
}

// Complete tells whether every trace could be read whole.
func (r *Report) Complete() bool {
	for i := range r.Traces {
		if !r.Traces[i].Complete {
			return false
		}
	}
	return true
}

// normalize makes every list non-nil, as the schema promises.
func (r *Report) normalize() {
	r.Traces = nonNil(r.Traces)
	for i := range r.Traces {
		t := &r.Traces[i]
		t.Warnings, t.CannotShow, t.Idle.Sites = nonNil(t.Warnings), nonNil(t.CannotShow), nonNil(t.Idle.Sites)
		t.NotJudged = nonNil(t.NotJudged)
	}
	r.Detectors, r.Suppressed = nonNil(r.Detectors), nonNil(r.Suppressed)
	r.Findings = nonNil(r.Findings)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Seen == nil { // in a report of an earlier version
			f.Seen = []Sighting{{Trace: f.Trace, Severity: f.Severity, Confidence: f.Confidence, Impact: f.Impact}}
		}
		f.Source, f.Picture, f.Evidence, f.Groups, f.Timeline, f.Pattern.Links = nonNil(f.Source), nonNil(f.Picture), nonNil(f.Evidence), nonNil(f.Groups), nonNil(f.Timeline), nonNil(f.Pattern.Links)
		if s := f.Scene; s != nil {
			s.Frames, s.Tracks, s.Wakes, s.Curve = nonNil(s.Frames), nonNil(s.Tracks), nonNil(s.Wakes), nonNil(s.Curve)
		}
		f.Tests, f.Graph = nonNil(f.Tests), nonNil(f.Graph)
		for j := range f.Graph {
			f.Graph[j].Holds = nonNil(f.Graph[j].Holds)
		}
		for j := range f.Groups {
			f.Groups[j].Goroutines, f.Groups[j].Stack = nonNil(f.Groups[j].Goroutines), nonNil(f.Groups[j].Stack)
		}
	}
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// ReadReport reads a report in its JSON form.
func ReadReport(r io.Reader) (*Report, error) {
	var rep Report
	if err := json.NewDecoder(r).Decode(&rep); err != nil {
		return nil, fmt.Errorf("not a report of schema %s: %w", Schema, err)
	}
	if rep.Schema != Schema {
		return nil, fmt.Errorf("a report of schema %q: expected %q", rep.Schema, Schema)
	}
	rep.normalize()
	return &rep, nil
}
