package longrun

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// When a goroutine that keeps others waiting is worth a finding. Fixtures:
// long-run-cpu*, long-run-syscall*; their mended twins must stay silent.
const (
	dealsAtLeast  = 40                    // times that it was woken or ended the wait of another, so that there is a usual step
	seldom        = 0.2                   // long steps for each time that it was woken: more, and the long one is its work
	usuallyAtMost = 2 * time.Millisecond  // half of its steps take no longer: it is meant to be quick
	usually       = 2                     // short calls with the same stack for each long one: more, and the call is its daily work
	contrast      = 10                    // times the median step
	lostAtLeast   = 20 * time.Millisecond // by all that waited
	longAtLeast   = 2                     // long steps that made somebody wait
	reportable    = 0.3                   // confidence
)

func (s *server) judge(o *observer, p *traceload.Program, cause string) {
	t := s.past.of(cause)
	median := s.steps.Quantile(0.5)
	if s.served+s.turns < dealsAtLeast || float64(t.count) > seldom*float64(s.turns) || t.lost < lostAtLeast || t.steps < longAtLeast || len(t.path) == 0 || median > usuallyAtMost ||
		t.total < contrast*median*time.Duration(t.count) || t.several == 0 {
		return
	}
	if t.short > usually*t.count {
		return // the call is its daily work, and the disk is slow at times
	}
	var sum odds.Sum
	sum.Note(1, "it was woken %d times and ended %d waits of others; half of its steps take %s or less, and these %d took %s on the average",
		s.turns, s.served, detectors.Duration(median), t.count, detectors.Duration(t.total/time.Duration(t.count)))
	if usual := s.waits.Quantile(0.5); t.length > contrast*usual {
		sum.Note(0.7, "half of those that it served had waited %s or less", detectors.Duration(usual))
	}
	switch {
	case t.victims.Len() >= 4:
		sum.Note(0.7, "%d goroutines had to wait, several at a time", t.victims.Len())
	case 2*t.several < t.steps:
		sum.Note(-0.7, "mostly only one goroutine had to wait: it may be the one that asked for it")
	}
	if t.steps >= 5 {
		sum.Note(0.5, "it happened %d times, always in the same place", t.steps)
	}
	if t.testing {
		sum.Note(-4, "package testing runs it: it may be what the test is about")
	}
	if c := sum.Confidence(-1); c >= reportable {
		o.pass.Report(t.finding(p, s, cause, sum.Evidence, c))
	}
}

// wrongIf says per cause when the finding is no defect.
var wrongIf = map[string]string{
	onCPU:     "those that wait need just this result",
	inSyscall: "those that wait need just what the call does, such as data being safe on disk",
}

func (t *toll) finding(p *traceload.Program, s *server, cause string, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	site := detectors.FrameOf(p.Frame(t.path[len(t.path)-1]))
	loop := detectors.FrameOf(p.Frame(t.path[0]))
	does := "computes"
	if cause == inSyscall {
		does = "sits in a system call"
	}
	f := detectors.Finding{
		Cause: cause, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence,
		Impact: detectors.Impact{Goroutines: t.victims.Len(), Blocked: t.lost, Occurrences: t.hit},
		Site:   site, Key: []string{loop.Func}, WrongIf: wrongIf[cause],
	}
	f.Title = fmt.Sprintf("%s %s for up to %s while %s for it", detectors.Short(loop.Func), does, detectors.Duration(t.length), waits(t.victims.Len()))
	var b strings.Builder
	fmt.Fprintf(&b, "The goroutine in %s serves others, and half of its steps take %s or less. But %d times it %s for long", detectors.Short(loop.Func), detectors.Duration(s.steps.Quantile(0.5)), t.count, does)
	if cause == inSyscall {
		fmt.Fprintf(&b, " (%s)", detectors.Short(called(p, t.stack)))
	}
	fmt.Fprintf(&b, ", at %s, %s in all, the longest %s. Those that had given it something, or waited to, stood still meanwhile: %d times, %s together.",
		site.Where(), detectors.Duration(t.total), detectors.Duration(t.length), t.hit, detectors.Duration(t.lost))
	f.Detail = b.String()
	f.Estimate = &detectors.Estimate{Time: t.lost, Text: "Done by another goroutine, it would keep nobody waiting who does not need its result; that nobody of these does is assumed."}
	worker := detectors.Group{Role: detectors.Worker, Count: 1, Goroutines: []int64{int64(s.id)}, State: traceload.StateRunning.String(),
		Stack: detectors.StackOf(p, t.stack), CreatedBy: detectors.SiteOf(p, s.created), Entry: detectors.EntryOf(p, s.entry)}
	if cause == inSyscall {
		worker.State = traceload.StateSyscall.String()
	}
	victims := detectors.Group{Role: detectors.Victim, Count: t.victims.Len(), Goroutines: t.victims.IDs(), State: traceload.StateWaiting.String(), Reason: p.String(t.reason),
		Stack: detectors.StackOf(p, t.waitStack), CreatedBy: detectors.SiteOf(p, t.createdAt), Entry: detectors.EntryOf(p, t.entry)}
	f.Groups = []detectors.Group{worker, victims}
	f.Timeline = []detectors.TimelineEvent{
		{T: t.longest.from, Goroutine: int64(s.id), Event: "running", Text: "begins the longest of these steps"},
		{T: t.longest.to, Goroutine: int64(s.id), Event: "released", Text: "is done with it after " + detectors.Duration(t.length)},
	}
	return f
}

func waits(n int) string {
	if n == 1 {
		return "1 goroutine waits"
	}
	return fmt.Sprintf("%d goroutines wait", n)
}

// called is the function that the user's code called for the system call.
func called(p *traceload.Program, id traceload.StackID) string {
	s := p.Stack(id)
	if s.Site > 0 {
		return p.Frame(s.Frames[s.Site-1]).Func
	}
	if len(s.Frames) > 0 {
		return p.Frame(s.Frames[0]).Func
	}
	return "an unknown call"
}
