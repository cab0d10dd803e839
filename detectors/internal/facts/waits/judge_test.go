package waits

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

// all returns n arrivals evenly spread over the time from from to to.
func all(n int, from, to time.Duration) (arrivals []time.Duration) {
	for i := range n {
		arrivals = append(arrivals, from+(to-from)*time.Duration(i)/time.Duration(n))
	}
	return arrivals
}

// TestJudge shows groups as the trace would, in a trace of a second unless it
// says otherwise, and asks whether they are taken to be stuck.
func TestJudge(t *testing.T) {
	const (
		send    = traceload.WaitChanSend
		receive = traceload.WaitChanReceive
		sel     = traceload.WaitSelect
		mutex   = traceload.WaitMutex
		group   = traceload.WaitWaitGroup
		cond    = traceload.WaitCond
	)
	throughout := all(20, 0, 940*ms)
	tests := []struct {
		name  string
		scene scene
		stuck bool
	}{
		// Stuck.
		{"one on a nil channel", scene{wait: traceload.WaitNilChan, arrivals: all(1, 0, 0)}, true},
		{"senders that gather", scene{wait: send, arrivals: throughout}, true},
		{"five senders that gather", scene{wait: send, arrivals: all(5, 0, 940*ms)}, true},
		{"receivers that nobody has ever woken", scene{wait: receive, arrivals: throughout}, true},
		{"receivers where others are woken at once", scene{wait: receive, arrivals: all(5, 0, 940*ms), ended: 60, usual: 8 * ms, longest: 9 * ms}, true},
		{"the same, in an incident that is over", scene{wait: receive, arrivals: all(20, 200*ms, 500*ms), last: 990 * ms, oldest: 800 * ms, median: 600 * ms, ended: 60, usual: 8 * ms, longest: 9 * ms}, true},
		{"receivers that their one sender has left", scene{wait: receive, arrivals: throughout, wokenBefore: 20, orphans: 20, ended: 80, usual: ms, longest: ms}, true},
		{"a select nobody listens to", scene{wait: sel, arrivals: throughout}, true},
		{"WaitGroups whose goroutines have ended", scene{wait: group, arrivals: all(3, 0, 940*ms), childrenGone: 3, ended: 20, usual: 9 * ms, longest: 9 * ms}, true},
		{"handlers of connections, one page in eight is never done", scene{wait: group, arrivals: all(4, 0, 940*ms), wokenBefore: 4, childrenGone: 4, ended: 20, usual: 9 * ms, longest: 9 * ms}, true},
		{"one of many signals was missed", scene{wait: cond, arrivals: throughout, ended: 40, usual: 5 * ms, longest: 5 * ms}, true},
		{"a lock that was left behind at 40%", scene{wait: mutex, arrivals: all(50, 400*ms, 950*ms), oldest: 600 * ms, median: 300 * ms}, true},
		{"workers behind a lock that was left behind", scene{wait: mutex, arrivals: all(20, 400*ms, 402*ms), last: 402 * ms, oldest: 600 * ms, median: 599 * ms, wokenBefore: 20, ended: 300, usual: ms, longest: 2 * ms}, true},
		{"senders whose reader has ended", scene{wait: send, arrivals: all(8, 0, ms), last: ms, oldest: 600 * ms, median: 600 * ms, wokenBefore: 8, serversGone: true, ended: 300, usual: ms, longest: 3 * ms}, true},
		{"rows that nobody closes", scene{wait: sel, arrivals: all(5, 0, 940*ms), forgotten: "rows"}, true},
		{"senders found parked", scene{wait: send, found: 20, length: 2 * time.Second}, true},

		{"callers who got three answers of four", scene{wait: receive, arrivals: throughout, wokenBefore: 20, outlive: 20, ended: 300, usual: ms, longest: ms}, true},
		{"one sender that the source says is forlorn", scene{wait: send, arrivals: all(1, 0, 0), reach: reach{gone: 1}}, true},
		{"three receivers that the source says are forlorn", scene{wait: receive, arrivals: all(3, 0, 900*ms), reach: reach{gone: 3}}, true},
		{"one receiver whose test is over, in a short trace", scene{wait: receive, length: 60 * ms, arrivals: all(1, 0, 0), testsOver: 1, test: "TestX"}, true},
		{"users of a queue who all wait for each other's signal", scene{wait: cond, arrivals: all(8, 0, ms), last: ms, oldest: 900 * ms, median: 900 * ms, wokenBefore: 8, cornered: true, ended: 39, usual: 2 * ms, longest: 3 * ms}, true},
		{"workers of a test that is over", scene{wait: receive, arrivals: all(50, 0, ms), last: ms, wokenBefore: 50, ended: 400, usual: 20 * ms, longest: 30 * ms, testsOver: 50}, true},
		{"the sender of a Once, whose test is over", scene{wait: send, arrivals: all(1, 0, 0), once: true, testsOver: 1}, true},
		{"receivers that requests left behind", scene{wait: receive, arrivals: all(5, 0, 940*ms), requestsOver: 5}, true},

		// At rest.
		{"idle connections, among short ones", scene{wait: receive, arrivals: throughout, wokenBefore: 20, outlive: 20, online: 20, ended: 300, usual: ms, longest: ms}, false},
		{"a pool that the source says somebody serves", scene{wait: receive, arrivals: all(50, 0, ms), last: ms, reach: reach{able: "main.go:1"}}, false},
		{"who waits for signals", scene{wait: receive, arrivals: all(1, 0, 0), reach: reach{notified: true, gone: 1}}, false},
		{"main, on a channel that nobody else knows", scene{wait: receive, arrivals: all(1, 0, 0), main: true, reach: reach{gone: 1}}, false},
		{"a timer in a test that is over", scene{wait: sel, arrivals: all(1, 0, 0), ended: 5, timers: 5, testsOver: 1}, false},
		{"a singleton that a test happened to start", scene{wait: receive, arrivals: all(1, 0, 0), once: true, testsOver: 1}, false},
		{"a known goroutine of a test that is over", scene{wait: sel, arrivals: all(1, 0, 0), atRest: "flushes", testsOver: 1}, false},
		{"a pool of workers", scene{wait: receive, arrivals: all(50, 0, ms), last: ms}, false},
		{"a pool that has worked", scene{wait: receive, arrivals: all(50, 0, ms), last: ms, wokenBefore: 50, ended: 400, usual: 20 * ms, longest: 30 * ms}, false},
		{"a pool found parked", scene{wait: sel, found: 50}, false},
		{"a pool that existed before, and worked", scene{wait: cond, found: 40, stuck: 50}, false},
		{"a warm-up", scene{wait: sel, arrivals: all(30, 0, 500*ms), last: 500 * ms}, false},
		{"workers hired on demand", scene{wait: sel, arrivals: throughout, wokenBefore: 20, ended: 300, usual: 5 * ms, longest: 9 * ms}, false},
		{"writers of open connections", scene{wait: sel, arrivals: throughout, online: 20}, false},
		{"a select that a timer ends now and then", scene{wait: sel, arrivals: all(9, 0, 940*ms), ended: 30, usual: 40 * ms, longest: 50 * ms, timers: 3}, false},
		{"a ticker's period in a test that is over", scene{wait: receive, arrivals: all(1, 0, 0), oldest: 116 * ms, ended: 1, longest: time.Second, timers: 1, testsOver: 1, creatorsEnded: 1}, false},
		{"timers", scene{wait: receive, arrivals: throughout, ended: 30, usual: 40 * ms, longest: 50 * ms, timers: 30, creatorsEnded: 20}, false},
		{"long polls", scene{wait: sel, arrivals: throughout, ended: 10, usual: 400 * ms, longest: 400 * ms}, false},
		{"parents of goroutines that live", scene{wait: group, arrivals: throughout, childrenAlive: 20}, false},
		{"main", scene{wait: receive, arrivals: all(1, 0, 0), main: true}, false},
		{"one receiver", scene{wait: receive, arrivals: all(1, 0, 0)}, false},
		{"generators, a step ahead of their readers", scene{wait: send, arrivals: all(60, 0, ms), last: ms, wokenBefore: 60, ended: 300, usual: 9 * ms, longest: 9 * ms}, false},
		{"a lock whose holder works", scene{wait: mutex, arrivals: all(50, 400*ms, 950*ms), oldest: 600 * ms, median: 300 * ms, holder: "main.go:42", holderSure: true}, false},
		{"a lock whose holder may be at work", scene{wait: mutex, arrivals: all(50, 400*ms, 950*ms), oldest: 600 * ms, median: 300 * ms, holder: "main.go:42"}, false},
		{"a lock held since shortly before the end", scene{wait: mutex, arrivals: all(50, 850*ms, 950*ms), oldest: 150 * ms, median: 100 * ms, ended: 40, usual: ms, longest: ms}, false},
		{"a lock that others got from before the trace", scene{wait: mutex, arrivals: throughout, found: 40, stuck: 60, ahead: 17, aheadSure: true}, false},
		{"a client's requests", scene{wait: sel, arrivals: throughout, code: codeNetwork}, false},
		{"goroutines that are known to rest", scene{wait: send, arrivals: throughout, atRest: "waits for work"}, false},
		{"package testing", scene{wait: receive, arrivals: throughout, code: codeTesting}, false},
		{"bodies found unread", scene{wait: sel, found: 12, length: 3 * time.Second, forgotten: "body", unused: true}, true},
		{"bodies that are being read", scene{wait: sel, arrivals: throughout, forgotten: "body", inUse: 20}, false},
		{"rows that are being read", scene{wait: sel, arrivals: all(5, 0, 940*ms), forgotten: "rows", inUse: 5}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := tt.scene
			sc.stuck = max(sc.stuck, len(sc.arrivals)+sc.found)
			if sc.length == 0 {
				sc.length = time.Second
			}
			sc.window = sc.length * 19 / 20
			if sc.last == 0 {
				sc.last = 950 * ms
			}
			if sc.oldest == 0 {
				sc.oldest, sc.median = sc.length, sc.length/2
			}
			sum := sc.judge()
			if c := sum.Confidence(prior); tt.stuck != (c >= 0.5) {
				t.Errorf("confidence %.2f: %v", c, sum.Evidence)
			}
		})
	}
}

