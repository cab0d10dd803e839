package schedulerlatency

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// victims sums up bursts that had to wait for a processor much longer than
// they then ran.
type victims struct {
	count   int
	wait    time.Duration
	work    time.Duration
	longest time.Duration
	lengths histogram.Histogram
	at      traceload.Time // of the longest: when it became ready
	id      traceload.GoID
}

func (v *victims) add(g traceload.GoID, r *runner) {
	v.count++
	v.wait += r.wait
	v.work += r.burst
	v.lengths.Add(r.wait)
	if r.wait > v.longest {
		v.longest, v.at, v.id = r.wait, r.began, g
	}
}

func (v *victims) merge(o *victims) {
	v.count += o.count
	v.wait += o.wait
	v.work += o.work
	v.lengths.Merge(&o.lengths)
	if o.longest > v.longest {
		v.longest, v.at, v.id = o.longest, o.at, o.id
	}
}

// starve counts a burst of g's that came late.
func (c *crew) starve(g *traceload.Goroutine, r *runner) {
	c.starved.add(g.ID, r)
	if r.is&fromNet != 0 {
		c.starvedNet.add(g.ID, r)
	}
	if g.ID != c.last {
		c.last = g.ID
		c.late.Note(g.ID)
	}
	c.stack, c.reason = g.Stack, g.Reason
}

// size is how many goroutines of the crew starved, at most as many as there are.
func (c *crew) size() int { return min(c.late.Len(), max(c.goroutines, 1)) }

// hogKey tells goroutines that keep processors: their job, and what they are
// called for (a server's connections all run the same job).
type hogKey struct {
	crew *crew
	fn   traceload.FuncID
}

// hog is all long bursts of one kind.
type hog struct {
	key        hogKey
	bursts     int
	goroutines detectors.Roll
	last       traceload.GoID
	cpu        time.Duration
	harm       int64
	longest    time.Duration
	first      traceload.Time // when the first burst began
	outer      traceload.FrameID
	stack      traceload.StackID
	created    traceload.StackID
	entry      traceload.StackID
	id         traceload.GoID // of the longest
	samples    int
	leaves     map[traceload.FrameID]int
	testing    bool
}

func (o *observer) hog(p *traceload.Program, g *traceload.Goroutine, c *crew, r *runner) {
	key := hogKey{crew: c}
	t := o.traitsOf(r)
	if t.outer != 0 {
		key.fn = p.Frame(t.outer).FuncID
	}
	h := o.hogs[key]
	if h == nil {
		h = &hog{key: key, last: traceload.NoGoroutine, first: r.began, leaves: map[traceload.FrameID]int{}}
		o.hogs[key] = h
	}
	h.bursts++
	h.cpu += r.burst
	h.harm += r.harm
	if g.ID != h.last {
		h.last = g.ID
		h.goroutines.Note(g.ID)
	}
	if r.burst > h.longest {
		h.longest, h.id = r.burst, g.ID
	}
	if t.outer != 0 {
		h.outer, h.stack = t.outer, t.stack
	}
	h.created, h.entry = g.CreatedAt, g.Entry
	h.testing = h.testing || p.Stack(t.stack).Testing || p.Stack(g.Entry).Testing || p.Stack(g.CreatedAt).Testing
	h.samples += t.samples
	for _, f := range t.leaf[:min(t.samples, len(t.leaf))] {
		h.leaves[f]++
	}
}

// fold adds the bursts of which no stack is known, since nobody took the
// processor away before they ended, to the largest hog of the same crew.
func (o *observer) fold() {
	for key, small := range o.hogs {
		if key.fn != 0 {
			continue
		}
		var best *hog
		for k, h := range o.hogs {
			if k.crew == key.crew && k.fn != 0 && (best == nil || h.cpu > best.cpu || h.cpu == best.cpu && k.fn < best.key.fn) {
				best = h
			}
		}
		if best == nil {
			continue
		}
		best.bursts += small.bursts
		best.cpu += small.cpu
		best.harm += small.harm
		best.first = min(best.first, small.first)
		best.goroutines.Merge(&small.goroutines)
		delete(o.hogs, key)
	}
}
