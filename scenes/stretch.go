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
}

// stretchOf chooses the part of a trace of that length which shows f best. The
// finding's own timeline tells when it happened. Where it has none, the scene
// begins as soon as any of the goroutines does something.
func stretchOf(f *detectors.Finding, length time.Duration) stretch {
	end := traceload.Time(length)
	s := stretch{from: end, repeats: f.Family == detectors.Batching}
	for i, step := range f.Timeline {
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
