package detectors

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// facets notes what kinds of knowledge a trace holds at all.
type facets struct {
	samples      bool
	foundWaiting int                         // goroutines that were parked when the trace began
	withoutStack int                         // of those, they are still, and not even the end of the trace tells where
	names        map[traceload.StringID]bool // of tasks and regions
	named        []string                    // the same, at the end
}

var facetKinds = traceload.KindSet(traceload.KindSample, traceload.KindTaskBegin, traceload.KindRegionBegin, traceload.KindStatus)

// Observe implements Observer.
func (f *facets) Observe(_ *traceload.Program, ev *traceload.Event) {
	switch ev.Kind {
	case traceload.KindSample:
		f.samples = true
	case traceload.KindTaskBegin, traceload.KindRegionBegin:
		if f.names == nil {
			f.names = map[traceload.StringID]bool{}
		}
		f.names[ev.Text] = true
	case traceload.KindStatus:
		if ev.From == traceload.StateUnknown && ev.To == traceload.StateWaiting && !ev.G.System {
			f.foundWaiting++
		}
	}
}

// Finish looks at what is still parked when the trace ends.
func (f *facets) Finish(p *traceload.Program) {
	for g := range p.Live {
		// One that has waited since has no stack if it is a coroutine (iter.Pull), in all formats.
		if g.State == traceload.StateWaiting && g.Stack == 0 && !g.SinceKnown && !g.System {
			f.withoutStack++
		}
	}
	for id := range f.names {
		f.named = append(f.named, p.String(id))
	}
	slices.Sort(f.named)
}

// describe makes the report's account of the trace.
func (w *walk) describe() Trace {
	t := Trace{
		Source: w.info.Source, Format: w.info.Format, Duration: w.info.Duration, Bytes: w.info.Bytes, Events: w.info.Events,
		Goroutines: w.info.Goroutines, Complete: w.info.Complete, UnreadBytes: w.info.Unread, Warnings: w.warnings, NotJudged: w.unjudged,
		Names: w.facets.named,
	}
	if !w.info.Start.IsZero() {
		t.StartTime = &w.info.Start
	}
	if !w.info.Complete {
		t.Warnings = append([]string{"the trace is not complete: " + w.info.Why}, t.Warnings...)
	}
	t.Idle = rest(w.idle)
	t.CannotShow = w.cannotShow()
	return t
}

// idleSites is how many places of rest a report names at most.
const idleSites = 100

// rest adds up what the detectors left in peace, by place.
func rest(sites []IdleSite) Idle {
	var idle Idle
	index := map[Frame]int{}
	for _, s := range sites {
		idle.Goroutines += s.Goroutines
		if i, ok := index[s.Site]; ok {
			idle.Sites[i].Goroutines += s.Goroutines
			continue
		}
		index[s.Site] = len(idle.Sites)
		idle.Sites = append(idle.Sites, s)
	}
	slices.SortStableFunc(idle.Sites, func(a, b IdleSite) int {
		return cmp.Or(cmp.Compare(b.Goroutines, a.Goroutines), strings.Compare(a.Site.Func, b.Site.Func), cmp.Compare(a.Site.Line, b.Site.Line))
	})
	if len(idle.Sites) > idleSites {
		idle.Sites = idle.Sites[:idleSites]
	}
	return idle
}

// shortTrace is the length below which slow leaks and growth stay invisible.
const shortTrace = time.Second

// cannotShow says what kinds of trouble this recording could not have shown,
// and which recording would.
func (w *walk) cannotShow() []string {
	var list []string
	if w.info.Duration < shortTrace {
		list = append(list, "Slow leaks and slow growth: the trace covers less than a second. Record 5 seconds or more, e.g. /debug/pprof/trace?seconds=5.")
	}
	if w.facets.withoutStack > 0 {
		list = append(list, "Where goroutines wait that were parked before the trace began: formats before Go 1.23 do not record it. "+
			"Build with Go 1.23 or later, or start the trace before them.")
	} else if w.facets.foundWaiting > 0 {
		list = append(list, "Who started the goroutines that were parked before the trace began, and how long they have been there. Start the trace with the program to see it.")
	}
	if !w.facets.samples {
		list = append(list, "Which functions used the processors: the trace has no CPU samples. Run a CPU profile at the same time (go test -trace -cpuprofile).")
	}
	list = append(list, "Locks and buffered channels that nobody had to wait for leave no event in any trace.")
	return list
}
