package scenes

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// An event that is of no interest to any scene allocates nothing, and neither do
// sums over all goroutines once they know a state and a stack.
func TestNoAllocations(t *testing.T) {
	in, err := traceload.Open(t.Context(), filepath.Join("..", "fixtures", "chatty-handoff-per-item", "defect", "go1.26.trace.zst"), traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	const length = 300 * time.Millisecond
	elsewhere := &detectors.Finding{Family: detectors.Growth, Groups: []detectors.Group{{Role: detectors.Leaked, Count: 1, Goroutines: []int64{1 << 40}, Entry: "main.nobody"}}}
	d := drawing{
		stage: newStage([]*detectors.Finding{elsewhere}, length), curves: newCurves([]*detectors.Finding{elsewhere}, length),
		stays: stays{held: map[traceload.GoID][]stay{}, activity: newActivity(length), losses: newLosses()},
	}
	seen, checked := map[traceload.Kind]int{}, 0
	_, _, err = traceload.Walk(in, func(p *traceload.Program, ev *traceload.Event) {
		d.observe(p, ev)
		if seen[ev.Kind]++; seen[ev.Kind]%5000 != 100 || ev.Kind == traceload.KindStatus {
			return
		}
		checked++
		if n := testing.AllocsPerRun(20, func() { d.observe(p, ev) }); n != 0 {
			t.Errorf("event %d of kind %d: %v allocations", seen[ev.Kind], ev.Kind, n)
		}
	}, nil)
	if err != nil || checked < 10 {
		t.Errorf("%d events looked at, %v", checked, err)
	}
}

// However dense the life of a goroutine, what is kept of it is bounded, without
// gaps, and adds up.
func TestMerge(t *testing.T) {
	s := &scene{stretch: stretch{opens: 0, from: 1000, to: 1 << 40, closes: 1 << 40}}
	k := s.newTrack(part{id: 1})
	at := traceload.Time(0)
	for i := range 10_000 {
		length := traceload.Time(1 + i%7)
		if i == 5000 {
			length = 100_000 // the one that matters
		}
		state := []traceload.State{traceload.StateRunning, traceload.StateWaiting, traceload.StateRunnable}[i%3]
		k.add(newSpan(at, at+length, doing{state: state}))
		at += length
		if len(k.spans) > maxSpans {
			t.Fatalf("%d spans", len(k.spans))
		}
	}
	k.spans = merge(k.spans, 10)
	if len(k.spans) != 10 {
		t.Errorf("%d spans", len(k.spans))
	}
	long, merged := 0, 0
	for i, sp := range k.spans {
		if i > 0 && sp.from != k.spans[i-1].to {
			t.Errorf("a gap before %+v", sp)
		}
		if sp.length > sp.to-sp.from || sp.merged < 1 {
			t.Errorf("%+v", sp)
		}
		if sp.length >= 100_000 && sp.length*10 > (sp.to-sp.from)*9 {
			long++
		}
		merged += sp.merged
	}
	if long != 1 || k.spans[9].to != at || merged > 10_000 || merged < 9_000 {
		t.Errorf("%d long spans, %d merged, until %d of %d", long, merged, k.spans[9].to, at)
	}
}

// The stretch that a scene shows follows from what its finding tells of.
func TestStretch(t *testing.T) {
	const ms, s = traceload.Time(time.Millisecond), traceload.Time(time.Second)
	step := func(t traceload.Time, g int64) detectors.TimelineEvent {
		return detectors.TimelineEvent{T: t, Goroutine: g}
	}
	leak := []detectors.Group{{Role: detectors.Leaked}}
	tests := []struct {
		name     string
		f        detectors.Finding
		from, to traceload.Time
	}{
		{"two steps", detectors.Finding{Timeline: []detectors.TimelineEvent{step(1*s, 1), step(1*s+8*ms, 2)}}, 1*s - 2*ms, 1*s + 10*ms},
		{"a knot that holds to the end", detectors.Finding{Timeline: []detectors.TimelineEvent{step(1*s, 1), step(1*s+8*ms, 2), step(10*s, 1)}}, 1*s - 2*ms, 1*s + 10*ms},
		{"a leak that holds to the end", detectors.Finding{Groups: leak, Timeline: []detectors.TimelineEvent{step(1*s, 1), step(10*s, 1)}}, 950 * ms, 10 * s},
		{"a leak from before the trace", detectors.Finding{Groups: leak, Timeline: []detectors.TimelineEvent{step(10*s, 1)}}, 0, 10 * s},
		{"steps not in order", detectors.Finding{Timeline: []detectors.TimelineEvent{step(1*s+8*ms, 2), step(1*s, 1)}}, 1*s - 2*ms, 1*s + 10*ms},
		{"one step long ago", detectors.Finding{Timeline: []detectors.TimelineEvent{step(1*ms, 3), step(1*s, 1), step(1*s+8*ms, 1)}}, 1*s - 2*ms, 1*s + 10*ms},
		{"the same goroutine long ago", detectors.Finding{Timeline: []detectors.TimelineEvent{step(1*s, 1), step(3*s, 2), step(3*s+8*ms, 1)}}, 950 * ms, 3*s + 8*ms + 50*ms},
		{"growth that began long ago", detectors.Finding{Family: detectors.Growth, Timeline: []detectors.TimelineEvent{step(1*s, 3), step(9*s, 1), step(9*s+8*ms, 1)}}, 950 * ms, 9*s + 8*ms + 50*ms},
		{"at the very beginning", detectors.Finding{Timeline: []detectors.TimelineEvent{step(0, 1), step(8*ms, 2)}}, 0, 10 * ms},
		{"no timeline", detectors.Finding{}, 0, 10 * s},
	}
	for _, test := range tests {
		got := stretchOf(&test.f, 10*time.Second)
		if got.opens != test.from || got.closes != test.to {
			t.Errorf("%s: from %v to %v, want %v to %v", test.name, time.Duration(got.opens), time.Duration(got.closes), time.Duration(test.from), time.Duration(test.to))
		}
	}
}
