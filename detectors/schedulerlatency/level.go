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

func (l *level) less(now traceload.Time) {
	l.n--
	l.sum += int64(now)
}

// down is nothing if there are none: of a damaged trace something may be missing.
func (l *level) down(now traceload.Time) {
	if l.n > 0 {
		l.less(now)
	}
}

// until returns the sum over the time up to now, in ns.
func (l *level) until(now traceload.Time) int64 { return l.n*int64(now) + l.sum }

// load is how many goroutines run, and how many wait to.
type load struct {
	procs   int64 // GOMAXPROCS; 1 as long as it is unknown
	running level // goroutines that run, the runtime's own too
	ready   level // goroutines that could
	fresh   level // of these, those that have just become ready
	starved int64 // starving, less what fresh has summed up when the present time without a free processor began
}

// full tells whether no processor is free.
func (l *load) full() bool { return l.running.n >= l.procs }

// starving is ∫ fresh over the time when no processor was free, in ns.
func (l *load) starving(now traceload.Time) int64 {
	if l.full() {
		return l.starved + l.fresh.until(now)
	}
	return l.starved
}

// occupy: somebody begins to run. It returns starving.
func (l *load) occupy(now traceload.Time) int64 {
	l.running.up(now)
	starving := l.starved
	if l.running.n == l.procs {
		l.starved -= l.fresh.until(now)
	} else if l.running.n > l.procs {
		starving += l.fresh.until(now)
	}
	return starving
}

// vacate: somebody stops.
func (l *load) vacate(now traceload.Time) {
	if l.running.n == l.procs {
		l.starved += l.fresh.until(now)
	}
	l.running.down(now)
}

// resize sets GOMAXPROCS, as of a time since when nobody came or left.
func (l *load) resize(since traceload.Time, procs int64) {
	was := l.full()
	l.procs = procs
	switch is := l.full(); {
	case is && !was:
		l.starved -= l.fresh.until(since)
	case was && !is:
		l.starved += l.fresh.until(since)
	}
}
