package lockheldwhileblocked_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/lockheldwhileblocked"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, lockheldwhileblocked.Detector) }

// TestStory reads one finding as a user does: who, where, at whose expense.
func TestStory(t *testing.T) {
	trace := filepath.Join(detectortest.FixtureDir(t), "lock-held-while-blocked-sleep", "defect", "go1.26.trace.zst")
	rep := detectortest.Analyze(t, trace, nil, lockheldwhileblocked.Detector)
	if len(rep.Findings) != 1 {
		t.Fatalf("%d findings, want one", len(rep.Findings))
	}
	f := rep.Findings[0]
	if want := "(*Limiter).Wait sleeps while it holds a mutex that 15 goroutines wait for"; f.Title != want {
		t.Errorf("title %q, want %q", f.Title, want)
	}
	if f.Impact.Goroutines != 15 || f.Impact.Blocked <= 0 || f.Impact.Occurrences < 100 {
		t.Errorf("impact %+v", f.Impact)
	}
	roles := map[detectors.Role]detectors.Group{}
	for _, g := range f.Groups {
		roles[g.Role] = g
	}
	holder, waiter := roles[detectors.Holder], roles[detectors.Waiter]
	if holder.State != "waiting" || holder.Reason != "sleep" || len(holder.Stack) == 0 || holder.Stack[0].Func != "time.Sleep" {
		t.Errorf("holder %+v", holder)
	}
	if waiter.Count != 15 || waiter.Reason != "sync" || len(waiter.Stack) == 0 || waiter.Stack[0].Func != "sync.(*Mutex).Lock" {
		t.Errorf("waiter %+v", waiter)
	}
	var steps []string
	for _, e := range f.Timeline {
		steps = append(steps, e.Event)
	}
	if got := strings.Join(steps, " "); !strings.HasSuffix(got, "woken released woken") || strings.Count(got, "blocked") != 2 {
		t.Errorf("timeline: %s", got)
	}
	if !slices.IsSortedFunc(f.Timeline, func(a, b detectors.TimelineEvent) int { return int(a.T - b.T) }) {
		t.Error("the timeline is not in order")
	}
	lock := f.Site // the line that takes the lock, which all waiters wait at
	lock.Line = 39
	if !slices.Contains(f.Explains, lock) {
		t.Errorf("explains %v, want the line of the Lock too", f.Explains)
	}
}
