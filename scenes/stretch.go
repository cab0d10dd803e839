package scenes

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// The time that a scene shows before and after what its finding tells of: an
// eighth of that, within these bounds.
const (
	leastLead = 2 * time.Millisecond
	mostLead  = 50 * time.Millisecond
)

// atTheEnd is how near the end of the trace a step of a timeline is that only
// says that nothing has changed until then.
const atTheEnd = time.Microsecond

// stretch is the part of a trace that shows a finding.
type stretch struct {
	opens, closes traceload.Time // what is looked at
	from, to      traceload.Time // what the finding tells of
	// repeats tells that the same happens over and over, so that a scene may
	// end as soon as it has shown it often enough.
	repeats bool
	// runners tells that others matter by running at all: they have what the
	// cast waits for, processors.
	runners bool
}

// stretchOf chooses the part of a trace of that length which shows f best. The
// finding's own timeline tells when it happened. Where it has none, the scene
// begins as soon as any of the goroutines does something.
func stretchOf(f *detectors.Finding, length time.Duration) stretch {
	end := traceload.Time(length)
	s := stretch{from: end, repeats: f.Family == detectors.Batching, runners: f.Family == detectors.Scheduling}
	steps := f.Timeline
	if !grows(f) { // the first of many matters, however long ago it came
		steps = told(steps)
	}
	for i, step := range steps {
		// That a knot holds until the end is no reason to draw hours of it; a
		// leak is nothing but that.
		if step.T >= end-traceload.Time(atTheEnd) && i > 0 && !leaks(f) {
			continue
		}
		s.from, s.to = min(s.from, step.T), max(s.to, step.T)
	}
	switch {
	case len(f.Timeline) == 0:
		s.from, s.to, s.repeats = 0, end, true
	case leaks(f) && s.from >= end-traceload.Time(atTheEnd):
		s.from = 0 // it was there before the trace
	}
	s.from, s.to = max(0, s.from), min(end, max(s.from, s.to))
	lead := traceload.Time(min(max(s.to.Sub(s.from)/8, leastLead), mostLead))
	s.opens, s.closes = max(0, s.from-lead), min(end, s.to+lead)
	return s
}

// told leaves out the steps before the story proper: such as that a goroutine
// began to run at the beginning of the trace, which took a processor from
// others for a moment near its end. Whoever has done nothing since is drawn as
// such in any case.
func told(steps []detectors.TimelineEvent) []detectors.TimelineEvent {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b detectors.TimelineEvent) int { return cmp.Compare(a.T, b.T) })
	for len(steps) > 2 {
		before, rest := steps[1].T-steps[0].T, steps[len(steps)-1].T-steps[1].T
		again := slices.ContainsFunc(steps[1:], func(s detectors.TimelineEvent) bool { return s.Goroutine == steps[0].Goroutine })
		if again || rest <= 0 || before < longAgo*rest {
			break
		}
		steps = steps[1:]
	}
	return steps
}

// longAgo is how many times as long as the rest of the story a pause after its
// first step must be for that step to be no part of it.
const longAgo = 10

// leaks tells whether goroutines that stay are what is wrong.
func leaks(f *detectors.Finding) bool {
	return slices.ContainsFunc(f.Groups, func(g detectors.Group) bool { return g.Role == detectors.Leaked })
}

// grows tells whether the number of goroutines is what is wrong.
func grows(f *detectors.Finding) bool { return f.Family == detectors.Growth || leaks(f) }

// maxCast is how many of its goroutines a scene shows at most.
const maxCast = 16

// part is who plays in a scene, and as what.
type part struct {
	id    traceload.GoID
	role  detectors.Role
	group int // -1 if in none
}

// castOf chooses the goroutines that a scene shows, the most important first:
// those of the timeline, then some of each group.
func castOf(f *detectors.Finding) []part {
	var cast []part
	seen := map[traceload.GoID]bool{}
	add := func(id traceload.GoID, group int) {
		if id <= 0 || seen[id] || len(cast) >= maxCast {
			return
		}
		seen[id] = true
		p := part{id: id, group: group}
		if group >= 0 {
			p.role = f.Groups[group].Role
		}
		cast = append(cast, p)
	}
	for _, step := range f.Timeline {
		group := slices.IndexFunc(f.Groups, func(g detectors.Group) bool { return slices.Contains(g.Goroutines, step.Goroutine) })
		add(traceload.GoID(step.Goroutine), group)
	}
	for i, more := 0, true; more; i++ {
		more = false
		for j := range f.Groups {
			if ids := f.Groups[j].Goroutines; i < len(ids) {
				more = true
				add(traceload.GoID(ids[i]), j)
			}
		}
	}
	return cast
}

// byOpening sorts scenes by when they begin.
func byOpening(a, b *scene) int {
	return cmp.Compare(a.stretch.opens, b.stretch.opens)
}
