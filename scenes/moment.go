package scenes

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// At reads a trace and tells what every goroutine did at a time. The trace is
// read to its end: those that were parked before it began may be first
// mentioned long after that time. opt may be nil.
func At(in *traceload.Input, t time.Duration, opt *Options) (*detectors.Moment, error) {
	w := moment{at: traceload.Time(t), crowds: map[crowdKey]*crowd{}, unknown: map[traceload.GoID]*crowd{}}
	p, info, err := opt.walk(in, w.observe)
	if err != nil {
		return nil, err
	}
	if !w.taken && w.at <= p.Now { // nothing happened after it
		w.take(p, nil)
	}
	if !w.taken {
		return nil, fmt.Errorf("%s: the trace is only %v long: give a time before that", in.Source, info.Duration)
	}
	return w.result(p, &info), nil
}

// moment is the walk that takes a picture as soon as the time has passed.
type moment struct {
	at      traceload.Time
	taken   bool
	crowds  map[crowdKey]*crowd
	present []*crowd                  // by slot: the crowd of a goroutine that has done nothing since
	unknown map[traceload.GoID]*crowd // of which it is not known yet whether they are the runtime's own
	stopped []traceload.StackID       // by slot: where a goroutine stopped that could have gone on, 0 otherwise
	ranges  []traceload.StringID      // of the program, that have begun and not ended
	during  []traceload.StringID      // those of them at the time
	procs   int
}

// crowdKey is what the goroutines of a crowd have in common.
type crowdKey struct {
	doing
	entry traceload.FrameID // of one that runs: nothing else is known of it
}

type crowd struct {
	createdAt         traceload.StackID // of one of them
	ids               []int64           // the lowest, sorted
	count, stay       int
	shortest, longest time.Duration
	atLeast           bool
}

func (m *moment) observe(p *traceload.Program, ev *traceload.Event) {
	if !m.taken && ev.Time > m.at {
		m.take(p, ev)
	}
	switch {
	case ev.G == nil && ev.Kind == traceload.KindRangeBegin:
		m.ranges = append(m.ranges, ev.Text)
	case ev.G == nil && ev.Kind == traceload.KindRangeEnd:
		if i := slices.Index(m.ranges, ev.Text); i >= 0 {
			m.ranges = slices.Delete(m.ranges, i, i+1)
		}
	}
	if ev.Kind > traceload.KindEnd {
		return
	}
	g := ev.G
	if c, ok := m.unknown[g.ID]; ok && g.Entry != 0 {
		if delete(m.unknown, g.ID); system(p, g) {
			c.count--
			c.ids = slices.DeleteFunc(c.ids, func(id int64) bool { return id == int64(g.ID) })
		}
	}
	switch {
	case ev.Kind != traceload.KindStatus:
		*slotted(&m.present, g.Slot) = nil
	case m.taken && ev.From == traceload.StateUnknown && !g.SinceKnown && *slotted(&m.present, g.Slot) == nil:
		m.add(p, g, g.State, g.Reason, m.at) // it was there all the time
	}
	stopped := slotted(&m.stopped, g.Slot)
	*stopped = 0
	if ev.Kind == traceload.KindStop {
		*stopped = ev.Stack
	}
}

// take takes the picture. ev is the first event after the time, nil if there was
// none: its goroutine has done already what it tells of.
func (m *moment) take(p *traceload.Program, ev *traceload.Event) {
	m.taken, m.procs, m.during = true, p.Procs, slices.Clone(m.ranges)
	for g := range p.Live {
		if ev == nil || g != ev.G {
			m.add(p, g, g.State, g.Reason, m.at-g.Since)
		}
	}
	if ev == nil || ev.G == nil {
		return
	}
	switch g := ev.G; {
	case ev.Kind > traceload.KindEnd, ev.Kind == traceload.KindStatus && g.SinceKnown:
		m.add(p, g, g.State, g.Reason, m.at-g.Since)
	case ev.From != traceload.StateUnknown && ev.From != traceload.StateEnded:
		m.add(p, g, ev.From, ev.Reason, m.at-(ev.Time-traceload.Time(ev.Lived)))
	}
}

// add adds a goroutine that has been in a state for some time.
func (m *moment) add(p *traceload.Program, g *traceload.Goroutine, state traceload.State, reason traceload.StringID, lived traceload.Time) {
	if system(p, g) {
		return
	}
	key := crowdKey{doing: doing{state: state, stack: cmp.Or(*slotted(&m.stopped, g.Slot), g.Stack, g.Entry)}}
	switch state {
	case traceload.StateWaiting:
		key.reason = reason
	case traceload.StateRunning:
		key.stack, key.entry = 0, p.EntryID(g)
	}
	c := m.crowds[key]
	if c == nil {
		c = &crowd{shortest: time.Duration(lived)}
		m.crowds[key] = c
	}
	c.count++
	if c.createdAt == 0 {
		c.createdAt = g.CreatedAt
	}
	c.shortest, c.longest = min(c.shortest, time.Duration(lived)), max(c.longest, time.Duration(lived))
	c.atLeast = c.atLeast || !g.SinceKnown && lived == m.at
	at, _ := slices.BinarySearch(c.ids, int64(g.ID))
	if c.ids = slices.Insert(c.ids, at, int64(g.ID)); len(c.ids) > detectors.MaxGroupIDs {
		c.ids = c.ids[:detectors.MaxGroupIDs]
	}
	*slotted(&m.present, g.Slot) = c
	if g.Entry == 0 {
		m.unknown[g.ID] = c
	}
}

func (m *moment) result(p *traceload.Program, info *traceload.Info) *detectors.Moment {
	for g := range p.Live {
		if c := *slotted(&m.present, g.Slot); c != nil {
			c.stay++
		}
	}
	out := &detectors.Moment{T: m.at, Source: info.Source, Duration: info.Duration, Complete: info.Complete, Procs: m.procs}
	for _, r := range m.during {
		if name := p.String(r); !slices.Contains(out.Ranges, name) {
			out.Ranges = append(out.Ranges, name)
		}
	}
	for key, c := range m.crowds {
		if c.count <= 0 {
			continue
		}
		out.Goroutines += c.count
		add := detectors.Crowd{
			State: key.state.String(), Reason: p.String(key.reason), Stack: detectors.StackOf(p, key.stack), Count: c.count, Goroutines: c.ids,
			Shortest: c.shortest, Longest: c.longest, AtLeast: c.atLeast, Stay: min(c.stay, c.count),
		}
		if key.entry != 0 {
			add.Stack = []detectors.Frame{detectors.FrameOf(p.Frame(key.entry))}
		}
		if f := p.Site(c.createdAt); f != nil {
			add.CreatedBy = detectors.FrameOf(f)
		}
		out.Crowds = append(out.Crowds, add)
	}
	slices.SortFunc(out.Crowds, func(a, b detectors.Crowd) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), slices.Compare(a.Goroutines, b.Goroutines))
	})
	return out
}
