package headofline

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

func TestJudge(t *testing.T) {
	// ordered is a line at which 100 results were taken; during 30 of these
	// waits others stood ready.
	ordered := func(change func(*line)) *line {
		l := &line{count: 100, proved: 30, hits: 15, lost: 200 * ms, waited: time.Second, victims: detectortest.Roll(3)}
		change(l)
		return l
	}
	tests := []struct {
		name string
		line *line
		want bool
	}{
		{"results stand ready behind a slow one", ordered(func(*line) {}), true},
		{"the work is not handed out meanwhile", ordered(func(l *line) { l.proved, l.overtaken = 0, 30 }), true},
		{"nobody has lost time: a plain join", ordered(func(l *line) { l.hits, l.lost = 0, 0 }), false},
		{"a wake-up now and then that a busy machine delays", ordered(func(l *line) { l.proved = 2 }), false},
		{"a test of it", ordered(func(l *line) { l.overtaken, l.hits, l.lost, l.testing = 30, 20, time.Second, true }), false},

		// Thresholds, from both sides.
		{"five times", ordered(func(l *line) { l.hits = 5 }), true},
		{"four times", ordered(func(l *line) { l.hits = 4 }), false},
		{"20 ms", ordered(func(l *line) { l.lost = 20 * ms }), true},
		{"less than 20 ms", ordered(func(l *line) { l.lost = 20*ms - 1 }), false},
		{"a tenth of the waits", ordered(func(l *line) { l.proved, l.overtaken = 4, 6 }), true},
		{"less than a tenth of the waits", ordered(func(l *line) { l.proved, l.overtaken = 4, 5 }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if found := judge(t, tt.line); (confidence(found) >= 0.5) != tt.want {
				t.Errorf("want a finding: %v; got %v", tt.want, found)
			}
		})
	}
	few, many := ordered(func(l *line) { l.hits = 19 }), ordered(func(l *line) { l.hits = 20 })
	if confidence(judge(t, few)) >= confidence(judge(t, many)) {
		t.Error("20 times are no surer than 19")
	}
	part, half := ordered(func(l *line) { l.lost = 499 * ms }), ordered(func(l *line) { l.lost = 500 * ms })
	if confidence(judge(t, part)) >= confidence(judge(t, half)) {
		t.Error("half a second lost for each that is waited makes it no surer")
	}
}

func judge(t *testing.T, l *line) []detectors.Finding {
	t.Helper()
	return detectortest.Judge(t, Detector, nil, func(pass *detectors.Pass, p *traceload.Program) {
		o := &observer{pass: pass, lines: []*line{l}}
		o.judge(p)
	})
}

func confidence(found []detectors.Finding) float64 {
	if len(found) != 1 {
		return 0
	}
	return found[0].Confidence
}
