package timerchurn

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

// scene is a line that a timer wakes goroutines at. The zero scene is 1,000
// pauses in a second, 900 of them before a look in vain, 20 looks that found
// something after five in vain each, four in the row at least and six at most.
type scene struct {
	wakes, empties int
	others         int           // wakes by something else
	pause, look    time.Duration // 1 ms and 1 µs if zero
	leaves, row    int           // 20, 5
	rowMin, rowMax int           // 4, 6
	wait           traceload.Wait
	testing        bool
	length         time.Duration // of the trace

	asked, answered int // of leaves
	last, other     int // of 100 looks that found something, and of 100 in vain: others had come to a place
	occasions       int // 100 if zero

	loop *source.Loop // what the source says
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// looper is a source of which only the loop around a line is known.
type looper struct {
	detectors.Source
	loop source.Loop
}

func (l looper) Loop(string, int) (source.Loop, bool)         { return l.loop, true }
func (l looper) Lines(string, int, int) ([]source.Line, bool) { return nil, false }
func (l looper) Warnings() []string                           { return nil }

func (s scene) judge(t *testing.T) (v *verdict) {
	t.Helper()
	var src detectors.Source
	if s.loop != nil {
		src = looper{loop: *s.loop}
	}
	detectortest.Judge(t, Detector, src, func(pass *detectors.Pass, p *traceload.Program) {
		p.Now = traceload.Time(or(s.length, time.Second))
		at := &site{
			wait: or(s.wait, traceload.WaitSleep), wakes: or(s.wakes, 1000), empties: or(s.empties, 900), others: s.others, testing: s.testing,
			leaves: or(s.leaves, 20), rowMin: or(s.rowMin, 4), rowMax: or(s.rowMax, 6), askedRows: s.asked, answeredRows: s.answered,
			occasions: or(s.occasions, 100), inVain: 100,
		}
		at.rowsTotal = at.leaves * or(s.row, 5)
		at.hits = []tally{{}, {last: int32(s.last * at.occasions / 100), other: int32(s.other)}}
		at.lateLeaves = time.Duration(at.leaves) * or(s.pause, ms) / 2
		for range at.empties {
			at.pauses.Add(or(s.pause, ms))
			at.runs.Add(or(s.look, time.Microsecond))
		}
		const place = traceload.FrameID(1) // any frame of the trace
		o := &observer{pass: pass, acts: []act{{}, {place: place}}}
		v = o.judgePoll(p, at)
	})
	return v
}

func TestJudgePoll(t *testing.T) {
	looks, paces, counts := source.LoopLooks, source.LoopPaces, source.LoopCounts
	const (
		sel     = traceload.WaitSelect
		receive = traceload.WaitChanReceive
	)
	tests := []struct {
		name  string
		scene scene
		want  bool
	}{
		// Polls.
		{"the source has a loop that looks", scene{loop: &looks}, true},
		{"others come to one place before it finds something", scene{last: 95, other: 10}, true},
		{"who was asked is done before it finds something", scene{asked: 20, answered: 19}, true},
		{"a ticker's look, says the source", scene{wait: sel, loop: &looks}, true},

		// Healthy, or not known to be otherwise.
		{"pauses, for all that is known", scene{}, false},
		{"a loop that keeps a pace", scene{loop: &paces}, false},
		{"steps of work", scene{loop: &counts}, false},
		{"steps of work, by the same number in a row", scene{rowMin: 5, rowMax: 5}, false},
		{"steps, at whose end somebody is asked", scene{last: 95, other: 10, loop: &counts}, false},
		{"a ticker's work", scene{wait: sel, last: 95, other: 10}, false},
		{"a receive from a ticker", scene{wait: receive, last: 95, other: 10}, false},
		{"others come to that place all the time", scene{last: 95, other: 90}, false},
		{"a test's pauses", scene{testing: true}, false},
		{"looks that work", scene{loop: &looks, look: 40 * time.Microsecond}, false},
		{"a slow poll", scene{loop: &looks, pause: 100 * ms}, false},
		{"few in a long trace", scene{loop: &looks, length: time.Minute}, false},

		// Thresholds, from both sides. Lengths are kept within an eighth.
		{"60 looks in vain", scene{loop: &looks, wakes: 70, empties: 60}, true},
		{"59 looks in vain", scene{loop: &looks, wakes: 70, empties: 59}, false},
		{"50 a second", scene{loop: &looks, length: 18 * time.Second}, true},
		{"under 50 a second", scene{loop: &looks, length: 18*time.Second + 100*ms}, false},
		{"pauses of 25 ms", scene{loop: &looks, pause: 25 * ms}, true},
		{"pauses of 26 ms", scene{loop: &looks, pause: 26 * ms}, false},
		{"looks of 10 µs", scene{loop: &looks, look: 10 * time.Microsecond}, true},
		{"looks of 10.5 µs", scene{loop: &looks, look: 10500}, false},
		{"a twentieth is woken otherwise", scene{loop: &looks, others: 50}, true},
		{"more than a twentieth is woken otherwise", scene{loop: &looks, others: 51}, false},
		{"half in vain", scene{loop: &looks, empties: 500}, true},
		{"less than half in vain", scene{loop: &looks, empties: 499}, false},
		{"answered three times of five", scene{asked: 20, answered: 12}, true},
		{"answered less often", scene{asked: 20, answered: 11}, false},
		{"asked five times", scene{leaves: 5, asked: 5, answered: 5}, true},
		{"asked four times", scene{leaves: 4, asked: 4, answered: 4}, false},
		{"tied to four looks of five", scene{last: 80, other: 20}, true},
		{"tied to fewer", scene{last: 79, other: 20}, false},
		{"two and a half times as often as before others", scene{last: 90, other: 36}, true},
		{"not so much more often", scene{last: 90, other: 37}, false},
		{"five occasions", scene{last: 100, other: 20, occasions: 5}, true},
		{"four occasions", scene{last: 100, other: 20, occasions: 4}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := tt.scene.judge(t)
			if got := v != nil && v.confidence >= 0.5; got != tt.want {
				t.Errorf("told: %v, want %v: %+v", got, tt.want, v)
			}
		})
	}
}

