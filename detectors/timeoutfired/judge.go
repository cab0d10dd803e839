package timeoutfired

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/timed"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

// The judgement adds up the weights of what speaks for and against, on the
// scale of log odds: confidence = 1 / (1 + exp(-sum)). A weight of 1 makes a
// defect 2.7 times as likely as before, 3 makes it 20 times as likely.
// Fixtures: timeout-fired-context-deadline, timeout-fired-timer-select;
// healthy-ticker and the noise in every fixture for what must stay silent.
const (
	// A context's deadline is there to end calls that take too long, but also
	// to end a part of the program after some time.
	priorDeadline = 0.5
	// A timer in a select may be anything: a beat, a pause, a time limit.
	priorTimer = -2.0

	weightOnce  = -3.0 // it happened once, or one deadline ended all of them
	weightTwice = -1.0
	weightOften = 1.0

	// How the wait compares with others at that line.
	weightOthersWell = 0.5  // others ended well
	weightAlike      = 0.5  // the waits in vain took equally long: that is the limit
	weightShorter    = -1.5 // they were shorter than most of those that ended well

	// What the goroutine did before.
	weightAsked      = 1.5  // it had asked somebody for something in the same function
	weightIdle       = -4.0 // … but not before the waits that the timer ended: a loop's idle moments
	weightAnswered   = 1.5  // whom it asked is who wakes it when it goes well
	weightUnfinished = 1.5  // … and is still at it when the time is over
	weightFinished   = -1.5 // … and is done long before: the timer ends something else
	weightNoAnswer   = -4.0 // nothing shows that what wakes it is an answer
	weightNeverWell  = -1.5 // no wait ended well
	weightGiven      = 2.0  // it waits to hand something over: nobody rests on that
	weightPeers      = 1.5  // those that wake it come here to wait, too: they pass a resource round

	// What it does afterwards, and where it comes from.
	weightMainLoop = -6.0 // it comes back to the same select again and again and has asked nobody
	weightBeat     = -6.0 // the timer beats in equal intervals, whenever the wait began
	weightPursued  = -6.0 // it goes on waiting for the answer: the timer was not its patience
	weightPause    = -8.0 // the source shows that nothing else was waited for
	weightPolls    = -3.0 // it waits here again and again and has asked nobody
	weightLoopEnds = -3.0 // a loop that the deadline ended
	weightCrowd    = 0.5  // several goroutines come by
	weightAlone    = -0.5

	// Who merely listens.
	weightListener = -3.0 // the goroutine is there to hear of the end, not to do the call
	weightDoneOnly = -2.5 // it waits for nothing but the context
	weightTesting  = -3.0 // a test waits for what must not happen
)

const (
	most        = 0.5  // a share from which something is the rule
	nearlyAll   = 0.9  // …
	often       = 3    // times
	several     = 3    // goroutines
	inLoop      = 0.3  // a share of waits that follow another one without a request, from which it is a loop
	alike       = 1.5  // the longest of the middle 80% against the shortest
	reportable  = 0.3  // confidence from which a finding is handed over
	doubtCap    = 0.45 // confidence, at most, of what happened only once or rarely, or to a test's own timer
	rarely      = 0.1  // a share of waits in vain that a time limit is there for …
	everSo      = 0.01 // … also from this share on, unless
	muchLost    = 2.0  // so many goroutines were waiting in vain at any moment
	beatsEnough = 8    // intervals, to tell a beat that is missed now and then
	closeBy     = 0.5  // share of the limit that waits which end well need, for the limit to be tight
)

// verdict is what is thought of one site's lapses.
type verdict struct {
	site       *site
	lapses     *lapses
	cause      string
	evidence   []detectors.Evidence
	confidence float64
	listener   bool
	explains   []*site // whose goroutines wait for this site's
}

