package orders

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// Who sends to those who wait at a line, and who gives orders there: what tells a
// channel of work from one that says stop.

// senders are the functions and the goroutines that hand something over to those
// who wait at a place, the first of them.
type senders struct {
	funcs [4]traceload.FuncID
	ids   [4]traceload.GoID
	nf, n uint8
	at    traceload.StackID // where the last of them stood, whose function is noted
}

// noteSender remembers that a goroutine, standing at a stack, sent to one that
// received at another.
func (t *Table) noteSender(p *traceload.Program, sender traceload.GoID, at, receives traceload.StackID) {
	s := t.senders.At(p.SiteID(receives))
	if (s.nf == 0 || at != s.at) && int(s.nf) < len(s.funcs) {
		s.at = at
		if fn := userFunc(p, at); !slices.Contains(s.funcs[:s.nf], fn) {
			s.funcs[s.nf] = fn
			s.nf++
		}
	}
	if int(s.n) < len(s.ids) && !slices.Contains(s.ids[:s.n], sender) {
		s.ids[s.n] = sender
		s.n++
	}
}

// noted tells whether noteSender would change nothing, as far as is seen at once.
func (t *Table) noted(p *traceload.Program, sender traceload.GoID, at, receives traceload.StackID) bool {
	s := t.senders.Of(p.SiteID(receives))
	return s != nil && (at == s.at || int(s.nf) == len(s.funcs)) && (sender == s.ids[0] || int(s.n) == len(s.ids))
}

// sends tells whether the goroutine that closed the channel, or a function that
// it stands in, also sends to those who wait there: then the close says that
// nothing more comes.
func (t *Table) sends(p *traceload.Program, ev *traceload.Event) bool {
	s := t.senders.At(p.SiteID(ev.Stack))
	if slices.Contains(s.ids[:s.n], ev.By.ID) {
		return true
	}
	for _, id := range p.Stack(ev.ByStack).Frames {
		if f := p.Frame(id); f.Origin == traceload.OriginUser && slices.Contains(s.funcs[:s.nf], f.FuncID) {
			return true
		}
	}
	return false
}

func userFunc(p *traceload.Program, stack traceload.StackID) traceload.FuncID {
	if f := p.Site(stack); f != nil {
		return f.FuncID
	}
	return 0
}

// Giver is a line that gives orders to those who wait at another.
type Giver struct {
	Site traceload.FrameID
	N    int // goroutines that it woke there
}

// givers is how many lines that give orders are kept for one that waits.
const givers = 4

func (t *Table) credit(p *traceload.Program, waits traceload.FrameID, by traceload.StackID) {
	site := p.SiteID(by)
	if site == 0 || p.Frame(site).Origin != traceload.OriginUser {
		return
	}
	list := t.givers[waits]
	for i := range list {
		if list[i].Site == site {
			list[i].N++
			return
		}
	}
	if len(list) < givers {
		t.givers[waits] = append(list, Giver{site, 1})
	}
}

// Giver returns the user's line that ends most of the waits at a line by an
// order; false if there is none.
func (t *Table) Giver(waits traceload.FrameID) (best Giver, ok bool) {
	for _, g := range t.givers[waits] {
		if g.N > best.N {
			best, ok = g, true
		}
	}
	return best, ok
}
