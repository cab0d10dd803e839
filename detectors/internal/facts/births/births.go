// Package births counts, for each place that starts goroutines, how many were
// born and how many ended over the time of the trace, and how they spent their lives.
package births

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact gives the table of all places that start goroutines.
var Fact = &detectors.Fact[*Table]{
	Name: "births",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindStart, traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(*detectors.Pass) *Table {
		return &Table{sites: map[key]*Site{}, byStacks: map[stacks]*Site{}, lostFound: map[traceload.FuncID]int{}}
	},
}

// Buckets is how many slices of time a Site's history has.
const Buckets = 64

// Site is one place that starts goroutines: a creating line and the function started.
type Site struct {
	Created traceload.StackID // the first stack that a creator had here
	Entry   traceload.StackID // entry stack of the first goroutine
	Frame   traceload.FrameID // the user's line of Created

	Born, Ended int
	Alive, Peak int // without those found alive at the start
	PeakAt      traceload.Time
	Creators    int           // how many different goroutines created in a row, an upper bound of the number of creators
	Ran         time.Duration // on a processor, summed
	Runnable    time.Duration // ready and not running
	Queued      time.Duration // waiting for its turn, see child.queued
	Waited      time.Duration // waiting for anything else: sleep, network, work
	First, Last traceload.Time
	FirstID     traceload.GoID // ids of some that were born here
	LastID      traceload.GoID

	queuedAt   map[traceload.StackID]time.Duration // where Queued went
	born       [Buckets]int32
	ended      [Buckets]int32
	creator    traceload.GoID // the last one
	entry      traceload.FuncID
	foundEnded int
}

// Table is the fact.
type Table struct {
	width    time.Duration // of a bucket; doubles as the trace goes on
	now      traceload.Time
	all      []*Site // in order of first birth
	sites    map[key]*Site
	byStacks map[stacks]*Site
	slots    []child // by Goroutine.Slot
	// lostFound counts, by entry function, ended goroutines whose birth the
	// trace does not show.
	lostFound map[traceload.FuncID]int
}

// child is a goroutine that is alive; site is nil if its birth was not seen.
type child struct {
	site  *Site
	waits int // that have ended
}

type key struct {
	created traceload.FrameID
	entry   traceload.FrameID
}

type stacks struct{ created, entry traceload.StackID }

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	t.now = p.Now
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		for len(t.slots) <= int(g.Slot) {
			t.slots = append(t.slots, child{})
		}
		t.slots[g.Slot] = child{}
		if ev.Kind == traceload.KindCreate && !g.System {
			t.birth(p, ev)
		}
		return
	case traceload.KindEnd:
		c := t.child(g)
		if c == nil {
			if !g.System {
				if e := p.Entry(g); e != nil {
					t.lostFound[e.FuncID]++
				}
			}
			return
		}
		c.spend(ev)
		c.site.Ended++
		c.site.Alive--
		c.site.ended[t.bucket(p.Now)]++
		*c = child{}
		return
	}
	if c := t.child(g); c != nil {
		c.spend(ev)
	}
}

// child returns what is known of g; nil if its birth was not seen.
func (t *Table) child(g *traceload.Goroutine) *child {
	if int(g.Slot) >= len(t.slots) || t.slots[g.Slot].site == nil {
		return nil
	}
	return &t.slots[g.Slot]
}

func (t *Table) birth(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	sk := stacks{g.CreatedAt, g.Entry}
	s, ok := t.byStacks[sk]
	if !ok {
		k := key{p.SiteID(g.CreatedAt), p.EntryID(g)}
		if s, ok = t.sites[k]; !ok {
			s = &Site{Created: g.CreatedAt, Entry: g.Entry, Frame: k.created, First: p.Now, FirstID: g.ID,
				creator: traceload.NoGoroutine, queuedAt: map[traceload.StackID]time.Duration{}}
			if e := p.Entry(g); e != nil {
				s.entry = e.FuncID
			}
			t.sites[k] = s
			t.all = append(t.all, s)
		}
		t.byStacks[sk] = s
	}
	t.slots[g.Slot].site = s
	s.Born++
	s.Alive++
	if s.Alive > s.Peak {
		s.Peak, s.PeakAt = s.Alive, p.Now
	}
	if g.Creator != s.creator {
		s.creator = g.Creator
		s.Creators++
	}
	s.Last, s.LastID = p.Now, g.ID
	s.born[t.bucket(p.Now)]++
}

