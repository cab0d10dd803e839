package serialwaits

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// bound is what begins or ends a unit of work.
type bound uint8

const (
	fromRest   bound = iota // a pause, or a job taken: it may be one of a queue's many
	fromServer              // a request read
	fromBirth               // the goroutine's start, or its end
	fromName                // a task or region
)

// unit is what one goroutine has called for one request or task, so far.
type unit struct {
	last *call
	n    int // calls

	// The same call again and again: the first few different calls.
	same  [6]tally
	kinds int

	// Different calls of one function in a row: the present chain, and the one
	// that would save most.
	chain, best chain
}

// tally adds up equal calls of one unit.
type tally struct {
	call         *call
	n            int
	sum, longest time.Duration
}

// chain is a row of different calls that one function makes.
type chain struct {
	links  [8]link
	n      int
	outer  int  // frames that the calls have in common, from the outside
	looped bool // a call came a second time: the function is a loop, or was called again
}

// link is a call in a chain, made once.
type link struct {
	call *call
	took time.Duration
}

// add counts a call that took d.
func (u *unit) add(p *traceload.Program, c *call, d time.Duration) {
	u.n++
	u.count(c, d)
	u.link(p, c, d)
	u.last = c
}

func (u *unit) count(c *call, d time.Duration) {
	for i := range u.same[:u.kinds] {
		if t := &u.same[i]; t.call == c {
			t.n++
			t.sum += d
			t.longest = max(t.longest, d)
			return
		}
	}
	if u.kinds < len(u.same) {
		u.same[u.kinds] = tally{c, 1, d, d}
		u.kinds++
	}
}

// link puts a call at the end of the chain, or begins another one.
func (u *unit) link(p *traceload.Program, c *call, d time.Duration) {
	ch := &u.chain
	for i := range ch.links[:ch.n] {
		if ch.links[i].call == c {
			ch.looped = true
			return
		}
	}
	if ch.n > 0 {
		outer, ok := split(p, ch.links[ch.n-1].call, c)
		if !ok || ch.n > 1 && outer != ch.outer || ch.n == len(ch.links) {
			u.settle()
		} else {
			ch.outer = outer
		}
	}
	ch.links[ch.n] = link{c, d}
	ch.n++
}

// settle ends the chain.
func (u *unit) settle() {
	if ch := &u.chain; !ch.looped && ch.n > 1 && ch.saves() > u.best.saves() {
		u.best = *ch
	}
	u.chain = chain{}
}

// saves is by how much less a chain would take if all its calls went side by side.
func (ch *chain) saves() time.Duration {
	var sum, longest time.Duration
	for _, t := range ch.links[:ch.n] {
		sum += t.took
		longest = max(longest, t.took)
	}
	return sum - longest
}

// atATime is how many equal calls are reckoned to go side by side: a limit that most
// services can bear from one request. Fixture: serial-waits-same-call, mended.
const atATime = 8

// saves is by how much less a tally would take side by side.
func (t *tally) saves() time.Duration { return t.sum - max(t.longest, t.sum/atATime) }

// close ends the unit of g, whose visitor is v, counts it if it was seen whole, and begins
// the next.
func (o *observer) close(p *traceload.Program, g *traceload.Goroutine, v *visitor, at bound) {
	if v.named != 0 && at != fromName {
		return // the task or region goes on
	}
	if v.unit != 0 {
		u := o.units[v.unit]
		shared := v.crowd && (v.since == fromBirth || at == fromBirth)
		if v.named != 0 || v.since > fromRest && at > fromRest && !shared {
			o.count(p, g.ID, v, u)
		}
		o.drop(v)
	}
	v.since, v.began = at, p.Now
}

// drop ends a visitor's unit.
func (o *observer) drop(v *visitor) {
	*o.units[v.unit] = unit{}
	o.free = append(o.free, v.unit)
	v.unit = 0
}

// rests is close where there is nothing to count; false if there is.
func (v *visitor) rests(now traceload.Time) bool {
	if v.unit != 0 || v.named != 0 {
		return false
	}
	v.since, v.began = fromRest, now
	return true
}

func (o *observer) newUnit() (number uint32) {
	if n := len(o.free); n > 0 {
		number, o.free = o.free[n-1], o.free[:n-1]
		return number
	}
	o.units = append(o.units, new(unit))
	return uint32(len(o.units) - 1)
}

// name begins a unit that the program has given a name.
func (v *visitor) name(p *traceload.Program, name traceload.StringID) {
	if v.unit != 0 {
		return // it is part of what goes on already
	}
	v.named, v.since, v.began = name, fromName, p.Now
}

// unname ends such a unit. One of a single call only names that call, and the work goes on.
func (o *observer) unname(p *traceload.Program, g *traceload.Goroutine, v *visitor) {
	if v.named == 0 {
		return
	}
	if v.unit != 0 && o.units[v.unit].n > 1 {
		o.close(p, g, v, fromName)
	}
	v.named = 0
	if v.since == fromName {
		v.since = fromRest // where the work as a whole began is no longer known
	}
}

// row is several calls in a row by one function, over all units.
type row struct {
	calls [8]*call
	n     int
	outer int
	stats
	sums [8]time.Duration // by call
}

type rowKey [8]*call

// loop is one call again and again, over all units.
type loop struct {
	call  *call
	calls int
	most  int // in one unit
	stats
}

// stats adds up what units have lost.
type stats struct {
	units        int
	named        int // of units: tasks and regions
	sum          time.Duration
	saved        time.Duration
	length       time.Duration // of the units, altogether
	name         traceload.StringID
	by           traceload.GoID
	began, ended traceload.Time // of one
	goroutines   detectors.Roll
}

func (s *stats) add(id traceload.GoID, v *visitor, sum, saved time.Duration, now traceload.Time) {
	s.units++
	if v.named != 0 {
		s.named++
		s.name = v.named
	}
	s.sum += sum
	s.saved += saved
	s.length += now.Sub(v.began)
	if s.by != id {
		s.by = id
		s.goroutines.Note(id)
	}
	s.began, s.ended = v.began, now
}

// count books a unit that was seen whole.
func (o *observer) count(p *traceload.Program, id traceload.GoID, v *visitor, u *unit) {
	looped := false
	for i := range u.same[:u.kinds] {
		t := &u.same[i]
		if t.n < sameFrom {
			continue
		}
		looped = true
		l := o.loops[t.call]
		if l == nil {
			l = &loop{call: t.call}
			o.loops[t.call] = l
			o.again = append(o.again, l)
		}
		l.calls += t.n
		l.most = max(l.most, t.n)
		l.add(id, v, t.sum, t.saves(), p.Now)
	}
	u.settle()
	if looped || u.best.n < 2 {
		return
	}
	var k rowKey
	for i, t := range u.best.links[:u.best.n] {
		k[i] = t.call
	}
	r := o.rows[k]
	if r == nil {
		r = &row{calls: k, n: u.best.n, outer: u.best.outer}
		o.rows[k] = r
		o.found = append(o.found, r)
	}
	var sum time.Duration
	for i, t := range u.best.links[:u.best.n] {
		r.sums[i] += t.took
		sum += t.took
	}
	r.add(id, v, sum, u.best.saves(), p.Now)
}
