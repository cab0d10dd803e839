package scenes

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// maxLosses is how many places of loss a report lists for one trace; the rest is
// summed up by state and reason, without a stack.
const maxLosses = 2000

// losses adds up the time that goroutines did not run.
type losses struct {
	table   map[loss]*lost
	stopped []traceload.StackID // by slot: where a goroutine stopped that could have gone on, 0 otherwise
}

type loss struct {
	doing
	where traceload.StackID
}

type lost struct {
	time  time.Duration
	count int
}

func newLosses() *losses { return &losses{table: map[loss]*lost{}} }

func (l *losses) observe(_ *traceload.Program, ev *traceload.Event) {
	if ev.Kind != traceload.KindStatus {
		l.add(ev.From, ev.Reason, l.where(ev.G), ev.Lived)
	}
	at := slotted(&l.stopped, ev.G.Slot)
	*at = 0
	if ev.Kind == traceload.KindStop {
		*at = ev.Stack
	}
}

// where is the stack at which a goroutine does not run.
func (l *losses) where(g *traceload.Goroutine) traceload.StackID {
	return cmp.Or(*slotted(&l.stopped, g.Slot), g.Stack, g.Entry)
}

// alive adds what is lost at the end of the trace.
func (l *losses) alive(p *traceload.Program, g *traceload.Goroutine) {
	l.add(g.State, g.Reason, l.where(g), p.InState(g))
}

func (l *losses) add(state traceload.State, reason traceload.StringID, stack traceload.StackID, d time.Duration) {
	switch state {
	case traceload.StateWaiting:
	case traceload.StateRunnable, traceload.StateSyscall:
		reason = 0
	default:
		return
	}
	key := loss{doing: doing{state: state, reason: reason}, where: stack}
	e := l.table[key]
	if e == nil {
		e = &lost{}
		l.table[key] = e
	}
	e.time += d
	e.count++
}

func (l *losses) result(p *traceload.Program) []detectors.Lost {
	keys := slices.SortedFunc(maps.Keys(l.table), func(a, b loss) int {
		return cmp.Or(cmp.Compare(l.table[b].time, l.table[a].time), cmp.Compare(a.where, b.where), cmp.Compare(a.state, b.state), cmp.Compare(a.reason, b.reason))
	})
	rest := map[doing]int{} // index in out of what has no place of its own
	out := []detectors.Lost{}
	for i, k := range keys {
		e := detectors.Lost{State: k.state.String(), Reason: p.String(k.reason), Stack: []detectors.Frame{}, Time: l.table[k].time, Count: l.table[k].count}
		if i >= maxLosses {
			if j, ok := rest[k.doing]; ok {
				out[j].Time += e.Time
				out[j].Count += e.Count
				continue
			}
			rest[k.doing] = len(out)
		} else {
			e.Stack = append(e.Stack, detectors.StackOf(p, k.where)...)
		}
		out = append(out, e)
	}
	return out
}
