package scenes_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

const fixtures = "../fixtures"

// drawn analyses a recorded trace and draws all parts of the report.
func drawn(t testing.TB, path string) *detectors.Report {
	t.Helper()
	res, err := detectors.Analyze(open(t, path), suite.All(), detectors.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := detectors.NewReport([]*detectors.Result{res}, detectors.Options{Version: "v0.0.0", MinSeverity: detectors.Low, MinConfidence: 0.5})
	if err := scenes.Draw(r, 0, detectors.AllParts, func() (*traceload.Input, error) { return open(t, path), nil }, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t testing.TB, path string) *traceload.Input {
	t.Helper()
	in, err := traceload.Open(context.Background(), path, traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// What holds of the pictures of every trace.
func TestInvariants(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(fixtures, "*", "defect", "*.trace.zst"))
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := filepath.Glob(filepath.Join("..", "traceload", "testdata", "waits", "*.trace.zst")) // of all versions
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths { // all of one version, one of each other
		if strings.Contains(path, "go1.26.") || strings.Contains(path, "deadlock-lock-order"+string(filepath.Separator)) {
			chosen = append(chosen, path)
		}
	}
	if len(chosen) < 100 {
		t.Fatalf("only %d traces", len(chosen))
	}
	for i, path := range chosen {
		if testing.Short() && i%5 != 0 {
			continue
		}
		t.Run(strings.TrimPrefix(filepath.ToSlash(path), "../"), func(t *testing.T) {
			t.Parallel()
			r := drawn(t, path)
			for i := range r.Findings {
				f := &r.Findings[i]
				name := f.Detector + "/" + f.Cause
				if f.Scene == nil {
					if len(f.Groups) > 0 {
						t.Errorf("%s: no scene", name)
					}
					continue
				}
				checkScene(t, name, f, r.Traces[0].Duration)
			}
			checkActivity(t, r.Traces[0].Activity, path)
			checkLosses(t, &r.Traces[0])
		})
	}
}

// A trace that breaks off is drawn as far as it goes.
func TestBrokenOff(t *testing.T) {
	whole, err := io.ReadAll(open(t, filepath.Join(fixtures, "goroutine-leak-chan-send", "defect", "go1.26.trace.zst")))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.trace")
	if err := os.WriteFile(path, whole[:len(whole)-100], 0o666); err != nil {
		t.Fatal(err)
	}
	r := drawn(t, path)
	if r.Traces[0].Complete || len(r.Findings) == 0 {
		t.Fatalf("complete: %v, %d findings", r.Traces[0].Complete, len(r.Findings))
	}
	for i := range r.Findings {
		checkScene(t, r.Findings[i].Detector, &r.Findings[i], r.Traces[0].Duration)
	}
	checkActivity(t, r.Traces[0].Activity, path)
	checkLosses(t, &r.Traces[0])
}

// What cannot be drawn says why, and leaves the report as it was.
func TestDrawErrors(t *testing.T) {
	path := filepath.Join(fixtures, "goroutine-leak-chan-send", "defect", "go1.26.trace.zst")
	other := filepath.Join(fixtures, "goroutine-leak-chan-send", "mended", "go1.26.trace.zst")
	gone := errors.New("gone")
	tests := []struct {
		name  string
		parts detectors.Parts
		open  func() (*traceload.Input, error)
		want  string // "" for no error
	}{
		{"another trace", detectors.AllParts, func() (*traceload.Input, error) { return open(t, other), nil }, "it has changed since it was read first"},
		{"no trace", detectors.Scenes, func() (*traceload.Input, error) { return nil, gone }, "gone"},
		{"nothing asked for", detectors.NoParts, func() (*traceload.Input, error) { return nil, gone }, ""},
	}
	for _, test := range tests {
		r := drawn(t, path).Only(detectors.NoParts)
		err := scenes.Draw(r, 0, test.parts, test.open, nil)
		if text := fmt.Sprint(err); text != cmp.Or(test.want, "<nil>") {
			t.Errorf("%s: error %s, want %q", test.name, text, test.want)
		}
		if r.Findings[0].Scene != nil || r.Traces[0].Activity != nil || r.Traces[0].Lost != nil {
			t.Errorf("%s: something is drawn", test.name)
		}
	}
}

// Each part is looked up only if it is asked for.
func TestParts(t *testing.T) {
	path := filepath.Join(fixtures, "goroutine-leak-chan-send", "defect", "go1.26.trace.zst")
	for _, parts := range []detectors.Parts{detectors.Scenes, detectors.Activities, detectors.Losses, detectors.AllParts} {
		r := drawn(t, path).Only(detectors.NoParts)
		if err := scenes.Draw(r, 0, parts, func() (*traceload.Input, error) { return open(t, path), nil }, nil); err != nil {
			t.Fatal(err)
		}
		for part, is := range map[detectors.Parts]bool{detectors.Scenes: r.Findings[0].Scene != nil, detectors.Activities: r.Traces[0].Activity != nil, detectors.Losses: r.Traces[0].Lost != nil} {
			if is != (parts&part != 0) {
				t.Errorf("asked for %b: part %b is %v", parts, part, is)
			}
		}
	}
}

func checkScene(t *testing.T, name string, f *detectors.Finding, length time.Duration) {
	t.Helper()
	s := f.Scene
	fail := func(format string, args ...any) { t.Helper(); t.Errorf("%s: %s", name, fmt.Sprintf(format, args...)) }
	if s.From < 0 || s.From >= s.To || s.To > traceload.Time(length) {
		fail("from %d to %d of %d", s.From, s.To, length)
	}
	if len(s.Tracks) == 0 || len(s.Tracks) > 24 {
		fail("%d tracks", len(s.Tracks))
	}
	spans, seen := 0, map[int64]bool{}
	for _, k := range s.Tracks {
		if seen[k.Goroutine] {
			fail("goroutine %d has two tracks", k.Goroutine)
		}
		seen[k.Goroutine] = true
		if strings.HasPrefix(k.Entry, "runtime.") && k.Group < 0 {
			fail("goroutine %d is the runtime's own: %s", k.Goroutine, k.Entry)
		}
		if k.Group >= len(f.Groups) || k.Group >= 0 && k.Role != f.Groups[k.Group].Role || k.Group < 0 && k.Role != "" {
			fail("goroutine %d has the role %q in group %d", k.Goroutine, k.Role, k.Group)
		}
		if len(k.Spans) == 0 {
			fail("goroutine %d does nothing", k.Goroutine)
			continue
		}
		spans += len(k.Spans)
		first, last := k.Spans[0], k.Spans[len(k.Spans)-1]
		if k.Since > first.From || first.From > s.From && k.Since != first.From || k.Until < last.To || last.To < s.To && k.Until != last.To {
			fail("goroutine %d: since %d, until %d, but spans from %d to %d", k.Goroutine, k.Since, k.Until, first.From, last.To)
		}
		if k.Born != nil && *k.Born > first.From || k.Ended != nil && *k.Ended < last.To {
			fail("goroutine %d does something before its birth or after its end", k.Goroutine)
		}
		if last.To < s.To && k.Ended == nil {
			fail("goroutine %d vanishes", k.Goroutine)
		}
		for i, p := range k.Spans {
			if p.From >= p.To || p.From < s.From || p.To > s.To || i > 0 && p.From != k.Spans[i-1].To {
				fail("goroutine %d: span %d of %+v", k.Goroutine, i, k.Spans)
			}
			if !slices.Contains([]string{"running", "runnable", "waiting", "syscall"}, p.State) || p.Frame < -1 || p.Frame >= len(s.Frames) || p.Merged < 1 || p.State != "waiting" && p.Reason != "" {
				fail("goroutine %d: span %+v", k.Goroutine, p)
			}
		}
	}
	for i, w := range s.Wakes {
		if w.T < s.From || w.T > s.To || w.By < -1 || w.By >= len(s.Tracks) || w.Of < 0 || w.Of >= len(s.Tracks) || w.By == w.Of || i > 0 && w.T < s.Wakes[i-1].T {
			fail("wake %+v", w)
		}
	}
	grows := f.Family == detectors.Growth || f.Groups[0].Role == detectors.Leaked
	if (len(s.Curve) > 1) != grows {
		fail("a curve of %d points", len(s.Curve))
	}
	for i, p := range s.Curve {
		if p.N < 0 || i > 0 && p.T <= s.Curve[i-1].T || p.T > traceload.Time(length) {
			fail("curve: point %+v", p)
		}
	}
	data, err := json.Marshal(s)
	if err != nil || len(data) > 30<<10 {
		fail("%d bytes in JSON, %v", len(data), err)
	}
	t.Logf("%s: %v of %v, %d tracks, %d spans, %d wakes, left out %+v, %d bytes", name, s.To.Sub(s.From), length, len(s.Tracks), spans, len(s.Wakes), s.LeftOut, len(data))
}

// checkActivity compares the sums with the time that goroutines were alive, as
// another walk over the trace adds it up.
func checkActivity(t *testing.T, a *detectors.Activity, path string) {
	t.Helper()
	var want time.Duration
	var program *traceload.Program
	system := func(g *traceload.Goroutine) bool { return g.System || program.Stack(g.Entry).System }
	p, _, err := traceload.Walk(open(t, path), func(p *traceload.Program, ev *traceload.Event) {
		program = p
		if ev.Kind == traceload.KindEnd && !system(ev.G) {
			want += ev.Time.Sub(ev.G.Born)
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for g := range p.Live {
		if !system(g) {
			want += p.Now.Sub(g.Born)
		}
	}
	var spent time.Duration
	mean := 0.0
	for i, s := range a.Spent {
		spent += s.Time
		if i > 0 && s.Time > a.Spent[i-1].Time {
			t.Errorf("%v after %v", s.Time, a.Spent[i-1].Time)
		}
	}
	for _, s := range a.States {
		for i, m := range s.Mean {
			length := min(a.Step, time.Duration(p.Now)-time.Duration(i)*a.Step)
			mean += m * float64(length)
		}
	}
	// A goroutine may turn out to be the runtime's own after some of its time was added.
	if spent < want || spent-want > want/1000 {
		t.Errorf("goroutines spent %v, but were alive for %v", spent, want)
	}
	if n := len(a.States[0].Mean); n > 400 || math.Abs(mean-float64(spent)) > 0.001*float64(a.Step)*float64(n)*float64(len(a.States)) {
		t.Errorf("%d parts add up to %v, want %v", n, time.Duration(mean), spent)
	}
}

func checkLosses(t *testing.T, tr *detectors.Trace) {
	t.Helper()
	spent := map[string]time.Duration{}
	for _, s := range tr.Activity.Spent {
		spent[s.State+" "+s.Reason] = s.Time
	}
	for _, l := range tr.Lost {
		if l.Time < 0 || l.Count < 1 || l.State == "running" {
			t.Errorf("%+v", l)
		}
		spent[l.State+" "+l.Reason] -= l.Time
	}
	for what, left := range spent {
		if left != 0 && what != "running " {
			t.Errorf("%s: %v are not accounted for", what, left)
		}
	}
}

// Damage to a trace may make its pictures wrong, but breaks nothing.
func TestDamaged(t *testing.T) {
	source := filepath.Join(fixtures, "deadlock-lock-order", "defect", "go1.26.trace.zst")
	whole, err := io.ReadAll(open(t, source))
	if err != nil {
		t.Fatal(err)
	}
	report := drawn(t, source)
	random := rand.New(rand.NewPCG(1, 2))
	path, read := filepath.Join(t.TempDir(), "trace"), 0
	for range 100 {
		damaged := slices.Clone(whole)
		for range 1 + random.IntN(4) {
			damaged[16+random.IntN(len(damaged)-16)] ^= byte(1 + random.IntN(255))
		}
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		_, info, err := traceload.Walk(open(t, path), func(*traceload.Program, *traceload.Event) {}, nil)
		if err != nil {
			continue // nothing can be read
		}
		read++
		r := report.Only(detectors.NoParts)
		r.Traces[0].Duration, r.Traces[0].Events = info.Duration, info.Events
		if err := scenes.Draw(r, 0, detectors.AllParts, func() (*traceload.Input, error) { return open(t, path), nil }, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := scenes.At(open(t, path), info.Duration/2, nil); err != nil {
			t.Fatal(err)
		}
	}
	if read < 10 {
		t.Errorf("only %d of the damaged traces could be read", read)
	}
}
