package detectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/tests"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact is knowledge that several detectors need. It is built once per walk,
// is fed before those that asked for it, and reports nothing by itself.
type Fact[T Observer] struct {
	Name         string
	Watches      traceload.Kinds // as those of a Detector
	Begins, Ends traceload.Waits // likewise
	New          func(*Pass) T
}

// Need returns the one instance of f in this walk. Call it from a detector's
// or another fact's constructor; reading from it is allowed at any time after.
func Need[T Observer](p *Pass, f *Fact[T]) T {
	e, ok := p.walk.facts[f]
	if !ok {
		e = &entry{name: f.Name, watches: f.Watches, begins: f.Begins, ends: f.Ends}
		fact := f.New(&Pass{walk: p.walk, entry: e})
		e.observer = fact
		p.walk.facts[f] = e
		p.walk.entries = append(p.walk.entries, e)
	}
	e.users = append(e.users, p.entry)
	return e.observer.(T)
}

// Pass is one detector's (or fact's) run over one trace.
type Pass struct {
	walk  *walk
	entry *entry
}

// Report hands over a finding. The room sets cause, confidence, effect, impact,
// site, groups and wording; detector and family are filled in here.
func (p *Pass) Report(f Finding) {
	d := p.entry.detector
	cause, ok := d.Cause(f.Cause)
	if !ok {
		panic(fmt.Sprintf("cause %q is not declared", f.Cause))
	}
	if f.Repair != "" && !slices.Contains(cause.Patterns(), f.Repair) {
		panic(fmt.Sprintf("the repair %q is not declared for the cause %s", f.Repair, f.Cause))
	}
	f.Detector, f.Family = d.Name, d.Family
	p.walk.findings = append(p.walk.findings, judged{f, d})
}

// CannotJudge says that the detector has no answer for this trace, and why
// ("the trace holds no stacks"): a warning of the trace, neither a finding nor silence.
func (p *Pass) CannotJudge(reason string) {
	p.walk.notJudged(p.entry, reason)
}

// LeaveInPeace says that n goroutines waiting at site are at rest, and why.
func (p *Pass) LeaveInPeace(site Frame, n int, why string) {
	p.walk.idle = append(p.walk.idle, IdleSite{Site: site, Goroutines: n, Why: why})
}

// Watch has the observer see events of these kinds too, from the next one on. It is not
// for constructors: there Watches of the description says it.
func (p *Pass) Watch(kinds traceload.Kinds) {
	if e := p.entry; e.watches|kinds != e.watches {
		e.lane.watch(e, kinds)
	}
}

// Overlook has the observer no longer see waits of the same kind begin at the same stack as
// this one (KindBlock), until it calls LookAgain or others watch more: it has nothing to do
// then. It may be shown some all the same.
func (p *Pass) Overlook(ev *traceload.Event) { p.entry.lane.overlook(p.entry, ev) }

// LookAgain takes back all that was said by Overlook.
func (p *Pass) LookAgain() { p.entry.lane.lookAgain() }

// SeeEnd has the observer see the end of one goroutine (KindEnd) although it does not watch
// such: there is something of it to be done with then.
func (p *Pass) SeeEnd(g *traceload.Goroutine) { p.entry.lane.seeEnd(p.entry, g) }

// Keep has what an observer keeps for each goroutine lie beside it in memory. It is for
// constructors; the places are there at the first event, and what is kept is zero for each
// goroutine that is new.
func (p *Pass) Keep(kept ...traceload.Kept) { p.entry.kept = append(p.entry.kept, kept...) }

// Info says what the trace is. It is complete in Finish, zero before.
func (p *Pass) Info() *traceload.Info { return &p.walk.info }

// Source answers questions about the traced program's source; nil if it is
// not to be read.
func (p *Pass) Source() Source { return p.walk.source }

// Tests knows which test each goroutine belongs to. It is for Finish: before, another lane
// may write to it.
func (p *Pass) Tests() *tests.Table { return &p.walk.tests }

// KnownWaits are the rows that the user adds to the table of well-known waits.
func (p *Pass) KnownWaits() []KnownWait { return p.walk.known }

// entry is one observer in the order in which it is fed.
type entry struct {
	name     string
	watches  traceload.Kinds
	begins   traceload.Waits
	ends     traceload.Waits
	observer Observer
	detector *Detector // nil for a fact
	users    []*entry  // who needs this fact
	lane     *lane     // where it is fed; nil in a constructor
	order    int       // its place there
	kept     []traceload.Kept

	dead     bool // it panicked, or a fact that it needs did
	panicked any
	lacks    *entry // the fact that it needs and that is dead

	sampled time.Duration // in the events that a stopwatch timed
	judging time.Duration // in Finish
}

type judged struct {
	Finding
	by *Detector
}

