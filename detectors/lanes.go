package detectors

import (
	"math/bits"
	"slices"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/tests"
	"github.com/tracedoc/tracedoc/traceload"
)

// lane is a part of the observers, fed on a goroutine of its own. Facts and all
// who need them share a lane, so observers of different lanes share nothing.
type lane struct {
	_ cpu.CacheLinePad

	entries    []*entry // those of its own: nobody else reads from them
	all        []*entry // in the order in which they are fed
	lists      [rows]*fed
	begun      []begun                  // by stack, for some
	remainders map[remainder]*fed       // of lists: what begun holds
	ends       traceload.Beside[uint32] // the set of who sees its end, besides those who see all
	endings    map[set]*fed             // by who is to see them besides: who sees such ends
	events     *traceload.Events        // that are being fed
	starts     bool                     // somebody sees those of KindStart
	stale      bool                     // somebody watches more: lists are to be filled before the next event
	alert      bool                     // there is something to do before it: this, or to ask the stopwatch
	tests      *entry                   // the tests' table, in one of the lanes; else nil
	program    *traceload.Program       // as of the trace's end; nil before
	weight     int

	// Where to go on after somebody panicked: at an event, which is to be fed to some still.
	event *traceload.Event
	rest  *fed

	untimed int           // events until the stopwatch times one; 0 and less for never
	sampled time.Duration // in the events that it timed
	_       cpu.CacheLinePad
}

// rows is how many lists there are of who sees which events: one for each kind of event,
// with each kind of wait, which powers of two have room for.
const (
	rows     = kindRows * waitRows
	kindRows = 32
	waitRows = 16
)

const ( // there is room enough
	_ = uint(kindRows - traceload.NumKinds)
	_ = uint(waitRows - traceload.NumWaits)
)

func row(k traceload.Kind, w traceload.Wait) int {
	return int(k%kindRows)*waitRows + int(w%waitRows)
}

// begun is who sees waits of one kind begin at a stack, if somebody overlooks those.
type begun struct {
	wait traceload.Wait // plus one; 0 if nobody overlooks anything
	not  set
	list *fed
}

// set is some of the entries, by their order.
type set uint64

// remainder is whom a list holds without some.
type remainder struct {
	row int
	not set
}

// list returns who sees an event.
func (l *lane) list(ev *traceload.Event) *fed {
	switch ev.Kind {
	case traceload.KindBlock:
		if int(ev.Stack) < len(l.begun) {
			if b := &l.begun[ev.Stack]; b.wait == ev.Wait+1 {
				return b.list
			}
		}
	case traceload.KindEnd:
		if also := *l.ends.At(ev.G); also != 0 {
			return l.ending(set(also))
		}
	}
	return l.lists[row(ev.Kind, ev.Wait)]
}

// ending returns who sees the end of a goroutine if some want to besides those who see all.
func (l *lane) ending(also set) *fed {
	at, ok := l.endings[also]
	if !ok {
		at = list(l.all, func(e *entry) bool {
			return e.sees(traceload.KindEnd, 0) || !e.dead && also>>e.order&1 != 0
		})
		if l.endings == nil {
			l.endings = map[set]*fed{}
		}
		l.endings[also] = at
	}
	return at
}

// seeEnd has an entry see the end of a goroutine.
func (l *lane) seeEnd(e *entry, g *traceload.Goroutine) {
	if e.order >= 32 {
		if !e.watches.Has(traceload.KindEnd) {
			l.watch(e, traceload.KindSet(traceload.KindEnd))
		}
		return
	}
	*l.ends.At(g) |= 1 << e.order
}

// overlook has an entry not see the beginning of waits like an event's until it looks again.
func (l *lane) overlook(e *entry, ev *traceload.Event) {
	if ev.Kind != traceload.KindBlock || e.order >= 64 || l.stale {
		return
	}
	if n := int(ev.Stack) + 1 - len(l.begun); n > 0 {
		l.begun = append(l.begun, make([]begun, n)...)
	}
	b := &l.begun[ev.Stack]
	if b.wait == 0 {
		b.wait = ev.Wait + 1
	} else if b.wait != ev.Wait+1 {
		return // of the waits at a stack those of the first kind can be overlooked
	}
	b.not |= 1 << e.order
	b.list = l.without(remainder{row(ev.Kind, ev.Wait), b.not})
}

