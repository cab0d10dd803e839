package flight

import (
	"sync"
	"time"
)

// limiter gives each cause its turns, so that one that triggers all the time takes
// none away from the others.
type limiter struct {
	interval time.Duration
	now      func() time.Time

	mu    sync.Mutex
	turns map[Cause]turn
}

// turn is when a cause may have its next snapshot, and how long it had to wait.
type turn struct {
	next time.Time
	gap  time.Duration
}

// longestGap is up to where the time between snapshots for one cause grows.
const longestGap = time.Hour

func newLimiter(interval time.Duration, now func() time.Time) *limiter {
	return &limiter{interval: interval, now: now, turns: map[Cause]turn{}}
}

// take returns 0 if the cause may have a snapshot now, and has its turn by that;
// otherwise how long it has to wait.
func (l *limiter) take(c Cause) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	t, again := l.turns[c]
	if wait := t.next.Sub(now); again && wait > 0 {
		return wait
	}
	gap := l.interval
	if again && c.automatic() && now.Sub(t.next) < t.gap { // it has not stopped since
		gap = min(2*t.gap, max(longestGap, l.interval))
	}
	l.turns[c] = turn{now.Add(gap), gap}
	return 0
}
