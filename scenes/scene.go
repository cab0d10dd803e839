package scenes

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// How much a scene shows: in JSON, 25 kB at most.
const (
	maxWakers    = 6   // goroutines beside the cast, which woke one of it
	maxDrawn     = 160 // spans
	maxWakes     = 64
	enoughTurns  = 160 // spans that show what happens over and over
	enoughBeyond = 48  // spans after what the finding tells of
)

// progress of a scene.
type state uint8

const (
	coming state = iota
	recording
	closed
)

// scene is the recording of one finding's scene.
type scene struct {
	finding  *detectors.Finding
	stretch  stretch
	state    state
	from, to traceload.Time // what is shown; set when it is closed
	tracks   []*track       // the cast, then those who woke one of it
	joined   int            // how many of the latter there are
	more     []part         // what goroutines of the groups that list few may join as; by entry in their group
	next     traceload.Time // when the next of them may
	wakes    []wake
	left     int // of the cast who have ended
	seen     int // spans that ended since stretch.from
	beyond   int // spans that ended after stretch.to
	leftOut  detectors.LeftOut
}

// wake is one goroutine making another runnable.
type wake struct {
	t      traceload.Time
	by, of traceload.GoID // by is NoGoroutine if it was none
	what   string
	ended  time.Duration // how long the wait was that ended
}

func newScene(f *detectors.Finding, length time.Duration) *scene {
	s := &scene{finding: f, stretch: stretchOf(f, length)}
	for _, p := range castOf(f) {
		s.newTrack(p)
	}
	for i, g := range f.Groups {
		if g.Entry != "" && len(g.Goroutines) < min(g.Count, detectors.MaxGroupIDs) {
			s.more = append(s.more, part{role: g.Role, group: i})
		}
	}
	s.next = s.stretch.from
	return s
}

// recruit returns what a goroutine with that entry function joins the cast as,
// if there is room: not all at once, so that they are from all of the scene.
func (s *scene) recruit(entry string, now traceload.Time) (part, bool) {
	if now < s.next || len(s.tracks)-s.joined >= maxCast {
		return part{}, false
	}
	for _, p := range s.more {
		if s.finding.Groups[p.group].Entry == entry {
			s.next = now + (s.stretch.to-s.stretch.from)/maxCast
			return p, true
		}
	}
	return part{}, false
}

func (s *scene) newTrack(p part) *track {
	t := &track{part: p, scene: s, slot: -1, until: -1}
	s.tracks = append(s.tracks, t)
	return t
}

// mayJoin tells whether a goroutine that woke one of the cast gets a track, and
// counts it if so.
func (s *scene) mayJoin(id traceload.GoID) bool {
	if s.joined >= maxWakers || s.plays(id) {
		return false
	}
	s.joined++
	return true
}

// plays tells whether a goroutine has a track.
func (s *scene) plays(id traceload.GoID) bool {
	return slices.ContainsFunc(s.tracks, func(t *track) bool { return t.id == id })
}

// record takes the state that a goroutine of the scene has left.
func (s *scene) record(t *track, ev *traceload.Event) {
	t.add(newSpan(ev.Time-traceload.Time(ev.Lived), ev.Time, doingOf(ev.From, ev.Reason, ev.G.Stack)))
	if ev.Time >= s.stretch.from {
		s.seen++
	}
	if ev.Kind == traceload.KindEnd && t.group >= 0 {
		s.left++
	}
	if ev.Time > s.stretch.to {
		s.beyond++
	}
}

// enough tells whether a scene shows what it should before its time is over.
func (s *scene) enough() bool {
	if s.state != recording {
		return false
	}
	cast := len(s.tracks) - s.joined
	return s.beyond >= enoughBeyond || s.stretch.repeats && (s.seen >= enoughTurns || s.left > 1 && s.left >= cast-1)
}

// close ends the recording at a time, and reduces it to what is shown.
func (s *scene) close(p *traceload.Program, at traceload.Time) {
	s.state, s.from, s.to = closed, s.stretch.opens, at
	for _, t := range s.tracks {
		s.from = max(s.from, t.lost)
	}
	if s.stretch.repeats { // it may be much shorter than it could have been
		s.from = max(s.from, s.stretch.from-(s.to-s.stretch.from)/4)
	}
	s.from = min(s.from, s.stretch.from, s.to)
	for _, t := range s.tracks {
		t.until = -1
		if g := p.Goroutine(t.id); g != nil && g.Since < at { // what it still does
			t.add(newSpan(g.Since, at, doingOf(g.State, g.Reason, g.Stack)))
		} else if n := len(t.spans); n > 0 {
			t.until = t.spans[n-1].to
		}
		t.clip(s.from, s.to)
	}
	s.spread()
	s.wakes = slices.DeleteFunc(s.wakes, func(w wake) bool { return w.t < s.from || w.t > s.to })
	s.thinWakes(maxWakes)
}

