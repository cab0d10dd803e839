// Package births counts, for each place that starts goroutines, how many were
// born and how many ended over the time of the trace, how they spent their
// lives, and who belongs together. From that it judges whether they multiply
// (see Climb and Burst).
package births

import (
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact gives the table of all places that start goroutines.
var Fact = &detectors.Fact[*Table]{
	Name:    "births",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindUnblock, traceload.KindEnd),
	New: func(p *detectors.Pass) *Table {
		t := newTable()
		p.Keep(&t.alive)
		return t
	},
}

// Pastime is what a goroutine spends its time with while it does not run.
type Pastime uint8

const (
	Ready     Pastime = iota // could run, waits for a processor
	Queueing                 // waits for a lock, a semaphore, or to send: nobody rests there
	Turn                     // the first receive, select or Cond of its life: waits for its turn, for an answer, or for work
	Resting                  // a later one, or a WaitGroup
	Sleeping                 //
	Online                   // waits for the network
	Asking                   // waits in a package for the network, say for an answer or for a connection
	Elsewhere                // what is not known

	pastimes
)

// Site is one place that starts goroutines: a creating line and the function started.
type Site struct {
	Created traceload.StackID // the first stack that a creator had here
	Entry   traceload.StackID // entry stack of the first goroutine
	Frame   traceload.FrameID // the user's line of Created

	Born, Ended int
	Alive, Peak int // without those found alive at the start
	PeakAt      traceload.Time
	Creators    int // how many different goroutines created in a row, an upper bound of the number of creators
	Own         int // of Born: started by goroutines that the same function started: it multiplies by itself
	Spent       [pastimes]time.Duration
	First, Last traceload.Time
	FirstID     traceload.GoID // ids of some that were born here
	LastID      traceload.GoID

	total          time.Duration // see Lived
	turns, relayed int           // first waits for a turn that have ended; those that a goroutine born here ended
	inTouch        int           // of Alive, at the end: they still wake other goroutines, or are woken by them
	networked      int           // of Alive, at the end: they have waited for the network, or serve a connection
	older          int           // goroutines born before the trace that began as those here did, and have ended
	lost           int           // … and others of which it is not known how they began
	history
	order

	// QueueStack is where the goroutines born here spent most of their time in
	// a queue, and that time. Set by Finish.
	QueueStack traceload.StackID
	Queued     time.Duration

	number  uint32           // from 1
	creator traceload.GoID   // the last one
	starter traceload.FuncID // the function that Frame is in
	library bool             // Frame is not the user's
	entry   traceload.FuncID
}

// Table is the fact.
type Table struct {
	_ cpu.CacheLinePad

	width    time.Duration  // of a slice of time; doubles as the trace goes on
	current  int            // slice of time
	until    traceload.Time // when it ends; 0 if no time was looked at
	now      traceload.Time
	spent    [][pastimes]time.Duration // by a site's number, for its Spent; 0 is for those whose birth was not seen
	all      []*Site                   // in order of first birth
	sites    map[key]*Site
	byStacks dense.Pairs[*Site] // by the stacks of creation and entry
	alive    traceload.Beside[child]
	parents  dense.Pool[parenthood]
	queued   dense.Pairs[time.Duration] // by a site's number and a stack: where its time in Queueing, Turn and Asking went
	// lost counts, by entry function, ended goroutines whose birth the trace
	// does not show; 0 is for those whose entry it does not tell either.
	lost    dense.ByID[traceload.FuncID, int]
	network dense.Answers // see Network
	_       cpu.CacheLinePad
}

// child is a goroutine that is alive.
type child struct {
	touch  traceload.Time    // when it last woke another goroutine, or was woken by one
	site   uint32            // its number; 0 if its birth was not seen
	number int32             // of its site's births before it
	origin traceload.StackID // where it was created, or, if that is in the standard library, who created it
	kin
	known  bool // somebody is here: without, this is a slot that nobody has, or one of whom the trace told nothing
	waited bool // a wait of the program's own has ended, those in Queueing aside
	online bool // it has waited for the network
}

