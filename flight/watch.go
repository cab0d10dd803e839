package flight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// watchGoroutines counts goroutines once a second.
func (r *Recorder) watchGoroutines() {
	g := gauge{most: r.opt.Goroutines, growth: r.opt.GoroutineGrowth}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
			if cause, reason := g.observe(runtime.NumGoroutine()); cause != "" {
				r.trigger(cause, reason)
			}
		}
	}
}

// gauge judges the number of goroutines, counted once a second.
type gauge struct {
	most, growth int
	past         [60]int // the counts of the last minute, a ring
	counted      int     // how many there were ever
}

// observe returns what n goroutines are a reason for; "" for none.
func (g *gauge) observe(n int) (Cause, string) {
	least := n
	for _, p := range g.past[:min(g.counted, len(g.past))] {
		least = min(least, p)
	}
	g.past[g.counted%len(g.past)] = n
	g.counted++
	switch {
	case g.growth > 0 && n-least >= g.growth:
		return CauseGrowth, fmt.Sprintf("%d goroutines, %d more than within the last minute", n, n-least)
	case g.most > 0 && n >= g.most:
		return CauseGoroutines, fmt.Sprintf("%d goroutines", n)
	}
	return "", ""
}

// Deadline tells the recorder of an error. It counts if it says that a deadline
// expired or something took too long; nil and all others do not. Call it where
// errors are handled anyway.
func (r *Recorder) Deadline(err error) {
	if r == nil || r.expired == nil || err == nil || !expired(err) {
		return
	}
	if r.expired.add(time.Now()) {
		r.trigger(CauseDeadlines, fmt.Sprintf("%d deadlines expired within a second", r.opt.Deadlines))
	}
}

func expired(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// storm tells when as many deadlines as times has room for have expired within a second.
type storm struct {
	mu    sync.Mutex
	times []time.Time // of the last ones, a ring
	next  int         // the place of the oldest
}

// add returns true at the one that makes it a storm.
func (s *storm) add(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[s.next] = now
	s.next = (s.next + 1) % len(s.times)
	oldest := s.times[s.next]
	if oldest.IsZero() || now.Sub(oldest) > time.Second {
		return false
	}
	clear(s.times) // and count anew
	return true
}
