package waitunbounded

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

// scene is a line at which goroutines wait for an answer that somebody has
// asked for, and how long they waited.
type scene struct {
	idle    bool            // nobody has asked
	usual   time.Duration   // 5 ms if zero
	n       int             // waits of the usual length; 100 if zero
	long    []time.Duration // and besides
	ended   int             // waits that a timer or a deadline has ended
	testing bool
	source  string // a line near by
	around  string // the function around
}

// lines is a source of which only lines near by are known.
type lines struct {
	detectors.Source
	text, function string
}

func (l lines) Lines(string, int, int) ([]source.Line, bool) {
	return []source.Line{{Text: l.text}}, true
}
func (l lines) Function(string, int, bool) (string, bool) { return l.function, l.function != "" }
func (l lines) Warnings() []string                        { return nil }

// judge lets the waits end one after the other, the usual ones first.
func (s scene) judge(t *testing.T) []detectors.Finding {
	if s.usual == 0 {
		s.usual = 5 * ms
	}
	if s.n == 0 {
		s.n = 100
	}
	var src detectors.Source
	if s.source != "" || s.around != "" {
		src = lines{text: s.source, function: s.around}
	}
	o := &observer{byPlace: map[place]*site{}}
	return detectortest.Judge(t, Detector, src, func(pass *detectors.Pass, p *traceload.Program) {
		o.pass = pass
		at := &site{cause: channelCause, asks: !s.idle, testing: s.testing}
		o.sites = append(o.sites, at)
		p.Now = traceload.Time(time.Hour)
		end := func(length time.Duration, by traceload.Waker) {
			v := &guest{}
			ev := &traceload.Event{G: &traceload.Goroutine{ID: 7, Creator: traceload.NoGoroutine}, Lived: length, Waker: by}
			o.ended(p, at, v, ev)
		}
		for range s.n {
			end(s.usual, traceload.WakerGoroutine)
		}
		for range s.ended {
			end(time.Second, traceload.WakerTimer)
		}
		for _, length := range s.long {
			end(length, traceload.WakerGoroutine)
		}
		o.Finish(p)
	}, &o.slots)
}

func times(n int, d time.Duration) (list []time.Duration) {
	for range n {
		list = append(list, d)
	}
	return list
}

func TestJudge(t *testing.T) {
	second := []time.Duration{time.Second}
	tests := []struct {
		name  string
		scene scene
		want  string
	}{
		{"one answer that comes after a second", scene{long: second}, "told"},
		{"five of them", scene{long: times(5, time.Second)}, "told"},

		{"nobody waits for it: an idle worker", scene{idle: true, long: second}, "silent"},
		{"none that stands out", scene{}, "silent"},
		{"it is always late", scene{usual: time.Second, long: times(10, 2*time.Second)}, "silent"},
		{"the source sets a deadline", scene{long: second, source: "c.SetDeadline(time.Now().Add(time.Minute))"}, "doubted"},
		{"the context has a deadline", scene{long: second, around: "ctx, cancel := context.WithTimeout(ctx, 5*time.Second)"}, "doubted"},
		{"another function's context has one", scene{long: second, source: "ctx, cancel := context.WithTimeout(ctx, 5*time.Second)"}, "told"},
		{"a test that waits", scene{n: 50, long: second, testing: true}, "doubted"},

		// Thresholds, from both sides. Lengths are kept within an eighth.
		{"200 ms", scene{long: times(2, 200*ms)}, "told"},
		{"199 ms", scene{long: times(2, 199*ms)}, "silent"},
		{"over 20 times the usual", scene{usual: 20 * ms, long: times(2, 460*ms)}, "told"},
		{"under 20 times the usual", scene{usual: 20 * ms, long: times(2, 340*ms)}, "silent"},
		{"a history of 20 waits", scene{n: 20, long: second}, "told"},
		{"a history of 19 waits", scene{n: 19, long: second}, "silent"},
		{"a quarter of all", scene{n: 20, long: times(5, time.Second)}, "told"},
		{"more than a quarter of all", scene{n: 20, long: times(6, time.Second)}, "silent"},
		{"one that a timer has ended", scene{long: second, ended: 1}, "silent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := tt.scene.judge(t)
			got := "silent"
			if len(found) > 0 {
				got = "doubted"
				if found[0].Confidence >= 0.5 {
					got = "told"
				}
				if n := found[0].Impact.Occurrences; n != len(tt.scene.long) {
					t.Errorf("%d waits stood out, want %d", n, len(tt.scene.long))
				}
				if e := found[0].Estimate; e.Time <= 0 || e.Time >= found[0].Impact.Blocked {
					t.Errorf("a deadline would save %v of %v", e.Time, found[0].Impact.Blocked)
				}
			}
			if got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, found)
			}
		})
	}
}

// TestEvidence: each observation makes it surer from its threshold on, and not before.
func TestEvidence(t *testing.T) {
	tests := []struct {
		name          string
		before, after scene
	}{
		{"a hundred times what is usual", scene{long: []time.Duration{400 * ms}}, scene{long: []time.Duration{600 * ms}}},
		{"again", scene{long: times(1, time.Second)}, scene{long: times(2, time.Second)}},
		{"a hundred waits", scene{n: 99, long: times(1, time.Second)}, scene{n: 100, long: times(1, time.Second)}},
	}
	for _, tt := range tests {
		before, after := tt.before.judge(t), tt.after.judge(t)
		if len(before) != 1 || len(after) != 1 || before[0].Confidence >= after[0].Confidence {
			t.Errorf("%s: before %v, after %v", tt.name, before, after)
		}
	}
}
