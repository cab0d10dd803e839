package schedulerlatency

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// site is where a hog's work is started: the go statement, or for a server's
// handlers the outermost line of the user's code.
func (h *hog) site(p *traceload.Program) detectors.Frame {
	if f := p.Site(h.created); f != nil && f.Origin == traceload.OriginUser {
		return detectors.FrameOf(f)
	}
	if h.outer != 0 {
		return detectors.FrameOf(p.Frame(h.outer))
	}
	return detectors.SiteOf(p, h.entry)
}

// name is what the hog runs.
func (h *hog) name(p *traceload.Program) string {
	if h.outer != 0 {
		return detectors.Short(p.Frame(h.outer).Func)
	}
	if f := p.Frame(h.key.crew.entry); f.Func != "" {
		return detectors.Short(f.Func)
	}
	return "a goroutine"
}

func (s *starvation) finding(p *traceload.Program, confidence float64) detectors.Finding {
	top := s.hogs[0]
	site := top.site(p)
	goroutines := 0
	for _, c := range s.victims {
		goroutines += c.size()
	}
	f := detectors.Finding{
		Cause: saturated, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: s.odds.Evidence,
		Impact: detectors.Impact{Goroutines: goroutines, Blocked: s.lost, Occurrences: s.sum.count},
		Site:   site, Key: []string{p.Frame(top.key.crew.entry).Func},
		WrongIf: "the long work is what this program is for, and those that wait can wait",
	}
	f.Title = fmt.Sprintf("%s keeps the processors: %s waited up to %s for one, each time for %s of work",
		top.name(p), detectors.Count(goroutines, "other goroutine"), detectors.Duration(s.sum.longest), detectors.Duration((s.sum.work / time.Duration(s.sum.count)).Round(time.Microsecond)))
	var b strings.Builder
	fmt.Fprintf(&b, "%s, started at %s, ran %s without a pause (longest %s) on %s: %s of processor time.",
		top.name(p), site.Where(), stretches(top.bursts), detectors.Duration(top.longest), detectors.Count(top.goroutines.Len(), "goroutine"), detectors.Duration(top.cpu))
	if len(s.hogs) > 1 {
		var names []string
		for _, h := range s.hogs[1:min(4, len(s.hogs))] {
			if n := fmt.Sprintf("%s (%s)", h.name(p), detectors.Duration(h.cpu)); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		fmt.Fprintf(&b, " So did %s.", strings.Join(names, ", "))
	}
	fmt.Fprintf(&b, " Meanwhile %d times a goroutine that was ready had to wait for one of the %s, %s in all, half of them %s or longer; by the share that the long work had of the processors then, %s of it is its doing. What came due while no processor looked for it is reckoned from the middle of that time.",
		s.sum.count, detectors.Count(s.procs, "processor"), detectors.Duration(s.sum.wait), detectors.Duration(s.sum.lengths.Quantile(0.5)), detectors.Duration(s.lost))
	fmt.Fprintf(&b, " Those who waited: %s.", s.who(p))
	if text := top.sampled(p); text != "" {
		b.WriteString(text)
	}
	if s.saved > 0 {
		f.Estimate = &detectors.Estimate{Time: s.saved, Text: fmt.Sprintf("Without the long work the processors would be %.0f%% busy; with one of them left free for the rest, that part of the waiting would remain which the rest causes itself.", 100*s.rest)}
	} else {
		fmt.Fprintf(&b, " Without it the processors would still be %.0f%% busy: leaving one free will not be enough.", 100*s.rest)
	}
	f.Detail = b.String()
	f.Groups = append([]detectors.Group{top.group(p)}, s.groups(p)...)
	f.Timeline = []detectors.TimelineEvent{
		{T: s.sum.at, Goroutine: int64(s.sum.id), Event: "runnable", Text: "is ready and waits for a processor"},
		{T: s.sum.at + traceload.Time(s.sum.longest), Goroutine: int64(s.sum.id), Event: "running", Text: "runs after " + detectors.Duration(s.sum.longest)},
	}
	if top.first <= s.sum.at {
		f.Timeline = slices.Insert(f.Timeline, 0, detectors.TimelineEvent{T: top.first, Goroutine: int64(top.goroutines.First()), Event: "running", Text: "begins a stretch of long work"})
	}
	return f
}

func stretches(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// who lists the crews that starved.
func (s *starvation) who(p *traceload.Program) string {
	var list []string
	for _, c := range s.victims[:min(3, len(s.victims))] {
		list = append(list, fmt.Sprintf("%s of %s (%d times, %s)", detectors.Count(c.size(), "goroutine"), detectors.Short(p.Frame(c.entry).Func), c.starved.count, detectors.Duration(c.starved.wait)))
	}
	if n := len(s.victims) - len(list); n > 0 {
		list = append(list, fmt.Sprintf("%d more kinds", n))
	}
	return strings.Join(list, ", ")
}

// sampled says where the CPU samples of the hog fall, "" without them.
func (h *hog) sampled(p *traceload.Program) string {
	if h.samples < 5 {
		return ""
	}
	type leaf struct {
		name string
		n    int
	}
	byName := map[string]int{}
	all := 0
	for f, n := range h.leaves {
		all += n
		byName[p.Frame(f).Func] += n
	}
	var list []leaf
	for name, n := range byName {
		list = append(list, leaf{name, n})
	}
	slices.SortFunc(list, func(a, b leaf) int { return cmp.Or(b.n-a.n, strings.Compare(a.name, b.name)) })
	var parts []string
	for _, l := range list[:min(3, len(list))] {
		if l.n*20 >= all {
			parts = append(parts, fmt.Sprintf("%s (%d%%)", detectors.Short(l.name), 100*l.n/all))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf(" Of its CPU samples most were taken in %s.", strings.Join(parts, ", "))
}

func (h *hog) group(p *traceload.Program) detectors.Group {
	return detectors.Group{Role: detectors.Holder, Count: h.goroutines.Len(), Goroutines: h.goroutines.IDs(), State: traceload.StateRunning.String(),
		Stack: detectors.StackOf(p, h.stack), CreatedBy: detectors.SiteOf(p, h.created), Entry: p.Frame(h.key.crew.entry).Func}
}

func (s *starvation) groups(p *traceload.Program) []detectors.Group {
	var list []detectors.Group
	for _, c := range s.victims[:min(3, len(s.victims))] {
		g := detectors.Group{Role: detectors.Victim, Count: c.size(), State: traceload.StateRunnable.String(), Reason: p.String(c.reason),
			Stack: detectors.StackOf(p, c.stack), Entry: p.Frame(c.entry).Func}
		if c.key.Created != 0 {
			g.CreatedBy = detectors.FrameOf(p.Frame(c.key.Created))
		}
		ids := c.late.IDs()
		g.Goroutines = ids[:min(len(ids), g.Count)]
		list = append(list, g)
	}
	return list
}
