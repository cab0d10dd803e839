package chattyhandoff

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// From when on there is something to report. Fixtures: chatty-handoff-per-item
// and chatty-handoff-ping-pong hand over some 14,000 times in bursts of a
// thousand; healthy-pipeline, healthy-pool and healthy-fanout, and the mended
// twins, must stay silent.
const (
	atLeast      = 5000                  // hand-overs in bursts
	perSecond    = 2000                  // … for each second of the trace
	workAtMost   = 10 * time.Microsecond // for each, half of the time: more is worth a hand-over
	shareAtLeast = 0.05                  // of the bursts' time, lost to handing over
	turnsAtMost  = 0.2                   // share of goroutines that change sides: more, and a lock or semaphore is passed on
	repliesFrom  = 0.5                   // share of answers that makes a ping-pong
	reportable   = 0.3                   // confidence
)

// The judgement adds up weights on the scale of log odds: confidence =
// 1 / (1 + exp(-sum)). A weight of 1 makes a defect 2.7 times as likely.
const (
	prior         = -0.5
	weightTiny    = 1.5  // the work is far less than a hand-over
	weightSmall   = 0.5  // … about as much
	weightMost    = 1.5  // most of the time goes into handing over
	weightPart    = 0.5  // a good part of it
	weightMany    = 0.5  // ten times as many as needed for a judgement
	weightSteady  = 0.5  // most of the trace long
	weightTesting = -4.0 // a test or benchmark that may be about just this
)

// chatter is a link, or two that answer each other, to be judged.
type chatter struct {
	cause      string
	link       *link   // the items; for ping-pong the replies
	request    *link   // for ping-pong
	others     []*link // from the same line of giving to other lines of taking
	evidence   []detectors.Evidence
	confidence float64

	count, busy  int
	active, lost time.Duration
	work         time.Duration // half of the transfers gave the taker no more to do
	latency      time.Duration // … and let it wait no longer for its run
}

// judge returns what deserves a finding.
func (o *observer) judge(p *traceload.Program) []*chatter {
	var list []*chatter
	taken := map[*link]bool{}
	for _, l := range o.links {
		l.settle()
		if taken[l] || l.request == nil || taken[l.request] || !l.answers() {
			continue
		}
		if l == l.request { // two goroutines that run the same code take turns
			if l.give.wait == 0 { // otherwise it may be a semaphore: nobody waits to give his turn away
				list = append(list, &chatter{cause: pingPong, link: l})
			}
			taken[l] = true
			continue
		}
		c := &chatter{cause: pingPong, link: l, request: l.request}
		if l.request.request == l && l.request.answers() && asks(l, l.request) {
			c.link, c.request = c.request, c.link // each answers the other: who began?
		}
		taken[l], taken[l.request] = true, true
		list = append(list, c)
	}
	items := map[traceload.FrameID]*chatter{}
	for _, l := range o.links {
		if taken[l] || float64(l.turns) > turnsAtMost*float64(l.count) || l.crowded() {
			continue
		}
		if c := items[l.give.frame]; c != nil {
			if l.busy > c.link.busy {
				c.link, l = l, c.link
			}
			c.others = append(c.others, l)
			continue
		}
		c := &chatter{cause: perItem, link: l}
		items[l.give.frame] = c
		list = append(list, c)
	}
	for _, c := range list {
		c.weigh(p)
	}
	list = slices.DeleteFunc(list, func(c *chatter) bool { return c.confidence < reportable })
	slices.SortStableFunc(list, func(a, b *chatter) int { return cmp.Compare(b.lost, a.lost) })
	return list
}

// crowded tells whether many goroutines give or take one item each: there is no
// stream of items between two to put into batches. tiny-goroutines is about those.
func (l *link) crowded() bool { return 2*max(l.give.goroutines, l.take.goroutines) > l.count }

func (l *link) answers() bool { return float64(l.replies) >= repliesFrom*float64(l.count) }

// asks tells whether a carries the requests and b the replies, where each
// answers the other: requests come first after a pause, come from many and go
// to few, and from deeper within the program than a server's loop.
func asks(a, b *link) bool {
	switch {
	case a.opens > 2*b.opens+1:
		return true
	case b.opens > 2*a.opens+1:
		return false
	case a.give.goroutines != a.take.goroutines:
		return a.give.goroutines > a.take.goroutines
	case a.give.depth != b.give.depth:
		return a.give.depth > b.give.depth
	}
	return a.first < b.first
}

func (c *chatter) links() []*link {
	list := append([]*link{c.link}, c.others...)
	if c.request != nil {
		list = append(list, c.request)
	}
	return list
}

func (c *chatter) note(weight float64, format string, args ...any) {
	c.evidence = append(c.evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

// weigh sums up the links and judges; a confidence of zero is no finding.
func (c *chatter) weigh(p *traceload.Program) {
	var work, latency histogram.Histogram
	testing := false
	for _, l := range c.links() {
		c.count += l.count
		c.busy += l.busy
		c.lost += l.lost
		work.Merge(&l.work)
		latency.Merge(&l.latency)
		testing = testing || l.give.testing || l.take.testing
		if c.cause == pingPong {
			c.active = max(c.active, l.active) // both are measured over the same time
		} else {
			c.active += l.active
		}
	}
	c.work, c.latency = work.Quantile(0.5), latency.Quantile(0.5)
	length := max(time.Duration(p.Now).Seconds(), 0.1)
	if c.busy < atLeast || float64(c.busy) < perSecond*length || c.work > workAtMost || c.share() < shareAtLeast {
		return
	}
	c.note(0, "%d hand-overs had to wake a goroutine, %d of them within %s of the one before", c.count, c.busy, detectors.Duration(restless))
	if c.work <= workAtMost/5 {
		c.note(weightTiny, "half of them gave no more than %s to do", detectors.Duration(c.work))
	} else {
		c.note(weightSmall, "half of them gave no more than %s to do, about what a hand-over costs", detectors.Duration(c.work))
	}
	switch share := c.share(); {
	case share >= 0.3:
		c.note(weightMost, "while it lasted, about %.0f%% of the time went into handing over (an estimate)", percent(share))
	case share >= 0.1:
		c.note(weightPart, "while it lasted, about %.0f%% of the time went into handing over (an estimate)", percent(share))
	}
	if c.busy >= 10*atLeast {
		c.note(weightMany, "they are many")
	}
	if c.active.Seconds() > 0.5*length {
		c.note(weightSteady, "it goes on for most of the trace")
	}
	if testing {
		c.note(weightTesting, "package testing runs it: it may be what the test is about")
	}
	sum := prior
	for _, e := range c.evidence {
		sum += e.Weight
	}
	c.confidence = 1 / (1 + math.Exp(-sum))
}

// share is the part of the bursts that went into handing over.
func (c *chatter) share() float64 { return c.lost.Seconds() / max(c.active.Seconds(), 1e-9) }

func percent(share float64) float64 { return 100 * min(share, 1) }
