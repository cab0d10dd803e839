// Package waits knows every place where goroutines wait: how often, how long,
// who woke them, and who is parked there when the trace ends. From that it
// judges who is stuck and who is at rest (see Group).
package waits

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/births"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Fact gives the table of all places of waiting.
var Fact = &detectors.Fact[*Table]{
	Name:    "waits",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindUnblock), // and the ends of those who travel
	New:     newTable,
}

// Site is one place: a kind of wait at a line of the user's.
type Site struct {
	Wait  traceload.Wait
	Frame traceload.FrameID // the user's line; the standard library's where there is none of the user
	Stack traceload.StackID // one that waits there

	number int32 // from 1

	Ended     int // waits that ended in the trace
	Woken     [traceload.WakerRuntime + 1]int
	Cancelled int // woken by context.(*cancelCtx).cancel
	Closed    int // woken by the closing of a channel
	Sent      int // woken by another goroutine's send or receive
	Longest   time.Duration

	lengths histogram.Histogram // of the waits that ended
	unsent  int                 // those that did not end by a send or receive
	servers servers
	signals *detectors.Roll // who has signalled, of a Cond; nil if nobody has
}

// settle counts the usual: Ended, Sent and those woken by goroutines are what the
// other numbers leave.
func (s *Site) settle() {
	s.Ended = s.lengths.N()
	s.Sent = s.Ended - s.unsent
	s.Woken[traceload.WakerGoroutine] = s.Ended
	for w, n := range s.Woken {
		if w != int(traceload.WakerGoroutine) {
			s.Woken[traceload.WakerGoroutine] -= n
		}
	}
}

// serversGone tells whether the few goroutines that ended all waits here have
// ended themselves.
func (s *Site) serversGone(p *traceload.Program) bool {
	if s.Ended < enoughHistory || s.servers.many {
		return false
	}
	return !slices.ContainsFunc(s.servers.ids[:s.servers.n], func(id traceload.GoID) bool { return p.Goroutine(id) != nil })
}

// signalled notes who ended a wait for a Cond, or that it was others.
func (s *Site) signalled(by traceload.GoID) {
	if s.signals == nil {
		s.signals = new(detectors.Roll)
	}
	s.signals.Note(by)
}

// cornered tells whether all who have ever signalled here wait for a Cond themselves, and have
// done so for a good part of the trace. In place of one that has ended another may come.
func (s *Site) cornered(p *traceload.Program) bool {
	if s.signals == nil || s.Ended < enoughHistory {
		return false
	}
	waiting := 0
	for g := range p.Live {
		if g.State == traceload.StateWaiting && g.Wait == traceload.WaitCond &&
			p.InState(g) >= max(time.Duration(p.Now)/patienceShare, patienceAtLeast) && s.signals.Has(g.ID) {
			waiting++
		}
	}
	return waiting == s.signals.Len()
}

// Quantile returns the length that the fraction q of the ended waits did not
// exceed, within an eighth of it; 0 if none ended.
func (s *Site) Quantile(q float64) time.Duration { return min(s.lengths.Quantile(q), s.Longest) }

// Table is the fact. It is complete in and after Finish.
type Table struct {
	_ cpu.CacheLinePad

	Groups []*Group // who is parked at the end, by site

	births  *births.Table
	catalog *catalog
	source  detectors.Source // nil if it is not to be read
	sites   map[siteKey]*Site
	list    []*Site // by number
	stacks  dense.ByID[traceload.StackID, spot]
	// strangers holds, by the waker's stack, the wake-ups of goroutines that
	// parked before the trace began at a place that it does not tell.
	strangers map[traceload.StackID]served
	stuck     map[traceload.GoID]bool // see Finish
	pass      *detectors.Pass
	wakers    dense.Pairs[int32] // how often at a site, by its number, somebody was woken by a stack; at most maxWakers
	uses      map[origin][]*source.Uses
	endersOf  map[*source.Uses][]*traceload.Goroutine
	slots     traceload.Beside[occupant]
	travels   dense.Pool[travel]
	_         cpu.CacheLinePad
}

// spot is what is known of a stack.
type spot struct {
	site int32          // number of the place of those that wait here
	wait traceload.Wait // the kind of wait for which that holds, + 1; 0 if nobody has waited here
	how  wake           // how it wakes others
	woke int32          // number of the place where it last woke one
	n    int32          // how often it did so since, on top of Table.wakers
}

type siteKey struct {
	wait  traceload.Wait
	frame traceload.FrameID
}

type groupKey struct {
	site    *Site
	known   *detectors.KnownWait
	created traceload.FrameID // for forgotten ones only
}

// maxWakers bounds the pairs of a site and a waker's stack that are counted.
const maxWakers = 1 << 14

// served counts wake-ups.
type served struct {
	n    int
	last traceload.Time
}

// wake says how a waker woke somebody, by its stack.
type wake uint8

