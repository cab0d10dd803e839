package timerchurn

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/timed"
	"github.com/tracedoc/tracedoc/traceload"
)

// From when on there is something to look at. Fixtures: timer-churn-polling
// and timer-churn-after-in-loop; healthy-ticker, the stage's housekeeper (20
// looks a second) and its clients' pauses must stay silent.
const (
	emptiesAtLeast  = 60                    // looks in vain …
	emptiesASecond  = 50                    // … and so many for each second of the trace
	pauseAtMost     = 25 * time.Millisecond // half of the pauses: a slower poll wakes nobody often, and is late only where that was chosen
	lookAtMost      = 10 * time.Microsecond // half of the looks in vain ran no longer
	othersAtMost    = 0.05                  // share of waits that something else than the timer ends: it waits for that, too
	emptiesMost     = 0.5                   // share of wake-ups that found nothing
	wakeCost        = 5 * time.Microsecond  // of a timer's wake-up beside the run: the least measured, with 16 sleepers on two cores
	occasionsEnough = 5                     // looks that found something, to compare with the others
	tiedFrom        = 0.8                   // share of these before which another goroutine came to one place
	tiedTimes       = 2.5                   // … and so many times its share before looks in vain
	answeredFrom    = 0.6                   // share of these, in which who had been asked was done during the last pause
	longRow         = 5                     // looks in vain before one that found something
	reportable      = 0.3                   // confidence

	samplesAtLeast = 10                    // CPU samples: fewer are chance
	makingAtLeast  = 3                     // … of them in the making of timers at one line
	makingShare    = 0.02                  // … and so many of all
	hotTurns       = 1000                  // waits a second: with source, from when on time.After in the loop is worth a word
	makeCost       = 250 * time.Nanosecond // of time.After above Reset, with what the collector has to do: measured at 392 against 138
)

// The judgement adds up weights on the scale of log odds: confidence =
// 1 / (1 + exp(-sum)). A weight of 1 makes a defect 2.7 times as likely.
const (
	priorPoll     = -2.0 // a short pause in a loop may stand for work, or keep a pace
	weightEmpty   = 1.0  // nearly all looks found nothing
	weightTied    = 3.0  // others decide when it ends
	weightRow     = 0.5
	weightShort   = -0.5 // one or two in a row may be steps
	weightSame    = -2.0 // always the same number in a row: steps
	weightLooks   = 3.5  // the source: a loop that looks
	weightSteps   = -4.0 // … that counts
	weightPaces   = -3.0 // … that pauses on every turn
	weightTesting = -4.0
)

type verdict struct {
	site       *site
	evidence   []detectors.Evidence
	confidence float64
	tied       traceload.FrameID // where others come to before it finds something
	answered   bool              // it looks whether somebody is done whom it had asked
	looks      bool              // the source says that it polls
	late       time.Duration     // estimated
	found      int               // looks after some in vain that found something
	cpu        time.Duration     // estimated
}