type key struct {
	created traceload.FrameID
	entry   traceload.FrameID
}

func newTable() *Table {
	return &Table{width: time.Millisecond, spent: make([][pastimes]time.Duration, 1), sites: map[key]*Site{}}
}

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	c := t.alive.At(ev.G)
	switch ev.Kind {
	case traceload.KindUnblock:
		if !c.known {
			return
		}
		by := t.of(ev.By)
		if by != nil {
			c.touch, by.touch = p.Now, p.Now
		}
		if c.site == 0 || ev.From != traceload.StateWaiting {
			return
		}
		if c.waited && (ev.Wait == traceload.WaitSelect || ev.Wait == traceload.WaitChanReceive) && t.network.No(ev.Stack) {
			t.spent[c.site][Resting] += ev.Lived // what wait would find; most waits are such
			return
		}
		t.waited(p, c, by, ev)
	case traceload.KindCreate:
		t.create(p, ev)
	case traceload.KindEnd:
		if c.known {
			t.end(p, ev.G, c)
		}
	case traceload.KindStatus:
		if !c.known { // else only its stack became known
			*c = child{}
			c.known = true
		}
	}
}

// of returns what is known of g; nil if g is nil or the trace told nothing of it.
func (t *Table) of(g *traceload.Goroutine) *child {
	if c := t.alive.Of(g); c != nil && c.known {
		return c
	}
	return nil
}

// create takes a newborn goroutine.
func (t *Table) create(p *traceload.Program, ev *traceload.Event) {
	c := t.alive.At(ev.G)
	*c = child{}
	c.known = true
	if !ev.G.System {
		by := t.of(ev.By)
		t.join(p, ev, c, by)
		t.birth(p, ev, c, by)
	}
}

// birth counts g in at the place where it was born.
func (t *Table) birth(p *traceload.Program, ev *traceload.Event, c, by *child) {
	g := ev.G
	known := t.byStacks.Find(uint32(g.CreatedAt), uint32(g.Entry))
	if known == nil {
		known = t.byStacks.At(uint32(g.CreatedAt), uint32(g.Entry))
		*known = t.birthplace(p, g)
	}
	s := *known
	c.site, c.number = s.number, int32(s.Born)
	c.origin = g.CreatedAt
	if by != nil {
		if by.origin != 0 && s.library {
			c.origin = by.origin
		}
		if by.site != 0 && t.all[by.site-1].starter == s.starter {
			s.Own++
		}
	}
	if g.Creator != s.creator {
		s.creator = g.Creator
		s.Creators++
	}
	s.Last, s.LastID = p.Now, g.ID
	t.add(s, p.Now)
}

// siteOf returns the place where c was born, nil if that was not seen.
func (t *Table) siteOf(c *child) *Site {
	if c.site == 0 {
		return nil
	}
	return t.all[c.site-1]
}

// birthplace returns the place where g was just born.
func (t *Table) birthplace(p *traceload.Program, g *traceload.Goroutine) *Site {
	k := key{p.SiteID(g.CreatedAt), p.EntryID(g)}
	if s, ok := t.sites[k]; ok {
		return s
	}
	f := p.Frame(k.created)
	s := &Site{
		Created: g.CreatedAt, Entry: g.Entry, Frame: k.created, First: p.Now, FirstID: g.ID,
		number: uint32(len(t.all) + 1), creator: traceload.NoGoroutine,
		starter: f.FuncID, library: k.created == 0 || f.Origin != traceload.OriginUser, entry: p.Frame(k.entry).FuncID,
	}
	t.sites[k] = s
	t.all = append(t.all, s)
	t.spent = append(t.spent, [pastimes]time.Duration{})
	return s
}