const (
	wakeUnseen wake = iota // not looked at yet
	wakeOther
	wakeCancel  // the cancelling of a context
	wakeClose   // the closing of a channel
	wakeSend    // a send
	wakeReceive // a receive
	wakeSelect  // a send or a receive in a select
	wakeUnlock  // the release of a lock
	wakeSignal  // the signal or broadcast of a Cond
)

func newTable(p *detectors.Pass) *Table {
	t := &Table{
		births: detectors.Need(p, births.Fact), catalog: newCatalog(p.KnownWaits()), source: p.Source(), sites: map[siteKey]*Site{},
		strangers: map[traceload.StackID]served{}, stuck: map[traceload.GoID]bool{}, pass: p,
		uses: map[origin][]*source.Uses{}, endersOf: map[*source.Uses][]*traceload.Goroutine{},
	}
	p.Keep(&t.slots)
	return t
}

// Observe implements detectors.Observer. What happens at most events stands here in one
// piece, with calls only where they are the last thing to do.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindUnblock:
		o, at := t.slots.At(g), t.stacks.Of(ev.ByStack)
		if o.site == nowhere && ev.From == traceload.StateWaiting {
			if here := t.stacks.Of(ev.Stack); here != nil && here.wait == ev.Wait+1 {
				o.site = here.site
			} else {
				t.block(p, g, o)
			}
		}
		if o.site == nowhere {
			return
		}
		s := t.list[o.site-1]
		o.site = nowhere
		s.Longest = max(s.Longest, ev.Lived)
		s.lengths.Add(ev.Lived)
		if at == nil || at.woke != s.number || !at.how.gives() || !s.servers.many || s.Frame == 0 || ev.Waker != traceload.WakerGoroutine {
			t.woken(p, o, s, ev)
			return
		}
		at.n++
		if !o.knows(s.number, ev.By.ID) {
			t.visitOf(g, o, s.number, ev.By.ID)
		}
	case traceload.KindStatus:
		if o := t.slots.At(g); o.site == nowhere && g.State == traceload.StateWaiting { // else only its stack became known
			t.block(p, g, o)
		}
	case traceload.KindEnd:
		t.travels.Give(t.slots.At(g).travel)
	}
}

// block finds where a goroutine waits, or has until now, if that is the program's own affair.
func (t *Table) block(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	if !g.System && g.Wait != traceload.WaitRuntime {
		o.site = t.site(p, g).number
	}
}

// site finds the place where g waits.
func (t *Table) site(p *traceload.Program, g *traceload.Goroutine) *Site {
	at := t.stacks.At(g.Stack)
	if at.wait != g.Wait+1 {
		at.site, at.wait = t.lookUp(p, g).number, g.Wait+1
	}
	return t.list[at.site-1]
}

func (t *Table) lookUp(p *traceload.Program, g *traceload.Goroutine) *Site {
	key := siteKey{g.Wait, p.SiteID(g.Stack)}
	if st := p.Stack(g.Stack); key.frame == 0 && st.Owner >= 0 {
		key.frame = st.Frames[st.Owner]
	}
	s, ok := t.sites[key]
	if !ok {
		s = &Site{Wait: g.Wait, Frame: key.frame, Stack: g.Stack, number: int32(len(t.list) + 1)}
		t.sites[key] = s
		t.list = append(t.list, s)
	}
	return s
}

// woken takes the end of a wait at s, except that it is in s.lengths already.
func (t *Table) woken(p *traceload.Program, o *occupant, s *Site, ev *traceload.Event) {
	at := t.stacks.At(ev.ByStack)
	if at.how == wakeUnseen {
		at.how = classify(p, ev.ByStack)
	}
	by := others
	if ev.By != nil {
		by = ev.By.ID
	}
	if ev.Waker != traceload.WakerGoroutine {
		s.Woken[ev.Waker]++
	} else {
		if s.Frame == 0 {
			t.strangers[ev.ByStack] = served{t.strangers[ev.ByStack].n + 1, p.Now}
		}
		t.count(at, ev.ByStack, s)
	}
	s.servers.add(by, at.how)
	if !at.how.gives() {
		s.unsent++
	}
	if s.Wait == traceload.WaitCond {
		s.signalled(by)
	}
	switch at.how {
	case wakeCancel:
		s.Cancelled++
	case wakeClose:
		s.Closed++
	}
	t.visitOf(ev.G, o, s.number, by)
}

// visitOf is visit for g, which is o's.
func (t *Table) visitOf(g *traceload.Goroutine, o *occupant, site int32, by traceload.GoID) {
	if t.visit(o, site, by) {
		t.pass.SeeEnd(g)
	}
}

