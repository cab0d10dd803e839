package goroutinegrowth

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/births"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waits"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Thresholds and weights stand in internal/facts/births/judge.go.
const (
	reportable = 0.3 // confidence from which a growth is reported at all
	longEnough = 500 * time.Millisecond
	limited    = 0.45 // confidence, at most, in a growth of goroutines that a timer ends one by one
	stuckFrom  = 0.5  // confidence from which goroutines count as stuck for good: their wait explains the growth
)

// Detector finds goroutines that multiply.
var Detector = &detectors.Detector{
	Name:   "goroutine-growth",
	Family: detectors.Growth,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "unbounded", Pattern: "bounded-fan-out", Others: []string{inErrgroup, atTheDoor, "weighted-semaphore"}, Cap: detectors.High},
		{Name: "burst", Pattern: "worker-pool", Others: []string{inErrgroup, "weighted-semaphore"}, Cap: detectors.Medium},
	},
	Yields: []string{"goroutine-leak", "cancel-never-fired"},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, births: detectors.Need(p, births.Fact), waits: detectors.Need(p, waits.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass   *detectors.Pass
	births *births.Table
	waits  *waits.Table
	_      cpu.CacheLinePad
}

// Observe implements detectors.Observer; the facts have seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	short := time.Duration(p.Now) < longEnough
	if short {
		o.pass.CannotJudge(fmt.Sprintf("%s is too short to tell growth from a start", detectors.Duration(time.Duration(p.Now))))
	}
	stuck := o.stuck()
	for _, s := range o.births.Sites() {
		if f := p.Site(s.Created); f == nil || f.Origin != traceload.OriginUser {
			continue // the runtime and the standard library start goroutines by their own rules
		}
		if !short && 2*stuck[s] <= s.Alive {
			if c := o.births.Climb(s); c != nil && c.Confidence >= reportable {
				o.pass.Report(o.unbounded(p, s, c))
				continue
			}
		}
		if b := o.births.Burst(s, p.Procs); b != nil {
			o.pass.Report(o.burst(p, s, b))
		}
	}
}

// stuck counts, by where they were born, goroutines that wait for something
// that never comes: goroutine-leak and cancel-never-fired tell about them.
func (o *observer) stuck() map[*births.Site]int {
	count := map[*births.Site]int{}
	for _, gr := range o.waits.Groups {
		if gr.Confidence >= stuckFrom {
			for _, g := range gr.Stuck {
				count[o.births.Of(g)]++
			}
		}
	}
	return count
}

func (o *observer) unbounded(p *traceload.Program, s *births.Site, c *births.Climb) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	f := o.base(p, s, "unbounded", detectors.EffectGrows)
	f.Confidence, f.Evidence = c.Confidence, c.Evidence
	if timer := o.timer(p, s); timer != "" && !c.Queued {
		f.Evidence = append(f.Evidence, detectors.Evidence{Weight: -1,
			Text: fmt.Sprintf("most of them wait for %s, which ends each: their number levels off unless that is longer than the trace tells", timer)})
		f.Confidence = min(f.Confidence, limited)
	}
	f.Impact = detectors.Impact{Goroutines: s.Alive, Blocked: s.Spent[births.Queueing] + s.Spent[births.Ready], Occurrences: s.Born}
	if c.Queued {
		f.Impact.Blocked += s.Spent[births.Turn]
	}
	switch {
	case created(p, s, errgroupGo):
		f.Repair = inErrgroup
	case created(p, s, "net/http.(*conn).serve"):
		f.Repair = atTheDoor
	}
	f.Title = fmt.Sprintf("%s starts goroutines faster than they end: %d alive and climbing", detectors.Short(site.Func), s.Alive)
	older := ""
	if c.Older > 0 {
		older = fmt.Sprintf(", and so did %d that were there before the trace began", c.Older)
	}
	f.Detail = fmt.Sprintf("At %s %d goroutines were started in %s, and %d ended%s. Of those started, alive after each quarter of that time: %d, %d, %d, %d. "+
		"That is %.0f more each second: at this rate the number doubles within %s, and %.0f more gather each hour.",
		site.Where(), c.Born, detectors.Duration(time.Duration(p.Now)-c.Since), c.Ended, older,
		c.Alive[0], c.Alive[1], c.Alive[2], c.Alive[3], c.Rate, detectors.Duration(doubling(s.Alive, c.Rate)), c.Rate*3600)
	if c.Queued {
		f.Detail += o.queue(p, s)
	}
	f.WrongIf = "the program was still starting up, and the number levels off after the trace ended"
	return f
}