// add counts a birth.
func (t *Table) add(s *Site, now traceload.Time) {
	s.Born++
	s.Alive++
	if s.Alive > s.Peak {
		s.Peak, s.PeakAt = s.Alive, now
	}
	s.born[t.slice(now)]++
}

// end takes the end of a goroutine.
func (t *Table) end(p *traceload.Program, g *traceload.Goroutine, c *child) {
	if c.of != 0 {
		if of := t.parents.At(c.of); of.id == g.Creator { // it is alive
			of.alive--
		}
	}
	if c.started != 0 {
		t.parents.Give(c.started)
	}
	if c.site != 0 {
		t.spent[c.site][Ready] += g.Spent(traceload.StateRunnable)
		t.remove(t.all[c.site-1], int(c.number), p.Now.Sub(g.Born), p.Now)
	} else if !g.System {
		e := p.Entry(g)
		if e == nil {
			e = &traceload.Frame{}
		}
		*t.lost.At(e.FuncID)++
	}
	*c = child{}
}

// remove counts the end of the number-th that was born at s.
func (t *Table) remove(s *Site, number int, life time.Duration, now traceload.Time) {
	s.order.add(number, s.Ended)
	s.Ended++
	s.Alive--
	s.total += life
	s.history.end(t.slice(now), life)
}

// waited adds a wait that has ended to what those born where c was spent their time with.
func (t *Table) waited(p *traceload.Program, c, by *child, ev *traceload.Event) {
	s := t.siteOf(c)
	what := t.wait(p, s, c, ev.Wait, ev.Stack, ev.Lived)
	c.waited = c.waited || what != Queueing && what != Elsewhere
	if what == Turn {
		s.turns++
		if by != nil && by.site == s.number {
			s.relayed++
		}
	}
}

// wait adds a wait of c's, be it over or not, and says what it is.
func (t *Table) wait(p *traceload.Program, s *Site, c *child, w traceload.Wait, stack traceload.StackID, d time.Duration) Pastime {
	what := c.pastime(w)
	if (what == Turn || what == Resting) && t.Network(p, stack) {
		what = Asking
	}
	switch what {
	case Queueing, Turn:
		*t.queued.At(s.number, uint32(stack)) += d
	case Asking:
		*t.queued.At(s.number, uint32(stack)) += d
		c.online = true
	case Online:
		c.online = true
	}
	t.spent[s.number][what] += d
	return what
}

func (c *child) pastime(w traceload.Wait) Pastime {
	switch w {
	case traceload.WaitMutex, traceload.WaitRWMutexR, traceload.WaitRWMutexW, traceload.WaitChanSend, traceload.WaitSemaphore:
		return Queueing
	case traceload.WaitChanReceive, traceload.WaitSelect, traceload.WaitCond:
		if !c.waited {
			return Turn
		}
		return Resting
	case traceload.WaitWaitGroup, traceload.WaitNilChan, traceload.WaitEmptySelect:
		return Resting
	case traceload.WaitSleep:
		return Sleeping
	case traceload.WaitNetwork:
		return Online
	}
	return Elsewhere
}

// Finish implements detectors.Observer: those still alive have lived until now.
func (t *Table) Finish(p *traceload.Program) {
	t.now = p.Now
	t.slice(t.now) // so that the slices of time reach to the end
	for _, s := range t.all {
		s.older, s.lost = t.lost.Get(s.entry), t.lost.Get(0)
	}
	for g := range p.Live {
		c := t.of(g)
		if c == nil || c.site == 0 {
			continue
		}
		s := t.siteOf(c)
		s.total += p.Now.Sub(g.Born)
		t.spent[s.number][Ready] += g.Spent(traceload.StateRunnable)
		switch g.State {
		case traceload.StateRunnable:
			t.spent[s.number][Ready] += p.InState(g)
		case traceload.StateWaiting:
			t.wait(p, s, c, g.Wait, g.Stack, p.InState(g))
		}
		if p.Now.Sub(g.Born) >= s.oldAge() {
			s.outlived++
		}
		if 2*c.touch >= p.Now+g.Born { // in the second half of its life
			s.inTouch++
		}
	}
	for _, s := range t.all {
		s.Spent = t.spent[s.number]
	}
	for at, d := range t.queued.All {
		s, stack := t.all[at.A-1], traceload.StackID(at.B)
		if *d > s.Queued || *d == s.Queued && stack < s.QueueStack {
			s.QueueStack, s.Queued = stack, *d
		}
	}
	for g := range p.Live { // now that it is known who is online
		if c := t.of(g); c != nil && c.site != 0 && (c.online || t.Serves(p, g)) {
			t.siteOf(c).networked++
		}
	}
}

