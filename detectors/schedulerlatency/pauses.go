package schedulerlatency

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

const (
	// afterwards is how soon after the world goes on whatever came due
	// meanwhile is woken: all at once, by the first look at the network and the timers.
	afterwards = 50 * time.Microsecond
	// A stop of the world by the collector takes 10 to 100 µs; callers that
	// cost less than this, in all and per second of trace, are left alone.
	pausesAtLeast = 20 * time.Millisecond
	pausedShare   = 0.02
	callsAtLeast  = 3
	medianAtMost  = 4 // times the median: pauses beyond count as that long, lest a busy machine counts as the program's doing
)

// pauses are the stops of the world that the program itself asks for.
type pauses struct {
	calls   map[callKey]*call
	current *call // whose stop is on; nil if none, or the runtime's own
	g       traceload.GoID
	began   traceload.Time
	before  int64 // observer.ready, summed over time, when it began
	last    *call // whose stop was the last one
	ended   traceload.Time
	length  time.Duration
	ofStack map[traceload.StackID]*call
}

// callKey is a line of the program, and what it calls.
type callKey struct {
	site   traceload.FrameID
	callee traceload.FuncID
}

// call is one line that stops the world.
type call struct {
	key        callKey
	callee     string
	stops      int
	stopped    time.Duration
	longest    time.Duration
	at         traceload.Time // when the longest began
	lengths    histogram.Histogram
	held       time.Duration // goroutines × time that they stood still
	waited     time.Duration // the callers' own waits for the collector
	waits      int
	stack      traceload.StackID
	goroutines detectors.Roll
	entry      traceload.StackID
	created    traceload.StackID
	testing    bool
}

// isCollection are the calls that run a whole collection.
func isCollection(fn string) bool {
	return fn == "runtime.GC" || fn == "runtime/debug.FreeOSMemory"
}

func (o *observer) rangeBegin(p *traceload.Program, ev *traceload.Event, r *runner) {
	name := p.String(ev.Text)
	switch {
	case strings.HasPrefix(name, "stop-the-world"):
		o.pauses.begin(o, p, ev, name)
	case name == "GC mark assist":
		if r != nil {
			if t := o.traitsOf(r); t.assist.site == 0 {
				t.assist.begin(p, ev)
				if t.assist.site != 0 {
					r.is |= assisting
				}
			}
		}
	case name == "GC concurrent mark phase":
		o.assists.markBegins(p)
	}
}

func (o *observer) rangeEnd(p *traceload.Program, ev *traceload.Event, r *runner) {
	name := p.String(ev.Text)
	switch {
	case strings.HasPrefix(name, "stop-the-world"):
		o.pauses.end(o, p)
	case name == "GC mark assist":
		if r != nil && r.is&assisting != 0 {
			r.is &^= assisting
			a := &o.traits.At(r.traits).assist
			a.pause(p.Now)
			o.assists.book(p, ev.G, a)
		}
	case name == "GC concurrent mark phase":
		o.assists.markEnds(p)
	}
}

func (a *pauses) begin(o *observer, p *traceload.Program, ev *traceload.Event, name string) {
	a.current = nil
	if ev.G == nil || ev.G.System || isTracer(name) {
		return
	}
	c := a.callAt(p, ev.Stack)
	if c == nil {
		return
	}
	a.current, a.g, a.began, a.before = c, ev.G.ID, p.Now, o.ready.until(p.Now)
	c.by(ev.G, ev.Stack)
}

// isTracer tells whether the tracer itself stopped the world.
func isTracer(name string) bool {
	return name == "stop-the-world (start trace)" || name == "stop-the-world (stop trace)"
}

// callAt returns the call that a stack is in; nil if the collector works there
// on its own account, below an allocation.
func (a *pauses) callAt(p *traceload.Program, stack traceload.StackID) *call {
	if c, ok := a.ofStack[stack]; ok {
		return c
	}
	if a.ofStack == nil {
		a.ofStack = map[traceload.StackID]*call{}
	}
	s := p.Stack(stack)
	var c *call
	if s.Site > 0 && p.Frame(s.Frames[s.Site]).Origin == traceload.OriginUser && !allocates(p, s) {
		callee := p.Frame(s.Frames[s.Site-1])
		key := callKey{s.Frames[s.Site], callee.FuncID}
		if c = a.calls[key]; c == nil {
			c = &call{key: key, callee: callee.Func}
			a.calls[key] = c
		}
		c.testing = c.testing || s.Testing
	}
	a.ofStack[stack] = c
	return c
}

// allocates tells whether an allocation is on the stack between the user's
// code and the operation.
func allocates(p *traceload.Program, s *traceload.Stack) bool {
	for _, f := range s.Frames[:s.Site] {
		if strings.HasPrefix(p.Frame(f).Func, "runtime.mallocgc") {
			return true
		}
	}
	return false
}

func (c *call) by(g *traceload.Goroutine, stack traceload.StackID) {
	c.stack, c.entry, c.created = stack, g.Entry, g.CreatedAt
	c.goroutines.Note(g.ID)
}

