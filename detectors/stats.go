package detectors

import (
	"cmp"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Stats says what the analysis of a trace took.
type Stats struct {
	Events  int64
	Walk    traceload.Spent
	Walking time.Duration // on the clock, from the first byte to the last event
	Judging time.Duration // on the clock, from there to the findings
	// Observers lists detectors and facts, those that took the most first.
	Observers []ObserverStats
}

// ObserverStats says what one detector, or one fact that several need, took.
type ObserverStats struct {
	Name      string
	Fact      bool
	Lane      int           // index in Walk.Lanes
	Observing time.Duration // its share of its lane's time, by a stopwatch that timed some of the events
	Judging   time.Duration
}

// stopwatch is of how many events one is timed: a prime, so as not to fall into
// step with what a program repeats.
const stopwatch = 61

// time feeds an event to one who sees it, under the stopwatch.
func (l *lane) time(f *fed, p *traceload.Program, ev *traceload.Event) {
	began := time.Now()
	f.observer.Observe(p, ev)
	took := time.Since(began)
	f.entry.sampled += took
	l.sampled += took
}

// fill takes stock at the end of a walk.
func (s *Stats) fill(w *walk, walking, judging time.Duration) {
	s.Events, s.Walking, s.Judging = w.info.Events, walking, judging
	s.Observers = nil
	for _, e := range w.entries {
		o := ObserverStats{Name: e.name, Fact: e.detector == nil, Lane: slices.Index(w.lanes, e.lane), Judging: e.judging}
		if l := e.lane; l.sampled > 0 && o.Lane < len(s.Walk.Lanes) {
			o.Observing = time.Duration(float64(s.Walk.Lanes[o.Lane]) * float64(e.sampled) / float64(l.sampled))
		}
		s.Observers = append(s.Observers, o)
	}
	slices.SortStableFunc(s.Observers, func(a, b ObserverStats) int {
		return cmp.Compare(b.Observing+b.Judging, a.Observing+a.Judging)
	})
}
