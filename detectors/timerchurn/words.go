package timerchurn

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// wrongIf says per cause when the finding is no defect.
var wrongIf = map[string]string{
	pollCause:  "nobody in this process could say that it has happened, or the pause is the pace at which something is to be done",
	afterCause: "the loop turns that often only here, and not in production",
}

func (v *verdict) finding(p *traceload.Program) detectors.Finding {
	s := v.site
	site := detectors.FrameOf(p.Frame(s.frame))
	pause := detectors.Duration(s.pauses.Quantile(0.5))
	f := detectors.Finding{
		Cause: pollCause, Confidence: v.confidence, Evidence: v.evidence, Site: site, WrongIf: wrongIf[pollCause],
		Effect: detectors.EffectWastes,
		Impact: detectors.Impact{Goroutines: s.goroutines, Blocked: v.cpu, Occurrences: s.empties},
		Groups: []detectors.Group{s.group(p)},
		Title:  fmt.Sprintf("%s looks every %s whether something has happened, %d times in vain", detectors.Short(site.Func), pause, s.empties),
	}
	rate := float64(s.empties) / max(time.Duration(p.Now).Seconds(), 0.1)
	var b strings.Builder
	fmt.Fprintf(&b, "At %s %s wake up every %s: %.0f wake-ups a second that find nothing to do, for about %s of processor time.",
		site.Where(), detectors.Count(s.goroutines, "goroutine"), pause, rate, detectors.Duration(v.cpu.Round(time.Microsecond)))
	estimate := &detectors.Estimate{
		Wakeups: s.empties, CPU: v.cpu,
		Text: fmt.Sprintf("Told when it happens, it would not wake %d times in vain, each reckoned at its run and %s for the wake-up.", s.empties, detectors.Duration(wakeCost)),
	}
	if v.late > 0 {
		f.Effect, f.Impact.Blocked = detectors.EffectDelays, v.late
		fmt.Fprintf(&b, " %d looks found something after others had not, and came up to a pause late: half a pause each is %s in all.",
			v.found, detectors.Duration(v.late))
		estimate.Time = v.late
		estimate.Text += fmt.Sprintf(" It would notice %d times at once what it now notices half a pause late on average.", v.found)
	}
	if v.answered {
		b.WriteString(" What it waits for is done by a goroutine that it had asked: that one could tell.")
	}
	if v.tied != 0 {
		fmt.Fprintf(&b, " What it waits for is done by the goroutine that comes to %s right before: that one could tell.", detectors.FrameOf(p.Frame(v.tied)).Where())
	}
	f.Detail, f.Estimate = b.String(), estimate
	if first := &s.first; first.looks > 0 && v.late > 0 {
		f.Timeline = []detectors.TimelineEvent{
			{T: first.from, Goroutine: int64(first.g), Event: "blocked", Text: "pauses at " + site.Where() + " for the first time"},
			{T: first.to, Goroutine: int64(first.g), Event: "found", Text: fmt.Sprintf("goes on, at the %s", ordinal(first.looks)+" look")},
		}
	}
	return f
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}

// group describes those that come by, as they are most of the time.
func (s *site) group(p *traceload.Program) detectors.Group {
	g := detectors.Group{
		Role: detectors.Waiter, Count: s.goroutines, State: traceload.StateWaiting.String(),
		Stack: detectors.StackOf(p, s.stack), CreatedBy: detectors.SiteOf(p, s.created),
	}
	switch s.wait {
	case traceload.WaitSleep:
		g.Reason = "sleep"
	case traceload.WaitSelect:
		g.Reason = "select"
	default:
		g.Reason = "chan receive"
	}
	g.Entry = detectors.EntryOf(p, s.entry)
	for _, id := range s.ids[:min(s.goroutines, len(s.ids))] {
		g.Goroutines = append(g.Goroutines, int64(id))
	}
	return g
}

// makerFinding tells of a line that CPU samples caught making timers.
func (o *observer) makerFinding(p *traceload.Program, m *maker) detectors.Finding {
	site := detectors.FrameOf(p.Frame(m.frame))
	call := p.Frame(m.call).Func
	cost := o.cost(m.samples)
	share := 100 * float64(m.samples) / float64(o.samples)
	f := detectors.Finding{
		Cause: afterCause, Effect: detectors.EffectWastes, Confidence: m.confidence(), Site: site, WrongIf: wrongIf[afterCause],
		Impact: detectors.Impact{Blocked: cost, Occurrences: m.samples},
		Title:  fmt.Sprintf("%s spends %.0f%% of the processor time on making timers", detectors.Short(site.Func), share),
		Detail: fmt.Sprintf("%d of %d CPU samples caught %s in %s, called at %s: about %s of the %s that goroutines ran. Each call makes a timer and a channel, which the collector has to take away again; hardly any of them fires.",
			m.samples, o.samples, detectors.Short(site.Func), call, site.Where(), detectors.Duration(cost.Round(time.Microsecond)), detectors.Duration(o.running)),
		Evidence: []detectors.Evidence{{Text: fmt.Sprintf("%d of %d CPU samples are below %s", m.samples, o.samples, call), Weight: 2}},
		Estimate: &detectors.Estimate{CPU: cost, Text: "One timer, reset on each turn, would leave about a third of that and make no garbage; what the collector saves is not counted."},
	}
	f.Estimate.CPU = cost * 2 / 3
	return f
}

// loopFinding tells of a select that, as the source says, makes a timer on each
// turn of a hot loop.
func (o *observer) loopFinding(p *traceload.Program, s *site) detectors.Finding {
	site := detectors.FrameOf(p.Frame(s.frame))
	cost := time.Duration(s.begun) * makeCost
	rate := float64(s.begun) / max(time.Duration(p.Now).Seconds(), 0.1)
	return detectors.Finding{
		Cause: afterCause, Effect: detectors.EffectWastes, Confidence: 0.8, Site: site, WrongIf: wrongIf[afterCause],
		Impact: detectors.Impact{Goroutines: s.goroutines, Blocked: cost, Occurrences: s.begun},
		Title:  fmt.Sprintf("%s makes a timer on each turn of a loop, %.0f a second", detectors.Short(site.Func), rate),
		Detail: fmt.Sprintf("The select at %s calls time.After each time it is reached. It waited there %d times, and a timer ended %d of these waits; turns that did not have to wait leave no trace and made a timer, too.",
			site.Where(), s.begun, s.wakes),
		Evidence: []detectors.Evidence{{Text: "the source: time.After in a select within a loop", Weight: 2}},
		Groups:   []detectors.Group{s.group(p)},
		Estimate: &detectors.Estimate{CPU: cost, Text: fmt.Sprintf("One timer, reset on each turn, saves about %s for each of the %d turns that the trace shows.", makeCost, s.begun)},
	}
}
