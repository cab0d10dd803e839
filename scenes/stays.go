package scenes

import (
	"cmp"

	"github.com/tracedoc/tracedoc/traceload"
)

// stay is the time that a goroutine spent in one state without a break.
type stay struct {
	doing
	where    traceload.StackID // where it stood, also if it could have run
	from, to traceload.Time
}

// stays tells activity and losses of each stay that has ended, but not of those
// of the runtime's own goroutines. One that was there before the trace shows
// whose it is only by where it stops next: what it did until then is held back.
type stays struct {
	activity *activity           // nil if not asked for
	losses   *losses             // nil if not asked for
	stopped  []traceload.StackID // by slot: where a goroutine stopped that could have gone on, 0 otherwise
	held     map[traceload.GoID][]stay
}

func (s *stays) observe(p *traceload.Program, ev *traceload.Event) {
	if s.activity == nil && s.losses == nil {
		return
	}
	g := ev.G
	if ev.Kind != traceload.KindStatus && ev.Kind != traceload.KindCreate {
		s.take(p, g, &stay{doing: doingOf(ev.From, ev.Reason, 0), where: s.where(g), from: ev.Time - traceload.Time(ev.Lived), to: ev.Time})
	}
	stopped := slotted(&s.stopped, g.Slot)
	*stopped = 0
	if ev.Kind == traceload.KindStop {
		*stopped = ev.Stack
	}
	if ev.Kind == traceload.KindEnd {
		s.release(g.ID)
	}
}

// where is the stack at which a goroutine stands.
func (s *stays) where(g *traceload.Goroutine) traceload.StackID {
	return cmp.Or(*slotted(&s.stopped, g.Slot), g.Stack, g.Entry)
}

func (s *stays) take(p *traceload.Program, g *traceload.Goroutine, st *stay) {
	if g.Entry == 0 {
		s.held[g.ID] = append(s.held[g.ID], *st)
		return
	}
	own := system(p, g)
	if len(s.held) > 0 {
		if own {
			delete(s.held, g.ID)
		}
		s.release(g.ID)
	}
	if !own {
		s.add(st)
	}
}

// release adds what was held back of a goroutine.
func (s *stays) release(id traceload.GoID) {
	for i := range s.held[id] {
		s.add(&s.held[id][i])
	}
	delete(s.held, id)
}

func (s *stays) add(st *stay) {
	if s.activity != nil {
		s.activity.add(st)
	}
	if s.losses != nil {
		s.losses.add(st)
	}
}

// finish takes what goroutines still do at the end of the trace.
func (s *stays) finish(p *traceload.Program) {
	for g := range p.Live {
		s.take(p, g, &stay{doing: doingOf(g.State, g.Reason, 0), where: s.where(g), from: g.Since, to: p.Now})
	}
	for g := range p.Live {
		s.release(g.ID)
	}
}

// system tells whether a goroutine is the runtime's own, as far as that is known.
func system(p *traceload.Program, g *traceload.Goroutine) bool {
	return g.System || p.Stack(g.Entry).System
}