// without returns a list without those who overlook something. Many stacks share it.
func (l *lane) without(r remainder) *fed {
	list, ok := l.remainders[r]
	if !ok {
		list = l.lists[r.row].only(func(e *entry) bool { return r.not>>e.order&1 == 0 })
		if l.remainders == nil {
			l.remainders = map[remainder]*fed{}
		}
		l.remainders[r] = list
	}
	return list
}

// lookAgain has all see again what they overlook, those too who will not want to.
func (l *lane) lookAgain() {
	clear(l.begun)
	clear(l.remainders)
}

// fed is one who sees some events, and a list of who sees them from there on; nil is nobody.
type fed struct {
	observer Observer
	entry    *entry
	next     *fed
}

// list returns those of some entries who see what is asked for, in their order.
func list(entries []*entry, sees func(*entry) bool) (first *fed) {
	var seeing []fed // which lie together
	for _, e := range entries {
		if sees(e) {
			seeing = append(seeing, fed{observer: e.observer, entry: e})
		}
	}
	for i := range slices.Backward(seeing) {
		seeing[i].next, first = first, &seeing[i]
	}
	return first
}

// only returns those of a list of whom something holds.
func (f *fed) only(holds func(*entry) bool) *fed {
	var entries []*entry
	for ; f != nil; f = f.next {
		entries = append(entries, f.entry)
	}
	return list(entries, holds)
}

// testsObserver is the tests' table as one that is fed. It has nothing to do until a stack
// is a test's, or somebody says that a test begins.
type testsObserver struct {
	table *tests.Table
	lane  *lane
}

func (o testsObserver) Observe(p *traceload.Program, ev *traceload.Event) {
	if o.table.Observe(p, ev); o.table.Any() {
		o.lane.watchTests()
	}
}

func (testsObserver) Finish(*traceload.Program) {}

// feedTests has the lane feed the tests' table.
func (l *lane) feedTests(table *tests.Table) {
	l.tests = l.own("tests", tests.Untested, testsObserver{table, l})
}

// watchTests has the tests' table, if it is in this lane, see all that it must once there
// may be tests.
func (l *lane) watchTests() {
	if e := l.tests; e != nil && e.watches != tests.Watches {
		l.watch(e, tests.Watches)
	}
}

// crew is entries that have facts in common, in the order in which they are fed.
type crew struct {
	entries []*entry
	weight  int
}

// frequent is the kinds that most events of a busy program are of.
var frequent = traceload.KindSet(traceload.KindBlock, traceload.KindUnblock, traceload.KindStart)

// deal gives entries to n lanes or fewer, so that each has about the same to do. It
// depends on nothing but its arguments.
func deal(entries []*entry, n int) []*lane {
	crews := crewsOf(entries)
	slices.SortStableFunc(crews, func(a, b *crew) int { return b.weight - a.weight })
	lanes := make([]*lane, min(n, max(len(crews), 1)))
	for i := range lanes {
		lanes[i] = new(lane)
	}
	for _, c := range crews { // the heaviest first, each to whoever has the least
		l := lightest(lanes)
		l.weight += c.weight
		for _, e := range c.entries {
			e.lane = l
		}
	}
	for _, e := range entries {
		if !e.dead {
			e.lane.add(e)
		}
	}
	return lanes
}

// lightest returns the lane that has the least to do.
func lightest(lanes []*lane) *lane {
	return slices.MinFunc(lanes, func(a, b *lane) int { return a.weight - b.weight })
}

// own adds an entry that belongs to the lane itself.
func (l *lane) own(name string, watches traceload.Kinds, o Observer) *entry {
	e := &entry{name: name, watches: watches, observer: o, lane: l}
	l.entries = append(l.entries, e)
	l.add(e)
	return e
}

// add has an entry fed after those that were added before.
func (l *lane) add(e *entry) {
	e.order = len(l.all)
	l.all = append(l.all, e)
	l.stale, l.alert = true, true
}

