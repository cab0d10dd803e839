package births

import (
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

// life is one goroutine's; one that does not end has no end.
type life struct{ born, end time.Duration }

const noEnd = time.Duration(math.MaxInt64)

// live plays lives at one site, and ends the trace after length. All their time
// passes with what.
func live(length time.Duration, what Pastime, lives []life) (*Table, *Site) {
	t := newTable()
	s := &Site{Creators: 1, First: traceload.Time(lives[0].born)}
	t.all = []*Site{s}
	type event struct {
		at     time.Duration
		number int
		ends   bool
	}
	var events []event
	for i, l := range lives {
		if l.born >= length {
			continue
		}
		events = append(events, event{l.born, i, false})
		if l.end < length {
			events = append(events, event{l.end, i, true})
		}
		s.Spent[what] += min(l.end, length) - l.born
		if l.end >= length {
			s.total += length - l.born
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	for _, e := range events {
		if e.ends {
			t.remove(s, e.number, e.at-lives[e.number].born, traceload.Time(e.at))
		} else {
			t.add(s, traceload.Time(e.at))
		}
	}
	t.now = traceload.Time(length)
	t.slice(t.now)
	for _, l := range lives {
		if l.end >= length && length-l.born >= s.oldAge() {
			s.outlived++
		}
	}
	return t, s
}

// each makes a life of the given length begin after each gap, from from to to.
func each(gap, from, to time.Duration, length func(born time.Duration) time.Duration) (lives []life) {
	for at := from; at < to; at += gap {
		end := length(at)
		if end != noEnd {
			end += at
		}
		lives = append(lives, life{at, end})
	}
	return lives
}

func always(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

// queue serves lives one after the other, each for service, first come first served.
func queue(service time.Duration, lives []life) []life {
	free := time.Duration(0)
	for i := range lives {
		free = max(free, lives[i].born) + service
		lives[i].end = free
	}
	return lives
}

func TestClimb(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	between := func(lo, hi time.Duration) func(time.Duration) time.Duration {
		return func(time.Duration) time.Duration { return lo + time.Duration(random.Int63n(int64(hi-lo))) }
	}
	var storm []life // four, eight, sixteen, … in each 250 ms
	for n, at := 4, time.Duration(0); at < 2*time.Second; n, at = 2*n, at+250*ms {
		for i := range n {
			born := at + 250*ms*time.Duration(i)/time.Duration(n)
			storm = append(storm, life{born, born + 240*ms})
		}
	}
	later := func(lives []life, by time.Duration) []life {
		lives = slices.Clone(lives)
		for i := range lives {
			lives[i].born += by
			lives[i].end += by
		}
		return lives
	}
	slow := func(gap, length time.Duration) []life { return queue(60*ms, each(gap, 0, length, always(0))) }
	tests := []struct {
		name   string
		length time.Duration
		what   Pastime
		lives  []life
		change func(*Site)
		want   float64 // confidence at least; 0 for less than 0.5
	}{
		{"a lock that is too slow", time.Second, Queueing, slow(10*ms, time.Second), nil, 0.9},
		{"a queue of receives that grows", 2 * time.Second, Turn, queue(15*ms, each(10*ms, 0, 2*time.Second, always(0))), nil, 0.8},
		{"tokens that are handed on", time.Second, Turn, slow(10*ms, time.Second), func(s *Site) { s.turns, s.relayed = 15, 15 }, 0.9},
		{"a queue whose head was born before the trace", time.Second, Queueing, each(5*ms, 0, time.Second, always(noEnd)), func(s *Site) { s.lost = 17 }, 0.8},
		{"a lock that is fast enough", time.Second, Queueing, queue(9*ms, each(10*ms, 0, time.Second, always(0))), nil, 0},
		{"those who never end", 2 * time.Second, Sleeping, each(10*ms, 0, 2*time.Second, always(noEnd)), nil, 0.5},
		{"few who never end", 2 * time.Second, Sleeping, each(100*ms, 0, 2*time.Second, always(noEnd)), nil, 0},
		{"some who never end", 2 * time.Second, Resting, slices.Concat(each(20*ms, 0, 2*time.Second, always(noEnd)), each(20*ms, 5*ms, 2*time.Second, always(10*ms))), nil, 0.8},
		{"a sink that becomes slow", 2 * time.Second, Queueing, slices.Concat(each(5*ms, 0, time.Second, always(ms)), queue(80*ms, each(5*ms, time.Second, 2*time.Second, always(0)))), nil, 0.8},
		{"a storm of retries", 2 * time.Second, Sleeping, storm, func(s *Site) { s.Own = s.Born }, 0.8},

		{"levels off at 30%", 2 * time.Second, Resting, each(5*ms, 0, 600*ms, always(noEnd)), nil, 0},
		{"levels off at 60%", 2 * time.Second, Resting, each(5*ms, 0, 1200*ms, always(noEnd)), nil, 0},
		{"levels off at 90%", 2 * time.Second, Resting, each(5*ms, 0, 1800*ms, always(noEnd)), nil, 0},
		{"levels off by itself", 2 * time.Second, Sleeping, each(5*ms, 0, 2*time.Second, always(500*ms)), nil, 0},
		{"long polls of one to three seconds", 2 * time.Second, Turn, each(10*ms, 0, 2*time.Second, between(time.Second, 3*time.Second)), nil, 0},
		{"connections", 2 * time.Second, Resting, each(10*ms, 0, 2*time.Second, always(noEnd)), func(s *Site) { s.networked = s.Alive }, 0},
		{"actors", 2 * time.Second, Resting, each(30*ms, 0, 2*time.Second, always(noEnd)), func(s *Site) { s.inTouch = s.Alive }, 0},
		{"the middle of steady sessions", time.Second, Sleeping, each(5*ms, 0, time.Second, always(noEnd)), func(s *Site) { s.lost = 190 }, 0},
		{"a sawtooth", 2 * time.Second, Queueing, slices.Concat(
			queue(3*ms, each(ms, 0, 100*ms, always(0))), queue(3*ms, each(ms, 400*ms, 500*ms, always(0))),
			queue(3*ms, each(ms, 800*ms, 900*ms, always(0))), queue(3*ms, each(ms, 1200*ms, 1300*ms, always(0))),
			queue(3*ms, each(ms, 1900*ms, 2*time.Second, always(0)))), nil, 0},
		{"a sawtooth that looks like a climb at each quarter's end", 1600 * ms, Queueing, slices.Concat([]life{{0, ms}},
			later(each(4*ms, 0, 100*ms, always(200*ms)), 300*ms), later(each(2*ms, 0, 100*ms, always(200*ms)), 700*ms),
			later(each(ms, 0, 100*ms, always(200*ms)), 1100*ms), later(each(500*time.Microsecond, 0, 100*ms, always(200*ms)), 1500*ms)), nil, 0},
		{"a standstill", time.Second, Queueing, each(5*ms, 0, time.Second, always(noEnd)), nil, 0},
		{"hardly more than before", 2 * time.Second, Queueing, slices.Concat(
			each(4*ms, 0, 500*ms, always(600*ms)), later(slow(5*ms, 880*ms), 1120*ms)), nil, 0},
		{"a crowd at once", 2 * time.Second, Queueing, each(20*time.Microsecond, time.Second, 1010*ms, always(noEnd)), nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, s := live(tt.length, tt.what, tt.lives)
			if tt.change != nil {
				tt.change(s)
			}
			c := table.Climb(s)
			switch {
			case c == nil && tt.want > 0:
				t.Error("no climb")
			case c != nil && (c.Confidence < tt.want || tt.want == 0 && c.Confidence >= 0.5):
				t.Errorf("confidence %.2f, want %.2f: %v", c.Confidence, tt.want, c.Evidence)
			}
		})
	}
}

func TestBurst(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	crowd := func(n int) []life {
		return each(10*time.Microsecond, 500*ms, 500*ms+time.Duration(n)*10*time.Microsecond, always(noEnd))
	}
	anyOrder := crowd(1000)
	for i := range anyOrder {
		anyOrder[i].end = anyOrder[i].born + 20*ms + time.Duration(random.Int63n(int64(280*ms)))
	}
	shuffled := queue(300*time.Microsecond, crowd(1000))
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i].end, shuffled[j].end = shuffled[j].end, shuffled[i].end })
	tests := []struct {
		name   string
		what   Pastime
		lives  []life
		change func(*Site)
		defect bool
	}{
		{"a lock", Queueing, queue(300*time.Microsecond, crowd(1000)), nil, true},
		{"a queue that outlasts the trace", Queueing, queue(2*ms, crowd(3000)), nil, true},
		{"tokens in a channel", Turn, queue(300*time.Microsecond, crowd(1000)), nil, true},
		{"a pool that serves anybody", Turn, shuffled, func(s *Site) { s.turns, s.relayed = 990, 980 }, true},
		{"few", Queueing, queue(300*time.Microsecond, crowd(300)), nil, false},
		{"answers in any order", Turn, anyOrder, nil, false},
		{"idle workers", Turn, crowd(1000), nil, false},
		{"a pool that is closed", Turn, each(10*time.Microsecond, 500*ms, 510*ms, always(400*ms)), nil, false},
		{"sleepers", Sleeping, queue(300*time.Microsecond, crowd(1000)), nil, false},
		{"senders that nobody receives from", Queueing, crowd(1000), nil, false},
		{"many callers", Queueing, queue(300*time.Microsecond, crowd(1000)), func(s *Site) { s.Creators = 700 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, s := live(1500*ms, tt.what, tt.lives)
			if tt.change != nil {
				tt.change(s)
			}
			b := table.Burst(s, 2)
			if found := b != nil && b.Confidence >= 0.5; found != tt.defect {
				t.Errorf("found %v, want %v: %+v", found, tt.defect, b)
			}
		})
	}
}
