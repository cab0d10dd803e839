package goroutinegrowth

import (
	_ "embed"
	"fmt"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/births"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Thresholds. Fixtures: goroutine-growth-unbounded, goroutine-growth-burst,
// and healthy-warmup for what must stay silent.
const (
	growthAtLeast  = 30  // more goroutines alive at the end than at the first quarter's end and at the start
	flattestLast   = 3   // the last quarter may be this much flatter than the mean
	growthShare    = 0.2 // of those born, so many must be alive at the end
	longEnough     = 500 * time.Millisecond
	burstAtLeast   = 500 // alive at once
	burstWithin    = 20  // the trace's length divided by this, but not below burstMoment
	burstMoment    = 50 * time.Millisecond
	queuedAtLeast  = 0.5 // share of their lives spent in a queue
	burstsPerSite  = 0.5 // share of all births of the site that the rush must hold
	waitsPerOthers = 10  // for the confidence: peak against processors
)

// Detector finds goroutines that multiply.
var Detector = &detectors.Detector{
	Name:   "goroutine-growth",
	Family: detectors.Growth,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "unbounded", Pattern: "bounded-fan-out", Cap: detectors.High},
		{Name: "burst", Pattern: "worker-pool", Cap: detectors.Medium},
	},
	Yields: []string{"goroutine-leak", "cancel-never-fired"},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, births: detectors.Need(p, births.Fact)}
	},
}

type observer struct {
	pass   *detectors.Pass
	births *births.Table
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	if time.Duration(p.Now) < longEnough {
		o.pass.CannotJudge(fmt.Sprintf("%s is too short to tell growth from a start", detectors.Duration(time.Duration(p.Now))))
	}
	for _, s := range o.births.Sites() {
		if f := p.Site(s.Created); f == nil || f.Origin != traceload.OriginUser {
			continue // the runtime and the standard library start goroutines by their own rules
		}
		if o.climbs(p, s) {
			o.pass.Report(o.unbounded(p, s))
		} else if o.rushes(p, s) {
			o.pass.Report(o.burst(p, s))
		}
	}
}

// quarters returns how many of s were alive at the quarters of the time from
// its first birth to the end of the trace.
func (o *observer) quarters(p *traceload.Program, s *births.Site) (alive [5]int) {
	first := float64(s.First) / float64(max(p.Now, 1))
	for i := range alive {
		alive[i] = o.births.AliveAt(s, first+float64(i)/4*(1-first))
	}
	return alive
}

func (o *observer) climbs(p *traceload.Program, s *births.Site) bool {
	if time.Duration(p.Now) < longEnough || time.Duration(p.Now-s.First) < longEnough/2 {
		return false
	}
	a := o.quarters(p, s)
	grown := s.Alive - s.FoundEnded() // those that ended without a known birth make room for new ones
	if grown-max(0, a[1]) < growthAtLeast || float64(grown) < growthShare*float64(s.Born) {
		return false
	}
	mean := float64(a[4]-a[0]) / 4
	for i := 1; i < len(a); i++ {
		if step := float64(a[i] - a[i-1]); step <= 0 || step < mean/flattestLast {
			return false
		}
	}
	return true
}

func (o *observer) rushes(p *traceload.Program, s *births.Site) bool {
	if s.Peak < burstAtLeast {
		return false
	}
	born, within := o.births.Rush(s)
	if within > max(burstMoment, time.Duration(p.Now)/burstWithin) || born < burstAtLeast || float64(born) < burstsPerSite*float64(s.Born) {
		return false
	}
	if s.Creators > max(1, s.Born/100) { // many that start one each are a crowd of callers, not a burst
		return false
	}
	return s.Queued.Seconds() >= queuedAtLeast*life(s).Seconds()
}

// life is the time that the goroutines of s lived, summed.
func life(s *births.Site) time.Duration { return s.Ran + s.Runnable + s.Queued + s.Waited }

