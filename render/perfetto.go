package render

import (
	"fmt"
	"io"

	"github.com/tracedoc/tracedoc/detectors"
)

// Perfetto writes the scenes of the findings as a trace of Perfetto's own
// format: a track for each finding, with what it says and its timeline, and
// below it those of its goroutines; flows from whoever woke a goroutine to what
// it did then; and counters of all goroutines by state.
func Perfetto(w io.Writer, r *detectors.Report, _ Options) error {
	r = clean(r)
	p := &perfetto{report: r}
	for i := range r.Traces {
		p.trace(i)
	}
	_, err := w.Write(p.encode())
	return err
}

// perfetto gathers tracks and events before they are sorted and encoded.
type perfetto struct {
	report *detectors.Report
	tracks []perfettoTrack
	events []perfettoEvent
	flows  uint64
}

// perfettoTrack is a row of the picture.
type perfettoTrack struct {
	id, parent uint64 // ids count from 1; no parent is 0
	name       string
	rank       int  // among those of one parent
	counter    bool // of goroutines
}

// perfettoEvent begins or ends a slice, is one without length, or a count.
type perfettoEvent struct {
	t     int64 // nanoseconds
	kind  eventKind
	track uint64
	name  string
	count float64
	from  []uint64 // flows that lead away from here
	to    []uint64 // flows that end here
	notes []note
}

// note is a line beside an event.
type note struct{ name, text string }

// eventKind is a kind of event, by its number in Perfetto's format.
type eventKind uint64

const (
	sliceBegin eventKind = 1
	sliceEnd   eventKind = 2
	instant    eventKind = 3
	counted    eventKind = 4
)

// order is that of events of one time: what ends makes room first, and a flow
// begins before it ends.
func (e *perfettoEvent) order() int {
	switch {
	case e.kind == sliceEnd:
		return 0
	case e.kind == sliceBegin:
		return 1
	case len(e.to) == 0:
		return 2
	}
	return 3
}

func (p *perfetto) track(parent uint64, name string, counter bool) uint64 {
	t := perfettoTrack{id: uint64(len(p.tracks) + 1), parent: parent, name: name, counter: counter}
	for _, o := range p.tracks {
		if o.parent == parent {
			t.rank++
		}
	}
	p.tracks = append(p.tracks, t)
	return t.id
}

func (p *perfetto) event(e perfettoEvent) { p.events = append(p.events, e) }

// slice adds e as a slice, or as an instant if it has no length.
func (p *perfetto) slice(from, to int64, e perfettoEvent) {
	e.t, e.kind = from, instant
	if to > from {
		e.kind = sliceBegin
		p.event(perfettoEvent{t: to, kind: sliceEnd, track: e.track})
	}
	p.event(e)
}

// trace draws one trace and the findings in it.
func (p *perfetto) trace(index int) {
	t := &p.report.Traces[index]
	root := p.track(0, t.Source, false)
	for i := range p.report.Findings {
		if f := &p.report.Findings[i]; f.Trace == index {
			p.finding(root, f)
		}
	}
	if a := t.Activity; a != nil {
		all := p.track(root, "all goroutines", false)
		for _, s := range a.States {
			track := p.track(all, stateName(s.State, s.Reason), true)
			for i, n := range s.Mean {
				if i > 0 && n == s.Mean[i-1] {
					continue
				}
				p.event(perfettoEvent{t: int64(i) * int64(a.Step), kind: counted, track: track, count: n})
			}
		}
	}
}

