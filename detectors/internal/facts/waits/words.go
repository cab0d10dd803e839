package waits

import (
	"fmt"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Rest says in a few words why the group is taken to be at rest: the piece of
// evidence that speaks strongest against a defect.
func (gr *Group) Rest() string {
	if gr.known != nil && !gr.forgotten() {
		return gr.known.Why
	}
	if len(gr.Stuck) == 0 {
		switch gr.Site.Wait {
		case traceload.WaitSleep:
			return "asleep until a time"
		case traceload.WaitNetwork:
			return "waiting for the network"
		}
		if gr.Site.Ended > 0 {
			return fmt.Sprintf("woken %s during the trace", times(gr.Site.Ended))
		}
		return "has not waited for long"
	}
	if gr.Fresh > len(gr.Stuck) && gr.Site.Ended > 0 {
		return fmt.Sprintf("woken %s during the trace", times(gr.Site.Ended))
	}
	best := slices.MinFunc(gr.Evidence, func(a, b detectors.Evidence) int {
		switch {
		case a.Weight < b.Weight:
			return -1
		case a.Weight > b.Weight:
			return 1
		}
		return 0
	})
	return best.Text
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Story tells since when the group waits, who started it and what it costs.
func (gr *Group) Story(p *traceload.Program) string {
	oldest := gr.Stuck[0]
	since := fmt.Sprintf("The first has waited for %s, since %s into the trace", detectors.Duration(gr.Oldest), detectors.Duration(time.Duration(oldest.Since)))
	if !oldest.SinceKnown {
		since = fmt.Sprintf("The first was parked there before the trace began, at least %s ago", detectors.Duration(gr.Oldest))
		if gr.Found > 1 {
			since = fmt.Sprintf("%d of them were parked there before the trace began, at least %s ago", gr.Found, detectors.Duration(gr.Oldest))
		}
	}
	story := since + "; together they have lost " + lost(gr.Blocked) + "."
	if created := gr.creation(); created != 0 {
		f := detectors.FrameOf(p.Frame(created))
		who := "They were"
		if len(gr.Stuck) == 1 {
			who = "It was"
		}
		story += fmt.Sprintf(" %s started by %s at %s%s.", who, detectors.Short(f.Func), f.Where(), gr.share())
	}
	if s := gr.Site; s.Ended > 0 {
		story += fmt.Sprintf(" %s at the same line ended, the longest after %s.", detectors.Count(s.Ended, "other wait"), detectors.Duration(s.Longest))
	}
	if gr.Why != "" {
		story += " " + gr.Why
	}
	return story
}

// share says how many of those that were started with the group are in it: one
// leaked per call, or now and then one. "" if the trace shows too little of it.
func (gr *Group) share() string {
	born, here := 0, 0
	for s, n := range gr.born {
		born += s.Born
		here += n
	}
	switch {
	case here == 0 || born < 2 || here > born:
		return ""
	case here == born:
		return fmt.Sprintf(", and so is stuck each of the %d started there during the trace", born)
	}
	return fmt.Sprintf(", %d of the %d started there during the trace", here, born)
}

func lost(d time.Duration) string {
	if d < 10*time.Second {
		return detectors.Duration(d)
	}
	return fmt.Sprintf("%.0f goroutine-seconds", d.Seconds())
}

// creation is the line that started most of the group, 0 if unknown.
func (gr *Group) creation() traceload.FrameID {
	count := map[traceload.FrameID]int{}
	var best traceload.FrameID
	for _, f := range gr.origins {
		if f != 0 {
			count[f]++
			if count[f] > count[best] || count[f] == count[best] && f < best {
				best = f
			}
		}
	}
	return best
}

// Explains lists the lines whose trouble a finding about the group accounts
// for: where its goroutines wait and where they were started.
func (gr *Group) Explains(p *traceload.Program) []detectors.Frame {
	seen := map[traceload.FrameID]bool{gr.Site.Frame: true}
	frames := []detectors.Frame{detectors.FrameOf(p.Frame(gr.Site.Frame))}
	for _, f := range gr.origins {
		if f != 0 && !seen[f] {
			seen[f] = true
			frames = append(frames, detectors.FrameOf(p.Frame(f)))
		}
	}
	return frames
}

// Key names the functions that tell this group from another in the same function.
func (gr *Group) Key(p *traceload.Program) []string {
	if e := p.Entry(gr.Stuck[0]); e != nil {
		return []string{e.Func}
	}
	return nil
}

// Timeline tells the story of the first of the group, and of the last that came.
func (gr *Group) Timeline(p *traceload.Program) []detectors.TimelineEvent {
	var events []detectors.TimelineEvent
	tell := func(g *traceload.Goroutine) {
		if g.BornKnown {
			events = append(events, detectors.TimelineEvent{T: g.Born, Goroutine: int64(g.ID), Event: "created", Text: "started at " + detectors.SiteOf(p, g.CreatedAt).Where()})
		}
		text := "begins to wait for " + g.Wait.String() + " at " + detectors.SiteOf(p, g.Stack).Where()
		if !g.SinceKnown {
			text = "waits for " + g.Wait.String() + " since before the trace began"
		}
		events = append(events, detectors.TimelineEvent{T: g.Since, Goroutine: int64(g.ID), Event: "blocked", Text: text})
	}
	tell(gr.Stuck[0])
	if n := len(gr.Stuck); n > 1 {
		tell(gr.Stuck[n-1])
	}
	events = append(events, detectors.TimelineEvent{T: p.Now, Goroutine: int64(gr.Stuck[0].ID), Event: "waiting", Text: "still waits when the trace ends"})
	return events
}

// CreationSite is the user's line that started most of the group; the zero
// Frame if unknown, or if the standard library did.
func (gr *Group) CreationSite(p *traceload.Program) detectors.Frame {
	if f := p.Frame(gr.creation()); f.Origin == traceload.OriginUser && f.Func != "" {
		return detectors.FrameOf(f)
	}
	return detectors.Frame{}
}
