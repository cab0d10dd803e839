package scenes

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// parts is into how many equal parts a trace is divided.
const parts = 400

// maxReasons is how many reasons for waiting are told apart; the runtime has some 40.
const maxReasons = 60

// activity counts goroutines by what they do, over time. The time that each
// spends in a state is added when it leaves it, to the parts of the trace that
// it touches: to the first and the last of them by its share, and to those
// between as a whole, by a difference that is summed up in the end.
type activity struct {
	step  traceload.Time
	kinds []*kind // of what goroutines do; the most frequent are found first
}

// kind is one state, with its reason if it is waiting.
type kind struct {
	state  traceload.State
	reason traceload.StringID
	shares [parts]traceload.Time // goroutine-time in parts that a stay begins or ends in
	whole  [parts + 1]int64      // the change in the number of stays that cover a part whole
	time   time.Duration
}

func newActivity(length time.Duration) *activity {
	return &activity{step: max(1, (traceload.Time(length)+parts-1)/parts)}
}

// add adds a stay in a state.
func (a *activity) add(st *stay) {
	from, to := st.from, st.to
	if from >= to {
		return
	}
	k := a.kind(st.state, st.reason)
	k.time += to.Sub(from)
	first, last := from/a.step, to/a.step
	if last >= parts { // the very end of the trace
		last = parts - 1
	}
	if first >= last {
		k.shares[last] += to - from
		return
	}
	k.shares[first] += (first+1)*a.step - from
	k.shares[last] += to - last*a.step
	k.whole[first+1]++
	k.whole[last]--
}

func (a *activity) kind(state traceload.State, reason traceload.StringID) *kind {
	for _, k := range a.kinds {
		if k.state == state && k.reason == reason {
			return k
		}
	}
	if len(a.kinds) >= maxReasons { // an invented trace
		return a.kinds[len(a.kinds)-1]
	}
	k := &kind{state: state, reason: reason}
	a.kinds = append(a.kinds, k)
	return k
}

func (a *activity) result(p *traceload.Program) *detectors.Activity {
	out := &detectors.Activity{Step: time.Duration(a.step), States: []detectors.StateCount{}, Spent: []detectors.Spent{}}
	slices.SortStableFunc(a.kinds, func(x, y *kind) int { return cmp.Compare(y.time, x.time) })
	n := min(int((p.Now+a.step-1)/a.step), parts)
	for _, k := range a.kinds {
		reason := p.String(k.reason)
		count := detectors.StateCount{State: k.state.String(), Reason: reason, Mean: make([]float64, n)}
		covering := int64(0)
		for i := range n {
			covering += k.whole[i]
			length := min(a.step, p.Now-traceload.Time(i)*a.step)
			count.Mean[i] = rounded(float64(covering) + float64(k.shares[i])/float64(length))
		}
		out.States = append(out.States, count)
		out.Spent = append(out.Spent, detectors.Spent{State: k.state.String(), Reason: reason, Time: k.time})
	}
	return out
}

// rounded leaves three digits behind the point: more only takes room.
func rounded(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
