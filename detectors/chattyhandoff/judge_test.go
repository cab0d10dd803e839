package chattyhandoff

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

const us = time.Microsecond

// busyLink is a link with n transfers in a burst, a pause and an amount of
// work apart, each of which took the woken goroutine a latency to run.
func busyLink(n int, pause, work, latency time.Duration) *link {
	l := &link{}
	for i := range n {
		if l.transfer(traceload.Time(i)*traceload.Time(pause), pause, true) {
			l.started(latency)
		}
		l.work.Add(work)
	}
	return l
}

func TestWeigh(t *testing.T) {
	tests := []struct {
		name   string
		link   *link
		length time.Duration
		want   bool
	}{
		{"nothing but hand-overs", busyLink(10_000, us/2, us/5, us/4), time.Second, true},
		{"on another processor", busyLink(10_000, 5*us, us, 3*us), time.Second, true},
		{"work that is worth it", busyLink(15_000, 60*us, 50*us, us), time.Second, false},
		{"work that is worth it, on many processors", busyLink(50_000, 6*us, 50*us, us), time.Second, false},
		{"too few", busyLink(3_000, us/2, us/5, us/4), time.Second, false},
		{"too few for so long a trace", busyLink(10_000, us/2, us/5, us/4), time.Minute, false},
		{"no haste", busyLink(10_000, 300*us, us/5, us/4), 3 * time.Second, false},
		{"a hundred thousand a second at leisure", busyLink(20_000, 50*us, us, 20*us), time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &chatter{cause: perItem, link: tt.link}
			c.weigh(&traceload.Program{Now: traceload.Time(tt.length)})
			if (c.confidence >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v; %d busy, work %v, share %.2f", c.confidence, tt.want, c.busy, c.work, c.share())
			}
		})
	}
}

func TestATestsOwnHandOversAreNotReported(t *testing.T) {
	l := busyLink(100_000, us/2, us/5, us/4)
	l.give.testing = true
	c := &chatter{cause: perItem, link: l}
	c.weigh(&traceload.Program{Now: traceload.Time(time.Second)})
	if c.confidence >= 0.5 {
		t.Errorf("confidence %.2f", c.confidence)
	}
}

func TestLostTimeIsBounded(t *testing.T) {
	l := busyLink(1000, 100*us, us, time.Millisecond) // a busy machine
	if limit := 1000 * (wakeAtMost + parkAndWake); l.lost > limit {
		t.Errorf("lost %v, more than %v", l.lost, limit)
	}
}

func TestWhoAsks(t *testing.T) {
	few, many := end{goroutines: 1, depth: 1}, end{goroutines: 8, depth: 3}
	tests := []struct {
		name          string
		request, back *link
	}{
		{"who begins after a pause", &link{opens: 20, give: few, take: many}, &link{opens: 1, give: many, take: few}},
		{"many ask one", &link{give: many, take: few}, &link{give: few, take: many}},
		{"deep within the program", &link{give: end{depth: 4}, take: end{depth: 1}}, &link{give: end{depth: 1}, take: end{depth: 4}}},
		{"who was first", &link{first: 1}, &link{first: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !asks(tt.request, tt.back) || asks(tt.back, tt.request) {
				t.Errorf("asks(request, back) = %v, asks(back, request) = %v", asks(tt.request, tt.back), asks(tt.back, tt.request))
			}
		})
	}
}

func TestSettle(t *testing.T) {
	giver, taker := end{frame: 1}, end{frame: 2}
	l := &link{unsure: true, give: taker, take: giver, opens: 10, opensByTake: 9}
	l.story[0] = story{giver: 2, taker: 1, takerWoken: false}
	l.settle()
	if l.give.frame != giver.frame || l.take.frame != taker.frame {
		t.Errorf("gives at %d, takes at %d", l.give.frame, l.take.frame)
	}
	if l.story[0] != (story{giver: 1, taker: 2, takerWoken: true}) {
		t.Errorf("the story was not turned: %+v", l.story[0])
	}
	sure := &link{give: giver, take: taker, opens: 10, opensByTake: 9}
	if sure.settle(); sure.give.frame != giver.frame {
		t.Error("a link that is sure was turned")
	}
}

func TestTheRequestAnsweredMostIsFound(t *testing.T) {
	a, b, l := &link{}, &link{}, &link{}
	for i := range 30 {
		if i%3 == 0 {
			l.answer(b)
		} else {
			l.answer(a)
		}
	}
	if l.request != a {
		t.Error("the rarer one won")
	}
}
