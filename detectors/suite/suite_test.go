package suite_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/internal/patterns"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/traceload"
)

var update = flag.Bool("update", false, "rewrite the README's table of detectors")

// contract is what other programs rely on: families, detectors and causes. A
// name, once released, keeps its meaning; this table only grows.
var contract = map[string]struct {
	family detectors.Family
	causes string
}{
	"lock-held-while-blocked": {detectors.Locks, "sleep network channel select syscall wait lock"},
	"lock-contention":         {detectors.Locks, "convoy writer-starved readers-blocked"},
	"deadlock":                {detectors.Locks, "self-lock lock-order recursive-read lock-channel lock-wait unreleased"},
	"goroutine-leak":          {detectors.Growth, "chan-send chan-receive select nil-channel wait-group cond mutex context"},
	"goroutine-growth":        {detectors.Growth, "unbounded burst"},
	"cancel-ignored":          {detectors.Cancellation, "outlives slow-to-stop"},
	"cancel-never-fired":      {detectors.Cancellation, "context done-channel foreign-context"},
	"timeout-abandons-work":   {detectors.Timeouts, "late-sender still-running"},
	"timeout-fired":           {detectors.Timeouts, "context-deadline timer-select"},
	"wait-unbounded":          {detectors.Timeouts, "network channel lock"},
	"timer-churn":             {detectors.Timeouts, "after-in-loop polling"},
	"chatty-handoff":          {detectors.Batching, "per-item ping-pong"},
	"serial-waits":            {detectors.Batching, "same-call independent-calls"},
	"small-io":                {detectors.Batching, "syscall network"},
	"tiny-goroutines":         {detectors.Batching, "spawn-per-item"},
	"fan-out-runs-on":         {detectors.Cancellation, "first-error"},
	"head-of-line":            {detectors.Batching, "in-order"},
	"long-run":                {detectors.Scheduling, "cpu syscall"},
	"scheduler-latency":       {detectors.Scheduling, "saturated stop-the-world gc-assist"},
}

func TestContract(t *testing.T) {
	list := suite.All()
	if err := detectors.Validate(list); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(list, func(a, b *detectors.Detector) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("suite.All is not sorted by name")
	}
	for _, d := range list {
		c, ok := contract[d.Name]
		if !ok {
			t.Errorf("%s does not stand in the contract", d.Name)
			continue
		}
		var causes []string
		for _, cause := range d.Causes {
			causes = append(causes, cause.Name)
		}
		if d.Family != c.family || strings.Join(causes, " ") != c.causes {
			t.Errorf("%s: family %s, causes %v; the contract says %s, %s", d.Name, d.Family, causes, c.family, c.causes)
		}
		for _, y := range d.Yields {
			if _, ok := contract[y]; !ok {
				t.Errorf("%s yields to %s, which does not stand in the contract", d.Name, y)
			}
		}
		dir := strings.ReplaceAll(d.Name, "-", "")
		if _, err := os.Stat(filepath.Join("..", dir, dir+".go")); err != nil {
			t.Errorf("%s: its room should be detectors/%s: %v", d.Name, dir, err)
		}
	}
	for name := range contract {
		if !slices.ContainsFunc(list, func(d *detectors.Detector) bool { return d.Name == name }) {
			t.Errorf("%s is not in the suite", name)
		}
	}
}

// TestEveryCauseHasAPair: a defect that asks for the cause, and its mended twin.
func TestEveryCauseHasAPair(t *testing.T) {
	asked := map[string]bool{}
	twins := map[string]int{}
	for _, h := range detectortest.Halves(t, "") {
		twins[h.Fixture]++
		for _, w := range h.Wants {
			asked[w.Detector+"/"+w.Cause] = true
		}
		if h.Name == "mended" && len(h.Wants) > 0 {
			t.Errorf("%s/mended asks for findings", h.Fixture)
		}
		if h.Name == "defect" && len(h.Wants) == 0 {
			t.Errorf("%s/defect asks for nothing", h.Fixture)
		}
		if h.Name == "defect" {
			if _, err := os.Stat(filepath.Join(h.Dir, "..", "mended", "main.go")); err != nil {
				t.Errorf("%s has no mended half", h.Fixture)
			}
		}
	}
	for _, d := range suite.All() {
		for _, c := range d.Causes {
			if !asked[d.Name+"/"+c.Name] {
				t.Errorf("no fixture asks for %s/%s", d.Name, c.Name)
			}
		}
	}
}

// TestEveryRepairIsSuggested: a repair that no cause names is one that nobody gets to see.
func TestEveryRepairIsSuggested(t *testing.T) {
	named := map[string]bool{}
	for _, d := range suite.All() {
		for _, c := range d.Causes {
			for _, id := range c.Patterns() {
				named[id] = true
			}
		}
	}
	for _, p := range patterns.All() {
		if !named[p.ID] {
			t.Errorf("no cause of any detector names the repair %s: add it to the Others of one that it mends", p.ID)
		}
	}
}

// TestEverythingOnEverything runs all detectors over all fixtures: the mended
// halves must be silent for every one of them.
func TestEverythingOnEverything(t *testing.T) {
	for _, h := range detectortest.Halves(t, "") {
		detectortest.Check(t, h, suite.All()...)
	}
}

// TestNoAllocationPerEvent compares the allocations of a walk with one detector
// to those of a bare walk, on the largest fixture.
func TestNoAllocationPerEvent(t *testing.T) {
	trace := largest(t)
	bare, events := mallocs(t, trace)
	for _, d := range suite.All() {
		with, _ := mallocs(t, trace, d)
		if extra := float64(with) - float64(bare); extra > float64(events)/20 {
			t.Errorf("%s allocates %.0f times more than a bare walk of %d events", d.Name, extra, events)
		}
	}
}

func largest(t *testing.T) []byte {
	var best []byte
	for _, h := range detectortest.Halves(t, "") {
		for _, trace := range h.Traces {
			if !strings.HasSuffix(trace, "go1.26.trace.zst") {
				continue
			}
			data, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > len(best) {
				best = data
			}
		}
	}
	return best
}

// mallocs returns how many objects an analysis allocates; the least of some
// runs, since other goroutines allocate too.
func mallocs(t *testing.T, trace []byte, list ...*detectors.Detector) (n uint64, events int64) {
	n = ^uint64(0)
	for range 3 {
		in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: bytes.NewReader(trace)})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := detectors.Analyze(in, list, detectors.Config{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		in.Close()
		n = min(n, after.Mallocs-before.Mallocs)
		events = detectors.NewReport([]*detectors.Result{res}, detectors.Options{}).Traces[0].Events
	}
	return n, events
}

const readme = "../../README.md"

// TestReadmeTable keeps the README's table of detectors true.
func TestReadmeTable(t *testing.T) {
	const begin, end = "<!-- detectors:begin -->\n", "<!-- detectors:end -->"
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("README.md lacks the marks %q and %q", begin, end)
	}
	var b strings.Builder
	b.WriteString("| family | detector | finds | causes |\n| --- | --- | --- | --- |\n")
	for _, f := range detectors.Families() {
		for _, d := range suite.All() {
			if d.Family != f {
				continue
			}
			var causes []string
			for _, c := range d.Causes {
				causes = append(causes, "`"+c.Name+"`")
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", f, d.Name, strings.TrimPrefix(d.Synopsis(), "finds "), strings.Join(causes, ", "))
		}
	}
	if b.String() == old {
		return
	}
	if !*update {
		t.Fatalf("README.md's table of detectors is not up to date; run: go test ./detectors/suite -update")
	}
	if err := os.WriteFile(readme, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