// TestServers: few goroutines that serve a place are known, many are not.
func TestServers(t *testing.T) {
	tests := []struct {
		name string
		ids  []traceload.GoID
		how  wake
		many bool
		n    int
	}{
		{"one", []traceload.GoID{7, 7, 7}, wakeReceive, false, 1},
		{"four", []traceload.GoID{1, 2, 3, 4, 1, 2}, wakeSelect, false, 4},
		{"five", []traceload.GoID{1, 2, 3, 4, 5}, wakeReceive, true, 4},
		{"a close", []traceload.GoID{1}, wakeClose, true, 0},
	}
	for _, tt := range tests {
		var s servers
		for _, id := range tt.ids {
			s.add(id, tt.how)
		}
		if s.many != tt.many || s.n != tt.n {
			t.Errorf("%s: many %v, n %d; want %v, %d", tt.name, s.many, s.n, tt.many, tt.n)
		}
	}
	var s servers
	if s.add(others, wakeOther); !s.many {
		t.Error("a timer wakes here, and yet the servers are said to be few")
	}
}

// TestVisits: the first places of a goroutine's life are remembered however many
// follow, and who woke it there as long as that was one goroutine.
func TestVisits(t *testing.T) {
	var table Table
	var o occupant
	const home, work, market, far = 1, 2, 3, 99
	for i := range 3 {
		table.visit(&o, home, 7)
		table.visit(&o, work, traceload.GoID(i))
		table.visit(&o, market, 8)
		for i := range 20 {
			table.visit(&o, int32(4+i), 9)
		}
	}
	for site, want := range map[int32]visit{home: {7, true}, work: {others, true}, market: {8, true}, far: {}} {
		if got := table.at(&o, &Site{number: site}); got != want {
			t.Errorf("at %d: %v, want %v", site, got, want)
		}
	}
	if !o.knows(home, 7) || o.knows(home, 8) || !o.knows(work, 8) || o.knows(market, 8) {
		t.Error("not known what was noted, or known what was not")
	}
}