// spend adds the time that the event's goroutine was in the state it leaves.
func (c *child) spend(ev *traceload.Event) {
	s := c.site
	switch ev.From {
	case traceload.StateRunning:
		s.Ran += ev.Lived
	case traceload.StateRunnable:
		s.Runnable += ev.Lived
	case traceload.StateWaiting:
		if c.queued(ev.Wait) {
			s.Queued += ev.Lived
			s.queuedAt[ev.Stack] += ev.Lived
		} else {
			s.Waited += ev.Lived
		}
		c.waits++
	}
}

// queued tells whether a wait is for its turn: a lock or a send is, and so is
// the first thing that a goroutine ever waits for (a token, a Cond); later a
// receive or a select is how workers wait for work.
func (c *child) queued(w traceload.Wait) bool {
	switch w {
	case traceload.WaitMutex, traceload.WaitRWMutexR, traceload.WaitRWMutexW, traceload.WaitChanSend, traceload.WaitSemaphore:
		return true
	case traceload.WaitChanReceive, traceload.WaitSelect, traceload.WaitCond:
		return c.waits == 0
	}
	return false
}

// bucket returns the slice of time that now falls into, after making slices
// wider if there are too few.
func (t *Table) bucket(now traceload.Time) int {
	if t.width == 0 {
		t.width = time.Millisecond
	}
	for int64(now)/int64(t.width) >= Buckets {
		t.width *= 2
		for _, s := range t.all {
			halve(&s.born)
			halve(&s.ended)
		}
	}
	return int(int64(now) / int64(t.width))
}

func halve(b *[Buckets]int32) {
	for i := range Buckets / 2 {
		b[i] = b[2*i] + b[2*i+1]
	}
	clear(b[Buckets/2:])
}

// Finish implements detectors.Observer: those still alive have lived until now.
func (t *Table) Finish(p *traceload.Program) {
	t.now = p.Now
	for g := range p.Live {
		c := t.child(g)
		if c == nil {
			continue
		}
		ev := traceload.Event{From: g.State, Lived: p.InState(g), Wait: g.Wait, Stack: g.Stack}
		c.spend(&ev)
	}
	for _, s := range t.all {
		s.foundEnded = t.lostFound[s.entry]
	}
}

// Sites returns all places, in the order of their first birth.
func (t *Table) Sites() []*Site { return t.all }

// AliveAt returns how many goroutines of s were alive at the fraction q of the
// trace beyond those that were found alive at its start, less those found that
// have ended. It is exact at the borders of slices only.
func (t *Table) AliveAt(s *Site, q float64) int {
	last := int(q * float64(t.now) / float64(max(t.width, 1)))
	alive := 0
	for i := range min(last, Buckets) {
		alive += int(s.born[i] - s.ended[i])
	}
	if q >= 1 {
		return s.Alive
	}
	return alive
}

// Rush returns the most goroutines that were born at s within two neighbouring
// slices of time, and how long these slices are together.
func (t *Table) Rush(s *Site) (born int, within time.Duration) {
	for i := range Buckets - 1 {
		born = max(born, int(s.born[i]+s.born[i+1]))
	}
	return born, min(2*t.width, time.Duration(t.now))
}

// FoundEnded is how many goroutines with the same entry function, whose birth
// the trace does not show, ended during it: they balance births.
func (s *Site) FoundEnded() int { return s.foundEnded }

// QueueStack returns the stack where the goroutines born at s spent most of
// their time in a queue, and that time.
func (s *Site) QueueStack() (traceload.StackID, time.Duration) {
	var best traceload.StackID
	var most time.Duration
	for id, d := range s.queuedAt {
		if d > most || d == most && id < best {
			best, most = id, d
		}
	}
	return best, most
}