func (v *verdict) note(weight float64, format string, args ...any) {
	v.evidence = append(v.evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

func (v *verdict) sum(prior float64) {
	for _, e := range v.evidence {
		prior += e.Weight
	}
	v.confidence = 1 / (1 + math.Exp(-prior))
}

// judge judges all sites and reports what deserves it.
func (o *observer) judge(p *traceload.Program) {
	var list []*verdict
	deadlines := map[*site]*verdict{}
	length := time.Duration(p.Now)
	for _, s := range o.sites[1:] {
		if s.deadline != nil {
			var said timed.Select
			if s.asksNobody() { // else what the source says is no matter
				said = s.source(p, o.pass.Source())
			}
			v := judgeDeadline(s, said, length)
			deadlines[s] = v
			list = append(list, v)
		}
		if s.timer != nil && mayBeReported(s, length) {
			if v := judgeTimer(s, s.source(p, o.pass.Source()), length); v != nil {
				list = append(list, v)
			}
		}
	}
	list = slices.DeleteFunc(list, func(v *verdict) bool {
		if v.cause != deadlineCause {
			return false
		}
		for child, n := range v.site.via {
			// The child does the call, its parent waits for the child.
			if c := deadlines[child]; c != nil && c.confidence >= 0.5 && !c.listener && share(n, v.lapses.count) >= most {
				c.explains = append(c.explains, v.site)
				return true
			}
		}
		return false
	})
	slices.SortStableFunc(list, func(a, b *verdict) int { return cmp.Compare(b.lapses.total, a.lapses.total) })
	for _, v := range list {
		if v.confidence >= reportable {
			o.pass.Report(v.finding(p))
		}
	}
}

// asksNobody tells whether nothing shows that those who wait at s, in the user's own code, wait for
// an answer, or to hand something over: what ends well there comes by itself, such as work for
// an idle worker or news for a listener.
func (s *site) asksNobody() bool {
	l := s.deadline
	return s.userWaits && s.sent >= often && share(s.answered+s.given+s.peers, s.sent) < most && share(s.askedWell+l.asked, s.sent+l.count) < most
}

func judgeDeadline(s *site, said timed.Select, length time.Duration) *verdict {
	l := s.deadline
	v := &verdict{site: s, lapses: l, cause: deadlineCause}
	v.note(0, "a context's deadline woke the waiting goroutine, %s", times(l.count))
	v.frequency(l.firings, "deadline", l.count)
	v.lengths()
	well, _ := v.endedWell()
	switch ended := s.well + s.cancelled; {
	case well == 0 && s.cancelled >= l.count, s.userWaits && ended >= often && share(s.byCreator, ended) >= nearlyAll:
		v.listener = true
		v.note(weightListener, "otherwise these waits are ended by a cancellation or by the goroutine that started the waiting one: they only listen")
	case l.receives == l.count && s.userWaits && (s.outermost || share(l.gone, l.count) >= nearlyAll):
		v.listener = true
		v.note(weightListener, "the goroutine waits for nothing but the end of the context, and then ends")
	case l.receives == l.count && s.userWaits:
		v.note(weightDoneOnly, "the goroutine waits for nothing but the end of the context")
	}
	if s.userWaits && s.sent >= often && share(l.cameBack, l.count) >= most && share(s.answered+s.given+s.peers, s.sent) < most {
		v.note(weightPolls, "the goroutine waits here again and again without having asked anybody: it polls")
	}
	if s.asksNobody() && !said.Reply {
		v.note(weightNoAnswer, "nothing shows that it waits for an answer: it was woken %s, %d of them by a goroutine that it had asked", times(s.sent), s.answered)
	}
	if s.userWaits && share(l.looping, l.count) >= most && share(l.gone, l.count) >= most {
		v.note(weightLoopEnds, "the goroutines had been waiting here again and again and then ended: a loop that runs until its context ends")
	}
	if s.test || share(l.testing, l.count) >= most {
		v.note(weightTesting, "a test waits: what it waits for may be meant not to come")
	}
	v.sum(priorDeadline)
	v.doubt(l.firings < 2, length)
	return v
}

// mayBeReported tells whether a timer's lapses may be worth reporting, whatever the source says
// of the select: to read it may take longer than all the rest.
func mayBeReported(s *site, length time.Duration) bool {
	for _, said := range []timed.Select{{Answer: true}, {Answer: true, Reply: true}} { // what speaks for a defect
		if v := judgeTimer(s, said, length); v != nil && v.confidence >= reportable {
			return true
		}
	}
	return false
}

// source reads the select at s, if it is one of the user's.
func (s *site) source(p *traceload.Program, src detectors.Source) timed.Select {
	if !s.userWaits {
		return timed.Select{}
	}
	return timed.SelectAt(src, p.Frame(s.frame))
}

// judgeTimer judges the waits that a timer ended; nil if nothing shows that
// they were for more than the timer.
func judgeTimer(s *site, said timed.Select, length time.Duration) *verdict {
	l := s.timer
	if s.sent == 0 && !l.abandons() && !(said.Answer && share(l.unfinished, l.count) >= most) {
		return nil
	}
	v := &verdict{site: s, lapses: l, cause: timerCause}
	all := s.well + l.count
	v.note(0, "a timer woke the goroutine out of a select, %s of %d", times(l.count), all)
	v.frequency(l.count, "time-out", l.count)
	v.lengths()
	if n := s.askedWell + l.asked; share(n, s.sent+l.count) >= most {
		v.note(weightAsked, "%d of %d times the same function had asked another goroutine or a connection for something just before", n, s.sent+l.count)
	}
	if share(s.askedWell, s.sent) >= most && share(l.asked, l.count) < most && share(l.looping, l.count) >= most {
		v.note(weightIdle, "but nothing was asked for before the waits that the timer ended (%d of %d)", l.count-l.asked, l.count)
	}
	switch {
	case said.Pause:
		v.note(weightPause, "the source: the select waits for nothing but the timer and the end of everything: a pause")
	case said.Ticker:
		v.note(weightBeat, "the source: the timer is a ticker")
	}
	answers := s.sent >= often
	switch {
	case said.Reply:
		v.note(weightAnswered, "the source: it waits on a channel that was made for just this answer")
	case s.sent == 0:
		v.note(weightNeverWell, "no wait there ended well")
	case answers && share(s.answered, s.sent) >= most:
		v.note(weightAnswered, "when it goes well, it is woken by the goroutine that it had asked (%d of %d times)", s.answered, s.sent)
	case answers && share(s.given, s.sent) >= most:
		v.note(weightGiven, "it waits to hand something over, and others took it %d times", s.given)
	case answers && share(s.peers, s.sent) >= most:
		v.note(weightPeers, "those that wake it wait here, too: they pass a resource round")
	default:
		v.note(weightNoAnswer, "nothing shows that it waits for an answer: it was woken %s, %d of them by a goroutine that it had asked", times(s.sent), s.answered)
	}
	switch {
	case share(l.unfinished, l.count) >= most:
		v.note(weightUnfinished, "when the time is over, the goroutine that it had asked is still at it (%d of %d times)", l.unfinished, l.count)
	case share(l.finished, l.count) >= most:
		v.note(weightFinished, "when the time is over, the goroutine that it had asked is at rest again (%d of %d times)", l.finished, l.count)
	}
	switch {
	case said.Reply: // each turn asks anew
	case share(l.cameBack, l.count) >= most:
		v.note(weightMainLoop, "after the timer it comes back to the same select without having asked anybody (%d of %d times)", l.cameBack, l.count)
	case share(s.returns, s.sent) >= inLoop:
		v.note(weightMainLoop, "it comes back to the same select again and again without having asked anybody (%d of %d times)", s.returns, s.sent)
	case l.beats():
		v.note(weightBeat, "the timer beats every %s, whenever the wait began", detectors.Duration(l.intervals.Quantile(0.5)))
	}
	if share(l.pursued, l.count) >= most {
		v.note(weightPursued, "it goes on waiting for the answer, and gets it (%d of %d times)", l.pursued, l.count)
	}
	switch {
	case s.goroutines >= several:
		v.note(weightCrowd, "%d goroutines come by", s.goroutines)
	case s.goroutines == 1:
		v.note(weightAlone, "a single goroutine comes by")
	}
	test := s.test || share(l.testing, l.count) >= most
	if test {
		v.note(weightTesting, "a test waits: what it waits for may be meant not to come")
	}
	v.sum(priorTimer)
	v.doubt(l.count < 2 || test, length)
	return v
}

// abandons tells whether the waits in vain, none of which ever ended well, are
// those of several goroutines that had each asked somebody who is still at
// work. One that does so again and again starts work at a beat.
func (l *lapses) abandons() bool {
	return l.goroutines.Len() >= several && share(l.unfinished, l.count) >= most && share(l.looping, l.count) < most
}

// doubt bounds the confidence in what is too seldom to be more than bad luck.
func (v *verdict) doubt(anyway bool, length time.Duration) {
	l := v.lapses
	well, _ := v.endedWell()
	part := share(l.count, well+l.count)
	rare := part < everSo || part < rarely && l.total.Seconds() < muchLost*length.Seconds()
	if rare {
		v.note(0, "only %.1f%% of the waits here end in vain: that is what a time limit is for", 100*part)
	}
	if anyway || rare {
		v.confidence = min(v.confidence, doubtCap)
	}
}

// beats tells whether the timer fires in equal intervals although the waits
// that it ends are not equally long: a ticker. A beat that was missed makes an
// interval of two.
func (l *lapses) beats() bool {
	if l.intervals.N() < often || even(&l.lengths) {
		return false
	}
	return even(&l.intervals) || l.intervals.N() >= beatsEnough && float64(l.onBeat) >= nearlyAll*float64(l.intervals.N())
}

// endedWell returns how many waits at the site ended by what they waited for,
// and how long those took. Where only timers end waits well, the timer is the
// work: a pause, or a stand-in for one.
func (v *verdict) endedWell() (int, *histogram.Histogram) {
	s := v.site
	if v.cause == deadlineCause && s.timer != nil && s.sent == 0 {
		return s.well + s.timer.count, &s.timer.lengths
	}
	return s.well, &s.lengths
}

// frequency weighs how often it happened: n independent times, count in all.
func (v *verdict) frequency(n int, thing string, count int) {
	switch {
	case n >= often:
		v.note(weightOften, "%s passed here", detectors.Count(n, "different "+thing))
	case n == 2:
		v.note(weightTwice, "it happened only twice")
	case count > 1:
		v.note(weightOnce, "one single %s ended all %d waits", thing, count)
	default:
		v.note(weightOnce, "it happened only once")
	}
}

// lengths compares the waits in vain with each other and with those that ended well.
func (v *verdict) lengths() {
	h := &v.lapses.lengths
	if even(h) {
		v.note(weightAlike, "the waits in vain took equally long, %s", detectors.Duration(v.lapses.limit()))
	}
	well, others := v.endedWell()
	if others.N() == 0 || h.N() == 0 {
		return
	}
	if usual := others.Quantile(0.75); h.Quantile(0.5) < usual*9/10 {
		v.note(weightShorter, "the waits in vain were shorter than many that ended well (%s against %s): nobody's patience ended",
			detectors.Duration(h.Quantile(0.5)), detectors.Duration(usual))
	} else {
		v.note(weightOthersWell, "%s ended well, 3 of 4 within %s", detectors.Count(well, "other wait"), detectors.Duration(usual))
	}
}

// limit is how long the waits in vain took, 0 if the trace does not show it.
func (l *lapses) limit() time.Duration {
	if even(&l.lengths) {
		return l.measured / time.Duration(l.lengths.N()) // finer than a bucket
	}
	return l.lengths.Quantile(0.5)
}

func share(n, of int) float64 { return float64(n) / float64(max(of, 1)) }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
