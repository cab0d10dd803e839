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
	table map[loss]*lost
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

func (l *losses) add(st stay) {
	if st.state != traceload.StateWaiting && st.state != traceload.StateRunnable && st.state != traceload.StateSyscall {
		return
	}
	key := loss{doing: st.doing, where: st.where}
	e := l.table[key]
	if e == nil {
		e = &lost{}
		l.table[key] = e
	}
	e.time += st.to.Sub(st.from)
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
