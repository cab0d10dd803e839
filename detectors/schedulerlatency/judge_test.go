package schedulerlatency

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

func confidence(found []detectors.Finding) float64 {
	if len(found) != 1 {
		return 0
	}
	return found[0].Confidence
}

func TestJudgePauses(t *testing.T) {
	// stops is a line that has stopped the world n times, in a trace of a length.
	type scene struct {
		n       int
		each    time.Duration
		waited  time.Duration // by the callers
		length  time.Duration
		testing bool
	}
	tests := []struct {
		name  string
		scene scene
		want  bool
	}{
		{"long stops", scene{n: 10, each: 5 * ms, length: time.Second}, true},
		{"short stops, and long waits of the callers", scene{n: 10, each: ms / 10, waited: 200 * ms, length: time.Second}, true},
		{"short stops", scene{n: 10, each: ms / 10, length: time.Second}, false},
		{"a debug request", scene{n: 1, each: 50 * ms, length: time.Second}, false},
		{"now and then in a long trace", scene{n: 10, each: 5 * ms, length: time.Minute}, false},
		{"a test of it", scene{n: 10, each: 5 * ms, length: time.Second, testing: true}, false},

		// Thresholds, from both sides.
		{"three stops", scene{n: 3, each: 20 * ms, length: time.Second}, true},
		{"two stops", scene{n: 2, each: 20 * ms, length: time.Second}, false},
		{"20 ms", scene{n: 4, each: 5 * ms, length: 200 * ms}, true},
		{"less than 20 ms", scene{n: 4, each: 5*ms - 1, length: 200 * ms}, false},
		{"over a fiftieth of the trace", scene{n: 10, each: 5 * ms, length: 2490 * ms}, true},
		{"under a fiftieth of the trace", scene{n: 10, each: 5 * ms, length: 2510 * ms}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := detectortest.Judge(t, Detector, nil, func(pass *detectors.Pass, p *traceload.Program) {
				p.Now = traceload.Time(tt.scene.length)
				c := &call{callee: "runtime.GC", stops: tt.scene.n, stopped: time.Duration(tt.scene.n) * tt.scene.each, waited: tt.scene.waited, testing: tt.scene.testing}
				for range tt.scene.n {
					c.lengths.Add(tt.scene.each)
				}
				a := &pauses{calls: map[callKey]*call{{}: c}}
				a.judge(&observer{pass: pass}, p)
			})
			if c := confidence(found); (c >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v", c, tt.want)
			}
		})
	}
}

// A single stop that the operating system made long does not count in full.
func TestOutliersAreCutDown(t *testing.T) {
	c := &call{stops: 3, stopped: 102 * ms}
	for _, d := range []time.Duration{ms, ms, 100 * ms} {
		c.lengths.Add(d)
	}
	if cost := c.cost(); cost > 13*ms {
		t.Errorf("cost %v, want four times the median for each", cost)
	}
}