func (o *observer) unbounded(p *traceload.Program, s *births.Site) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	a := o.quarters(p, s)
	window := time.Duration(p.Now - s.First)
	rate := float64(a[4]-a[0]) / window.Seconds()
	f := o.base(p, s, "unbounded", detectors.EffectGrows)
	f.Impact = detectors.Impact{Goroutines: s.Alive, Blocked: s.Queued + s.Runnable, Occurrences: s.Born}
	f.Title = fmt.Sprintf("%s starts goroutines faster than they end: %d alive and climbing", detectors.Short(site.Func), s.Alive)
	f.Detail = fmt.Sprintf("At %s %d goroutines were started in %s and only %d ended. Alive after each quarter of that time: %d, %d, %d, %d. "+
		"At this rate %.0f more gather each hour.", site.Where(), s.Born, detectors.Duration(window), s.Ended, a[1], a[2], a[3], a[4], rate*3600)
	f.Detail += o.queue(p, s)
	f.Evidence = []detectors.Evidence{
		{Text: fmt.Sprintf("the number alive climbed in every quarter: %d, %d, %d, %d", a[1], a[2], a[3], a[4]), Weight: 2},
		{Text: fmt.Sprintf("%d were born and %d ended", s.Born, s.Ended), Weight: 1},
	}
	f.Confidence = 0.7
	if s.Alive >= 100 {
		f.Confidence += 0.1
	}
	if float64(s.Ended) < 0.75*float64(s.Born) {
		f.Confidence += 0.1
	}
	if s.Queued > life(s)/2 {
		f.Confidence += 0.05
		f.Evidence = append(f.Evidence, detectors.Evidence{Text: "they spend most of their lives in a queue", Weight: 0.5})
	}
	if s.Waited > life(s)/2 {
		// Waiting for the network or a time: connections or timers that come and stay may be the work itself.
		f.Confidence -= 0.25
		f.Evidence = append(f.Evidence, detectors.Evidence{Text: "they spend most of their lives asleep or waiting for the network: they may be connections", Weight: -1})
	}
	f.WrongIf = "the program was still starting up, and the number levels off after the trace ended"
	return f
}

func (o *observer) burst(p *traceload.Program, s *births.Site) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	born, within := o.births.Rush(s)
	f := o.base(p, s, "burst", detectors.EffectDelays)
	f.Impact = detectors.Impact{Goroutines: s.Peak, Blocked: s.Queued, Occurrences: 1}
	f.Title = fmt.Sprintf("%s starts %d goroutines at once, and most of them wait in line", detectors.Short(site.Func), born)
	share := 100 * s.Queued.Seconds() / max(life(s).Seconds(), 1e-9)
	f.Detail = fmt.Sprintf("At %s %d goroutines were started within %s; %d were alive at one time. They spent %.0f%% of their lives in a queue (%s in all).",
		site.Where(), born, detectors.Duration(within), s.Peak, share, goroutineTime(s.Queued))
	f.Detail += o.queue(p, s)
	f.Evidence = []detectors.Evidence{
		{Text: fmt.Sprintf("%d were born within %s, by one goroutine", born, detectors.Duration(within)), Weight: 1},
		{Text: fmt.Sprintf("%.0f%% of their lives passed in a queue", share), Weight: 1.5},
	}
	f.Confidence = 0.75
	if share > 80 {
		f.Confidence += 0.1
	}
	if p.Procs > 0 && s.Peak > 100*waitsPerOthers*p.Procs {
		f.Confidence += 0.05
	}
	f.WrongIf = "the crowd is rare and its memory and latency do not matter here"
	return f
}

// queue says where the goroutines of s wait.
func (o *observer) queue(p *traceload.Program, s *births.Site) string {
	stack, d := s.QueueStack()
	if stack == 0 || d < life(s)/4 {
		return ""
	}
	f := detectors.SiteOf(p, stack)
	return fmt.Sprintf(" They queue at %s in %s.", f.Where(), detectors.Short(f.Func))
}

func goroutineTime(d time.Duration) string { return fmt.Sprintf("%.1f goroutine-seconds", d.Seconds()) }

func (o *observer) base(p *traceload.Program, s *births.Site, cause string, effect detectors.Effect) detectors.Finding {
	site := detectors.SiteOf(p, s.Created)
	entry := ""
	if st := p.Frames(s.Entry); len(st) > 0 {
		entry = st[len(st)-1].Func
	}
	stack, _ := s.QueueStack()
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
