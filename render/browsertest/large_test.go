package browsertest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/traceload"
)

// Ten thousand spans are drawn without an element for each, and move.
func TestTenThousandSpans(t *testing.T) {
	const tracks, spans = 20, 10_000
	rnd := rand.New(rand.NewPCG(1, 2))
	scene := &detectors.Scene{Frames: []detectors.Frame{{Func: "main.work", File: "main.go", Line: 7}}}
	states := []detectors.Span{{State: "running"}, {State: "runnable"}, {State: "waiting", Reason: "chan receive"}, {State: "waiting", Reason: "sync"}}
	for i := range tracks {
		track := detectors.Track{Goroutine: int64(i + 1), Role: detectors.Worker, Entry: "main.work"}
		at := traceload.Time(0)
		for range spans / tracks {
			s := states[rnd.IntN(len(states))]
			s.From = at
			at += traceload.Time(1 + rnd.IntN(100_000))
			s.To, s.Merged = at, 1
			track.Spans = append(track.Spans, s)
		}
		track.Until = at
		scene.To = max(scene.To, at)
		scene.Tracks = append(scene.Tracks, track)
	}
	for i := range 5000 {
		scene.Wakes = append(scene.Wakes, detectors.Wake{T: traceload.Time(i) * scene.To / 5000, By: rnd.IntN(tracks), Of: rnd.IntN(tracks), What: "woken"})
	}
	r := &detectors.Report{
		Schema: detectors.Schema, Traces: []detectors.Trace{{Source: "trace.out", Complete: true, Duration: 100_000_000}},
		Findings: []detectors.Finding{{Rank: 1, Detector: "x", Title: "many", Scene: scene}},
	}
	var out bytes.Buffer
	if err := render.HTML(&out, r, render.Options{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	b := open(t)
	b.load(file)
	b.key("j")
	b.until(painted + `(document.querySelector('article'))`)
	if n := eval[int](b, `document.querySelectorAll('*').length`); n > 1000 {
		t.Errorf("%d elements", n)
	}
	b.do(`document.querySelector('article .zoomable').focus()`)
	for range 8 {
		b.key("+", kb.ArrowRight, ".", kb.ArrowDown)
		b.until(painted + `(document.querySelector('article'))`)
	}
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}
