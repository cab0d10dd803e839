package flight

import (
	"testing"
	"time"
)

// fakeClock stands still until it is told to go on.
type fakeClock struct{ t time.Time }

func (c *fakeClock) now() time.Time { return c.t }

func TestLimiter(t *testing.T) {
	const interval = 30 * time.Second
	tests := []struct {
		name  string
		cause Cause
		every time.Duration // a trigger comes
		times int
		want  []time.Duration // when there was a snapshot
	}{
		{"200 in 10 s", CauseSlowRequest, 50 * time.Millisecond, 200, []time.Duration{0}},
		{"trouble that lasts", CauseSlowRequest, time.Second, 600, []time.Duration{0, 30 * time.Second, 90 * time.Second, 210 * time.Second, 450 * time.Second}},
		{"every now and then", CauseGrowth, 90 * time.Second, 4, []time.Duration{0, 90 * time.Second, 180 * time.Second, 270 * time.Second}},
		{"asked for by somebody", CauseHTTP, time.Second, 95, []time.Duration{0, 30 * time.Second, 60 * time.Second, 90 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &fakeClock{time.Unix(1000, 0)}
			l := newLimiter(interval, clock.now)
			var got []time.Duration
			for i := range tt.times {
				at := time.Duration(i) * tt.every
				clock.t = time.Unix(1000, 0).Add(at)
				if l.take(tt.cause) == 0 {
					got = append(got, at)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("snapshots at %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("snapshots at %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestLimiterGrowsToAnHour(t *testing.T) {
	clock := &fakeClock{time.Unix(1000, 0)}
	l := newLimiter(time.Second, clock.now)
	n := 0
	for range 2 * 24 * 3600 {
		if l.take(CauseGoroutines) == 0 {
			n++
		}
		clock.t = clock.t.Add(time.Second)
	}
	if n < 12+46 || n > 12+48 { // twelve doublings make an hour
		t.Errorf("%d snapshots in two days of constant trouble", n)
	}
	clock.t = clock.t.Add(3 * time.Hour) // peace
	if l.take(CauseGoroutines) != 0 {
		t.Fatal("no snapshot of new trouble")
	}
	clock.t = clock.t.Add(time.Second)
	if wait := l.take(CauseGoroutines); wait != 0 {
		t.Errorf("the next one in %v: peace should have brought the interval back", wait)
	}
}

func TestLimiterCausesDoNotShare(t *testing.T) {
	clock := &fakeClock{time.Unix(1000, 0)}
	l := newLimiter(time.Minute, clock.now)
	for _, c := range []Cause{CauseSlowRequest, CauseGrowth, CauseDeadlines, CauseCall} {
		if wait := l.take(c); wait != 0 {
			t.Errorf("%s has to wait %v for the others", c, wait)
		}
		clock.t = clock.t.Add(time.Second)
		if wait := l.take(c); wait != 59*time.Second {
			t.Errorf("%s: the next in %v, want 59s", c, wait)
		}
	}
}