func TestJudgeAssists(t *testing.T) {
	type scene struct {
		own     time.Duration // running time of the program's goroutines, 1 s if zero
		total   time.Duration // of this for the collector
		marked  time.Duration // in a trace of a second
		cycles  int
		live    int64
		goal    int64
		testing bool
	}
	tests := []struct {
		name  string
		scene scene
		want  bool
	}{
		{"the collector hardly pauses", scene{total: 200 * ms, marked: 800 * ms, cycles: 20}, true},
		{"a third of the time", scene{total: 330 * ms, marked: 300 * ms, cycles: 20}, true},
		{"a limit close to what is alive", scene{total: 200 * ms, marked: 300 * ms, cycles: 20, live: 100 << 20, goal: 110 << 20}, true},
		{"some of it, with room to grow", scene{total: 150 * ms, marked: 300 * ms, cycles: 20, live: 100 << 20, goal: 200 << 20}, false},
		{"little of it", scene{total: 60 * ms, marked: 800 * ms, cycles: 20}, false},
		{"a program that starts", scene{total: 200 * ms, marked: 800 * ms, cycles: 2}, false},
		{"a test of it", scene{total: 200 * ms, marked: 800 * ms, cycles: 20, testing: true}, false},

		// Thresholds, from both sides.
		{"50 ms", scene{own: 300 * ms, total: 50 * ms, marked: 800 * ms, cycles: 20}, true},
		{"less than 50 ms", scene{own: 300 * ms, total: 50*ms - 1, marked: 800 * ms, cycles: 20}, false},
		{"over 12% of the time", scene{total: 121 * ms, marked: 800 * ms, cycles: 20}, true},
		{"under 12% of the time", scene{total: 119 * ms, marked: 800 * ms, cycles: 20}, false},
		{"four cycles", scene{total: 200 * ms, marked: 800 * ms, cycles: 4}, true},
		{"three cycles", scene{total: 200 * ms, marked: 800 * ms, cycles: 3}, false},
		{"the heap may grow by 34%", scene{total: 200 * ms, marked: 300 * ms, cycles: 20, live: 100 << 20, goal: 134 << 20}, true},
		{"the heap may grow by 36%", scene{total: 200 * ms, marked: 300 * ms, cycles: 20, live: 100 << 20, goal: 136 << 20}, false},
		{"marking half of the time", scene{total: 200 * ms, marked: 501 * ms, cycles: 20}, true},
		{"marking less than half of the time", scene{total: 200 * ms, marked: 499 * ms, cycles: 20}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := detectortest.Judge(t, Detector, nil, func(pass *detectors.Pass, p *traceload.Program) {
				s := tt.scene
				p.Now = traceload.Time(time.Second)
				if s.own == 0 {
					s.own = time.Second
				}
				a := &assists{cycles: s.cycles, marked: s.marked, lives: s.live, goals: s.goal, known: 1,
					sites: map[traceload.FrameID]*assistSite{0: {total: s.total, count: 100, goroutines: detectortest.Roll(1), testing: s.testing}}}
				a.judge(&observer{pass: pass, own: s.own}, p)
			})
			if c := confidence(found); (c >= 0.5) != tt.want {
				t.Errorf("confidence %.2f, want a finding: %v", c, tt.want)
			}
		})
	}
}

// TestWeighSaturation: what speaks against the program being at fault.
func TestWeighSaturation(t *testing.T) {
	// starving is 20 goroutines that came late because one ran for a second.
	starving := func(change func(*observer, *starvation)) float64 {
		s := &starvation{share: 0.9, busy: 1, rest: 0.2, hogs: []*hog{{cpu: time.Second}}, victims: []*crew{{late: detectortest.Roll(20)}},
			sum: victims{count: 50, wait: time.Second, work: 10 * ms}}
		o := &observer{busy: 2 * time.Second, own: 2 * time.Second}
		change(o, s)
		o.weigh(s)
		return s.odds.Confidence(-1)
	}
	tests := []struct {
		name   string
		change func(*observer, *starvation)
		want   bool
	}{
		{"one computes, many wait", func(*observer, *starvation) {}, true},
		{"a thread that the operating system stopped now and then", func(o *observer, _ *starvation) { o.spilt = 300 * ms }, true},

		{"the operating system had other things to run", func(o *observer, s *starvation) { o.spilt, s.rest = 310*ms, 0.6 }, false},
		{"the machine is too small", func(_ *observer, s *starvation) { s.rest, s.share = 0.81, 0.79 }, false},
		{"one that waits has as much to do", func(_ *observer, s *starvation) {
			s.sum.work, s.victims[0].late, s.rest = time.Second, detectortest.Roll(1), 0.6
		}, false},
		{"samples show that threads did not run", func(o *observer, s *starvation) { o.samples, s.share = 50, 0.7; s.rest = 0.6 }, false},
		{"a test of it", func(_ *observer, s *starvation) { s.hogs[0].testing = true }, false},
	}
	for _, tt := range tests {
		if c := starving(tt.change); (c >= 0.5) != tt.want {
			t.Errorf("%s: confidence %.2f, want a finding: %v", tt.name, c, tt.want)
		}
	}
}
