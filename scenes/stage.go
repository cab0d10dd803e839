package scenes

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// stage is where all scenes of one trace are recorded. A goroutine that plays in
// a scene that is on has a seat, a list of its tracks; any other event costs a
// look at an empty list.
type stage struct {
	coming []*scene                    // that have not begun, in order of time
	on     []*scene                    // that are being recorded
	all    []*scene                    // in the order of the findings
	named  map[traceload.GoID][]*track // of every scene, by goroutine
	seats  [][]*track                  // by slot
	// recruiting tells that there may be more to join a scene than findings name.
	recruiting bool
	ends       traceload.Time // when the first of those that are on does
}

func newStage(findings []*detectors.Finding, length time.Duration) *stage {
	st := &stage{named: map[traceload.GoID][]*track{}}
	for _, f := range findings {
		s := newScene(f, length)
		if len(s.tracks) == 0 && len(s.more) == 0 {
			continue
		}
		st.recruiting = st.recruiting || len(s.more) > 0
		st.all = append(st.all, s)
		for _, t := range s.tracks {
			st.named[t.id] = append(st.named[t.id], t)
		}
	}
	st.coming = slices.Clone(st.all)
	slices.SortStableFunc(st.coming, byOpening)
	return st
}

func (st *stage) observe(p *traceload.Program, ev *traceload.Event) {
	if len(st.all) == 0 {
		return
	}
	g := ev.G
	if ev.Kind == traceload.KindCreate || ev.Kind == traceload.KindStatus {
		st.enter(g)
	}
	if ev.Kind == traceload.KindCreate && st.recruiting {
		st.recruit(p, g)
	}
	if int(g.Slot) < len(st.seats) && len(st.seats[g.Slot]) > 0 {
		st.play(p, ev)
	}
	if ev.Kind == traceload.KindEnd {
		for _, t := range st.named[g.ID] {
			t.ended, t.endedKnown = ev.Time, true
		}
	}
	if ev.Kind == traceload.KindStart && len(st.on) > 0 {
		st.run(g, ev.Time)
	}
	for len(st.coming) > 0 && st.coming[0].stretch.opens <= ev.Time {
		st.begin(p, ev, st.coming[0])
		st.coming = st.coming[1:]
	}
	if len(st.on) > 0 && ev.Time >= st.ends {
		st.close(p)
	}
}

// enter seats a goroutine that is seen for the first time, or is known better now.
func (st *stage) enter(g *traceload.Goroutine) {
	for _, t := range st.named[g.ID] {
		t.know(g)
		switch s := t.scene; {
		case s.state == recording:
			st.seat(t, g)
		case s.state == closed && !g.SinceKnown && len(t.spans) == 0:
			// It has been like this since before the trace began.
			t.until = -1
			t.spans = append(t.spans, newSpan(s.from, s.to, doingOf(g.State, g.Reason, g.Stack)))
			st.seat(t, g)
		}
	}
}

// recruit has a new goroutine join the scenes whose findings are about such.
func (st *stage) recruit(p *traceload.Program, g *traceload.Goroutine) {
	for _, s := range st.on {
		if len(s.more) == 0 || p.EntryID(g) == 0 || s.plays(g.ID) {
			continue
		}
		if as, ok := s.recruit(p.Entry(g).Func, p.Now); ok {
			as.id = g.ID
			st.join(s, as, g)
		}
	}
}

// run has a goroutine join the scenes in which it matters that it runs.
func (st *stage) run(g *traceload.Goroutine, now traceload.Time) {
	for _, s := range st.on {
		if s.stretch.runners && now >= s.stretch.from && now <= s.stretch.to && s.mayJoin(g.ID) {
			st.join(s, part{id: g.ID, group: -1}, g)
		}
	}
}

// join gives a goroutine a track in a scene that is on.
func (st *stage) join(s *scene, as part, g *traceload.Goroutine) {
	t := s.newTrack(as)
	t.know(g)
	st.named[g.ID] = append(st.named[g.ID], t)
	st.seat(t, g)
}

// know takes what the trace tells of a goroutine as such.
func (t *track) know(g *traceload.Goroutine) {
	if g.BornKnown {
		t.born, t.bornKnown = g.Born, true
	}
}

// identify takes what a goroutine was started with, and so whose it is.
func (t *track) identify(p *traceload.Program, g *traceload.Goroutine) {
	t.entry, t.system = p.EntryID(g), system(p, g)
}