// Sites returns all places, in the order of their first birth.
func (t *Table) Sites() []*Site { return t.all }

// Of returns the place where g was born, nil if the trace does not show its birth.
func (t *Table) Of(g *traceload.Goroutine) *Site {
	if c := t.of(g); c != nil {
		return t.siteOf(c)
	}
	return nil
}

// Origin returns the stack that led to g's creation: its creator's, or, where
// that is the standard library's own, the one that led to the creator's. 0 if unknown.
func (t *Table) Origin(g *traceload.Goroutine) traceload.StackID {
	if c := t.of(g); c != nil && c.origin != 0 {
		return c.origin
	}
	return g.CreatedAt
}

// Lived is the time that the goroutines of s lived, summed.
func (s *Site) Lived() time.Duration { return s.total }

// span is how many slices of time a history has.
const span = 64

// history is what happened at a place over time, and how long lives were.
type history struct {
	born     [span]int32
	ended    [span]int32
	shortest [span]time.Duration // life that ended in this slice of time, 0 if none did
	longest  [span]time.Duration
	lives    histogram.Histogram
	lived    time.Duration
	outlived int // of those alive at the end: older than oldAge
}

func (h *history) end(i int, life time.Duration) {
	life = max(life, 1)
	h.ended[i]++
	h.shortest[i] = shorter(h.shortest[i], life)
	h.longest[i] = max(h.longest[i], life)
	h.lives.Add(life)
	h.lived += life
}

// shorter returns the shorter of two lives of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// slice returns the slice of time that now falls into, after making slices
// wider if there are too few.
func (t *Table) slice(now traceload.Time) int {
	if now < t.until { // time does not go back
		return t.current
	}
	return t.nextSlice(now)
}

func (t *Table) nextSlice(now traceload.Time) int {
	for int64(now)/int64(t.width) >= span {
		t.width *= 2
		for _, s := range t.all {
			s.halve()
		}
	}
	t.current = int(int64(now) / int64(t.width))
	t.until = traceload.Time(t.current+1) * traceload.Time(t.width)
	return t.current
}

func (h *history) halve() {
	for i := range span / 2 {
		h.born[i] = h.born[2*i] + h.born[2*i+1]
		h.ended[i] = h.ended[2*i] + h.ended[2*i+1]
		h.shortest[i] = shorter(h.shortest[2*i], h.shortest[2*i+1])
		h.longest[i] = max(h.longest[2*i], h.longest[2*i+1])
	}
	clear(h.born[span/2:])
	clear(h.ended[span/2:])
	clear(h.shortest[span/2:])
	clear(h.longest[span/2:])
}

// oldest returns the longest life that has ended, 0 if none has.
func (h *history) oldest() (life time.Duration) {
	for _, d := range h.longest {
		life = max(life, d)
	}
	return life
}

// order tells whether those who came first left first: the sums behind the
// correlation of two orders.
type order struct{ n, x, xx, xy float64 }

func (o *order) add(came, left int) {
	x, y := float64(came), float64(left)
	o.n++
	o.x += x
	o.xx += x * x
	o.xy += x * y
}
