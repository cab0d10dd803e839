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
	starvedNet victims        // of these, those that the network had woken
	late       detectors.Roll // who starved, counted when another one than the last does
	last       traceload.GoID
	stack      traceload.StackID
	reason     traceload.StringID
	partner    jobs.ID // whom its goroutines woke the last time …
	woken      int     // … and how often in a row: not in observer.exchanges yet
}

// join makes r, of g's, one of its crew if it is none yet; it returns false as long
// as it is not known what g runs.
func (o *observer) join(p *traceload.Program, g *traceload.Goroutine, r *runner) bool {
	if r.crew != 0 {
		return true
	}
	entry := p.EntryID(g)
	if entry == 0 {
		return false
	}
	r.crew = o.jobs.Of(p, g)
	if int(r.crew) >= len(o.crews) || o.crews[r.crew] == nil {
		o.found(&crew{job: r.crew, key: jobs.KeyOf(p, g), entry: entry, last: traceload.NoGoroutine})
	}
	o.crews[r.crew].goroutines++
	return r.crew != 0
}

// found adds a crew.
func (o *observer) found(c *crew) {
	for len(o.crews) <= int(c.job) {
		o.crews, o.bursts = append(o.crews, nil), append(o.bursts, 0)
	}
	o.crews[c.job] = c
}

// pair begins to count how often c's goroutines wake or start others of one crew in a row.
func (o *observer) pair(c *crew, with jobs.ID) {
	o.book(c)
	c.partner = with
}

// book adds what c has counted in a row to exchanges.
func (o *observer) book(c *crew) {
	if c.woken > 0 {
		*o.exchanges.At(uint32(c.job), uint32(c.partner)) += c.woken
		c.woken = 0
	}
}
