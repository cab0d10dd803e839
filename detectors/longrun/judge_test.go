package longrun

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

// scene is a goroutine that others wait for, and what its long steps cost.
type scene struct {
	turns, served int           // 100 each
	usual         time.Duration // half of its steps; 100 µs if zero
	toll          toll
}

// busy is five steps of 30 ms, each of which kept several waiting.
func busy(change func(*scene)) scene {
	s := scene{turns: 100, served: 100, usual: ms / 10, toll: toll{
		count: 5, total: 150 * ms, length: 40 * ms, steps: 5, several: 5, hit: 15, lost: 200 * ms, victims: detectortest.Roll(5),
	}}
	change(&s)
	return s
}

func (s scene) judge(t *testing.T, cause string) (confidence float64) {
	t.Helper()
	found := detectortest.Judge(t, Detector, nil, func(pass *detectors.Pass, p *traceload.Program) {
		at := &server{served: s.served, turns: s.turns, past: new(past)}
		for range 100 {
			at.steps.Add(s.usual)
			at.waits.Add(ms / 5)
		}
		toll := s.toll
		toll.path = []traceload.FrameID{detectortest.OwnFrame(t, p)}
		*at.past.of(cause) = toll
		at.judge(&observer{pass: pass}, p, cause)
	})
	if len(found) != 1 || found[0].Cause != cause {
		return 0
	}
	return found[0].Confidence
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name  string
		scene scene
		want  bool
	}{
		{"a quick loop that computes at times", busy(func(*scene) {}), true},
		{"long steps are its work", busy(func(s *scene) { s.toll.count, s.toll.total = 60, 1800*ms }), false},
		{"all its steps take long", busy(func(s *scene) { s.usual = 20 * ms }), false},
		{"nobody waits", busy(func(s *scene) { s.toll.lost = 0 }), false},
		{"only who asked for it waits", busy(func(s *scene) { s.toll.several = 0 }), false},
		{"the call is its daily work", busy(func(s *scene) { s.toll.short = 100 }), false},
		{"a test of it", busy(func(s *scene) { s.toll.testing = true }), false},

		// Thresholds, from both sides. Lengths are kept within an eighth.
		{"40 dealings", busy(func(s *scene) { s.turns, s.served = 30, 10 }), true},
		{"39 dealings", busy(func(s *scene) { s.turns, s.served = 30, 9 }), false},
		{"a fifth of its turns", busy(func(s *scene) { s.turns = 25 }), true},
		{"more than a fifth of its turns", busy(func(s *scene) { s.turns = 24 }), false},
		{"20 ms lost", busy(func(s *scene) { s.toll.lost = 20 * ms }), true},
		{"less than 20 ms lost", busy(func(s *scene) { s.toll.lost = 20*ms - 1 }), false},
		{"two steps", busy(func(s *scene) { s.toll.steps = 2 }), true},
		{"one step", busy(func(s *scene) { s.toll.steps = 1 }), false},
		{"half of the steps take 2 ms", busy(func(s *scene) { s.usual = 2 * ms }), true},
		{"half of the steps take 2.1 ms", busy(func(s *scene) { s.usual = 2100 * time.Microsecond }), false},
		{"over ten times the usual", busy(func(s *scene) { s.usual, s.toll.total = ms, 5*11*ms }), true},
		{"under ten times the usual", busy(func(s *scene) { s.usual, s.toll.total = ms, 5*9*ms }), false},
		{"two short calls for each long one", busy(func(s *scene) { s.toll.short = 10 }), true},
		{"more short calls", busy(func(s *scene) { s.toll.short = 11 }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, cause := range []string{onCPU, inSyscall} {
				if c := tt.scene.judge(t, cause); (c >= 0.5) != tt.want {
					t.Errorf("%s: confidence %.2f, want a finding: %v", cause, c, tt.want)
				}
			}
		})
	}
}

// TestEvidence: each observation makes it surer from its threshold on, and not before.
func TestEvidence(t *testing.T) {
	tests := []struct {
		name        string
		less, surer scene
	}{
		{"four wait", busy(func(s *scene) { s.toll.victims = detectortest.Roll(3) }), busy(func(s *scene) { s.toll.victims = detectortest.Roll(4) })},
		{"several wait, half of the times", busy(func(s *scene) { s.toll.victims, s.toll.several = detectortest.Roll(3), 2 }), busy(func(s *scene) { s.toll.victims, s.toll.several = detectortest.Roll(3), 3 })},
		{"five times", busy(func(s *scene) { s.toll.steps = 4 }), busy(func(s *scene) { s.toll.steps = 5 })},
		{"ten times what is waited otherwise", busy(func(s *scene) { s.toll.length = 17 * ms / 10 }), busy(func(s *scene) { s.toll.length = 23 * ms / 10 })},
	}
	for _, tt := range tests {
		if less, surer := tt.less.judge(t, onCPU), tt.surer.judge(t, onCPU); less == 0 || less >= surer {
			t.Errorf("%s: confidence %.3f, and %.3f", tt.name, less, surer)
		}
	}
}