// TestTimerAmong: a timer ends a wait for good, a ticker only until its next beat.
func TestTimerAmong(t *testing.T) {
	done := source.ChanRef{Expr: "s.done", Origin: source.OriginField}
	after := source.ChanRef{Expr: "time.After(d)", Origin: source.OriginTimer}
	ticker := source.ChanRef{Expr: "t.C", Origin: source.OriginTicker}
	tests := []struct {
		name string
		ops  []source.ChanOp
		want string
	}{
		{"nothing known", nil, ""},
		{"done alone", []source.ChanOp{{Channels: []source.ChanRef{done}}}, ""},
		{"done or a timer", []source.ChanOp{{Channels: []source.ChanRef{done, after}}}, "time.After(d)"},
		{"done or a ticker", []source.ChanOp{{Channels: []source.ChanRef{done, ticker}}}, ""},
		{"two statements", []source.ChanOp{{Channels: []source.ChanRef{done}}, {Channels: []source.ChanRef{after}}}, ""},
	}
	for _, tt := range tests {
		if got := timerAmong(tt.ops); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestReceiver(t *testing.T) {
	for fn, want := range map[string]string{
		"main.(*Store).Get":                 "main.(*Store",
		"example.com/a/b.(*Cache[...]).Put": "example.com/a/b.(*Cache[...]",
		"main.(*Store).Get.func1":           "main.(*Store",
		"main.serve":                        "",
		"main.Counter.Add":                  "",
		"net/http.(*conn).serve":            "net/http.(*conn",
		"":                                  "",
	} {
		if got := receiver(fn); got != want {
			t.Errorf("receiver(%q) = %q, want %q", fn, got, want)
		}
	}
}
