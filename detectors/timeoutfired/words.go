package timeoutfired

import (
	"fmt"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// wrongIf says per cause when the finding is no defect.
var wrongIf = map[string]string{
	deadlineCause: "the caller does well without the answer, and the deadline only says how long it cares to wait",
	timerCause:    "the timer is a pause, a hedge or a deadline for gathering a batch, and nobody misses what did not come",
}

func (v *verdict) finding(p *traceload.Program) detectors.Finding {
	s, l := v.site, v.lapses
	site := detectors.FrameOf(p.Frame(s.frame))
	f := detectors.Finding{
		Cause:      v.cause,
		Effect:     detectors.EffectDelays,
		Confidence: v.confidence,
		Evidence:   v.evidence,
		Impact:     detectors.Impact{Goroutines: l.goroutines.Len(), Blocked: l.total, Occurrences: l.count},
		Site:       site,
		Groups:     []detectors.Group{v.group(p)},
		Timeline:   v.timeline(p, site),
		WrongIf:    wrongIf[v.cause],
	}
	if call := s.call(p, l.last.stack); call != "" {
		f.Key = []string{call}
	}
	for _, parent := range v.explains {
		f.Explains = append(f.Explains, detectors.FrameOf(p.Frame(parent.frame)))
	}
	well, _ := v.endedWell()
	ender := "a context's deadline"
	if v.cause == timerCause {
		ender = "a timer"
	}
	f.Title = fmt.Sprintf("%s waits in vain: %s ended %d of %s", detectors.Short(site.Func), ender, l.count, s.waits(well+l.count))
	f.Detail = v.detail(p, site, ender)
	f.Estimate = v.estimate()
	f.Repair = l.repair()
	return f
}

// retryRepair is the repair where most waits in vain are followed by another attempt.
const retryRepair = "retry-with-backoff"

// repair returns the repair that fits better than the cause's own, "" if none
// does. Work that goes on after its time is to be ended first.
func (l *lapses) repair() string {
	if l.storm() && share(l.unfinished, l.count) < most {
		return retryRepair
	}
	return ""
}

// storm tells whether most waits in vain were followed by another attempt at once.
func (l *lapses) storm() bool { return l.retried > 0 && share(l.retried, l.count) >= most }

// estimate says what the waits in vain cost, and so what would be saved if there were none.
func (v *verdict) estimate() *detectors.Estimate {
	l := v.lapses
	e := &detectors.Estimate{Time: l.total}
	well, h := v.endedWell()
	switch {
	case l.storm():
		e.Text = fmt.Sprintf("The %s in vain that were followed by another attempt bought nothing: a limit that the call can keep, or a pause before asking again, saves them.", detectors.Count(l.count, "wait"))
	case well > 0 && h.N() > 0:
		e.Text = fmt.Sprintf("If nothing were waited for in vain. If instead each were answered as the others are, in %s for half of them, the callers would have %s more.",
			detectors.Duration(h.Quantile(0.5)), detectors.Count(l.count, "answer"))
	default:
		e.Text = "If nothing were waited for in vain: none of these waits has ended otherwise."
	}
	return e
}

// waits words a number of waits, or of calls where one may wait several times.
func (s *site) waits(n int) string {
	if s.userWaits {
		return detectors.Count(n, "wait")
	}
	return detectors.Count(n, "call")
}

// call is the function that the user's line called and that waits, "" where
// the line itself waits.
func (s *site) call(p *traceload.Program, stack traceload.StackID) string {
	st := p.Stack(stack)
	if s.userWaits || st.Site <= 0 {
		return ""
	}
	return p.Frame(st.Frames[st.Site-1]).Func
}

func (v *verdict) detail(p *traceload.Program, site detectors.Frame, ender string) string {
	s, l := v.site, v.lapses
	var b strings.Builder
	well, _ := v.endedWell()
	all := well + l.count
	fmt.Fprintf(&b, "At %s", site.Where())
	if call := s.call(p, l.last.stack); call != "" {
		fmt.Fprintf(&b, ", in %s,", detectors.Short(call))
	}
	fmt.Fprintf(&b, " %s ended %d of %s (%s; the trace shows only those that had to wait)", ender, l.count, s.waits(all), percent(l.count, all))
	if limit := l.limit(); limit > 0 {
		fmt.Fprintf(&b, ", after about %s each", detectors.Duration(limit))
	}
	fmt.Fprintf(&b, ". %s was spent on it for nothing, by %s.", detectors.Duration(l.total), detectors.Count(l.goroutines.Len(), "goroutine"))
	b.WriteString(v.compare())
	if l.unfinished > 0 {
		fmt.Fprintf(&b, " %s the goroutine that had been asked was still at work when the wait ended; ", of(l.unfinished, l.count))
		if v.cause == timerCause {
			b.WriteString("that work goes on, and its answer finds nobody.")
		} else {
			b.WriteString("see that the deadline ends its work, too.")
		}
	}
	if l.retried > 0 {
		fmt.Fprintf(&b, " %s the goroutine asked again at once, which adds to the load that made it wait.", of(l.retried, l.count))
	}
	for _, parent := range v.explains {
		fmt.Fprintf(&b, " The same deadline ended the wait at %s, for a goroutine that stands here.", detectors.FrameOf(p.Frame(parent.frame)).Where())
	}
	return b.String()
}

func percent(n, of int) string {
	p := 100 * share(n, of)
	if p < 1 {
		return "less than 1%"
	}
	return fmt.Sprintf("%.0f%%", p)
}

func of(n, all int) string {
	if n == all {
		return "Each time"
	}
	return fmt.Sprintf("%d of %d times", n, all)
}

// compare says what the waits that ended well tell about the limit.
func (v *verdict) compare() string {
	limit := v.lapses.limit()
	well, h := v.endedWell()
	if well == 0 {
		return " None ended well: what it waits for hangs, or never comes within that time."
	}
	if h.N() == 0 || limit == 0 {
		return ""
	}
	text := fmt.Sprintf(" Of those that ended well half took %s or less, and 99 of 100 took %s or less.",
		detectors.Duration(h.Quantile(0.5)), detectors.Duration(h.Quantile(0.99)))
	if float64(h.Quantile(0.9)) >= closeBy*float64(limit) {
		return text + " That is close to the limit: it is too short for what this usually takes, or what it waits for has become slow."
	}
	return text + " The answer comes soon or not within the limit: find out what is different about the slow ones before changing the limit."
}

func (v *verdict) group(p *traceload.Program) detectors.Group {
	l := v.lapses
	return detectors.Group{
		Role: detectors.Waiter, Count: l.goroutines.Len(), Goroutines: l.goroutines.IDs(), State: traceload.StateWaiting.String(), Reason: p.String(l.last.reason),
		Stack: detectors.StackOf(p, l.last.stack), CreatedBy: detectors.SiteOf(p, l.createdAt), Entry: detectors.EntryOf(p, l.entry),
	}
}

// afterwards says what a goroutine did after a wait in vain.
var afterwards = [...]string{
	moved:    "has gone on without it, and waits elsewhere",
	cameBack: "waits at the same place again",
	retried:  "has asked again, and waits at the same place",
	gone:     "ends without it",
}

// timeline tells the first wait in vain.
func (v *verdict) timeline(p *traceload.Program, site detectors.Frame) []detectors.TimelineEvent {
	l := v.lapses
	e, id := &l.first, int64(l.firstID)
	var list []detectors.TimelineEvent
	if e.asked != 0 && e.askedOn <= e.began {
		list = append(list, detectors.TimelineEvent{T: e.askedOn, Goroutine: id, Event: "asked",
			Text: "asks for something at " + detectors.SiteOf(p, e.asked).Where()})
	}
	ender := "the timer ends the wait"
	if v.cause == deadlineCause {
		ender = "the context's deadline ends the wait"
	}
	next := detectors.TimelineEvent{T: l.nextWait, Goroutine: id, Event: "blocked", Text: afterwards[l.firstAfter]}
	if l.firstAfter == gone {
		next.Event = "ended"
	}
	return append(list,
		detectors.TimelineEvent{T: e.began, Goroutine: id, Event: "blocked", Text: "waits at " + site.Where()},
		detectors.TimelineEvent{T: e.at, Goroutine: id, Event: "expired", Text: fmt.Sprintf("%s after %s", ender, detectors.Duration(e.at.Sub(e.began)))},
		next,
	)
}
