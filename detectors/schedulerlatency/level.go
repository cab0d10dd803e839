package schedulerlatency

import "github.com/tracedoc/tracedoc/traceload"

// level is how many there are of something, and its sum over time. Only a change
// costs anything: who comes at a time t and never leaves counts for now - t.
type level struct {
	n   int64
	sum int64 // of those that left: when they did; less, of all that came, when they did
}

func (l *level) up(now traceload.Time) {
	l.n++
	l.sum -= int64(now)
}

// down is nothing if there are none: of a damaged trace something may be missing.
func (l *level) down(now traceload.Time) {
	if l.n > 0 {
		l.n--
		l.sum += int64(now)
	}
}

// until returns the sum over the time up to now, in ns.
func (l *level) until(now traceload.Time) int64 { return l.n*int64(now) + l.sum }