func (a *pauses) end(o *observer, p *traceload.Program) {
	c := a.current
	if c == nil {
		return
	}
	a.current = nil
	d := p.Now.Sub(a.began)
	c.stops++
	c.stopped += d
	c.lengths.Add(d)
	if d > c.longest {
		c.longest, c.at = d, a.began
	}
	c.held += time.Duration(o.ready.until(p.Now) - a.before)
	a.last, a.ended, a.length = c, p.Now, d
}

// collected takes the end of a caller's own wait for the collector.
func (a *pauses) collected(p *traceload.Program, ev *traceload.Event) {
	if c := a.callAt(p, ev.Stack); c != nil && isCollection(c.callee) && ev.FromKnown {
		c.waits++
		c.waited += ev.Lived
		c.by(ev.G, ev.Stack)
	}
}

// due takes the end of a wait that may have come due while the world stood still.
func (a *pauses) due(p *traceload.Program) {
	if a.last != nil && p.Now.Sub(a.ended) <= afterwards {
		a.last.held += a.length / 2 // on the average: it came due at some time during the stop
	}
}

func (a *pauses) judge(o *observer, p *traceload.Program) {
	length := max(time.Duration(p.Now), 100*time.Millisecond)
	var list []*call
	for _, c := range a.calls {
		if c.stops >= callsAtLeast {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(x, y *call) int {
		return cmp.Or(cmp.Compare(y.cost(), x.cost()), cmp.Compare(x.key.site, y.key.site))
	})
	for _, c := range list {
		if cost := c.cost(); cost < pausesAtLeast || cost.Seconds() < pausedShare*length.Seconds() {
			continue
		}
		var sum odds.Sum
		median := c.lengths.Quantile(0.5)
		sum.Note(1.5, "the program itself calls %s: none of these stops is the collector's own doing", detectors.Short(c.callee))
		switch share := c.cost().Seconds() / length.Seconds(); {
		case share >= 0.1:
			sum.Note(1.5, "it takes %.0f%% of the trace's time", 100*share)
		case share >= 0.05:
			sum.Note(0.7, "it takes %.0f%% of the trace's time", 100*share)
		}
		if c.stops >= 10 {
			sum.Note(0.7, "%d stops, half of them %s or longer", c.stops, detectors.Duration(median))
		}
		if c.testing {
			sum.Note(-4, "package testing runs it: it may be what the test is about")
		}
		o.pass.Report(c.finding(p, sum.Evidence, sum.Confidence(-1)))
	}
}

// cost is the time that passed in the call's stops and the callers' waits,
// outliers of a busy machine cut down.
func (c *call) cost() time.Duration {
	return min(c.stopped, time.Duration(c.stops*medianAtMost)*c.lengths.Quantile(0.5)) + c.waited
}

func (c *call) finding(p *traceload.Program, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	site := detectors.FrameOf(p.Frame(c.key.site))
	f := detectors.Finding{
		Cause: stopTheWorld, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence,
		Impact: detectors.Impact{Goroutines: max(c.goroutines.Len(), 1), Blocked: c.cost() + c.held, Occurrences: c.stops},
		Site:   site, Key: []string{c.callee},
		WrongIf: "the call belongs to a rare occasion, such as a debug request, that fell into this trace by chance",
	}
	f.Title = fmt.Sprintf("%s stops the whole program %d times by calling %s", detectors.Short(site.Func), c.stops, detectors.Short(c.callee))
	var b strings.Builder
	fmt.Fprintf(&b, "%s calls %s at %s. For that the runtime stopped every goroutine %d times, %s in all (half of the stops %s or longer, the longest %s).",
		detectors.Short(site.Func), c.callee, site.Where(), c.stops, detectors.Duration(c.stopped), detectors.Duration(c.lengths.Quantile(0.5)), detectors.Duration(c.longest))
	if c.waited > 0 {
		fmt.Fprintf(&b, " The callers themselves waited %s for the collection to finish.", detectors.Duration(c.waited))
	}
	if c.held > 0 {
		fmt.Fprintf(&b, " Goroutines that were ready, or came due meanwhile, stood still for %s together (what came due is an estimate).", detectors.Duration(c.held))
	}
	f.Estimate = &detectors.Estimate{Time: c.cost(), Text: "The stops and the callers' own waits go with the call. What others would save that stand still meanwhile, and what replaces the call, are not counted."}
	f.Detail = b.String()
	g := detectors.Group{Role: detectors.Holder, Count: c.goroutines.Len(), Goroutines: c.goroutines.IDs(), State: traceload.StateRunning.String(),
		Stack: detectors.StackOf(p, c.stack), CreatedBy: detectors.SiteOf(p, c.created), Entry: detectors.EntryOf(p, c.entry)}
	f.Groups = []detectors.Group{g}
	if len(g.Goroutines) > 0 {
		f.Timeline = []detectors.TimelineEvent{
			{T: c.at, Goroutine: g.Goroutines[0], Event: "stopped", Text: "the world stops for " + detectors.Short(c.callee)},
			{T: c.at + traceload.Time(c.longest), Goroutine: g.Goroutines[0], Event: "released", Text: "the world goes on after " + detectors.Duration(c.longest)},
		}
	}
	return f
}
