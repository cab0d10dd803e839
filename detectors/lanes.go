package detectors

import (
	"math/bits"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/tests"
	"github.com/tracedoc/tracedoc/traceload"
)

// lane is a part of the observers, fed on a goroutine of its own. Facts and all
// who need them share a lane, so observers of different lanes share nothing.
type lane struct {
	byKind  [traceload.NumKinds][]*entry
	tests   tests.Table
	program *traceload.Program // as of the trace's end; nil before
	weight  int

	untimed int           // events since the stopwatch timed one
	sampled time.Duration // in the events that it timed
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
		l := slices.MinFunc(lanes, func(a, b *lane) int { return a.weight - b.weight })
		l.weight += c.weight
		for _, e := range c.entries {
			e.lane = l
		}
	}
	for _, e := range entries {
		for k := range traceload.NumKinds {
			if !e.dead && e.watches.Has(k) {
				e.lane.byKind[k] = append(e.lane.byKind[k], e)
			}
		}
	}
	return lanes
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

// observe feeds an event to those who watch its kind.
func (l *lane) observe(p *traceload.Program, ev *traceload.Event) {
	l.observeTests(p, ev)
	list := l.byKind[ev.Kind]
	for i := 0; i < len(list); {
		i = feed(list, i, p, ev)
	}
}

func (l *lane) observeTests(p *traceload.Program, ev *traceload.Event) {
	if tests.Watches.Has(ev.Kind) {
		l.tests.Observe(p, ev)
	}
}

// feed gives ev to list[i:]. If one panics it is switched off and the index
// after it returned, so that the others go on.
func feed(list []*entry, i int, p *traceload.Program, ev *traceload.Event) (next int) {
	defer func() {
		if v := recover(); v != nil {
			list[i].fail(v)
			next = i + 1
		}
	}()
	for ; i < len(list); i++ {
		if e := list[i]; !e.dead {
			e.observer.Observe(p, ev)
		}
	}
	return i
}
