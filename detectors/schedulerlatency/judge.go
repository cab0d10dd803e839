package schedulerlatency

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// When starvation is worth a finding. Fixtures: scheduler-latency-saturated*;
// their mended twins, and healthy-batch, must stay silent.
const (
	starvedAtLeast = 10                    // bursts that came late
	lostAtLeast    = 20 * time.Millisecond // in all
	hogsShare      = 0.6                   // of the processors, while others waited
	busyShare      = 0.5                   // of the waiting, while no processor was free
	restAtMost     = 0.8                   // load that would remain without the hogs: more, and the machine is too small
	colleagues     = 0.1                   // hand-overs to or from hogs, per burst, from which a crew works for them
	reportable     = 0.3                   // confidence
)

// starvation is the verdict on who took processors from whom.
type starvation struct {
	hogs    []*hog // most harmful first
	victims []*crew
	sum     victims
	share   float64 // of the processors, that hogs had while others waited
	busy    float64 // part of the waiting while no processor was free
	rest    float64 // load without the hogs, on all processors
	procs   int
	lost    time.Duration // waiting that the hogs account for
	saved   time.Duration // if one processor were left free, estimated
	samples int
	odds    odds.Sum
}

func (o *observer) judgeSaturation(p *traceload.Program) {
	s := o.starvation(p)
	if s == nil {
		return
	}
	o.weigh(s)
	if c := s.odds.Confidence(-1); c >= reportable {
		o.pass.Report(s.finding(p, c))
	}
}

// starvation sums up; nil if nothing is worth a word.
func (o *observer) starvation(p *traceload.Program) *starvation {
	s := &starvation{procs: max(p.Procs, 1), samples: o.samples}
	starving := o.starving(p.Now)
	if starving == 0 {
		return nil
	}
	o.fold()
	var harm, cpu float64
	for _, h := range o.hogs {
		harm += float64(h.harm)
		cpu += h.cpu.Seconds()
		s.hogs = append(s.hogs, h)
	}
	slices.SortFunc(s.hogs, func(a, b *hog) int {
		return cmp.Or(cmp.Compare(b.harm, a.harm), cmp.Compare(b.cpu, a.cpu), cmp.Compare(a.first, b.first))
	})
	s.share = harm / (float64(starving) * float64(s.procs))
	s.busy = float64(starving) / float64(max(o.waiting, 1))
	length := max(time.Duration(p.Now).Seconds(), 1e-6)
	s.rest = max(0, (o.busy.Seconds()-cpu)/(length*float64(s.procs)))
	for _, c := range o.crews {
		if c == nil {
			continue
		}
		v := &c.starved
		switch {
		case c.keeps:
			v = &c.starvedNet // such as the connections of a server whose other requests keep the processors
		case o.worksFor(c, s.hogs):
			continue
		}
		if v.count > 0 {
			s.victims = append(s.victims, c)
			s.sum.merge(v)
		}
	}
	slices.SortFunc(s.victims, func(a, b *crew) int {
		return cmp.Or(cmp.Compare(b.starved.wait, a.starved.wait), cmp.Compare(a.key.Entry, b.key.Entry), cmp.Compare(a.key.Created, b.key.Created))
	})
	s.lost = time.Duration(float64(s.sum.wait) * min(1, s.share) * s.busy)
	if len(s.hogs) == 0 || s.sum.count < starvedAtLeast || s.lost < lostAtLeast || s.share < hogsShare || s.busy < busyShare {
		return nil
	}
	// One processor left free would serve the rest with a load of rest × procs.
	s.saved = time.Duration(float64(s.lost) * max(0, 1-s.rest*float64(s.procs)))
	return s
}

// worksFor tells whether c's goroutines give to, or get from, those of a hog's
// crew: then they are stages of one work, and waiting is how it is divided.
func (o *observer) worksFor(c *crew, hogs []*hog) bool {
	n := 0
	for i, h := range hogs {
		if !slices.ContainsFunc(hogs[:i], func(g *hog) bool { return g.key.crew == h.key.crew }) {
			n += o.exchanged(c, h.key.crew) + o.exchanged(h.key.crew, c)
		}
	}
	return n >= 3 && float64(n) >= colleagues*float64(o.bursts[c.job])
}

// exchanged is how often goroutines of the one crew woke or started some of the other.
func (o *observer) exchanged(from, to *crew) int {
	if n := o.exchanges.Find(uint32(from.job), uint32(to.job)); n != nil {
		return *n
	}
	return 0
}

func (o *observer) weigh(s *starvation) {
	top := s.hogs[0]
	if s.share >= 0.8 {
		s.odds.Note(1.5, "while others waited, goroutines that run for %s and longer without a pause had %.0f%% of the processors", detectors.Duration(longBurst), 100*s.share)
	} else {
		s.odds.Note(0.7, "while others waited, goroutines that run for %s and longer without a pause had %.0f%% of the processors", detectors.Duration(longBurst), 100*s.share)
	}
	if s.sum.wait > 10*s.sum.work {
		s.odds.Note(1, "those that waited had little to do: %s of work after %s of waiting", detectors.Duration(s.sum.work), detectors.Duration(s.sum.wait))
	}
	switch {
	case s.rest > restAtMost:
		s.odds.Note(-2, "without these the processors would still be %.0f%% busy: the machine is small for the load", 100*s.rest)
	case s.rest < 0.5:
		s.odds.Note(0.7, "without these the processors would be %.0f%% busy", 100*s.rest)
	}
	if s.sum.count >= 10*starvedAtLeast {
		s.odds.Note(0.5, "it happened %d times", s.sum.count)
	}
	if len(s.victims) == 1 && s.victims[0].late.Len() == 1 {
		s.odds.Note(-1.5, "only one goroutine waits; nobody else is known to wait for it")
	}
	if spilt := o.spilt.Seconds() / max(cpuOf(s.hogs).Seconds(), 1e-9); spilt > 0.3 {
		s.odds.Note(-2.5, "%.0f%% of their running time lies in slices longer than the scheduler allows: the operating system had other things to run, or held the process back", 100*spilt)
	}
	if expected := o.own.Seconds() * 100; o.samples > 0 && expected > 30 { // the profiler takes 100 a second
		if part := float64(o.samples) / (o.busy.Seconds() * 100); part < 0.5 {
			s.odds.Note(-2, "CPU samples account for %.0f%% of the running time: the rest is time in which the threads did not get a processor of the machine", 100*part)
		}
	}
	if top.testing {
		s.odds.Note(-4, "package testing runs it: it may be what the test is about")
	}
}

func cpuOf(hogs []*hog) time.Duration {
	var sum time.Duration
	for _, h := range hogs {
		sum += h.cpu
	}
	return sum
}
