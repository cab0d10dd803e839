package scenes

import (
	"cmp"
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
	byStack [][]loss // by StackID: what was lost there
}

// loss is the time lost in one state, for one reason, at one stack.
type loss struct {
	doing
	where traceload.StackID
	time  time.Duration
	count int
}

func newLosses() *losses { return &losses{} }

func (l *losses) add(st *stay) {
	if st.state != traceload.StateWaiting && st.state != traceload.StateRunnable && st.state != traceload.StateSyscall {
		return
	}
	list := slotted(&l.byStack, st.where)
	for i := range *list {
		if e := &(*list)[i]; e.doing == st.doing {
			e.time += st.to.Sub(st.from)
			e.count++
			return
		}
	}
	*list = append(*list, loss{st.doing, st.where, st.to.Sub(st.from), 1})
}

func (l *losses) result(p *traceload.Program) []detectors.Lost {
	all := slices.Concat(l.byStack...)
	slices.SortFunc(all, func(a, b loss) int {
		return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(a.where, b.where), cmp.Compare(a.state, b.state), cmp.Compare(a.reason, b.reason))
	})
	rest := map[doing]int{} // index in out of what has no place of its own
	out := []detectors.Lost{}
	for i, k := range all {
		e := detectors.Lost{State: k.state.String(), Reason: p.String(k.reason), Stack: []detectors.Frame{}, Time: k.time, Count: k.count}
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
