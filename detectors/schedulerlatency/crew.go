package schedulerlatency

import (
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/jobs"
	"github.com/tracedoc/tracedoc/traceload"
)

// crew is the goroutines of one job.
type crew struct {
	entry      traceload.FrameID
	job        jobs.ID
	key        jobs.Key
	keeps      bool // one of them has had a long burst
	goroutines int
	starved    victims
	starvedNet victims // of these, those that the network had woken
	ids        [detectors.MaxGroupIDs]traceload.GoID
	last       traceload.GoID
	distinct   int // goroutines in ids and beyond, counted when another one than the last starves
	stack      traceload.StackID
	reason     traceload.StringID
	bursts     int
	partner    jobs.ID // whom its goroutines woke the last time …
	woken      int     // … and how often in a row: not in observer.exchanges yet
}

// crewOf returns the number of g's crew, 0 as long as it is not known what g runs.
func (o *observer) crewOf(p *traceload.Program, g *traceload.Goroutine) jobs.ID {
	entry := p.EntryID(g)
	if entry == 0 {
		return 0
	}
	job := o.jobs.Of(p, g)
	for len(o.crews) <= int(job) {
		o.crews = append(o.crews, nil)
	}
	c := o.crews[job]
	if c == nil {
		c = &crew{job: job, key: jobs.KeyOf(p, g), entry: entry, last: traceload.NoGoroutine}
		o.crews[job] = c
	}
	c.goroutines++
	return job
}

// byHog counts that by, of ev.By, woke or started r, of ev.G, and tells whether
// it is one that keeps its processor.
func (o *observer) byHog(p *traceload.Program, ev *traceload.Event, r, by *runner) bool {
	if ev.By.System {
		return false
	}
	if by.crew == 0 {
		if by.crew = o.crewOf(p, ev.By); by.crew == 0 {
			return false
		}
	}
	c := o.crews[by.crew]
	switch {
	case r.crew == 0, r.crew == by.crew, ev.Wait.IsLock():
	case r.crew == c.partner:
		c.woken++
	default:
		o.book(c)
		c.partner, c.woken = r.crew, 1
	}
	return c.keeps || by.burst+p.InState(ev.By) > longBurst
}

// book adds what c has counted in a row to exchanges.
func (o *observer) book(c *crew) {
	if c.woken > 0 {
		*o.exchanges.At(uint32(c.job), uint32(c.partner)) += c.woken
		c.woken = 0
	}
}
