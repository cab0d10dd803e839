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
	standsOut    bool   // there
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
		standsOut := at.lengths.N() >= history && length >= timesUsual*at.lengths.Quantile(0.9)
		*s = stay{p.Now - traceload.Time(length), p.Now, at.number, standsOut}
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

// after tells whether a wait that is over is a link: it took as long as one before it, which
// stands out, or was at a line where something ends waits. Where they are always long, whoever
// waits for what comes from there may do better not to.
func (o *observer) after(s stay) bool {
	return s.standsOut || s.site != 0 && o.sites[s.site-1].ends > 0
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
	at       map[traceload.GoID]*site // who waits, and at which line
	kin      map[relation]traceload.GoID
}

// relation is what those have in common that a goroutine has started as the same.
type relation struct {
	creator traceload.GoID
	entry   traceload.FrameID
}

// beginnings takes the links of chains out of the waits at some lines, and returns the lines
// at which others are left.
func (o *observer) beginnings(p *traceload.Program, sites []*site) []*site {
	c := chains{o, p, map[traceload.GoID]*site{}, map[relation]traceload.GoID{}}
	for _, t := range o.stuck {
		if slices.Contains(sites, t.site) {
			c.at[t.g.ID] = t.site
			c.kin[relation{t.g.Creator, p.EntryID(t.g)}] = t.g.ID
		}
	}
	return slices.DeleteFunc(sites, func(s *site) bool {
		n := len(s.long)
		s.long = slices.DeleteFunc(s.long, func(w wait) bool { return o.after(w.before) || w.open && c.link(w.g) })
		s.nlong -= n - len(s.long)
		return len(s.long) == 0
	})
}

// link tells whether what a goroutine waits for begins elsewhere.
func (c *chains) link(id traceload.GoID) bool {
	begin := id
	for range c.at {
		next, ok := c.ender(begin)
		if !ok {
			return begin != id
		}
		begin = next
	}
	return false // it goes round
}

// ender returns who would end the wait of a goroutine, if that one waits at another line: who
// did it the last time, or else one that was started by the same goroutine and is like who did.
func (c *chains) ender(id traceload.GoID) (traceload.GoID, bool) {
	g, s := c.program.Goroutine(id), c.at[id]
	who := c.observer.slots.At(g).waker
	if who == 0 {
		who = c.kin[relation{g.Creator, s.by}]
	}
	at := c.at[who]
	return who, at != nil && at != s
}
