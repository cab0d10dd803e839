package waitunbounded

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Goroutines that hand on what they are given wait one behind the other, and if what the first
// of them waits for is late so are all the others: each is woken by one that was waiting, too.
// A deadline belongs where the chain begins, not at each link of it.

// stay is the longest of the latest waits of a goroutine, of those that are judged.
type stay struct {
	began, ended traceload.Time
	site         uint32 // number of the line
}

func (s *stay) length() time.Duration { return s.ended.Sub(s.began) }

// stayed notes a wait at a line that ends now. Only those are kept that may have been as long
// as most of one that stands out.
func (o *observer) stayed(p *traceload.Program, v *guest, at *site, length time.Duration) {
	if float64(length) < along*float64(longest) {
		return
	}
	if v.stay == 0 {
		v.stay = o.stays.Take()
	}
	s := o.stays.At(v.stay)
	if length >= s.length() || p.Now.Sub(s.ended) >= s.length() {
		*s = stay{p.Now - traceload.Time(length), p.Now, at.number}
	}
}

// before returns how whoever ends a wait at a line now had waited elsewhere for most of the
// time that it took; a zero stay if it had not. At the same line they stand in one queue, in
// which one lets the next go on.
func (o *observer) before(p *traceload.Program, waker *traceload.Goroutine, at *site, length time.Duration) stay {
	if waker == nil {
		return stay{}
	}
	by := o.slots.At(waker)
	if by.stay == 0 {
		return stay{}
	}
	s := *o.stays.At(by.stay)
	both := s.ended.Sub(max(s.began, p.Now-traceload.Time(length)))
	if s.site == at.number || float64(both) < along*float64(length) {
		return stay{}
	}
	return s
}

// explained returns the lines where something ends waits, and those that will be told: at which
// a wait stands out that came from nowhere else, or from such a line.
func (o *observer) explained(told []*site) map[*site]bool {
	known := map[*site]bool{}
	for _, s := range o.sites {
		known[s] = s.ends > 0
	}
	for more := true; more; {
		more = false
		for _, s := range told {
			if !known[s] && slices.ContainsFunc(s.long, func(w wait) bool { return o.from(w) == nil || known[o.from(w)] }) {
				known[s], more = true, true
			}
		}
	}
	return known
}

// from returns the line at which whoever ended a wait had waited, nil if that one had not.
func (o *observer) from(w wait) *site {
	if w.before.site == 0 {
		return nil
	}
	return o.sites[w.before.site-1]
}

// stuck is a goroutine whose wait stands out and is not over when the trace ends.
type stuck struct {
	g    *traceload.Goroutine
	site *site
}

// chains is who would end which waits, of those that are not over when the trace ends.
type chains struct {
	observer *observer
	program  *traceload.Program
	at       map[traceload.GoID]*site            // who waits, and at which line
	kin      map[relation][]*traceload.Goroutine // those who wait longest, of the same kind, at different lines
}

// relation is what those have in common that a goroutine has started as the same; or, without
// that one, all that were started as the same.
type relation struct {
	creator traceload.GoID
	entry   traceload.FrameID
}

// beginnings takes the links of chains out of the waits at some lines, and returns the lines
// at which others are left.
func (o *observer) beginnings(p *traceload.Program, sites []*site) []*site {
	c := chains{o, p, map[traceload.GoID]*site{}, map[relation][]*traceload.Goroutine{}}
	for _, t := range o.stuck {
		if slices.Contains(sites, t.site) {
			c.at[t.g.ID] = t.site
			c.add(relation{t.g.Creator, p.EntryID(t.g)}, t)
			c.add(relation{0, p.EntryID(t.g)}, t)
		}
	}
	known := o.explained(sites)
	return slices.DeleteFunc(sites, func(s *site) bool {
		n := len(s.long)
		s.long = slices.DeleteFunc(s.long, func(w wait) bool { return known[o.from(w)] || w.open && c.link(w.g) })
		s.nlong -= n - len(s.long)
		return len(s.long) == 0
	})
}

func (c *chains) add(r relation, t stuck) {
	at := slices.IndexFunc(c.kin[r], func(g *traceload.Goroutine) bool { return c.at[g.ID] == t.site })
	if at < 0 {
		c.kin[r] = append(c.kin[r], t.g)
	} else if t.g.Since < c.kin[r][at].Since {
		c.kin[r][at] = t.g
	}
}

// link tells whether what a goroutine waits for begins elsewhere.
func (c *chains) link(id traceload.GoID) bool {
	begin := id
	for range c.at {
		next := c.ender(c.program.Goroutine(begin))
		if next == nil {
			return begin != id
		}
		begin = next.ID
	}
	return false // it goes round
}

// ender returns who would end the wait of g, if that one has waited at another line for most of
// that time: who did it the last time, or else one that is like who does it at this line, rather
// one that was started by the same goroutine. It returns nil if there is none.
func (c *chains) ender(g *traceload.Goroutine) *traceload.Goroutine {
	at := c.at[g.ID]
	ends := func(by *traceload.Goroutine) bool {
		other := c.at[by.ID]
		return other != nil && other != at && float64(c.program.InState(by)) >= along*float64(c.program.InState(g))
	}
	if last := c.program.Goroutine(c.observer.slots.At(g).waker); last != nil && ends(last) {
		return last
	}
	for _, r := range []relation{{g.Creator, at.by}, {0, at.by}} {
		if i := slices.IndexFunc(c.kin[r], ends); i >= 0 {
			return c.kin[r][i]
		}
	}
	return nil
}
