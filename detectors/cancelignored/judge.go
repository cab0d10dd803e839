package cancelignored

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/giveups"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/orders"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
)

// Weights of what speaks for and against, in log odds (see package odds).
// Fixtures: cancel-ignored-*, and healthy-graceful for what must stay silent.
const (
	reportable = 0.3

	prior = -1.0

	weightOften     = 1.5 // three orders and more
	weightTwice     = 0.5
	weightShared    = 1.0  // an order woke several: they share a context
	weightFewTold   = -1.0 // it woke few of many
	weightStopped   = 1.0  // those that it woke ended
	weightLiveOn    = -2.5 // they did not: it was no order to stop
	weightAwaited   = 1.0  // somebody waits for the deaf
	weightBeside    = 0.5  // born together with those it woke
	weightApart     = -2.0
	weightStarter   = 0.5  // who gave the order had started them
	weightRounds    = 1.0  // they go on round after round
	weightFed       = -4.5 // they are handed further work: a queue is drained, as a shutdown with manners does
	weightInHand    = -3.5 // once, and they ended soon after: the work in hand was finished
	weightEnd       = -2.0 // once, and the trace ends soon after
	weightOwn       = -2.0 // at other orders siblings turned out to have contexts of their own
	weightClosed    = -1.5 // the order was the closing of a channel: that may tell anything
	weightStranger  = -2.0 // … by somebody who has nothing to do with them
	weightAnswers   = 1.5  // others of the go statement answered at that line
	weightNoAnswers = -1.5
	weightLate      = -4.0 // some answered later after all
)

// longAfter is how long a single deaf goroutine must go on not to pass as one
// that finishes its work: no shutdown should take that long.
const longAfter = time.Second

// verdict is what is thought of one case.
type verdict struct {
	odds.Sum
	confidence float64
	cause      string
	deaf       trails.Sum
	orders     *orders.Case  // either
	left       *giveups.Case // or
	instances  []*orders.Instance
	told       int
	stopped    int // of told
	inTime     int // others that stopped soon
	slowest    time.Duration
	awaited    time.Duration
	waiters    int // instances with somebody who waits
}

func judgeOrders(c *orders.Case) *verdict {
	v := &verdict{orders: c, cause: "outlives"}
	own, beside, apart, starter, most := 0, 0, 0, 0, 0
	for _, in := range c.Instances {
		if in.Others > 0 {
			own++
			continue
		}
		if len(in.Deaf) == 0 {
			continue
		}
		v.instances = append(v.instances, in)
		for i := range in.Deaf {
			v.deaf.Add(&in.Deaf[i])
		}
		v.told += in.Told
		most = max(most, in.Told+in.InTime)
		v.stopped += in.Stopped
		v.inTime += in.InTime
		v.slowest = max(v.slowest, in.Slowest)
		if in.Awaited >= orders.Grace {
			v.waiters++
			v.awaited += in.Awaited
		}
		beside += btoi(in.Beside)
		apart += btoi(in.Apart && !in.Beside)
		starter += btoi(in.ByCreator)
	}
	n := len(v.instances)
	if n == 0 {
		return nil
	}
	v.deaf.Settle()
	v.often(n)
	switch {
	case most > 1:
		v.Note(weightShared, "a single one stopped up to %d of the goroutines: they share what was cancelled", most)
	case v.deaf.N > 4*v.told:
		v.Note(weightFewTold, "it woke %d of them and not the other %d", v.told, v.deaf.N)
	}
	if 2*v.stopped >= v.told {
		v.Note(weightStopped, "of %d that it woke %d ended at once", v.told, v.stopped)
	} else {
		v.Note(weightLiveOn, "of %d that it woke only %d ended at once: it may be no order to stop", v.told, v.stopped)
	}
	if 2*v.waiters >= n {
		v.cause = "slow-to-stop"
		v.Note(weightAwaited, "somebody waited for them to end, %s in all", detectors.Duration(v.awaited))
	}
	switch {
	case 2*beside > n:
		v.Note(weightBeside, "they were started together with those that stopped")
	case 2*apart > n:
		v.Note(weightApart, "they were not started together with those that stopped, and may have a context of their own")
	}
	if 2*starter > n {
		v.Note(weightStarter, "who gave the order had started them")
	}
	v.manner()
	v.once(n)
	if own > n {
		v.Note(weightOwn, "after %d other such orders some of their kind came back to listen: they have contexts of their own", own)
	}
	if c.How == orders.Closed {
		v.Note(weightClosed, "the order was the closing of a channel")
		if 2*starter <= n && 2*v.waiters < n {
			v.Note(weightStranger, "who closed it has neither started them nor waits for them")
		}
	}
	v.confidence = v.Confidence(prior)
	return v
}

// judgeLeft judges goroutines whose caller was cancelled and left.
func judgeLeft(c *giveups.Case) *verdict {
	way := &c.Ways[giveups.Cancelled]
	v := &verdict{left: c, cause: "outlives"}
	for i := range way.Results {
		if r := &way.Results[i]; !r.Sending { // that is a leak: goroutine-leak tells it
			if r.Length() >= orders.Grace {
				v.deaf.Add(&r.Past)
			}
		}
	}
	n := v.deaf.N
	if n == 0 {
		return nil
	}
	v.deaf.Settle()
	v.often(n)
	if c.Answered > 0 {
		v.Note(weightAnswers, "%d others that were started there gave their caller an answer", c.Answered)
	} else {
		v.Note(weightNoAnswers, "nobody ever got an answer there")
	}
	if 10*(way.Late+way.Shared) > way.Count {
		v.Note(weightLate, "%d of %d answered somebody after all", way.Late+way.Shared, way.Count)
	}
	if way.Stopped > n {
		v.Note(weightOwn, "%d others stopped at once", way.Stopped)
	}
	v.manner()
	v.once(n)
	v.confidence = v.Confidence(prior)
	return v
}

func (v *verdict) often(n int) {
	switch {
	case n >= 3:
		v.Note(weightOften, "it happened %d times", n)
	case n == 2:
		v.Note(weightTwice, "it happened twice")
	}
}

// manner asks how the deaf went on.
func (v *verdict) manner() {
	if 2*v.deaf.Loops > v.deaf.N {
		v.Note(weightRounds, "%d of them went on round after round", v.deaf.Loops)
	}
	if 2*v.deaf.Fed > v.deaf.N {
		v.Note(weightFed, "%d of them were handed further work meanwhile: a queue may be drained on purpose", v.deaf.Fed)
	}
}

// once asks whether what happened once is only the end of the work in hand.
func (v *verdict) once(n int) {
	if n > 1 || v.deaf.Longest >= longAfter {
		return
	}
	if v.deaf.Alive == 0 {
		v.Note(weightInHand, "it happened once, and they ended within %s: they may be meant to finish what they had in hand", detectors.Duration(v.deaf.Longest))
	} else {
		v.Note(weightEnd, "it happened once, %s before the trace ends", detectors.Duration(v.deaf.Longest))
	}
}

// weight orders verdicts: what cost much and is sure comes first.
func (v *verdict) weight() float64 { return v.confidence * v.deaf.Total.Seconds() }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
