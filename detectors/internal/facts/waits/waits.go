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
	Name: "waits",
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindEnd),
	New: func(p *detectors.Pass) *Table { return newTable(p) },
}

// Site is one place: a kind of wait at a line of the user's.
type Site struct {
	Wait  traceload.Wait
	Frame traceload.FrameID // the user's line; the standard library's where there is none of the user
	Stack traceload.StackID // the first stack seen there

	number int32 // from 1

	Begun     int // waits that began in the trace
	Ended     int // waits that ended in the trace
	Woken     [traceload.WakerRuntime + 1]int
	Cancelled int // woken by context.(*cancelCtx).cancel
	Closed    int // woken by the closing of a channel
	Sent      int // woken by another goroutine's send or receive
	Longest   time.Duration

	lengths histogram.Histogram // of the waits that ended
	servers servers
}

// servers are the goroutines that wake those that wait at a place by sending to
// or receiving from them, as long as they are few and nothing else wakes anybody.
type servers struct {
	ids  [4]traceload.GoID
	n    int
	many bool // too many, or of another kind
}

func (s *servers) add(by *traceload.Goroutine, how wake) {
	if s.many || by == nil || how != wakeSend && how != wakeReceive && how != wakeSelect {
		s.many = true
		return
	}
	if slices.Contains(s.ids[:s.n], by.ID) {
		return
	}
	if s.many = s.n == len(s.ids); !s.many {
		s.ids[s.n] = by.ID
		s.n++
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
	byStack dense.Pairs[*Site] // by kind of wait and stack
	wakes   dense.ByID[traceload.StackID, wake]
	// strangers holds, by the waker's stack, the wake-ups of goroutines that
	// parked before the trace began at a place that it does not tell.
	strangers map[traceload.StackID]served
	stuck     map[traceload.GoID]bool // see Finish
	pass      *detectors.Pass
	wakers    dense.Pairs[int32] // how often at a site, by its number, somebody was woken by a stack; at most maxWakers
	uses      map[origin][]*source.Uses
	endersOf  map[*source.Uses][]*traceload.Goroutine
	alive     dense.Goroutines[occupant]
	travels   dense.Pool[travel]
	_         cpu.CacheLinePad
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

// occupant is what the table knows of one goroutine that is alive.
type occupant struct {
	site   *Site    // where it waits; nil if it does not
	first  [2]visit // the first places where it was woken
	travel uint32   // in Table.travels: the next places; 0 if there are none
}

// travel is the places where a goroutine was woken after the first, and the last one.
type travel [6]visit

// served counts wake-ups.
type served struct {
	n    int
	last traceload.Time
}

// visit is what a goroutine has experienced at a site.
type visit struct {
	by    traceload.GoID // who woke it, every time; else others
	site  int32          // its number
	woken int32          // how often it was woken
}

// others stands for wakers of which not all are one goroutine.
const others traceload.GoID = -2

func (v *visit) wokenBy(by *traceload.Goroutine) {
	switch {
	case by == nil, v.woken > 0 && v.by != by.ID:
		v.by = others
	default:
		v.by = by.ID
	}
	v.woken++
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
	return &Table{
		births: detectors.Need(p, births.Fact), catalog: newCatalog(p.KnownWaits()), source: p.Source(), sites: map[siteKey]*Site{},
		strangers: map[traceload.StackID]served{}, stuck: map[traceload.GoID]bool{}, pass: p,
		uses: map[origin][]*source.Uses{}, endersOf: map[*source.Uses][]*traceload.Goroutine{},
	}
}

// Observe implements detectors.Observer.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindStatus, traceload.KindCreate:
		o := t.alive.Enter(g)
		if o.site != nil {
			return // seen already; only its stack became known
		}
		if g.State == traceload.StateWaiting && !g.System && g.Wait != traceload.WaitRuntime {
			o.site = t.site(p, g)
		}
	case traceload.KindBlock:
		if g.System || g.Wait == traceload.WaitRuntime {
			return
		}
		if o := t.alive.Of(g); o != nil {
			o.site = t.site(p, g)
			o.site.Begun++
		}
	case traceload.KindUnblock:
		if o := t.alive.Of(g); o != nil && o.site != nil {
			t.woken(p, o, ev)
		}
	case traceload.KindEnd:
		if o := t.alive.Of(g); o != nil {
			t.travels.Give(o.travel)
			t.alive.Leave(g)
		}
	}
}

