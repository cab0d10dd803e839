package births

import (
	"math"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// Thresholds of what is looked at, and the weights of what speaks for and
// against, in log odds (see package odds). Fixtures: goroutine-growth-unbounded,
// goroutine-growth-burst, and healthy-warmup for what must stay silent.
const (
	climbAtLeast = 30  // more alive at the end than before the climb
	climbTwice   = 2   // and so many times as many
	climbShare   = 0.2 // of those born since it began, so many must be alive
	climbWindow  = 250 * time.Millisecond
	flattest     = 8 // a quarter of the climb may be this much flatter than the mean …
	flattestLast = 3 // … and the last one this much
	onsets       = 8 // a climb may begin at each of these parts of the trace, but not in the last two

	climbPrior       = -1.0
	weightClimbs     = 1.5
	weightMany       = 0.5   // a hundred and more
	weightFewEnd     = 0.5   // less than half of those born
	weightLater      = -0.5  // it did not climb from the first birth on
	weightQueue      = 1.5   // they stand in a queue of the program's own
	weightStandstill = -2.0  // … that does not move at all
	weightLonger     = 1.5   // each waits longer than the ones before
	weightOutlived   = 1.5   // others ended soon, these do not
	weightOwn        = 1.5   // each starts more of its kind
	weightNetwork    = -3.0  // they serve connections, or are such
	weightLong       = -2.0  // those that end have lived for long: the number had no time to level off
	weightSessions   = -0.75 // nothing of this: perhaps they come to stay
	weightYoung      = -1.0  // … and none has come to its end
	weightInTouch    = -1.0  // … and are at work: they wake others, or are woken

	burstAtLeast = 500 // alive at once, and born within a rush
	rush         = 4   // slices of time: an eighth of the trace at most
	burstShare   = 0.5 // of all births of the place must be in the rush
	burstQueued  = 0.5 // of their lives must pass in a queue
	burstServed  = 50  // one in so many must have had its turn
	burstLast    = 4   // the last must have lived this many times as long as the first tenth
	firstInOut   = 0.2 // correlation between who came first and who left first, in a queue; of 500 in any order it is below 0.15

	burstPrior     = -1.0
	weightRush     = 1.0
	weightInLine   = 1.5
	weightMostly   = 0.5 // more than four fifths of their lives
	weightThousand = 0.5 // hundreds for each processor
)

// Climb is a steady rise of the number of goroutines that one place started.
type Climb struct {
	odds.Sum
	Confidence  float64
	Since       time.Duration // when it began
	Alive       [4]int        // after each quarter of the time since
	Born, Ended int           // since
	Older       int           // born before the trace began, as these were, and ended in it
	Rate        float64       // how many more each second
	Queued      bool          // they stand in a queue
}

// falls tells whether the number alive fell to less than half of what it had
// been in the slices from up to to: a sawtooth.
func (h *history) falls(from, to int) bool {
	alive, _ := h.sum(0, from)
	peak := 0
	for i := from; i < to; i++ {
		alive += int(h.born[i] - h.ended[i])
		if peak = max(peak, alive); peak >= climbAtLeast && 2*alive < peak {
			return true
		}
	}
	return false
}

// Climb judges whether the number of goroutines started at s rises without an
// end in sight; nil if it does not rise steadily until the trace is over.
func (t *Table) Climb(s *Site) *Climb {
	first := int(int64(s.First) / int64(t.width))
	last := t.border()
	if c := t.climbFrom(s, first, last); c != nil {
		return c
	}
	for i := range onsets - 2 {
		if from := (i + 1) * last / onsets; from > first {
			if c := t.climbFrom(s, from, last); c != nil {
				c.Note(weightLater, "it began to climb %s into the trace", detectors.Duration(c.Since))
				c.Confidence = c.Sum.Confidence(climbPrior)
				return c
			}
		}
	}
	return nil
}

// border returns the number of slices of time in use.
func (t *Table) border() int { return int(int64(t.now)/int64(t.width)) + 1 }

// sum returns the net number of births in the slices from up to to, and the births.
func (h *history) sum(from, to int) (net, born int) {
	for i := from; i < to; i++ {
		net += int(h.born[i] - h.ended[i])
		born += int(h.born[i])
	}
	return net, born
}

// peak returns the most that were alive at a border of slices up to to.
func (h *history) peak(to int) (peak int) {
	alive := 0
	for i := range to {
		alive += int(h.born[i] - h.ended[i])
		peak = max(peak, alive)
	}
	return peak
}

func (t *Table) climbFrom(s *Site, from, to int) *Climb {
	c := &Climb{Since: time.Duration(from) * t.width}
	window := time.Duration(t.now) - c.Since
	if window < climbWindow || to-from < onsets {
		return nil
	}
	before, _ := s.sum(0, from)
	grown, born := s.sum(from, to)
	peak := s.peak(from)
	// Those that ended and may have been born here before the trace make room for new ones.
	more := before + grown - peak - s.older - s.lost
	if more < climbAtLeast || float64(more) < climbShare*float64(born) || before+grown < climbTwice*peak || s.falls(from, to) {
		return nil
	}
	mean := float64(grown) / 4
	alive := before
	for i := range c.Alive {
		step, _ := s.sum(from+i*(to-from)/4, from+(i+1)*(to-from)/4)
		alive += step
		c.Alive[i] = alive
		if step <= 0 || float64(step) < mean/flattest || i == 3 && float64(step) < mean/flattestLast {
			return nil
		}
	}
	// Births must go on to the end: else it was a rise to some number.
	lately := (to - from) / onsets
	if _, n := s.sum(to-lately, to); float64(n) < float64(born)*float64(lately)/float64(to-from)/flattestLast {
		return nil
	}
	c.Born, c.Ended = born, born-grown
	c.Older = s.older
	grown -= s.older
	c.Rate = float64(grown) / window.Seconds()
	c.Note(weightClimbs, "the number alive climbed in every quarter: %d, %d, %d, %d", c.Alive[0], c.Alive[1], c.Alive[2], c.Alive[3])
	if grown >= 100 {
		c.Note(weightMany, "%d more are alive than before", grown)
	}
	if c.Ended < born/2 {
		c.Note(weightFewEnd, "of %d that were born %d ended", born, c.Ended)
	}
	c.judgeLives(s, s.backlog(from, to), window)
	c.Confidence = c.Sum.Confidence(climbPrior)
	return c
}

// judgeLives asks what those that gather do.
func (c *Climb) judgeLives(s *Site, backlog bool, window time.Duration) {
	lived := s.Lived()
	queue := 2*s.Spent[Queueing] > lived || 2*s.Spent[Turn] > lived && s.relays()
	c.Queued = queue || backlog && 2*(s.Spent[Queueing]+s.Spent[Turn]) > lived
	known := true
	switch {
	case queue && c.Ended+s.older+s.lost == 0:
		c.Note(weightStandstill, "none of them has got through: it is a standstill, and may end")
	case queue:
		c.Note(weightQueue, "they spend most of their lives in a queue")
	case backlog:
		c.Note(weightLonger, "each lives longer than the ones before it, as in a queue that grows")
	case s.Own > s.Born/2 && s.Ended > 0:
		c.Note(weightOwn, "%d of them were started by others of their kind, faster than they end", s.Own)
	case s.Alive > 0 && 2*s.outlived > s.Alive:
		c.Note(weightOutlived, "99 of 100 that ended had lived at most %s; %d are alive and much older", detectors.Duration(s.lives.Quantile(0.99)), s.outlived)
	default:
		known = false
	}
	if queue || backlog {
		return
	}
	switch {
	case 2*s.networked > s.Alive:
		c.Note(weightNetwork, "%d of them serve or use connections, which may be open for long", s.networked)
	case known:
	case s.Ended > 0 && 4*s.lived/time.Duration(s.Ended) > window:
		c.Note(weightLong, "those that ended had lived for %s on average: the number had no time to level off", detectors.Duration(s.lived/time.Duration(s.Ended)))
	default:
		c.Note(weightSessions, "what they wait for does not show; they may have come to stay")
		if c.Ended == 0 && 2*(s.Spent[Turn]+s.Spent[Resting]) > lived {
			c.Note(weightYoung, "none has ended yet: each may last longer than the trace, and the number level off then")
		}
		if 2*s.inTouch > s.Alive {
			c.Note(weightInTouch, "%d of them still wake other goroutines or are woken by them: they are at work", s.inTouch)
		}
	}
}

// oldAge is when a goroutine of s has lived much longer than others before it
// ended; for ever if there are too few to compare with.
func (s *Site) oldAge() time.Duration {
	const enough, far, twice = 5, 10, 2
	if s.Ended < enough {
		return math.MaxInt64
	}
	return max(far*s.lives.Quantile(0.99), twice*s.oldest())
}

// Outlives tells whether g is much older than those that its place started and
// that have ended, and yet has come to where it stands within a usual life:
// it did what they did, and then stopped. ended is how many have ended, usual
// how long 99 of 100 of them lived at most.
func (t *Table) Outlives(p *traceload.Program, g *traceload.Goroutine) (ended int, usual time.Duration, ok bool) {
	s := t.Of(g)
	if s == nil || p.Now.Sub(g.Born) < s.oldAge() {
		return 0, 0, false
	}
	usual = s.lives.Quantile(0.99)
	return s.Ended, usual, g.Since.Sub(g.Born) <= 2*usual
}

// relays tells whether those that are done let the next one go on.
func (s *Site) relays() bool { return s.turns > 0 && 2*s.relayed > s.turns }

// backlog tells whether lives get longer and longer, as in a queue that is
// served slower than it fills: the shortest life that ended in the last quarter
// of the time was longer than the longest that ended in the first half.
func (h *history) backlog(from, to int) bool {
	const enough = 5
	var early, late time.Duration
	var first, last int32
	for i := from; i < (from+to)/2; i++ {
		early = max(early, h.longest[i])
		first += h.ended[i]
	}
	for i := from + 3*(to-from)/4; i < to; i++ {
		late = shorter(late, h.shortest[i])
		last += h.ended[i]
	}
	return first >= enough && last >= enough && late > early
}

// Burst is a crowd of goroutines started at once that then stood in line.
type Burst struct {
	odds.Sum
	Confidence float64
	Born       int           // in the rush
	Within     time.Duration // how long it took at most
	Queued     time.Duration // time in line, summed
	Share      float64       // of their lives
	AtOnce     float64       // how many of them worked at one time, on average
}

// Burst judges whether a crowd was started at s at once though few of it could
// work at a time; nil if not. procs is the number of processors, 0 if unknown.
func (t *Table) Burst(s *Site, procs int) *Burst {
	if s.Peak < burstAtLeast || s.Creators > max(1, s.Born/100) { // many that start one each are a crowd of callers
		return nil
	}
	b := &Burst{Within: min(rush*t.width, time.Duration(t.now))}
	for i := range span - rush + 1 {
		_, born := s.sum(i, i+rush)
		b.Born = max(b.Born, born)
	}
	if b.Born < burstAtLeast || float64(b.Born) < burstShare*float64(s.Born) {
		return nil
	}
	// A queue moves. A pool of workers waits for work, all alike, and does not
	// end; answers to a thousand questions come in any order.
	if burstServed*s.Ended < s.Born {
		return nil
	}
	b.Queued = s.Spent[Queueing]
	if s.relays() || s.correlation() >= firstInOut && burstLast*s.lives.Quantile(0.1) <= s.oldest() {
		b.Queued += s.Spent[Turn] + s.Spent[Asking]
	}
	if b.Share = b.Queued.Seconds() / max(s.Lived().Seconds(), 1e-9); b.Share < burstQueued {
		return nil
	}
	if span := s.busy(t.width, time.Duration(t.now)); span > 0 {
		work := s.Lived() - b.Queued - s.Spent[Ready]
		b.AtOnce = max(0, work.Seconds()) / span.Seconds()
	}
	b.Note(weightRush, "%d were born within %s, by one goroutine", b.Born, detectors.Duration(b.Within))
	b.Note(weightInLine, "%.0f%% of their lives passed in a queue, and they left it one after the other", 100*b.Share)
	if b.Share > 0.8 {
		b.Note(weightMostly, "hardly one of them did anything else")
	}
	if procs > 0 && s.Peak > 1000*procs {
		b.Note(weightThousand, "there were %d for each processor", s.Peak/procs)
	}
	b.Confidence = b.Sum.Confidence(burstPrior)
	return b
}

// busy is the time from the first birth until the last end, within a slice.
func (s *Site) busy(width, now time.Duration) time.Duration {
	if s.Alive > 0 {
		return now - time.Duration(s.First)
	}
	last := 0
	for i, n := range s.ended {
		if n > 0 {
			last = i
		}
	}
	return min(time.Duration(last+1)*width, now) - time.Duration(s.First)
}

// correlation is 1 if goroutines ended in the order in which they were born,
// about 0 if they ended in any order.
func (o *order) correlation() float64 {
	if o.n < 2 {
		return 0
	}
	// They left as number 0, 1, 2, … n-1.
	y, yy := o.n*(o.n-1)/2, (o.n-1)*o.n*(2*o.n-1)/6
	d := (o.n*o.xx - o.x*o.x) * (o.n*yy - y*y)
	if d <= 0 {
		return 0
	}
	return (o.n*o.xy - o.x*y) / math.Sqrt(d)
}