func (o *observer) burst(p *traceload.Program, s *births.Site, b *births.Burst) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	f := o.base(p, s, "burst", detectors.EffectDelays)
	if created(p, s, errgroupGo) {
		f.Repair = inErrgroup
	}
	f.Confidence, f.Evidence = b.Confidence, b.Evidence
	f.Impact = detectors.Impact{Goroutines: s.Peak, Blocked: b.Queued, Occurrences: 1}
	f.Title = fmt.Sprintf("%s starts %d goroutines at once, and most of them wait in line", detectors.Short(site.Func), b.Born)
	f.Detail = fmt.Sprintf("At %s %d goroutines were started within %s; %d were alive at one time. They spent %.0f%% of their lives in a queue (%.1f goroutine-seconds in all).",
		site.Where(), b.Born, detectors.Duration(b.Within), s.Peak, 100*b.Share, b.Queued.Seconds())
	if stack := s.QueueStack; stack != 0 && b.AtOnce > 0 {
		f.Detail += fmt.Sprintf(" On average %.1f of them worked at a time, limited %s; the others waited %s each, and kept a stack for it.",
			b.AtOnce, limit(p, stack), detectors.Duration(b.Queued/time.Duration(max(1, s.Born))))
	}
	f.Detail += o.queue(p, s)
	f.WrongIf = "the crowd is rare and its memory and latency do not matter here"
	return f
}

// Repairs for goroutines that an errgroup starts, and that requests to a server do.
const (
	inErrgroup = "errgroup-limit"
	atTheDoor  = "backpressure"

	errgroupGo = "golang.org/x/sync/errgroup.(*Group).Go"
)

// created tells whether a function was on the stack that started the goroutines.
func created(p *traceload.Program, s *births.Site, fn string) bool {
	for _, f := range p.Frames(s.Created) {
		if f.Func == fn {
			return true
		}
	}
	return false
}

// timer returns the timer that will end most of those alive, as the source
// calls it; "" if none does.
func (o *observer) timer(p *traceload.Program, s *births.Site) string {
	names := map[string]int{}
	for g := range p.Live {
		if o.births.Of(g) != s {
			continue
		}
		if name := o.waits.Timer(p, g); name != "" {
			if names[name]++; 2*names[name] > s.Alive {
				return name
			}
		}
	}
	return ""
}

// doubling is how long it takes until n have become twice as many, at rate more
// each second.
func doubling(n int, rate float64) time.Duration {
	return time.Duration(float64(n) / max(rate, 1e-9) * float64(time.Second))
}

// limit names what lets only a few of those who stand at a stack go on.
func limit(p *traceload.Program, stack traceload.StackID) string {
	st := p.Stack(stack)
	for _, id := range st.Frames {
		switch fn := p.Frame(id).Func; {
		case strings.HasPrefix(fn, "database/sql.(*DB).conn"):
			return "by database/sql's pool of connections"
		case strings.HasPrefix(fn, "net/http.(*Transport)."):
			return "by the connections of net/http's transport"
		case strings.HasPrefix(fn, "golang.org/x/sync/semaphore."), strings.HasPrefix(fn, "golang.org/x/sync/errgroup."):
			return "by a semaphore"
		case strings.HasPrefix(fn, "sync.(*Mutex)."), strings.HasPrefix(fn, "sync.(*RWMutex)."), strings.HasPrefix(fn, "sync.(*Once)."):
			return "by a lock"
		case strings.HasPrefix(fn, "sync.(*Cond)."):
			return "by a condition"
		case strings.HasPrefix(fn, "runtime.chansend"), strings.HasPrefix(fn, "runtime.chanrecv"):
			return "by a channel"
		}
	}
	return "by what they stand in line for"
}

// queue says where the goroutines of s wait in line.
func (o *observer) queue(p *traceload.Program, s *births.Site) string {
	stack, d := s.QueueStack, s.Queued
	if stack == 0 || d < s.Lived()/4 {
		return ""
	}
	f := detectors.SiteOf(p, stack)
	return fmt.Sprintf(" They queue at %s in %s.", f.Where(), detectors.Short(f.Func))
}

func (o *observer) base(p *traceload.Program, s *births.Site, cause string, effect detectors.Effect) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	entry := ""
	if st := p.Frames(s.Entry); len(st) > 0 {
		entry = st[len(st)-1].Func
	}
	stack := s.QueueStack
	worker := detectors.Group{
		Role: detectors.Worker, Count: s.Peak, Goroutines: []int64{int64(s.FirstID)}, Entry: entry, State: "waiting",
		Stack: detectors.StackOf(p, stack), CreatedBy: site,
	}
	if s.LastID != s.FirstID {
		worker.Goroutines = append(worker.Goroutines, int64(s.LastID))
	}
	f := detectors.Finding{
		Cause: cause, Effect: effect, Site: site, Key: []string{entry},
		Groups: []detectors.Group{worker},
		Timeline: []detectors.TimelineEvent{
			{T: s.First, Goroutine: int64(s.FirstID), Event: "created", Text: "the first is started at " + site.Where()},
			{T: s.PeakAt, Goroutine: int64(s.LastID), Event: "peak", Text: fmt.Sprintf("%d are alive", s.Peak)},
			{T: s.Last, Goroutine: int64(s.LastID), Event: "created", Text: "the last one in the trace is started"},
		},
	}
	if stack == 0 {
		f.Groups[0].State = "runnable"
	}
	return f
}
