package render

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
)

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	golden := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; run: go test ./render -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s, first at %s\naccept with: go test ./render -update", golden, firstDifference(string(got), string(want)))
	}
}

func TestDossierGolden(t *testing.T) {
	var b bytes.Buffer
	if err := Dossier(&b, readReport(t, "report.json"), 1, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "dossier", b.Bytes())
}

// Nothing is left out: whatever a report says of a finding is there.
func TestDossierIsWhole(t *testing.T) {
	r := readReport(t, "report.json")
	for i := range r.Findings {
		var b bytes.Buffer
		if err := Dossier(&b, r, i, Options{Width: 200}); err != nil {
			t.Fatal(err)
		}
		f := &r.Findings[i]
		var want []string
		for _, e := range f.Evidence {
			want = append(want, e.Text)
		}
		for _, g := range f.Groups {
			for _, s := range g.Stack {
				want = append(want, s.Func, s.File)
			}
		}
		for _, s := range f.Timeline {
			want = append(want, s.Text)
		}
		for _, s := range f.Seen {
			want = append(want, r.Traces[s.Trace].Source)
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		for _, w := range append(want, f.Fingerprint, f.Pattern.Title, "go tool trace -http=") {
			if w = strings.ReplaceAll(w, "%2e", "."); !strings.Contains(text, strings.Join(strings.Fields(w), " ")) {
				t.Errorf("finding %d: %q is missing in\n%s", i+1, w, b.String())
			}
		}
	}
}

func aMoment() *detectors.Moment {
	frame := func(fn string, line int) detectors.Frame {
		return detectors.Frame{Func: fn, File: "example.com/shop/shop.go", Line: line}
	}
	m := &detectors.Moment{
		T: 1_019_000_000, Source: "trace.out", Duration: 5003 * time.Millisecond, Complete: true, Goroutines: 60, Procs: 4, Ranges: []string{"GC concurrent mark phase"},
		Crowds: []detectors.Crowd{
			{State: "waiting", Reason: "sync", Stack: []detectors.Frame{frame("sync.(*Mutex).Lock", 46), frame("example.com/shop.(*Cache).Get", 31)}, CreatedBy: frame("net/http.(*Server).Serve", 3454),
				Count: 12, Goroutines: []int64{25, 26, 27, 28, 29, 30, 31}, Shortest: time.Millisecond, Longest: 17 * time.Millisecond, Stay: 1},
			{State: "running", Stack: []detectors.Frame{frame("main.main", 1)}, Count: 1, Goroutines: []int64{24}, Shortest: time.Microsecond, Longest: time.Microsecond, Stay: 1},
			{State: "waiting", Count: 2, Goroutines: []int64{3, 4}, Shortest: time.Second, Longest: 1019 * time.Millisecond, AtLeast: true, Stay: 2},
		},
	}
	for i := range 45 {
		m.Crowds = append(m.Crowds, detectors.Crowd{State: "runnable", Stack: []detectors.Frame{frame("example.com/shop.Serve", 100+i)}, Count: 1, Goroutines: []int64{int64(100 + i)}})
	}
	return m
}

func TestMomentGolden(t *testing.T) {
	var b bytes.Buffer
	if err := Moment(&b, aMoment(), readReport(t, "report.json"), 0, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "moment", b.Bytes())
	for line := range strings.Lines(b.String()) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestMomentWithoutReport(t *testing.T) {
	m := aMoment()
	m.Complete = false
	var b bytes.Buffer
	if err := Moment(&b, m, nil, 0, Options{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "see finding") || !strings.Contains(b.String(), "incomplete: ") {
		t.Errorf("%s", b.String())
	}
}

// Whatever stands in a trace or a report, the terminal does not obey.
func TestExplainedHostileNames(t *testing.T) {
	for _, h := range hostileNames {
		text := h.text[:min(len(h.text), 4_000)]
		var r detectors.Report
		fill(reflect.ValueOf(&r).Elem(), text)
		r.Findings[0].Seen = append(r.Findings[0].Seen, r.Findings[0].Seen...)
		scene := r.Findings[0].Scene
		scene.To = 1000
		scene.Tracks[0].Spans[0].To = 1000
		var m detectors.Moment
		fill(reflect.ValueOf(&m).Elem(), text)
		var b bytes.Buffer
		if err := Dossier(&b, &r, 0, Options{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if err := Moment(&b, &m, &r, 0, Options{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(b.String()) {
			t.Errorf("%s: not UTF-8", h.name)
		}
		for _, c := range b.String() {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("%s: %U reaches whoever reads it", h.name, c)
			}
		}
		checkLog(t, b.String())
	}
}