// count counts a wake-up at s by a goroutine that stands on a stack.
func (t *Table) count(at *spot, by traceload.StackID, s *Site) {
	if at.woke != s.number {
		t.settle(at, by)
		at.woke = s.number
		if t.wakers.Len() < maxWakers {
			t.wakers.At(uint32(s.number), uint32(by))
		}
	}
	at.n++
}

// settle adds to wakers what was counted on a stack.
func (t *Table) settle(at *spot, by traceload.StackID) {
	if n := t.wakers.Find(uint32(at.woke), uint32(by)); n != nil {
		*n += at.n
	}
	at.n = 0
}

func classify(p *traceload.Program, id traceload.StackID) wake {
	st := p.Stack(id)
	if len(st.Frames) == 0 {
		return wakeOther
	}
	switch top := p.Frame(st.Frames[0]); {
	case strings.HasPrefix(top.Func, "runtime.chansend"), top.Func == "runtime.selectnbsend":
		return wakeSend
	case strings.HasPrefix(top.Func, "runtime.chanrecv"), top.Func == "runtime.selectnbrecv":
		return wakeReceive
	case top.Func == "runtime.selectgo":
		return wakeSelect
	case strings.HasPrefix(top.Func, "sync.(*Mutex)."), strings.HasPrefix(top.Func, "sync.(*RWMutex)."):
		return wakeUnlock
	case strings.HasPrefix(top.Func, "sync.(*Cond)."):
		return wakeSignal
	case top.Func == "context.(*cancelCtx).cancel":
		return wakeCancel
	case strings.HasPrefix(top.Func, "context."):
	case top.Func == "runtime.closechan", top.Origin == traceload.OriginUser, top.Origin == traceload.OriginStd:
		// Since Go 1.22 the stack of a close begins at the line that closes:
		// every other wake-up has a frame of runtime, sync or context on top.
		return wakeClose
	}
	for _, f := range st.Frames[:min(len(st.Frames), 4)] {
		if p.Frame(f).Func == "context.(*cancelCtx).cancel" {
			return wakeCancel
		}
	}
	return wakeOther
}

// gives tells whether it is a send or a receive.
func (w wake) gives() bool { return wakeSend <= w && w <= wakeSelect }

// ends tells whether a wake-up of this kind can end a wait of that kind.
func (w wake) ends(wait traceload.Wait) bool {
	switch wait {
	case traceload.WaitChanSend:
		return w == wakeReceive || w == wakeSelect
	case traceload.WaitChanReceive, traceload.WaitSelect:
		return w == wakeSend || w == wakeSelect
	case traceload.WaitCond:
		return w == wakeSignal
	}
	return wait.IsLock() && w == wakeUnlock
}

// Finish implements detectors.Observer: it gathers who is parked and judges.
func (t *Table) Finish(p *traceload.Program) {
	for id, at := range t.stacks.All {
		t.settle(at, id)
	}
	for _, s := range t.list {
		s.settle()
	}
	bySite := map[groupKey]*Group{}
	for g := range p.Live {
		if g.State != traceload.StateWaiting || g.System || g.Wait == traceload.WaitRuntime {
			continue
		}
		o, s := t.slots.At(g), t.site(p, g) // by the stack known now: one of an earlier generation may have been missing
		key := groupKey{site: s, known: t.catalog.of(p, g)}
		if key.known != nil && key.known.Forgot != "" { // all of these wait at one line of the standard library: tell them apart by who made them
			key.created = p.SiteID(t.births.Origin(g))
		}
		gr, ok := bySite[key]
		if !ok {
			gr = &Group{Site: s, known: key.known}
			bySite[key] = gr
			t.Groups = append(t.Groups, gr)
		}
		gr.add(p, g, t.at(o, s))
	}
	t.adopt(bySite)
	// Who waits for somebody that is stuck is stuck as well: judge again as long as that tells more.
	for known := -1; known < len(t.stuck); {
		known = len(t.stuck)
		for _, gr := range t.Groups {
			if gr.settled {
				continue
			}
			gr.judge(p, t)
			if gr.Confidence >= stuckFrom {
				for _, g := range gr.Stuck {
					t.stuck[g.ID] = true
				}
			}
		}
	}
}

// stuckFrom is the confidence from which a group counts as stuck for others.
const stuckFrom = 0.5

// adopt gives forgotten goroutines whose creation is not in the trace to the
// one group at their site that has a creator, if there is just one.
func (t *Table) adopt(bySite map[groupKey]*Group) {
	known := map[*Site][]*Group{}
	for k, gr := range bySite {
		if k.created != 0 && gr.forgotten() {
			known[k.site] = append(known[k.site], gr)
		}
	}
	for k, orphans := range bySite {
		if k.created != 0 || !orphans.forgotten() || len(known[k.site]) != 1 {
			continue
		}
		parent := known[k.site][0]
		parent.all = append(parent.all, orphans.all...)
		t.Groups = slices.DeleteFunc(t.Groups, func(gr *Group) bool { return gr == orphans })
	}
}