// walk joins one reading of a trace with all that observe it.
type walk struct {
	entries  []*entry // facts before those who need them
	facts    map[any]*entry
	lanes    []*lane
	findings []judged
	warnings []string
	unjudged []NotJudged
	idle     []IdleSite
	info     traceload.Info
	facets   facets
	tests    tests.Table
	source   Source
	known    []KnownWait
	told     []string // what source warned of before this walk
}

// notJudged notes that e has no answer for this trace.
func (w *walk) notJudged(e *entry, reason string) {
	w.warn("%s could not judge this trace: %s", e.name, reason)
	if e.detector != nil {
		w.unjudged = append(w.unjudged, NotJudged{e.name, reason})
	}
}

func (w *walk) warn(format string, args ...any) {
	w.warnings = append(w.warnings, fmt.Sprintf(format, args...))
}

// Result is what one trace gave, not yet ranked.
type Result struct {
	trace    Trace
	findings []judged
	ran      []*Detector
	packages packages
}

// Analyze walks one trace with the given detectors. The error says in one line
// why nothing could be read.
func Analyze(in *traceload.Input, list []*Detector, cfg Config) (*Result, error) {
	if err := Validate(list); err != nil {
		return nil, err
	}
	for _, k := range cfg.KnownWaits {
		if err := k.Validate(); err != nil {
			return nil, err
		}
	}
	w := &walk{facts: map[any]*entry{}, source: cfg.Source, known: cfg.KnownWaits}
	if w.source != nil {
		w.told = w.source.Warnings()
	}
	for _, d := range list {
		w.add(d)
	}
	w.lanes = deal(w.entries, cfg.Limits.Lanes())
	w.lanes[0].own("facets", facetKinds, &w.facets)
	lightest(w.lanes).feedTests(&w.tests)
	var observers []traceload.Lane
	for _, l := range w.lanes {
		if cfg.Stats != nil {
			l.untimed = stopwatch
		}
		observers = append(observers, traceload.Lane{Observe: l.take, Layout: l.layout()})
	}
	begun := time.Now()
	limits := cfg.Limits
	if cfg.Stats != nil {
		limits.Spent = &cfg.Stats.Walk
	}
	programs, info, err := traceload.WalkLanes(in, observers, cfg.Progress, limits)
	if err != nil {
		return nil, err
	}
	walked := time.Now()
	for i, l := range w.lanes {
		l.program = programs[i]
	}
	prog := programs[0]
	w.info = info
	w.facets.Finish(prog)
	for _, e := range w.entries {
		if !e.dead {
			w.finish(e)
		}
	}
	for _, e := range w.entries {
		w.account(e)
	}
	for _, l := range w.lanes {
		for _, e := range l.entries {
			w.account(e)
		}
	}
	w.attribute(prog)
	w.callers(prog)
	w.quote()
	if cfg.Stats != nil {
		cfg.Stats.fill(w, walked.Sub(begun), time.Since(walked))
	}
	return &Result{trace: w.describe(), findings: w.findings, ran: list, packages: packagesOf(prog, w.findings)}, nil
}

func (w *walk) add(d *Detector) {
	e := &entry{name: d.Name, watches: d.Watches, begins: d.Begins, ends: d.Ends, detector: d}
	defer func() { w.entries = append(w.entries, e) }()
	defer e.contain()
	e.observer = d.New(&Pass{walk: w, entry: e})
}

func (w *walk) finish(e *entry) {
	defer e.contain()
	begun := time.Now()
	e.observer.Finish(e.lane.program)
	e.judging = time.Since(begun)
}

// contain switches e off if it panics; it must be deferred directly.
func (e *entry) contain() {
	if v := recover(); v != nil {
		e.fail(v)
	}
}

// fail switches e off, and those that build on it.
func (e *entry) fail(v any) {
	e.dead, e.panicked = true, v
	e.orphan()
}

func (e *entry) orphan() {
	for _, u := range e.users {
		if !u.dead {
			u.dead, u.lacks = true, e
			u.orphan()
		}
	}
}

// account tells what became of e if it was switched off.
func (w *walk) account(e *entry) {
	switch {
	case e.panicked != nil:
		text, _, _ := strings.Cut(fmt.Sprint(e.panicked), "\n")
		kind := "the fact"
		if e.detector != nil {
			kind = "detector"
			w.unjudged = append(w.unjudged, NotJudged{e.name, "internal error: " + text})
		}
		w.warn("internal error in %s %s: %s; this is a bug of tracedoc, not of the trace", kind, e.name, text)
	case e.lacks != nil && e.detector != nil:
		w.notJudged(e, "it builds on "+e.lacks.name+", which failed")
	}
}

// Warnings returns the warnings of the trace.
func (r *Result) Warnings() []string { return r.trace.Warnings }