// spread reduces the spans to maxDrawn: tracks with few keep theirs, the others
// share what is left.
func (s *scene) spread() {
	order := slices.Clone(s.tracks)
	slices.SortStableFunc(order, func(a, b *track) int { return cmp.Compare(len(a.spans), len(b.spans)) })
	room := maxDrawn
	for i, t := range order {
		t.spans = slices.Clip(merge(t.spans, room/(len(order)-i)))
		room -= len(t.spans)
	}
}

// thinWakes leaves n wakes: of goroutines by goroutines first, then those that
// ended the longest waits.
func (s *scene) thinWakes(n int) {
	if len(s.wakes) <= n {
		return
	}
	slices.SortStableFunc(s.wakes, func(a, b wake) int {
		return cmp.Or(cmp.Compare(min(b.by, 0), min(a.by, 0)), cmp.Compare(b.ended, a.ended))
	})
	s.leftOut.Wakes += len(s.wakes) - n
	s.wakes = s.wakes[:n]
	slices.SortStableFunc(s.wakes, func(a, b wake) int { return cmp.Compare(a.t, b.t) })
}

// result makes the scene of the report; nil if nothing of it was in the trace.
func (s *scene) result(p *traceload.Program) *detectors.Scene {
	out := &detectors.Scene{
		From: s.from, To: s.to, Frames: []detectors.Frame{}, Tracks: []detectors.Track{}, Wakes: []detectors.Wake{}, LeftOut: s.leftOut, Curve: []detectors.Point{},
	}
	frames := frameTable{program: p, scene: out, index: map[traceload.FrameID]int{}}
	index := map[traceload.GoID]int{}
	for _, t := range s.tracks {
		if g := p.Goroutine(t.id); g != nil && t.entry == 0 { // it may be known by now
			t.identify(p, g)
		}
		if len(t.spans) > 0 && !t.system {
			index[t.id] = len(out.Tracks)
			out.Tracks = append(out.Tracks, t.result(p, &frames))
		}
	}
	for _, t := range out.Tracks {
		for _, sp := range t.Spans {
			out.LeftOut.Spans += sp.Merged - 1
		}
		if t.Group >= 0 {
			out.LeftOut.Goroutines--
		}
	}
	for _, g := range s.finding.Groups {
		out.LeftOut.Goroutines += g.Count
	}
	out.LeftOut.Goroutines = max(0, out.LeftOut.Goroutines)
	for _, w := range s.wakes {
		of, ok := index[w.of]
		if !ok {
			continue
		}
		by, ok := index[w.by]
		if !ok {
			by = -1
		}
		out.Wakes = append(out.Wakes, detectors.Wake{T: w.t, By: by, Of: of, What: w.what})
	}
	if len(out.Tracks) == 0 {
		return nil
	}
	return out
}

func (t *track) result(p *traceload.Program, frames *frameTable) detectors.Track {
	out := detectors.Track{Goroutine: int64(t.id), Role: t.role, Group: t.group, Since: t.since, Until: t.until}
	if out.Until < 0 {
		out.Until = p.Now
	}
	if t.entry != 0 {
		out.Entry = p.Frame(t.entry).Func
	}
	if t.bornKnown {
		out.Born = &t.born
	}
	if t.endedKnown {
		out.Ended = &t.ended
	}
	for _, s := range t.spans {
		out.Spans = append(out.Spans, detectors.Span{
			From: s.from, To: s.to, State: s.doing.state.String(), Reason: p.String(s.doing.reason), Frame: frames.of(s.doing.stack), Merged: s.merged,
		})
	}
	return out
}

// frameTable numbers the frames of a scene.
type frameTable struct {
	program *traceload.Program
	scene   *detectors.Scene
	index   map[traceload.FrameID]int
}

// of returns the number of the line to show for a stack, -1 if there is none.
func (f *frameTable) of(stack traceload.StackID) int {
	id := f.program.SiteID(stack)
	if id == 0 {
		return -1
	}
	i, ok := f.index[id]
	if !ok {
		i = len(f.scene.Frames)
		f.index[id] = i
		f.scene.Frames = append(f.scene.Frames, detectors.FrameOf(f.program.Frame(id)))
	}
	return i
}
