package lockcontention

import (
	"cmp"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waitgraph"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

const (
	// A queue is a convoy from this mean length on, counted while there is one.
	// Two goroutines that meet now and then make a queue of length 1.
	convoyLength = 1.5
	// … and with so many waits, by so many goroutines.
	convoyWaits, convoyWaiters = 20, 3

	// A writer is starved if it had to wait for readers so often, and for so
	// long on average. A reader that only reads is out in microseconds.
	starvedWaits = 5
	starvedMean  = 500 * time.Microsecond

	// Readers are blocked if a writer held them up so often, and for so long.
	blockedWaits = 10
	blockedMean  = 200 * time.Microsecond

	// stallShare: where one hold took this part of all that was lost, the lock
	// stood still once and is not in use too much.
	stallShare = 0.5

	// lostAtLeast is the time, summed over all waiters, from which a finding is
	// worth a line at all; what it is worth is decided in rank.go.
	lostAtLeast = 5 * time.Millisecond
)

// Weights of the evidence, on the scale of log odds: confidence = 1 / (1 + exp(-sum)).
const (
	prior           = -1.0
	weightLong      = 1.5  // the queue was long
	weightQueue     = 0.8  // there was a queue
	weightSustained = 1.0  // for a good part of the trace
	weightManyWaits = 0.7  // very often
	weightInOrder   = 0.5  // surely one lock
	weightMany      = -1.0 // several locks share these lines
	weightStd       = -1.5 // the standard library's own lock
	weightSaturated = -0.7 // much of the waiting was for a processor
	weightStarved   = -2.0 // most of it was: that is a full machine, and not the lock
	weightReaders   = 2.0  // woken by a reader that left
	weightBehind    = 0.7  // and readers queued behind the writer
	weightWriter    = 2.0  // woken by a writer
	weightSlow      = 0.7  // after long
)

const (
	longQueue      = 4.0
	sustained      = 0.25 // of the trace
	manyWaits      = 100
	manyLocks      = 1.5
	saturatedShare = 0.3
	starvedShare   = 0.6
	slow           = 2 * time.Millisecond
	maxLines       = 5
	maxExits       = 2
)

// Detector finds locks that goroutines queue for because they are in use too much.
var Detector = &detectors.Detector{
	Name:   "lock-contention",
	Family: detectors.Locks,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "convoy", Pattern: "shard-lock", Cap: detectors.High},
		{Name: "writer-starved", Pattern: "writer-priority-chunks", Cap: detectors.High},
		{Name: "readers-blocked", Pattern: "copy-on-write", Cap: detectors.High},
	},
	Yields: []string{"deadlock", "lock-held-while-blocked"},
	New: func(p *detectors.Pass) detectors.Observer {
		detectors.Need(p, waitgraph.Fact) // it tells the table of locks who holds them at the end
		return &observer{pass: p, locks: detectors.Need(p, locks.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass  *detectors.Pass
	locks *locks.Table
	_     cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, c := range o.locks.Classes {
		if !c.Once {
			o.judge(p, c)
		}
	}
}

// loss is what was lost to one cause, and by whom.
type loss struct {
	lines       []*locks.Line
	lost        time.Duration // not explained by anything else
	waited      time.Duration
	blocked     time.Duration
	unscheduled time.Duration
	waits       int
	longest     time.Duration
	waiters     int
	read        bool // the releases that ended it are RUnlocks
}

func (l *loss) add(line *locks.Line, pending time.Duration) {
	l.lines = append(l.lines, line)
	l.waited += line.Waited
	l.blocked += line.Blocked
	l.unscheduled += line.Unscheduled
	l.waits += line.Waits
	l.longest = max(l.longest, line.Longest)
	l.lost += max(0, line.Waited-line.Blocked-line.Unscheduled-pending)
}

func (o *observer) judge(p *traceload.Program, c *locks.Class) {
	var mutex, writers, readers loss
	var pending time.Duration // lost behind a writer that waits
	for _, line := range c.Lines {
		switch {
		case line.Wait == traceload.WaitRWMutexW:
			writers.add(line, 0)
		case line.Wait == traceload.WaitRWMutexR:
			readers.add(line, line.Pending)
			pending += line.Pending
		case !line.Cond: // a Broadcast wakes all at once, and all want the lock back
			mutex.add(line, line.Pending)
			pending += line.Pending
		}
	}
	if stalled := time.Duration(stallShare * float64(mutex.lost+writers.lost+readers.lost+pending)); c.Worst > stalled {
		return
	}
	writers.read = true
	mutex.waiters, writers.waiters, readers.waiters = c.Waiters(traceload.WaitMutex), c.Waiters(traceload.WaitRWMutexW), c.Waiters(traceload.WaitRWMutexR)
	if c.RW && readers.lost >= mutex.lost { // writers behind a writer, as the readers are
		for _, line := range mutex.lines {
			readers.add(line, line.Pending)
		}
		readers.waiters += mutex.waiters
		mutex = loss{}
	}
	o.starved(p, c, &writers, pending)
	o.held(p, c, &readers)
	o.convoy(p, c, &mutex)
}

// verdict adds up evidence.
type verdict struct {
	list []detectors.Evidence
	sum  float64
}

func (v *verdict) note(weight float64, format string, args ...any) {
	v.sum += weight
	v.list = append(v.list, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

func (o *observer) convoy(p *traceload.Program, c *locks.Class, l *loss) {
	if l.lost < lostAtLeast || c.Busy <= 0 {
		return
	}
	length := float64(l.lost) / float64(c.Busy) / c.Instances
	n := l.waiters
	if length < convoyLength || l.waits < convoyWaits || n < convoyWaiters {
		return
	}
	v := &verdict{sum: prior}
	if length >= longQueue {
		v.note(weightLong, "%.1f goroutines stood in the queue on average, while there was one", length)
	} else {
		v.note(weightQueue, "%.1f goroutines stood in the queue on average, while there was one", length)
	}
	o.common(p, c, l, v)
	f := o.finding(p, c, l, "convoy")
	at := detectors.Short(f.Site.Func)
	f.Title = fmt.Sprintf("%s queue for %s in %s", detectors.Count(n, "goroutine"), o.nameOr(p, c, c.Article()), at)
	f.Detail = fmt.Sprintf("The holders keep %s for %s on average and work meanwhile, but the next one always waits already: %s, %s lost in all, %s for the longest. "+
		"In the queue stood %.1f goroutines on average, for %s of the trace.",
		o.nameOr(p, c, "the "+c.Noun()), hold(c, false), detectors.Count(l.waits, "wait"), detectors.Duration(l.lost), detectors.Duration(l.longest), length, detectors.Duration(c.Busy)) + besides(l)
	f.WrongIf = "the work under the lock cannot be done outside it or divided, and the queue costs nobody anything"
	o.report(f, v)
}

func (o *observer) starved(p *traceload.Program, c *locks.Class, l *loss, pending time.Duration) {
	lost := l.lost + pending
	if lost < lostAtLeast || l.waits < starvedWaits || l.lost < time.Duration(l.waits)*starvedMean {
		return
	}
	v := &verdict{sum: prior}
	v.note(weightReaders, "%s of a writer ended when the last reader left", detectors.Count(l.waits, "wait"))
	if pending >= l.lost/10 {
		v.note(weightBehind, "while a writer waits no new reader is let in: those that came lost %s", detectors.Duration(pending))
	}
	o.slowness(l, v)
	o.common(p, c, l, v)
	f := o.finding(p, c, l, "writer-starved")
	f.Impact.Blocked = lost
	for _, line := range c.Lines {
		if line.Pending > 0 {
			explain(p, &f, line)
			if len(f.Groups) < maxLines+maxExits {
				f.Groups = append(f.Groups, o.locks.Waiters(p, line, &line.Who))
			}
		}
	}
	also := ""
	if pending > 0 {
		f.Impact.Goroutines = c.Waiters(traceload.WaitRWMutexW, traceload.WaitRWMutexR)
		also = fmt.Sprintf(" As long as a writer waits, new readers wait behind it: they lost another %s.", detectors.Duration(pending))
	}
	f.Title = fmt.Sprintf("%s waits for readers of %s, %s each time", detectors.Short(f.Site.Func), o.nameOr(p, c, "the RWMutex"), detectors.Duration(l.lost/time.Duration(l.waits)))
	f.Detail = fmt.Sprintf("Readers hold %s, which they release at %s, when it is wanted for writing at %s: %s, %s lost in all, %s for the longest.",
		o.nameOr(p, c, "the lock"), o.exitsOf(p, c, true), f.Site.Where(), detectors.Count(l.waits, "wait"), detectors.Duration(l.lost), detectors.Duration(l.longest)) + also + besides(l)
	f.WrongIf = "writes are so rare and so little urgent that they may wait for the readers"
	o.report(f, v)
}

func (o *observer) held(p *traceload.Program, c *locks.Class, l *loss) {
	if l.lost < lostAtLeast || l.waits < blockedWaits || l.lost < time.Duration(l.waits)*blockedMean {
		return
	}
	v := &verdict{sum: prior}
	v.note(weightWriter, "%s ended when a writer unlocked", detectors.Count(l.waits, "wait"))
	o.slowness(l, v)
	o.common(p, c, l, v)
	f := o.finding(p, c, l, "readers-blocked")
	f.Title = fmt.Sprintf("%s for a writer of %s in %s", waitFor(l.waiters), o.nameOr(p, c, "the RWMutex"), detectors.Short(f.Site.Func))
	f.Detail = fmt.Sprintf("The writer keeps %s for %s on average and releases it at %s; %s for it lost %s in all, %s for the longest.",
		o.nameOr(p, c, "the lock"), hold(c, false), o.exitsOf(p, c, false), detectors.Count(l.waits, "wait"), detectors.Duration(l.lost), detectors.Duration(l.longest)) + besides(l)
	f.WrongIf = "readers must not see anything before the write is complete, and the write cannot be prepared outside the lock"
	o.report(f, v)
}

// nameOr returns the lock's name by the source, or what to call it without.
func (o *observer) nameOr(p *traceload.Program, c *locks.Class, unnamed string) string {
	if name := o.locks.Name(p, c); name != "" {
		return name
	}
	return unnamed
}

func (o *observer) slowness(l *loss, v *verdict) {
	if mean := l.lost / time.Duration(max(1, l.waits)); mean >= slow {
		v.note(weightSlow, "a wait took %s on average", detectors.Duration(mean))
	}
}

// common adds the evidence that does not depend on the cause.
func (o *observer) common(p *traceload.Program, c *locks.Class, l *loss, v *verdict) {
	if c.Busy >= time.Duration(sustained*float64(p.Now)) {
		v.note(weightSustained, "somebody waited for %s of the trace's %s", detectors.Duration(c.Busy), detectors.Duration(time.Duration(p.Now)))
	}
	if l.waits >= manyWaits {
		v.note(weightManyWaits, "there were %d waits", l.waits)
	}
	switch {
	case c.Instances >= manyLocks:
		v.note(weightMany, "the waiters were not served first in, first out: about %.0f locks share these lines", math.Round(c.Instances))
	case c.InOrder >= 10:
		v.note(weightInOrder, "the waiters were served first in, first out, as one lock does it")
	}
	if c.Std {
		v.note(weightStd, "the lock is the standard library's own")
	}
	if share := l.unscheduled.Seconds() / max(l.waited.Seconds(), 1e-9); share > saturatedShare {
		weight := weightSaturated
		if share > starvedShare {
			weight = weightStarved
		}
		v.note(weight, "for %s of %s the holders had no processor", detectors.Duration(l.unscheduled), detectors.Duration(l.waited))
	}
}

func (o *observer) finding(p *traceload.Program, c *locks.Class, l *loss, cause string) detectors.Finding {
	slices.SortStableFunc(l.lines, func(a, b *locks.Line) int {
		return cmp.Compare(b.Waited-b.Blocked-b.Pending, a.Waited-a.Blocked-a.Pending)
	})
	f := detectors.Finding{
		Cause:  cause,
		Effect: detectors.EffectDelays,
		Impact: detectors.Impact{Goroutines: l.waiters, Blocked: l.lost, Occurrences: l.waits},
		Site:   detectors.SiteOf(p, l.lines[0].Stack),
	}
	n := 0
	for _, x := range c.Exits {
		if x.Read == l.read && n < maxExits {
			n++
			f.Groups = append(f.Groups, x.Who.Group(p, detectors.Holder, x.Stack, traceload.StateRunning, ""))
		}
	}
	for i, line := range l.lines {
		if i < maxLines {
			f.Groups = append(f.Groups, o.locks.Waiters(p, line, &line.Who))
		}
		explain(p, &f, line)
	}
	f.Timeline = o.timeline(p, c, l)
	return f
}

// explain notes that f accounts for what is lost at line.
func explain(p *traceload.Program, f *detectors.Finding, line *locks.Line) {
	if at := detectors.SiteOf(p, line.Stack); at != f.Site && !slices.Contains(f.Explains, at) {
		f.Explains = append(f.Explains, at)
	}
}

func (o *observer) report(f detectors.Finding, v *verdict) {
	f.Evidence = v.list
	f.Confidence = 1 / (1 + math.Exp(-v.sum))
	o.pass.Report(f)
}

// timeline tells the longest wait of the costliest line.
func (o *observer) timeline(p *traceload.Program, c *locks.Class, l *loss) []detectors.TimelineEvent {
	s := l.lines[0].Sample
	list := []detectors.TimelineEvent{
		{T: s.Since, Goroutine: int64(s.Waiter), Event: "blocked", Text: fmt.Sprintf("waits for %s, with %s already in the queue", o.nameOr(p, c, c.Article()), detectors.Count(s.Before, "goroutine"))},
	}
	if s.Holder == traceload.NoGoroutine {
		return list
	}
	return append(list,
		detectors.TimelineEvent{T: s.Until, Goroutine: int64(s.Holder), Event: "released", Text: "unlocks at " + detectors.SiteOf(p, s.Exit).Where()},
		detectors.TimelineEvent{T: s.Until, Goroutine: int64(s.Waiter), Event: "woken", Text: "gets the lock after " + detectors.Duration(s.Until.Sub(s.Since))})
}

// exitsOf names the lines that release the lock.
func (o *observer) exitsOf(p *traceload.Program, c *locks.Class, read bool) string {
	var at []string
	for _, x := range c.Exits {
		if s := detectors.SiteOf(p, x.Stack).Where(); x.Read == read && len(at) < 3 && !slices.Contains(at, s) {
			at = append(at, s)
		}
	}
	if len(at) == 0 {
		return "an unknown line"
	}
	return strings.Join(at, ", ")
}

// hold words for how long the lock was held on average, as far as the trace shows.
func hold(c *locks.Class, read bool) string {
	n, d := 0, time.Duration(0)
	for _, x := range c.Exits {
		if x.Read == read {
			n, d = n+x.Holds, d+x.Held
		}
	}
	return detectors.Duration(d / time.Duration(max(n, 1)))
}

// besides says what else the waiters waited for.
func besides(l *loss) string {
	var b strings.Builder
	if l.unscheduled > l.waited/20 {
		fmt.Fprintf(&b, " Not counted: %s in which the holders could run and got no processor.", detectors.Duration(l.unscheduled))
	}
	if l.blocked > l.waited/20 {
		fmt.Fprintf(&b, " Not counted: %s in which the holders were blocked.", detectors.Duration(l.blocked))
	}
	return b.String()
}

func waitFor(n int) string {
	if n == 1 {
		return "1 goroutine waits"
	}
	return fmt.Sprintf("%d goroutines wait", n)
}
