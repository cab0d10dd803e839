package tinygoroutines

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// scene is a go statement and what became of the goroutines that it started.
type scene struct {
	busy            int           // in bursts; 3,000 if zero
	unfinished      int           // of them, when the trace ends
	work            time.Duration // of each; 300 ns if zero
	waited, blocked int
	testing         bool
	length          time.Duration // of the trace, 100 ms if zero
}

func (s scene) judge() *verdict {
	if s.busy == 0 {
		s.busy = 3000
	}
	if s.work == 0 {
		s.work = 300
	}
	if s.length == 0 {
		s.length = 100 * time.Millisecond
	}
	at := &site{born: s.busy, busy: s.busy, bursts: 3, waited: s.waited, blocked: s.blocked, testing: s.testing}
	for range s.busy - s.unfinished {
		at.ended++
		at.ran += s.work
		at.work.Add(s.work)
	}
	return at.judge(&traceload.Program{Now: traceload.Time(s.length)})
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name  string
		scene scene
		want  bool
	}{
		{"nothing to do", scene{}, true},
		{"about as much as a start costs", scene{work: 900}, true},
		{"a counter under a lock", scene{blocked: 2900}, true},

		{"work that is worth it", scene{work: 50 * time.Microsecond}, false},
		{"they wait for answers", scene{waited: 2900}, false},
		{"they stay", scene{unfinished: 2900}, false},
		{"few in a long trace", scene{length: time.Minute}, false},
		{"a benchmark of just this", scene{testing: true, busy: 100_000}, false},

		// Thresholds, from both sides.
		{"2000 in bursts", scene{busy: 2000}, true},
		{"1999 in bursts", scene{busy: 1999}, false},
		{"half of them have ended", scene{unfinished: 1500}, true},
		{"not half of them have ended", scene{unfinished: 1501}, false},
		{"1 µs each", scene{work: time.Microsecond}, true},
		{"1.1 µs each", scene{work: 1100}, false},
		{"a tenth waits", scene{waited: 300}, true},
		{"more than a tenth waits", scene{waited: 301}, false},
		{"over half a percent of a processor", scene{length: 239 * time.Millisecond}, true},
		{"under half a percent of a processor", scene{length: 241 * time.Millisecond}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := tt.scene.judge()
			if got := v != nil && v.confidence >= 0.5; got != tt.want {
				t.Errorf("told: %v, want %v: %+v", got, tt.want, v)
			}
		})
	}
}

// TestEvidence: each observation changes the confidence from its threshold on,
// and not before.
func TestEvidence(t *testing.T) {
	tests := []struct {
		name          string
		before, after scene
	}{
		{"less than half a start's cost", scene{work: 520}, scene{work: 500}},
		{"five times as many as needed", scene{busy: 9999}, scene{busy: 10_000}},
		{"more than a tenth is blocked", scene{blocked: 300}, scene{blocked: 301}},
	}
	for _, tt := range tests {
		before, after := tt.before.judge(), tt.after.judge()
		if after.confidence <= before.confidence {
			t.Errorf("%s: confidence %.2f before, %.2f after", tt.name, before.confidence, after.confidence)
		}
	}
}