// site finds the place where g waits.
func (t *Table) site(p *traceload.Program, g *traceload.Goroutine) *Site {
	known := t.byStack.At(uint32(g.Wait), uint32(g.Stack))
	if *known == nil {
		*known = t.newSite(p, g)
	}
	return *known
}

func (t *Table) newSite(p *traceload.Program, g *traceload.Goroutine) *Site {
	key := siteKey{g.Wait, p.SiteID(g.Stack)}
	if st := p.Stack(g.Stack); key.frame == 0 && st.Owner >= 0 {
		key.frame = st.Frames[st.Owner]
	}
	s, ok := t.sites[key]
	if !ok {
		s = &Site{Wait: g.Wait, Frame: key.frame, Stack: g.Stack, number: int32(len(t.sites) + 1)}
		t.sites[key] = s
	}
	return s
}

func (t *Table) woken(p *traceload.Program, o *occupant, ev *traceload.Event) {
	s := o.site
	o.site = nil
	if s.Frame == 0 && ev.Waker == traceload.WakerGoroutine {
		t.strangers[ev.ByStack] = served{t.strangers[ev.ByStack].n + 1, p.Now}
	}
	s.Ended++
	s.Woken[ev.Waker]++
	s.Longest = max(s.Longest, ev.Lived)
	s.lengths.Add(ev.Lived)
	if ev.Waker == traceload.WakerGoroutine {
		if n := t.wakers.Find(uint32(s.number), uint32(ev.ByStack)); n != nil {
			*n++
		} else if t.wakers.Len() < maxWakers {
			*t.wakers.At(uint32(s.number), uint32(ev.ByStack)) = 1
		}
	}
	how := t.wake(p, ev.ByStack)
	s.servers.add(ev.By, how)
	switch how {
	case wakeCancel:
		s.Cancelled++
	case wakeClose:
		s.Closed++
	case wakeSend, wakeReceive, wakeSelect:
		s.Sent++
	}
	t.visit(o, s).wokenBy(ev.By)
}

// visit returns o's entry for s. A worker's loop starts with the places that it
// comes back to: they stay, and what comes later shares the last entry.
func (t *Table) visit(o *occupant, s *Site) *visit {
	if v := entry(o.first[:], s); v != nil {
		return v
	}
	if o.travel == 0 {
		o.travel = t.travels.Take()
	}
	list := t.travels.At(o.travel)[:]
	if v := entry(list, s); v != nil {
		return v
	}
	last := &list[len(list)-1]
	*last = visit{site: s.number}
	return last
}

// entry returns the entry for s in list, or a new one as long as there is room.
func entry(list []visit, s *Site) *visit {
	for i := range list {
		switch v := &list[i]; v.site {
		case 0:
			v.site = s.number
			return v
		case s.number:
			return v
		}
	}
	return nil
}

// at returns what the occupant has experienced at s, the zero visit if nothing.
func (t *Table) at(o *occupant, s *Site) visit {
	lists := [2][]visit{o.first[:]}
	if o.travel != 0 {
		lists[1] = t.travels.At(o.travel)[:]
	}
	for _, list := range lists {
		for _, v := range list {
			if v.site == s.number {
				return v
			}
		}
	}
	return visit{}
}

// wake classifies the stack of a waker, once per stack.
func (t *Table) wake(p *traceload.Program, id traceload.StackID) wake {
	if id == 0 {
		return wakeOther
	}
	w := t.wakes.At(id)
	if *w == wakeUnseen {
		*w = classify(p, id)
	}
	return *w
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
	bySite := map[groupKey]*Group{}
	for g := range p.Live {
		if g.State != traceload.StateWaiting || g.System || g.Wait == traceload.WaitRuntime {
			continue
		}
		o := t.alive.Of(g)
		if o == nil {
			continue
		}
		s := t.site(p, g) // by the stack known now: one of an earlier generation may have been missing
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
