package smallio

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

const us = time.Microsecond

// scene is a function that makes calls, and what else the trace shows.
type scene struct {
	network, reads bool
	use            use
	calls          int           // 5,000 if zero
	each           time.Duration // 1 µs if zero
	rows           int           // 50 if zero
	longest        int           // 100 if zero
	between        time.Duration // what else goes on, for each call
	waits          int           // for room to write
	peak           int           // goroutines that wait for the network
	length         time.Duration // of the trace, 100 ms if zero
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (s scene) judge() *verdict {
	n, each := or(s.calls, 5000), or(s.each, us)
	pl := &place{
		key: key{network: s.network, writes: !s.reads}, use: &s.use,
		calls: n, rows: or(s.rows, 50), waits: s.waits, longest: or(s.longest, 100),
		spent: time.Duration(n) * each, active: time.Duration(n) * (each + s.between),
	}
	for range n {
		pl.lengths.Add(each)
	}
	o := &observer{peak: s.peak}
	return o.judge(&traceload.Program{Now: traceload.Time(or(s.length, 100*time.Millisecond))}, pl)
}

func TestJudge(t *testing.T) {
	lines := use{format: "fmt.Fprintln"}
	tests := []struct {
		name  string
		scene scene
		want  string
	}{
		// Small, and many.
		{"lines to a file", scene{use: lines}, "told"},
		{"lines to a connection", scene{use: lines, network: true}, "told"},
		{"words from a file", scene{use: use{format: "fmt.Fscan"}, reads: true}, "told"},
		{"a buffer that is flushed each time", scene{use: use{explicit: true}, network: true}, "told"},
		{"short writes to a file", scene{}, "told"},
		{"short writes to a connection", scene{network: true}, "told"},

		// Healthy, or not known to be otherwise.
		{"reads of unknown size", scene{reads: true}, "doubted"},
		{"writes of 16 kB to a connection", scene{network: true, each: 4 * us}, "doubted"},
		{"writes of 64 kB to a file", scene{each: 10 * us}, "silent"},
		{"a log", scene{use: use{format: "fmt.Fprintln", logging: true}}, "silent"},
		{"a test's own lines", scene{use: use{format: "fmt.Fprintln", testing: true}}, "silent"},
		{"a message to each of 200 connections", scene{network: true, peak: 200}, "silent"},
		{"writes that fill the other side's buffer", scene{network: true, waits: 500, longest: 1000}, "doubted"},
		{"a line now and then", scene{use: lines, between: 100 * us}, "silent"},
		{"little in a long trace", scene{use: lines, length: time.Minute}, "silent"},

		// Thresholds, from both sides.
		{"500 calls", scene{use: lines, calls: 500, each: 2 * us}, "told"},
		{"499 calls", scene{use: lines, calls: 499, each: 2 * us}, "silent"},
		{"over a tenth of the rows' time", scene{use: lines, between: 89 * us / 10}, "told"},
		{"under a tenth of the rows' time", scene{use: lines, between: 91 * us / 10}, "silent"},
		{"over half a percent of the trace", scene{use: lines, length: 990 * time.Millisecond}, "told"},
		{"under half a percent of the trace", scene{use: lines, length: 1010 * time.Millisecond}, "silent"},
		{"2.5 µs for a file", scene{use: lines, each: 2500}, "told"},
		{"2.6 µs for a file", scene{use: lines, each: 2600}, "silent"},
		{"20 µs for a connection", scene{use: lines, network: true, each: 20 * us}, "told"},
		{"21 µs for a connection", scene{use: lines, network: true, each: 21 * us}, "silent"},
		{"1.5 µs for a connection", scene{network: true, each: 1500}, "told"},
		{"1.6 µs for a connection", scene{network: true, each: 1600}, "doubted"},
		{"one in a hundred waits for room", scene{waits: 50}, "told"},
		{"more than one in a hundred waits for room", scene{waits: 51}, "silent"},
		{"fewer connections than a row has writes", scene{network: true, use: lines, peak: 99}, "told"},
		{"as many connections as a row has writes", scene{network: true, use: lines, peak: 100}, "silent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, got, confidence := tt.scene.judge(), "silent", 0.0
			if v != nil {
				got, confidence = "doubted", v.confidence
				if confidence >= 0.5 {
					got = "told"
				}
				if v.saved <= 0 || len(v.Evidence) < 2 {
					t.Errorf("saves %v, with the evidence %v", v.saved, v.Evidence)
				}
			}
			if got != tt.want {
				t.Errorf("%s (confidence %.2f), want %s", got, confidence, tt.want)
			}
		})
	}
}

func TestLongRowsSpeakForABuffer(t *testing.T) {
	short, long := scene{longest: 159}.judge(), scene{longest: 160}.judge()
	if short.confidence >= long.confidence {
		t.Errorf("confidence %.2f with rows of 159, %.2f with rows of 160", short.confidence, long.confidence)
	}
}

// What a buffer saves must stay below what the calls took.
func TestSavedIsLessThanSpent(t *testing.T) {
	v := scene{use: use{format: "fmt.Fprintln"}}.judge()
	if spent := 5000 * us; v.saved >= spent || v.saved < spent*9/10 {
		t.Errorf("saves %v of %v", v.saved, spent)
	}
}
