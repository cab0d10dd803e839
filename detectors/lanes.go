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

	entries []*entry // those of its own: nobody else reads from them
	byKind  [traceload.NumKinds][]fed
	tests   tests.Table
	program *traceload.Program // as of the trace's end; nil before
	weight  int

	// The latest event, and to whom of byKind it is being fed, past the last of them
	// if it was fed: if one panics, the others go on from there.
	event *traceload.Event
	at    int

	untimed int           // events until the stopwatch times one; 0 and less for never
	sampled time.Duration // in the events that it timed
	_       cpu.CacheLinePad
}

// fed is one who watches a kind.
type fed struct {
	observer Observer
	entry    *entry
}

// testsObserver is the tests' table as the first that is fed.
type testsObserver struct{ *tests.Table }

func (testsObserver) Finish(*traceload.Program) {}

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
		l := slices.MinFunc(lanes, func(a, b *lane) int { return a.weight - b.weight })
		l.weight += c.weight
		for _, e := range c.entries {
			e.lane = l
		}
	}
	for _, l := range lanes {
		l.own("tests", tests.Watches, testsObserver{&l.tests})
	}
	for _, e := range entries {
		if !e.dead {
			e.lane.add(e)
		}
	}
	return lanes
}

// own adds an entry that belongs to the lane itself.
func (l *lane) own(name string, watches traceload.Kinds, o Observer) {
	e := &entry{name: name, watches: watches, observer: o, lane: l}
	l.entries = append(l.entries, e)
	l.add(e)
}

func (l *lane) add(e *entry) {
	for k := range traceload.NumKinds {
		if e.watches.Has(k) {
			l.byKind[k] = append(l.byKind[k], fed{e.observer, e})
		}
	}
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
	for !l.feed(p, events) { // somebody panicked
	}
}

// feed is take up to the end, or until one panics. That one is switched off.
func (l *lane) feed(p *traceload.Program, events *traceload.Events) (done bool) {
	defer func() {
		if v := recover(); v != nil {
			l.drop(v)
		}
	}()
	ev, at := l.event, l.at
	if ev == nil {
		ev, at = events.Next(), 0
	}
	for ; ev != nil; ev, at = events.Next(), 0 {
		l.event = ev
		list := l.byKind[ev.Kind]
		if l.untimed--; l.untimed == 0 {
			l.timed(list, at, p, ev)
			continue
		}
		for i := at; i < len(list); i++ {
			l.at = i
			list[i].observer.Observe(p, ev)
		}
		l.at = len(list)
	}
	l.event = nil
	return true
}

// drop switches off the one who is fed and panicked with v, and those who build on
// it, which come after it.
func (l *lane) drop(v any) {
	if l.event == nil || l.at == len(l.byKind[l.event.Kind]) {
		panic(v) // it was none of them
	}
	l.byKind[l.event.Kind][l.at].entry.fail(v)
	for k, list := range l.byKind {
		l.byKind[k] = slices.DeleteFunc(list, func(f fed) bool { return f.entry.dead })
	}
}
