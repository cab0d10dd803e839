package lockcontention_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/lockcontention"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, lockcontention.Detector) }

// TestHeldWhileBlockedIsNoContention: holders that sleep are not told here,
// although dozens of goroutines queue behind them.
func TestHeldWhileBlockedIsNoContention(t *testing.T) {
	for _, h := range detectortest.Halves(t, "lock-held-while-blocked-") {
		h.Wants = nil
		detectortest.Check(t, h, lockcontention.Detector)
	}
}

func TestStory(t *testing.T) {
	trace := filepath.Join(detectortest.FixtureDir(t), "lock-contention-writer-starved", "defect", "go1.26.trace.zst")
	rep := detectortest.Analyze(t, trace, nil, lockcontention.Detector)
	if len(rep.Findings) != 1 {
		t.Fatalf("%d findings, want one: what readers lose behind a writer belongs to the writer", len(rep.Findings))
	}
	f := rep.Findings[0]
	if !strings.HasPrefix(f.Title, "(*Catalogue).SetPrice waits for readers of the RWMutex, ") {
		t.Errorf("title %q", f.Title)
	}
	if f.Impact.Goroutines != 5 { // the writer, and four readers behind it
		t.Errorf("%d goroutines, want 5", f.Impact.Goroutines)
	}
	unlocks := false
	for _, g := range f.Groups {
		if g.Role == detectors.Holder {
			unlocks = unlocks || len(g.Stack) > 1 && g.Stack[0].Func == "sync.(*RWMutex).RUnlock" && strings.HasSuffix(g.Stack[1].Func, "(*Catalogue).Search")
		}
	}
	if !unlocks {
		t.Errorf("no group shows a reader that leaves: %+v", f.Groups)
	}
}
