package locks

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// A holder that could run and does not makes others wait as much as one that is blocked.
// When goroutines begin to run is no news here: how long one was ready follows afterwards,
// from when that began and by how much Goroutine.Spent has grown since.

// lack is a stretch in which a goroutine could have run and did not. As long as it is not
// known how long it was, to is negative; see end.
type lack struct{ from, to traceload.Time }

// ready notes that g, whose worker is w, lacks a processor from now on.
func (w *worker) ready(now traceload.Time, g *traceload.Goroutine) {
	w.recent[1].end(g)
	w.recent[0] = w.recent[1]
	w.recent[1] = lack{now, -1 - traceload.Time(g.Spent(traceload.StateRunnable))}
}

// end finds out how long the stretch was, the last of g's, if that is not known: by so much
// has grown what g has spent so.
func (l *lack) end(g *traceload.Goroutine) {
	if l.to < 0 {
		l.to = l.from + traceload.Time(g.Spent(traceload.StateRunnable)) + l.to + 1
	}
}

// lateOf is how long g, whose dealings l is, has lacked a processor since it met a lock first:
// it was ready for so long, as Goroutine.Spent tells, and waited for the collector. l.late is
// the latter, less what it had been ready before.
func (l *dealings) lateOf(g *traceload.Goroutine) time.Duration {
	return l.late + g.Spent(traceload.StateRunnable)
}

// lateSince is how long g, whose worker is w, could have run and did not, since the time at
// which it was handed the lock, if it was.
func (w *worker) lateSince(g *traceload.Goroutine, since traceload.Time, mine *handing, l *dealings) time.Duration {
	if mine != nil && mine.at >= since {
		return l.lateOf(g) - mine.late
	}
	w.recent[1].end(g)
	var late time.Duration
	for _, r := range w.recent {
		late += max(0, r.to.Sub(max(r.from, since)))
	}
	return late
}
