package headofline

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// standing is who waits at a line and may be about to give there.
type standing struct {
	n     int            // how many there are, plus one; 0 as long as nobody was seen to give there
	since traceload.Time // none of them has been there for longer
}

// watch begins to count who waits at a line and may be about to give there.
func (o *observer) watch(p *traceload.Program, give traceload.FrameID) {
	s := o.standing.At(give)
	if s.n != 0 {
		return
	}
	s.n = 1
	o.pass.Watch(traceload.KindSet(traceload.KindBlock))
	o.pass.LookAgain()
	for g := range p.Live {
		if mayGive(g) && p.SiteID(g.Stack) == give {
			o.stand(p, g, s)
		}
	}
}

// stand notes that a goroutine stands at a line.
func (o *observer) stand(p *traceload.Program, g *traceload.Goroutine, at *standing) {
	at.n++
	if y := o.slots.At(g); !y.stood {
		if len(o.stood) > 2*p.Slots() {
			o.tidy(p)
		}
		y.stood = true
		o.stood = append(o.stood, g.Slot)
	}
}

// tidy forgets who stands nowhere any more.
func (o *observer) tidy(p *traceload.Program) {
	for _, slot := range o.stood {
		o.slots.At(p.InSlot(slot)).stood = false
	}
	o.stood = slices.DeleteFunc(o.stood, func(slot int32) bool {
		g := p.InSlot(slot)
		y := o.slots.At(g)
		if y.stood || !mayGive(g) || o.standing.Get(p.SiteID(g.Stack)).n == 0 {
			return true // or is there twice: the slot was taken again
		}
		y.stood = true
		return false
	})
}

// left notes that one of them has gone on.
func (s *standing) left(now traceload.Time) {
	if s.n--; s.n == 1 {
		s.since = now
	}
}

// mayGive tells whether a goroutine waits, has begun to while it was traced, and may
// be about to give something.
func mayGive(g *traceload.Goroutine) bool {
	return g.State == traceload.StateWaiting && gives(g.Wait) && g.SinceKnown && !g.System
}

// stands notes that a goroutine waits where others gave, and may be about to give.
func (o *observer) stands(p *traceload.Program, ev *traceload.Event) {
	site := p.SiteID(ev.Stack)
	y := o.slots.At(ev.G)
	o.stand(p, ev.G, o.standing.At(site))
	if y.giver == 0 {
		return
	}
	if r := o.givers.At(y.giver); r.pending > 0 && site == o.lines[r.ready.line].key.give {
		o.lines[r.ready.line].lose(ev.G, r.stack, r.reason, r.pending, &r.ready) // it has made another result
		r.pending = 0
	}
}

// giving is how a goroutine waits that may be about to give something.
const giving traceload.Waits = 1<<traceload.WaitChanSend | 1<<traceload.WaitSelect

func gives(w traceload.Wait) bool {
	return giving.Has(w)
}