func (v *verdict) note(weight float64, format string, args ...any) {
	v.evidence = append(v.evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

func (o *observer) judge(p *traceload.Program) {
	var list []*verdict
	for _, s := range o.sites {
		if v := o.judgePoll(p, s); v != nil && v.confidence >= reportable {
			list = append(list, v)
		}
	}
	slices.SortStableFunc(list, func(a, b *verdict) int { return cmp.Compare(b.late+b.cpu, a.late+a.cpu) })
	for _, v := range list {
		o.pass.Report(v.finding(p))
	}
	o.judgeMakers(p)
}

// judgePoll judges a line; nil if there is nothing to look at.
func (o *observer) judgePoll(p *traceload.Program, s *site) *verdict {
	length := max(time.Duration(p.Now).Seconds(), 0.1)
	pause, look := s.pauses.Quantile(0.5), s.runs.Quantile(0.5)
	if s.empties < emptiesAtLeast || float64(s.empties) < emptiesASecond*length || pause > pauseAtMost || look > lookAtMost ||
		float64(s.others) > othersAtMost*float64(s.wakes) || float64(s.empties) < emptiesMost*float64(s.wakes) {
		return nil
	}
	v := &verdict{site: s, cpu: time.Duration(s.empties) * (look + wakeCost)}
	v.note(0, "%d of %d wake-ups found nothing to do: half of them ran for no more than %s, and none woke or started anybody or made a system call",
		s.empties, s.wakes, detectors.Duration(look))
	if float64(s.empties) >= 0.8*float64(s.wakes) {
		v.note(weightEmpty, "that is %.0f%% of all", 100*float64(s.empties)/float64(s.wakes))
	}
	if s.askedRows >= occasionsEnough && float64(s.answeredRows) >= answeredFrom*float64(s.leaves) {
		v.answered = true
		v.note(weightTied, "%d of %d times it had asked another goroutine for something, which was done with it during the last pause", s.answeredRows, s.leaves)
	} else if tied, last, other := o.tiedTo(p, s); tied != 0 {
		v.tied = tied
		v.note(weightTied, "before %.0f%% of the looks that found something another goroutine had come to %s during the pause, before the others in %.0f%%: it decides when this ends",
			100*last, detectors.FrameOf(p.Frame(tied)).Where(), 100*other)
	}
	if s.leaves >= 3 {
		mean := float64(s.rowsTotal) / float64(s.leaves)
		switch {
		case s.rowMin == s.rowMax && s.leaves >= occasionsEnough:
			v.note(weightSame, "it is always the same number of pauses in a row, %d: they may be steps of work", s.rowMin+1)
		case mean < 2:
			v.note(weightShort, "it is only %.0f pauses in a row", mean+1)
		case mean >= longRow:
			v.note(weightRow, "it looked %.0f times in vain each time, on average", mean)
		}
	}
	v.found, v.late = s.leaves, s.lateLeaves
	v.readSource(p, o.pass.Source())
	if s.wait != traceload.WaitSleep && !v.looks {
		return nil // a ticker's work, as far as anybody can tell
	}
	if s.testing {
		v.note(weightTesting, "package testing runs it: tests poll for what they cannot be told")
	}
	sum := priorPoll
	for _, e := range v.evidence {
		sum += e.Weight
	}
	v.confidence = 1 / (1 + math.Exp(-sum))
	if v.tied == 0 && !v.looks && !v.answered {
		v.late, v.found = 0, 0 // not known to wait for anybody
	}
	return v
}

// tiedTo finds the place that others come to right before the looks that find
// something, and seldom before those in vain.
func (o *observer) tiedTo(p *traceload.Program, s *site) (frame traceload.FrameID, last, other float64) {
	if s.occasions < occasionsEnough || s.inVain == 0 {
		return 0, 0, 0
	}
	best := 0.0
	for c := range min(len(o.acts), len(s.hits), maxClasses-1) {
		f := o.acts[c].place
		if f == 0 {
			continue
		}
		l, r := float64(s.hits[c].last)/float64(s.occasions), float64(s.hits[c].other)/float64(s.inVain)
		if l < tiedFrom || l < tiedTimes*r {
			continue
		}
		if lift := l - r; lift > best || lift == best && f < frame {
			best, frame, last, other = lift, f, l, r
		}
	}
	return frame, last, other
}

// readSource asks what kind of loop is around the pause.
func (v *verdict) readSource(p *traceload.Program, src detectors.Source) {
	s := v.site
	switch timed.LoopAt(src, p.Frame(s.frame)) {
	case timed.Looks:
		v.looks = true
		v.found += s.stays
		v.late += s.lateStays
		v.note(weightLooks, "the source: the loop around it goes on until it finds something, or pauses only when it finds nothing")
	case timed.Paces:
		v.note(weightPaces, "the source: the loop around it pauses on every turn: it keeps a pace")
	case timed.Steps:
		v.note(weightSteps, "the source: no loop that looks for anything is around it: these are steps of work")
	}
}

// judgeMakers reports the lines that make many timers.
func (o *observer) judgeMakers(p *traceload.Program) {
	for _, m := range o.makers {
		if o.samples >= samplesAtLeast && m.samples >= makingAtLeast && float64(m.samples) >= makingShare*float64(o.samples) {
			o.pass.Report(o.makerFinding(p, m))
		}
	}
	src := o.pass.Source()
	if src == nil {
		return
	}
	length := max(time.Duration(p.Now).Seconds(), 0.1)
	for _, s := range o.sites {
		if s.wait != traceload.WaitSelect || float64(s.begun) < hotTurns*length || o.made(s.frame) {
			continue
		}
		f := p.Frame(s.frame)
		if src.MayWaitForTimer(f.File, f.Line) && timed.SelectAt(src, f).After && timed.InLoop(src, f) {
			o.pass.Report(o.loopFinding(p, s))
		}
	}
}

func (o *observer) made(frame traceload.FrameID) bool {
	return slices.ContainsFunc(o.makers, func(m *maker) bool { return m.frame == frame })
}