// TestPollEvidence: each observation changes the confidence from its threshold on, and not before.
func TestPollEvidence(t *testing.T) {
	tests := []struct {
		name        string
		less, surer scene
	}{
		{"four of five looks in vain", scene{empties: 799}, scene{empties: 800}},
		{"five in vain in a row", scene{row: 4}, scene{row: 5}},
		{"two in a row", scene{row: 1}, scene{row: 2}},
		{"a test", scene{testing: true}, scene{}},
		{"one number in a row, five times", scene{rowMin: 5, rowMax: 5, leaves: 5}, scene{rowMin: 5, rowMax: 5, leaves: 4}},
	}
	for _, tt := range tests {
		less, surer := tt.less.judge(t), tt.surer.judge(t)
		if less.confidence >= surer.confidence {
			t.Errorf("%s: confidence %.3f, and %.3f", tt.name, less.confidence, surer.confidence)
		}
	}
}

// Who is not known to wait for anybody is not said to be late.
func TestOnlyPollsAreLate(t *testing.T) {
	if v := (scene{}).judge(t); v.late != 0 || v.found != 0 || v.cpu <= 0 {
		t.Errorf("pauses: late %v, found %d, cpu %v", v.late, v.found, v.cpu)
	}
	if v := (scene{last: 95, other: 10}).judge(t); v.late != 20*ms/2 || v.found != 20 {
		t.Errorf("a poll: late %v, found %d", v.late, v.found)
	}
}

// TestJudgeMakers: lines that CPU samples caught in the making of timers.
func TestJudgeMakers(t *testing.T) {
	tests := []struct {
		name         string
		samples, all int
		want         bool
	}{
		{"a third of the samples", 30, 90, true},
		{"three samples of 150", 3, 150, true},
		{"two samples", 2, 50, false},
		{"ten samples in all", 5, 10, true},
		{"nine samples in all", 5, 9, false},
		{"a fiftieth of the samples", 4, 200, true},
		{"less than a fiftieth", 4, 201, false},
	}
	for _, tt := range tests {
		found := detectortest.Judge(t, Detector, nil, func(pass *detectors.Pass, p *traceload.Program) {
			o := &observer{pass: pass, samples: tt.all, running: time.Second, makers: []*maker{{samples: tt.samples}}}
			o.judgeMakers(p)
		})
		if got := len(found) == 1 && found[0].Cause == afterCause; got != tt.want {
			t.Errorf("%s: told: %v, want %v", tt.name, got, tt.want)
		}
	}
}
