package timeoutfired

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/timed"
	"github.com/tracedoc/tracedoc/traceload"
)

const (
	ms     = time.Millisecond
	length = time.Second // of the trace
)

// expiring returns lapses of so many waits of a length each, by several goroutines.
func expiring(n int, each time.Duration) *lapses {
	l := &lapses{count: n, goroutines: detectortest.Roll(n), firings: n, total: time.Duration(n) * each, measured: time.Duration(n) * each}
	for range n {
		l.lengths.Add(each)
	}
	return l
}

func (l *lapses) with(change func(*lapses)) *lapses {
	change(l)
	return l
}

// wellAfter lets n waits at s end well after a time.
func (s *site) wellAfter(n int, each time.Duration) *site {
	s.well += n
	s.goroutines = n
	for range n {
		s.lengths.Add(each)
	}
	return s
}

func TestJudgeDeadline(t *testing.T) {
	tests := []struct {
		name string
		site *site
		said timed.Select
		want bool
	}{
		{"a call that others survive", (&site{deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, true},
		{"a call that hangs", &site{deadline: expiring(30, 10*ms)}, timed.Select{}, true},
		{"a stand-in for work that a timer ends otherwise", &site{userWaits: true, deadline: expiring(30, 10*ms), timer: expiring(60, 3*ms)}, timed.Select{}, true},
		{"once", (&site{deadline: expiring(1, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, false},
		{"one deadline for all", (&site{deadline: expiring(30, 10*ms).with(func(l *lapses) { l.firings = 1 })}).wellAfter(60, 3*ms), timed.Select{}, false},
		{"now and then", (&site{deadline: expiring(5, 10*ms)}).wellAfter(95, 3*ms), timed.Select{}, false},
		{"now and then, at great cost", (&site{deadline: expiring(5, 500*ms)}).wellAfter(95, 3*ms), timed.Select{}, true},
		{"a loop that a deadline ends", (&site{userWaits: true, deadline: expiring(30, ms).with(func(l *lapses) { l.looping, l.gone = 30, 30 })}).wellAfter(90, 3*ms), timed.Select{}, false},
		{"a listener, cancelled otherwise", &site{userWaits: true, cancelled: 90, deadline: expiring(30, 10*ms)}, timed.Select{}, false},
		{"a watcher that its creator dismisses otherwise", (&site{userWaits: true, byCreator: 60, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, false},
		{"a wait for nothing but the end", &site{userWaits: true, outermost: true, deadline: expiring(30, 10*ms).with(func(l *lapses) { l.receives = 30 })}, timed.Select{}, false},
		{"a poll", (&site{userWaits: true, sent: 30, deadline: expiring(30, 10*ms).with(func(l *lapses) { l.cameBack = 30 })}).wellAfter(30, 3*ms), timed.Select{}, false},
		{"a listener for news", (&site{userWaits: true, sent: 60, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, false},
		{"a call whose request woke nobody", (&site{userWaits: true, sent: 60, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{Answer: true, Reply: true}, true},
		{"a call whose answer came from elsewhere", (&site{userWaits: true, sent: 60, askedWell: 60, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, true},
		{"a wait for a slot that goes round", (&site{userWaits: true, sent: 60, peers: 60, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, true},
		{"a test's own wait", (&site{test: true, deadline: expiring(30, 10*ms)}).wellAfter(60, 3*ms), timed.Select{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := judgeDeadline(tt.site, tt.said, length); (v.confidence >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v; %v", v.confidence, tt.want, v.evidence)
			}
		})
	}
}

func TestJudgeTimer(t *testing.T) {
	// asked: 30 of 90 waits for an answer end in vain.
	asked := func(change func(*site)) *site {
		s := &site{userWaits: true, sent: 60, askedWell: 60, answered: 60, timer: expiring(30, 10*ms).with(func(l *lapses) { l.asked, l.unfinished = 30, 30 })}
		s.wellAfter(60, 3*ms)
		change(s)
		return s
	}
	tests := []struct {
		name string
		site *site
		want bool
	}{
		{"request and answer", asked(func(*site) {}), true},
		{"the loop of one client", asked(func(s *site) { s.goroutines = 1; s.timer.looping, s.timer.retried = 30, 30 }), true},
		{"a queue that is full", (&site{userWaits: true, sent: 60, given: 60, timer: expiring(30, 10*ms)}).wellAfter(60, 3*ms), true},
		{"a pool that is empty", (&site{userWaits: true, sent: 60, peers: 60, timer: expiring(30, 10*ms)}).wellAfter(60, 3*ms), true},
		{"work that is never done in time", &site{userWaits: true, goroutines: 30, timer: expiring(30, 10*ms).with(func(l *lapses) { l.asked, l.unfinished = 30, 30 })}, true},
		{"once", asked(func(s *site) {
			s.timer = expiring(1, 10*ms).with(func(l *lapses) { l.asked, l.unfinished = 1, 1 })
		}), false},
		{"an idle limit", (&site{userWaits: true, sent: 60, timer: expiring(30, 10*ms).with(func(l *lapses) { l.gone = 30 })}).wellAfter(60, 3*ms), false},
		{"a server's main loop", asked(func(s *site) { s.timer.cameBack = 30 }), false},
		{"a flush", (&site{userWaits: true, sent: 60, returns: 50, timer: expiring(30, 10*ms).with(func(l *lapses) { l.cameBack = 30 })}).wellAfter(60, 3*ms), false},
		{"a heartbeat when nothing is outstanding", asked(func(s *site) { s.timer.asked, s.timer.unfinished, s.timer.looping = 0, 0, 30 }), false},
		{"a hedge", asked(func(s *site) { s.timer.pursued = 30 }), false},
		{"a ticker beside results", asked(func(s *site) {
			s.timer = &lapses{count: 30, asked: 30, unfinished: 30, firings: 30}
			for i := range 30 {
				s.timer.lengths.Add(time.Duration(i+1) * ms)
				s.timer.intervals.Add(20 * ms)
			}
		}), false},
		{"a test's own wait", asked(func(s *site) { s.timer.testing = 30 }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := judgeTimer(tt.site, timed.Select{}, length); (v.confidence >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v; %v", v.confidence, tt.want, v.evidence)
			}
			for i := range 1 << 4 { // whatever is reported with source, may be
				said := timed.Select{Pause: i&1 != 0, Ticker: i&2 != 0, Answer: i&4 != 0, Reply: i&8 != 0}
				if v := judgeTimer(tt.site, said, length); v != nil && v.confidence >= reportable && !mayBeReported(tt.site, length) {
					t.Errorf("%+v: confidence %.2f, and the source is not read", said, v.confidence)
				}
			}
		})
	}
}

// What the source says settles what the trace leaves open.
func TestJudgeTimerWithSource(t *testing.T) {
	request := func(change func(*site)) *site { // through busy workers: nobody seems to be asked
		s := &site{userWaits: true, goroutines: 8, sent: 60, returns: 50, timer: expiring(30, 10*ms)}
		s.wellAfter(60, 3*ms)
		change(s)
		return s
	}
	tests := []struct {
		name string
		site *site
		said timed.Select
		want bool
	}{
		{"without source", request(func(*site) {}), timed.Select{}, false},
		{"a channel made for the answer", request(func(*site) {}), timed.Select{Answer: true, Reply: true}, true},
		{"a pause", request(func(s *site) { s.askedWell, s.answered, s.timer.asked, s.returns = 60, 60, 30, 0 }), timed.Select{Pause: true}, false},
		{"a ticker", request(func(s *site) { s.askedWell, s.answered, s.timer.asked, s.returns = 60, 60, 30, 0 }), timed.Select{Ticker: true, Pause: true}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := judgeTimer(tt.site, tt.said, length); (v.confidence >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v; %v", v.confidence, tt.want, v.evidence)
			}
		})
	}
}

func TestBeatsWithSomeMissed(t *testing.T) {
	l := &lapses{}
	for i := range 20 {
		l.lengths.Add(time.Duration(i+1) * ms)
		l.interval(time.Duration(15*(1+i%2)) * ms)
	}
	if !l.beats() {
		t.Error("intervals of one and two beats are not taken for a ticker's")
	}
	l = &lapses{}
	for i := range 20 {
		l.lengths.Add(time.Duration(i+1) * ms)
		l.interval(time.Duration(15+7*(i%5)) * ms)
	}
	if l.beats() {
		t.Error("intervals of any length are taken for a ticker's")
	}
}

func TestATickerThatStartsWorkDoesNotAbandonIt(t *testing.T) {
	l := expiring(30, 10*ms).with(func(l *lapses) { l.asked, l.unfinished = 30, 30 })
	if !l.abandons() {
		t.Error("many goroutines with unfinished requests: not taken for time-outs")
	}
	l.goroutines, l.looping = detectortest.Roll(1), 29
	if l.abandons() {
		t.Error("one goroutine in a loop: taken for time-outs")
	}
}

func TestDebts(t *testing.T) {
	client, child, server := &traceload.Goroutine{ID: 1, Creator: traceload.NoGoroutine}, &traceload.Goroutine{ID: 2, Creator: 1}, &traceload.Goroutine{ID: 3, Creator: traceload.NoGoroutine}
	var v visitor
	if !v.pays(child, client) {
		t.Error("a child's first word is no answer")
	}
	if v.pays(child, client) {
		t.Error("a child's second word is an answer to nothing")
	}
	v = visitor{}
	if v.pays(server, client) {
		t.Error("a stranger's word is an answer")
	}
	v = visitor{owes: client.ID, restsAt: 7}
	if !v.pays(server, client) || v.pays(server, client) {
		t.Error("a request is not answered just once")
	}
	v = visitor{owes: client.ID, restsAt: 7}
	if v.rest(6); v.owes == 0 {
		t.Error("settled by waiting elsewhere")
	}
	if v.rest(7); v.owes != 0 {
		t.Error("not settled by coming to rest")
	}
}

func TestRequestStandsUntilAllHaveAnswered(t *testing.T) {
	var v visitor
	for id := range traceload.GoID(3) {
		v.asks(5, 9, id, true)
	}
	r := &v.request
	r.answered()
	r.answered()
	if r.at == 0 {
		t.Error("gone although one answer is outstanding")
	}
	if r.answered(); r.at != 0 {
		t.Error("still there after the last answer")
	}
}

func TestRepair(t *testing.T) {
	tests := []struct {
		name                       string
		count, retried, unfinished int
		want                       string
	}{
		{"nobody asks again", 30, 0, 0, ""},
		{"some ask again", 30, 10, 0, ""},
		{"all ask again", 30, 30, 0, retryRepair},
		{"all ask again, while the work of the last attempt goes on", 30, 30, 30, ""},
		{"all ask again, while some of that goes on", 30, 30, 10, retryRepair},
	}
	for _, tt := range tests {
		l := &lapses{count: tt.count, retried: tt.retried, unfinished: tt.unfinished}
		if got := l.repair(); got != tt.want {
			t.Errorf("%s: repair %q, want %q", tt.name, got, tt.want)
		}
	}
}
