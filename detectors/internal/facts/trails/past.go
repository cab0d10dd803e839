package trails

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Past is a trail that is over, and whose it was.
type Past struct {
	Trail
	ID      traceload.GoID
	Line    traceload.FrameID // where it stood all the time, see Trail.Site; 0 if unknown
	Entry   traceload.StackID
	Created traceload.StackID
}

// Close ends the trail of g, be it that g or that the trace is over.
func (t *Trail) Close(p *traceload.Program, g *traceload.Goroutine) Past {
	past := Past{Trail: *t, ID: g.ID, Line: t.Site(p), Entry: g.Entry, Created: g.CreatedAt}
	past.common = nil
	return past
}

// Sum is what several goroutines did.
type Sum struct {
	Trail   // merged; only Spent, Waits and Fed
	N       int
	Total   time.Duration // of the lengths of their trails
	Longest time.Duration
	Alive   int               // had not ended when the trace did
	Loops   int               // went on from wait to wait
	Fed     int               // … and were handed work meanwhile
	Line    traceload.FrameID // where most of the time passed
	pasts   []*Past
}

const (
	rounds = 3 // waits from which a goroutine is not at its last piece of work
	meals  = 2 // times that it was handed something from which it is fed
)

// Add counts one in.
func (s *Sum) Add(past *Past) {
	s.N++
	s.Trail.add(&past.Trail)
	s.Total += past.Length()
	s.Longest = max(s.Longest, past.Length())
	if !past.Ended {
		s.Alive++
	}
	if past.Waits >= rounds {
		s.Loops++
	}
	if past.Trail.Fed >= meals {
		s.Fed++
	}
	s.pasts = append(s.pasts, past)
}

// Settle finds the line where most of the time passed, after the last Add.
func (s *Sum) Settle() {
	times := map[traceload.FrameID]time.Duration{}
	for _, past := range s.pasts {
		if past.Line == 0 {
			continue
		}
		times[past.Line] += past.Length()
		if d := times[past.Line]; d > times[s.Line] || d == times[s.Line] && past.Line < s.Line {
			s.Line = past.Line
		}
	}
}

// Site is the line where most of the time passed, failing that where the
// goroutines were started.
func (s *Sum) Site(p *traceload.Program) detectors.Frame {
	if s.Line != 0 {
		return detectors.FrameOf(p.Frame(s.Line))
	}
	for _, past := range s.pasts {
		if f := p.Site(past.Created); f != nil {
			return detectors.FrameOf(f)
		}
	}
	return detectors.Frame{}
}

// Worst is the longest of all; there must be one.
func (s *Sum) Worst() *Past {
	return slices.MaxFunc(s.pasts, func(a, b *Past) int { return cmp.Compare(a.Length(), b.Length()) })
}

// Mean is how long a trail was on average.
func (s *Sum) Mean() time.Duration { return s.Total / time.Duration(max(1, s.N)) }

// Groups sorts the goroutines by where they stood for longest, the largest
// group first, at most limit of them.
func (s *Sum) Groups(p *traceload.Program, role detectors.Role, limit int) []detectors.Group {
	type key struct {
		stack traceload.StackID
		ended bool
	}
	index := map[key]int{}
	var groups []detectors.Group
	for _, past := range s.pasts {
		k := key{past.Stack, past.Ended}
		if i, ok := index[k]; ok {
			groups[i].Add(past.ID)
			continue
		}
		index[k] = len(groups)
		g := detectors.Group{Role: role, Count: 1, Goroutines: []int64{int64(past.ID)}, State: "running",
			Stack: detectors.StackOf(p, past.Stack), CreatedBy: detectors.SiteOf(p, past.Created)}
		if past.Reason != 0 {
			g.State, g.Reason = "waiting", p.String(past.Reason)
		}
		if past.Ended {
			g.State = "ended"
		}
		g.Entry = detectors.EntryOf(p, past.Entry)
		groups = append(groups, g)
	}
	slices.SortStableFunc(groups, func(a, b detectors.Group) int { return b.Count - a.Count })
	return groups[:min(limit, len(groups))]
}
