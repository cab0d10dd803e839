package serialwaits

import (
	"math"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

const ms = time.Millisecond

func TestWorth(t *testing.T) {
	// lost is what so many units of a length each have lost, each so much.
	lost := func(units, named int, length, saved time.Duration) stats {
		n := time.Duration(units)
		return stats{units: units, named: named, length: n * length, saved: n * saved}
	}
	tests := []struct {
		name  string
		stats stats
		want  bool
	}{
		{"requests that could take half as long", lost(20, 0, 20*ms, 10*ms), true},
		{"one task", lost(1, 1, 20*ms, 10*ms), true},
		{"one task as long as the trace", lost(1, 1, time.Second, 500*ms), true},
		{"none", stats{}, false},

		// Thresholds, from both sides.
		{"three requests", lost(3, 0, 20*ms, 10*ms), true},
		{"two requests", lost(2, 0, 20*ms, 10*ms), false},
		{"1 ms each", lost(20, 0, 3*ms, ms), true},
		{"under 1 ms each", lost(20, 0, 3*ms, ms-1), false},
		{"over a fifth of the time", lost(20, 0, 100*ms, 21*ms), true},
		{"under a fifth of the time", lost(20, 0, 100*ms, 19*ms), false},
		{"a quarter of the trace each", lost(3, 0, 250*ms, 125*ms), true},
		{"more than a quarter of the trace each: it goes on and on", lost(3, 0, 251*ms, 125*ms), false},
	}
	for _, tt := range tests {
		if got := tt.stats.worth(traceload.Time(time.Second)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// inRow is a source of which only calls in a row are known.
type inRow struct {
	detectors.Source
	row source.Row
}

func (s inRow) InRow(source.Frame, []int) (source.Row, bool) { return s.row, true }
func (s inRow) Lines(string, int, int) ([]source.Line, bool) { return nil, false }
func (s inRow) Warnings() []string                           { return nil }

// scene is calls in 20 requests of 20 ms each, which could take half as long.
type scene struct {
	each  int  // equal calls of a request; 0: two different ones, in a row
	named int  // of the requests: tasks
	raw   bool // on one connection
	row   *source.Row
}

func (s scene) judge(t *testing.T) []detectors.Finding {
	t.Helper()
	var src detectors.Source
	if s.row != nil {
		src = inRow{row: *s.row}
	}
	return detectortest.Judge(t, Detector, src, func(pass *detectors.Pass, p *traceload.Program) {
		p.Now = traceload.Time(time.Second)
		lost := stats{units: 20, named: s.named, length: 20 * 20 * ms, sum: 20 * 15 * ms, saved: 20 * 10 * ms, goroutines: detectortest.Roll(1)}
		at := detectortest.OwnFrame(t, p)
		o := &observer{pass: pass}
		if s.each > 0 {
			c := &call{place: []traceload.FrameID{at}, raw: s.raw}
			o.again = append(o.again, &loop{call: c, calls: 20 * s.each, most: s.each, stats: lost})
		} else {
			r := &row{n: 2, stats: lost}
			for i := range r.n {
				r.calls[i] = &call{place: []traceload.FrameID{at}, raw: s.raw}
			}
			o.found = append(o.found, r)
		}
		o.judge(p)
	})
}

func TestJudge(t *testing.T) {
	items := source.Row{Loop: source.RowItems, Values: true}
	tests := []struct {
		name       string
		scene      scene
		confidence float64 // about; 0 for no finding
		unproven   bool    // low severity at most
		repair     string
	}{
		// The same call again and again.
		{"a loop over items, says the source", scene{each: 8, row: &items}, 0.88, false, "bounded-calls"},
		{"a loop, without source", scene{each: 8}, 0.73, false, "bounded-calls"},
		{"ten of them", scene{each: 10}, 0.80, false, "bounded-calls"},
		{"nine of them", scene{each: 9}, 0.73, false, "bounded-calls"},
		{"in tasks", scene{each: 8, named: 20}, 0.79, false, "bounded-calls"},
		{"on one connection", scene{each: 8, raw: true}, 0.65, true, onOneConnection},
		{"pages, each of which names the next", scene{each: 8, row: &source.Row{Loop: source.RowItems, Feeds: true, Values: true}}, 0, false, ""},
		{"jobs of a queue", scene{each: 8, row: &source.Row{Loop: source.RowQueue, Values: true}}, 0, false, ""},
		{"until something happens", scene{each: 8, row: &source.Row{Loop: source.RowOpen, Values: true}}, 0.5, false, "bounded-calls"},

		// Different calls.
		{"none needs another, says the source", scene{row: &source.Row{Values: true}}, 0.88, false, "run-side-by-side"},
		{"different calls, without source", scene{}, 0.73, true, "run-side-by-side"},
		{"a conversation on one connection", scene{raw: true, row: &source.Row{Values: true}}, 0.83, true, "run-side-by-side"},
		{"one needs what another gave", scene{row: &source.Row{Feeds: true, Values: true}}, 0, false, ""},
		{"one gives nothing back", scene{row: &source.Row{}}, 0, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := tt.scene.judge(t)
			if tt.confidence == 0 {
				for _, f := range found {
					if f.Confidence >= 0.5 {
						t.Errorf("confidence %.2f, want none: %v", f.Confidence, f.Evidence)
					}
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("%d findings, want 1", len(found))
			}
			f := found[0]
			if math.Abs(f.Confidence-tt.confidence) > 0.01 || f.Unproven != tt.unproven {
				t.Errorf("confidence %.2f, unproven: %v, want %.2f and %v: %v", f.Confidence, f.Unproven, tt.confidence, tt.unproven, f.Evidence)
			}
			if tt.unproven && f.Severity != detectors.Low {
				t.Errorf("severity %s though unproven", f.Severity)
			}
			if f.Pattern.ID != tt.repair {
				t.Errorf("suggests %s, want %s", f.Pattern.ID, tt.repair)
			}
			if want := 20 * 10 * ms; f.Estimate.Time != want {
				t.Errorf("would save %v, want %v", f.Estimate.Time, want)
			}
		})
	}
}

// What calls take side by side: eight at a time, and never less than the longest.
func TestSaves(t *testing.T) {
	tests := []struct {
		name string
		t    tally
		want time.Duration
	}{
		{"16 equal ones", tally{n: 16, sum: 16 * ms, longest: ms}, 14 * ms},
		{"eight equal ones", tally{n: 8, sum: 8 * ms, longest: ms}, 7 * ms},
		{"one is slow", tally{n: 8, sum: 27 * ms, longest: 20 * ms}, 7 * ms},
		{"one", tally{n: 1, sum: ms, longest: ms}, 0},
	}
	for _, tt := range tests {
		if got := tt.t.saves(); got != tt.want {
			t.Errorf("%s: saves %v, want %v", tt.name, got, tt.want)
		}
	}
	ch := chain{n: 3, links: [8]link{{took: ms}, {took: 5 * ms}, {took: 2 * ms}}}
	if got := ch.saves(); got != 3*ms {
		t.Errorf("a chain saves %v, want all but the longest, 3ms", got)
	}
}

// TestCount: how many equal calls make a loop.
func TestCount(t *testing.T) {
	for n, want := range map[int]int{4: 0, 5: 1} {
		o := &observer{loops: map[*call]*loop{}, rows: map[rowKey]*row{}}
		u, c := &unit{}, &call{}
		for range n {
			u.count(c, ms)
		}
		o.count(&traceload.Program{}, 0, &visitor{}, u)
		if len(o.again) != want {
			t.Errorf("%d equal calls: %d loops, want %d", n, len(o.again), want)
		}
	}
}
