package orders

import (
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/traceload"
)

// watch follows one goroutine after an order.
type watch struct {
	at    *Instance
	told  bool
	trail trails.Trail
}

// watch begins to follow a goroutine that nothing follows yet.
func (t *Table) watch(o *occupant, in *Instance) *watch {
	t.watched++
	t.rouse()
	if n := len(t.free); n > 0 {
		o.watch, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.watches = append(t.watches, new(watch))
		o.watch = uint32(len(t.watches))
	}
	w := t.watches[o.watch-1]
	w.at, w.told = in, false
	return w
}

// watchOf returns what follows g, nil if nothing does.
func (t *Table) watchOf(g *traceload.Goroutine) *watch {
	if t.watched == 0 {
		return nil
	}
	if o := t.of(g); o != nil && o.watch != 0 {
		return t.watches[o.watch-1]
	}
	return nil
}

// follow takes an event of a goroutine, if it is watched.
func (t *Table) follow(p *traceload.Program, ev *traceload.Event, o *occupant) {
	if o.watch != 0 {
		t.followOn(p, ev, o)
	}
}

func (t *Table) followOn(p *traceload.Program, ev *traceload.Event, o *occupant) {
	w := t.watches[o.watch-1]
	if !w.told {
		w.trail.Observe(p, ev)
	}
	switch {
	case ev.Kind == traceload.KindEnd:
		t.end(p, ev.G, o)
	case ev.Kind == traceload.KindBlock && !w.told && t.listening(p, ev.Stack):
		t.acquit(o)
	}
}

// lets notes whom a goroutine, if it is watched, lets go on.
func (t *Table) lets(p *traceload.Program, ev *traceload.Event) {
	if by := t.watchOf(ev.By); by != nil && !by.told {
		by.at.awaited(p, ev)
	}
}

// feed notes that a goroutine, if it is watched, was handed something.
func (t *Table) feed(o *occupant) {
	if o.watch != 0 {
		t.watches[o.watch-1].trail.Fed++
	}
}

func (t *Table) release(o *occupant) {
	t.watched--
	t.free = append(t.free, o.watch)
	o.watch = 0
}

// drop stops following those of an instance that tells nothing.
func (t *Table) drop(p *traceload.Program, in *Instance) {
	if in.pending == 0 {
		return
	}
	for g := range p.Live {
		if o := t.of(g); o != nil && o.watch != 0 && t.watches[o.watch-1].at == in {
			t.release(o)
		}
	}
}

// acquit ends the suspicion against a goroutine that has a context of its own.
func (t *Table) acquit(o *occupant) {
	in := t.watches[o.watch-1].at
	in.Others++
	in.pending--
	t.release(o)
}

// end takes the end of a goroutine that was watched.
func (t *Table) end(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	w := t.watches[o.watch-1]
	in := w.at
	if w.told {
		if d := p.Now.Sub(in.At); d <= Grace {
			in.Stopped++
			in.Slowest = max(in.Slowest, d)
		}
	} else {
		in.pending--
		in.add(p, g, &w.trail)
	}
	t.release(o)
}

func (in *Instance) add(p *traceload.Program, g *traceload.Goroutine, trail *trails.Trail) {
	if trail.Length() < Grace {
		in.InTime++
		return
	}
	in.Deaf = append(in.Deaf, trail.Close(p, g))
}

// awaited notes that a deaf goroutine woke the one that gave the order, or that
// started it.
func (in *Instance) awaited(p *traceload.Program, ev *traceload.Event) {
	if id := ev.G.ID; id != in.By && id != in.creator {
		return
	}
	switch ev.Wait {
	case traceload.WaitWaitGroup, traceload.WaitChanReceive, traceload.WaitSelect, traceload.WaitCond:
		in.AwaitedBy, in.Awaited, in.AwaitedAt = ev.G.ID, min(ev.Lived, p.Now.Sub(in.At)), ev.Stack
	}
}