// fill sets who sees which events.
func (l *lane) fill() {
	for k := range traceload.NumKinds {
		for w := range traceload.NumWaits {
			at := row(k, w)
			if w > 0 && k != traceload.KindBlock && k != traceload.KindUnblock {
				l.lists[at] = l.lists[at-1]
				continue
			}
			l.lists[at] = list(l.all, func(e *entry) bool { return e.sees(k, w) })
		}
	}
	l.lookAgain()
	clear(l.endings)
	l.stale, l.alert = false, l.untimed > 0
	l.starts = l.lists[row(traceload.KindStart, 0)] != nil
	if l.events != nil {
		l.events.SkipStarts(!l.starts)
	}
}

// sees tells whether an entry is to see such an event.
func (e *entry) sees(k traceload.Kind, w traceload.Wait) bool {
	var only traceload.Waits
	switch k {
	case traceload.KindBlock:
		only = e.begins
	case traceload.KindUnblock:
		only = e.ends
	}
	return !e.dead && e.watches.Has(k) && (only == 0 || only.Has(w))
}

// watch has an entry see more kinds, from the next event on.
func (l *lane) watch(e *entry, kinds traceload.Kinds) {
	e.watches |= kinds
	l.stale, l.alert = true, true
	if l.events != nil {
		l.events.SkipStarts(false) // until lists are filled
	}
}

// layout returns what all of the lane keep beside each goroutine.
func (l *lane) layout() *traceload.Layout {
	layout := new(traceload.Layout)
	layout.Add(&l.ends)
	for _, e := range l.all {
		layout.Add(e.kept...)
	}
	return layout
}

// crewsOf puts together who has facts in common.
func crewsOf(entries []*entry) []*crew {
	of := map[*entry]*crew{}
	var crews []*crew
	for _, e := range slices.Backward(entries) { // users come after what they need
		var c *crew
		for _, u := range e.users {
			switch other := of[u]; {
			case c == nil:
				c = other
			case c != other:
				for _, m := range other.entries {
					of[m] = c
				}
				c.entries = append(c.entries, other.entries...)
				other.entries = nil
			}
		}
		if c == nil {
			c = new(crew)
			crews = append(crews, c)
		}
		c.entries = append(c.entries, e)
		of[e] = c
	}
	crews = slices.DeleteFunc(crews, func(c *crew) bool { return len(c.entries) == 0 })
	for _, c := range crews {
		for _, e := range c.entries {
			c.weight += 1 + bits.OnesCount64(uint64(e.watches&frequent))
		}
	}
	return crews
}

// take feeds events to those who watch their kinds.
func (l *lane) take(p *traceload.Program, events *traceload.Events) {
	if p.Tested() {
		l.watchTests()
	}
	l.events = events
	events.SkipStarts(!l.starts && !l.stale)
	for !l.feed(p, events) { // somebody panicked
	}
}

// feed is take up to the end, or until one panics. That one is switched off.
func (l *lane) feed(p *traceload.Program, events *traceload.Events) (done bool) {
	ev, at := l.event, l.rest
	defer func() {
		if v := recover(); v != nil {
			if at == nil {
				panic(v) // it was none of them
			}
			l.event, l.rest = ev, l.drop(at, v)
		}
	}()
	for ; at != nil; at = at.next {
		at.observer.Observe(p, ev)
	}
	for ev = events.Next(); ev != nil; ev = events.Next() {
		if l.alert { // by itself: seldom, and cheaper than together
			if l.attend() {
				for at = l.list(ev); at != nil; at = at.next {
					l.time(at, p, ev)
				}
				continue
			}
		}
		if at = l.list(ev); at == nil {
			continue
		}
		for {
			at.observer.Observe(p, ev)
			if at = at.next; at == nil {
				break
			}
		}
	}
	l.event, l.rest = nil, nil
	return true
}

// attend does what has to be done before an event. It tells whether the stopwatch is to
// time that.
func (l *lane) attend() bool {
	if l.stale {
		l.fill()
	}
	l.untimed--
	if l.untimed != 0 {
		return false
	}
	l.untimed = stopwatch
	return true
}

// drop switches off the first of a list, who panicked with v, and those who build on it. It
// returns whom the event is to be fed to still.
func (l *lane) drop(f *fed, v any) *fed {
	f.entry.fail(v)
	l.fill()
	return f.only(func(e *entry) bool { return !e.dead })
}
