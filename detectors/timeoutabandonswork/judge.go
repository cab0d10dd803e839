package timeoutabandonswork

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/giveups"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/traceload"
)

// Weights of what speaks for and against, in log odds (see package odds).
// Fixtures: timeout-abandons-work-*, and healthy-hedge, healthy-shared-work for
// what must stay silent.
const (
	reportable = 0.3

	prior = -1.5

	weightOften     = 1.5 // three times and more
	weightTwice     = 0.5
	weightOnce      = -1.5
	weightAnswers   = 2.0 // others answered their callers there
	weightNoAnswers = -2.5
	weightMuch      = 0.5  // it goes on for three times as long as the caller had waited, and more
	weightDeadline  = 0.5  // a context's deadline: the limit was there to be handed on
	weightLate      = -4.0 // answers were taken later after all: a hedge
	weightShared    = -4.0 // answers went to others who waited there
	weightStops     = -1.5 // most of those left alone stop soon
	weightStuck     = 1.5  // they stand in a send ever since
	weightFreed     = -2.0 // others whose caller had left got rid of their answer
)

const (
	patience = 50 * time.Millisecond // in a send, from which a sender is stuck …
	share    = 20                    // … or the trace's length divided by this
	much     = 3                     // times the caller's patience
)

// verdict is what is thought of one case: of one cause and one way of giving up.
type verdict struct {
	odds.Sum
	confidence float64
	cause      string
	c          *giveups.Case
	how        giveups.How
	way        *giveups.Way
	work       trails.Sum
	results    []*giveups.Result
}

func judge(p *traceload.Program, c *giveups.Case) (list []*verdict) {
	for how := range giveups.Cancelled { // who was cancelled is cancel-ignored's
		way := &c.Ways[how]
		late, running := &verdict{cause: lateSender}, &verdict{cause: stillRunning}
		for i := range way.Results {
			r := &way.Results[i]
			switch {
			case r.Sending && r.SendsFor >= max(patience, time.Duration(p.Now)/share):
				late.add(r)
			case !r.Sending && r.Length() >= max(giveups.Grace, r.Waited):
				running.add(r)
			}
		}
		for _, v := range []*verdict{late, running} {
			if len(v.results) > 0 {
				v.c, v.how, v.way = c, how, way
				v.work.Settle()
				v.judge()
				list = append(list, v)
			}
		}
	}
	return list
}

func (v *verdict) add(r *giveups.Result) {
	v.results = append(v.results, r)
	v.work.Add(&r.Past)
}

func (v *verdict) judge() {
	n := len(v.results)
	v.Note(0, "%d of %d goroutines were left alone when %s ended their callers' wait", v.way.Count, v.way.Count+v.c.Answered, v.limit())
	switch {
	case n >= 3:
		v.Note(weightOften, "it happened %d times", n)
	case n == 2:
		v.Note(weightTwice, "it happened twice")
	default:
		v.Note(weightOnce, "it happened once")
	}
	if v.c.Answered > 0 {
		v.Note(weightAnswers, "%d others that were started there gave their caller an answer at that line, 3 of 4 within %s", v.c.Answered, detectors.Duration(v.c.Usual()))
	} else {
		v.Note(weightNoAnswers, "nobody who was started there ever gave an answer at that line")
	}
	if v.how == giveups.Deadline {
		v.Note(weightDeadline, "the limit was a context's deadline, which could have been handed on")
	}
	if few := 10; few*v.way.Late > v.way.Count {
		v.Note(weightLate, "%d of them answered their caller after all: it had not given up", v.way.Late)
	}
	if few := 10; few*v.way.Shared > v.way.Count {
		v.Note(weightShared, "the answers of %d of them went to others who waited there: the work is shared", v.way.Shared)
	}
	switch v.cause {
	case lateSender:
		v.Note(weightStuck, "%d of them stand in a send that nobody receives", n)
		if v.way.Stopped > n {
			v.Note(weightFreed, "%d others ended soon", v.way.Stopped)
		}
	case stillRunning:
		if v.work.Mean() >= much*v.patience() {
			v.Note(weightMuch, "they go on for %s on average, their callers had waited %s", detectors.Duration(v.work.Mean()), detectors.Duration(v.patience()))
		}
		if v.way.Stopped > 2*n {
			v.Note(weightStops, "%d others ended soon", v.way.Stopped)
		}
	}
	v.confidence = v.Confidence(prior)
}

// patience is how long a caller waited on average.
func (v *verdict) patience() time.Duration {
	return v.way.Waited / time.Duration(max(1, v.way.Count))
}

func (v *verdict) limit() string {
	if v.how == giveups.Deadline {
		return "a context's deadline"
	}
	return "a timer"
}