func (st *stage) seat(t *track, g *traceload.Goroutine) {
	if t.slot >= 0 {
		return
	}
	t.slot = g.Slot
	seats := slotted(&st.seats, g.Slot)
	*seats = append(*seats, t)
}

func (st *stage) unseat(t *track) {
	if t.slot < 0 {
		return
	}
	seats := &st.seats[t.slot]
	*seats = slices.DeleteFunc(*seats, func(o *track) bool { return o == t })
	t.slot = -1
}

// play hands an event to the tracks of its goroutine.
func (st *stage) play(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	for i := len(st.seats[g.Slot]) - 1; i >= 0; i-- { // backwards: some leave
		t := st.seats[g.Slot][i]
		t.identify(p, g)
		if ev.Kind == traceload.KindStatus {
			continue // nothing has changed
		}
		switch {
		case t.scene.state == closed:
			t.until = ev.Time
			st.unseat(t)
			continue
		case ev.Kind != traceload.KindCreate:
			t.scene.record(t, ev)
		}
		if ev.Kind == traceload.KindUnblock || ev.Kind == traceload.KindCreate {
			st.wake(p, t, ev)
		}
		if ev.Kind == traceload.KindEnd {
			st.unseat(t)
		}
		if t.scene.enough() {
			st.ends = ev.Time
		}
	}
}

// wake records who woke or created the goroutine of t, and has that one play as well.
func (st *stage) wake(p *traceload.Program, t *track, ev *traceload.Event) {
	s := t.scene
	w := wake{t: ev.Time, of: t.id, by: traceload.NoGoroutine, what: whatWoke(ev), ended: ev.Lived}
	if by := ev.By; by != nil && !system(p, by) && by != ev.G {
		w.by = by.ID
		if ev.Time >= s.stretch.from && ev.Time <= s.stretch.to && s.mayJoin(by.ID) {
			st.join(s, part{id: by.ID, group: -1}, by)
		}
	}
	s.wakes = append(s.wakes, w)
	if len(s.wakes) >= 4*maxWakes {
		s.thinWakes(2 * maxWakes)
	}
}

func whatWoke(ev *traceload.Event) string {
	switch {
	case ev.Kind == traceload.KindCreate:
		return "created"
	case ev.Waker == traceload.WakerGoroutine, ev.Waker == traceload.WakerDeadline:
		return "woken"
	case ev.Waker == traceload.WakerTimer:
		return "timer"
	case ev.Waker == traceload.WakerNetwork:
		return "network"
	}
	return "runtime"
}

// begin starts the recording of a scene with those that are alive.
func (st *stage) begin(p *traceload.Program, ev *traceload.Event, s *scene) {
	s.state = recording
	st.on = append(st.on, s)
	st.ends = min(st.ends, s.stretch.closes)
	if len(st.on) == 1 {
		st.ends = s.stretch.closes
	}
	for _, t := range s.tracks {
		g := p.Goroutine(t.id)
		if g == nil {
			continue
		}
		t.know(g)
		t.identify(p, g)
		st.seat(t, g)
		if g == ev.G && ev.Kind != traceload.KindStatus { // what it did until now, which begin came too late for
			t.add(newSpan(ev.Time-traceload.Time(ev.Lived), ev.Time, doingOf(ev.From, ev.Reason, g.Stack)))
		}
	}
	if s.stretch.runners {
		for g := range p.Live {
			if g.State == traceload.StateRunning && !system(p, g) && s.mayJoin(g.ID) {
				st.join(s, part{id: g.ID, group: -1}, g)
			}
		}
	}
}

// close ends the scenes whose time is over.
func (st *stage) close(p *traceload.Program) {
	st.on = slices.DeleteFunc(st.on, func(s *scene) bool {
		if s.stretch.closes > p.Now && !s.enough() {
			return false
		}
		s.close(p, min(p.Now, s.stretch.closes))
		return true
	})
	for i, s := range st.on {
		if i == 0 || s.stretch.closes < st.ends {
			st.ends = s.stretch.closes
		}
	}
}

// finish ends all scenes.
func (st *stage) finish(p *traceload.Program) {
	for _, s := range st.on {
		s.close(p, p.Now)
	}
}

// give hands the scenes to their findings.
func (st *stage) give(p *traceload.Program) {
	for _, s := range st.all {
		s.finding.Scene = s.result(p)
	}
}
