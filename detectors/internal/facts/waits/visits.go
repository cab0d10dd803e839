package waits

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// occupant is what the table knows of one goroutine that is alive.
type occupant struct {
	by     [2]traceload.GoID // who woke it at the first places, every time; else others
	at     [2]int32          // … the numbers of these places
	site   int32             // number of the place where it waits, until the wait ends or the trace does, or nowhere
	travel uint32            // in Table.travels: the next places; 0 if there are none
}

// nowhere is where it waits as far as is known if it does not.
const nowhere int32 = 0

// travel is the places where a goroutine was woken after the first, and the last one.
type travel struct {
	by [6]traceload.GoID
	at [6]int32
}

// others stands for wakers of which not all are one goroutine.
const others traceload.GoID = -2

// visit is what a goroutine has experienced at a site.
type visit struct {
	by    traceload.GoID // who woke it, every time; else others
	woken bool           // it was woken there at all
}

// knows tells whether being woken by that goroutine at a site is no news to o.
func (o *occupant) knows(site int32, by traceload.GoID) bool {
	i := 0
	if o.at[0] != site {
		i = 1
	}
	return o.at[i] == site && (o.by[i] == by || o.by[i] == others)
}

// visit notes who woke o at a site. A worker's loop starts with the places that it
// comes back to: they stay, and what comes later shares the last entry. It tells whether
// o travels since then.
func (t *Table) visit(o *occupant, site int32, by traceload.GoID) (travels bool) {
	if note(o.at[:], o.by[:], site, by) {
		return false
	}
	if o.travel == 0 {
		o.travel, travels = t.travels.Take(), true
	}
	next := t.travels.At(o.travel)
	if !note(next.at[:], next.by[:], site, by) {
		next.at[len(next.at)-1], next.by[len(next.by)-1] = site, by
	}
	return travels
}

// note is visit for one list of places, as long as there is room.
func note(at []int32, wakers []traceload.GoID, site int32, by traceload.GoID) bool {
	for i := range at {
		switch at[i] {
		case 0:
			at[i], wakers[i] = site, by
			return true
		case site:
			if wakers[i] != by {
				wakers[i] = others
			}
			return true
		}
	}
	return false
}

// at returns what the occupant has experienced at s, the zero visit if nothing.
func (t *Table) at(o *occupant, s *Site) visit {
	if i := slices.Index(o.at[:], s.number); i >= 0 {
		return visit{o.by[i], true}
	}
	if o.travel != 0 {
		next := t.travels.At(o.travel)
		if i := slices.Index(next.at[:], s.number); i >= 0 {
			return visit{next.by[i], true}
		}
	}
	return visit{}
}

// servers are the goroutines that wake those that wait at a place by sending to
// or receiving from them, as long as they are few and nothing else wakes anybody.
type servers struct {
	ids  [4]traceload.GoID
	n    int
	many bool // too many, or of another kind
}

// add takes a wake-up by a goroutine, or by others.
func (s *servers) add(by traceload.GoID, how wake) {
	if s.many || by == others || !how.gives() {
		s.many = true
		return
	}
	if slices.Contains(s.ids[:s.n], by) {
		return
	}
	if s.many = s.n == len(s.ids); !s.many {
		s.ids[s.n] = by
		s.n++
	}
}