// finding draws a finding: the stretch of time that shows it, its timeline, and
// what its goroutines did.
func (p *perfetto) finding(root uint64, f *detectors.Finding) {
	track := p.track(root, fmt.Sprintf("%d · %s · %s/%s", f.Rank, f.Severity, f.Detector, f.Cause), false)
	from, to := extent(p.report, f)
	p.slice(from, to, perfettoEvent{track: track, name: f.Title, notes: []note{
		{"detail", f.Detail}, {"site", f.Site.Func + " " + f.Site.Where()}, {"fingerprint", f.Fingerprint}, {"no defect if", f.WrongIf}, {"repair", f.Pattern.Title},
	}})
	if len(f.Timeline) > 0 {
		steps := p.track(track, "timeline", false)
		for _, s := range f.Timeline {
			name := s.Event
			if s.Goroutine > 0 {
				name = fmt.Sprintf("G%d %s", s.Goroutine, s.Event)
			}
			p.event(perfettoEvent{t: int64(s.T), kind: instant, track: steps, name: name, notes: []note{{"what", s.Text}}})
		}
	}
	if f.Scene != nil {
		p.scene(track, f.Scene)
	}
}

func (p *perfetto) scene(parent uint64, s *detectors.Scene) {
	tracks := make([]uint64, len(s.Tracks))
	for i := range s.Tracks {
		k := &s.Tracks[i]
		tracks[i] = p.track(parent, trackName(k), false)
		for j, sp := range k.Spans {
			if sp.To <= sp.From || j > 0 && sp.From < k.Spans[j-1].To {
				continue // not a report of ours
			}
			e := perfettoEvent{track: tracks[i], name: stateName(sp.State, sp.Reason)}
			if sp.Frame >= 0 && sp.Frame < len(s.Frames) {
				f := s.Frames[sp.Frame]
				e.notes = append(e.notes, note{"at", shortFunc(f.Func) + " " + f.Where()})
			}
			if sp.Merged > 1 {
				e.notes = append(e.notes, note{"merged", fmt.Sprintf("%d short ones, most of it like this", sp.Merged)})
			}
			if j == len(k.Spans)-1 && k.Until > sp.To {
				e.notes = append(e.notes, note{"goes on until", moment(int64(k.Until))})
			}
			if j == 0 && k.Since < sp.From {
				e.notes = append(e.notes, note{"since", moment(int64(k.Since))})
			}
			p.slice(int64(sp.From), int64(sp.To), e)
		}
	}
	for _, w := range s.Wakes {
		p.wake(s, tracks, w)
	}
	if len(s.Curve) > 0 {
		curve := p.track(parent, "goroutines alive", true)
		for _, c := range s.Curve {
			p.event(perfettoEvent{t: int64(c.T), kind: counted, track: curve, count: float64(c.N)})
		}
	}
}

// wake draws who woke whom: a point on each track and a flow between them.
func (p *perfetto) wake(s *detectors.Scene, tracks []uint64, w detectors.Wake) {
	if w.Of < 0 || w.Of >= len(tracks) || w.By >= len(tracks) {
		return // not a report of ours
	}
	of := perfettoEvent{t: int64(w.T), kind: instant, track: tracks[w.Of], name: w.What}
	if w.By < 0 && w.What != "woken" && w.What != "created" { // a timer, the network, the runtime
		of.name = "woken: " + w.What
	}
	if w.By >= 0 {
		p.flows++
		verb := "wakes"
		if w.What == "created" {
			verb = "creates"
		}
		p.event(perfettoEvent{t: int64(w.T), kind: instant, track: tracks[w.By], name: fmt.Sprintf("%s G%d", verb, s.Tracks[w.Of].Goroutine), from: []uint64{p.flows}})
		of.name, of.to = fmt.Sprintf("%s by G%d", w.What, s.Tracks[w.By].Goroutine), []uint64{p.flows}
	}
	p.event(of)
}

func trackName(k *detectors.Track) string {
	name := fmt.Sprintf("G%d", k.Goroutine)
	if k.Role != "" {
		name += " " + string(k.Role)
	}
	if k.Entry != "" {
		name += " · " + shortFunc(k.Entry)
	}
	return name
}

// stateName names what a goroutine does.
func stateName(state, reason string) string {
	if reason == "" {
		return state
	}
	return state + ": " + reason
}
