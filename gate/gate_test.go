package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

func finding(fn string, line int) detectors.Finding {
	return detectors.Finding{
		Fingerprint: "fp-" + fn, Detector: "goroutine-leak", Family: detectors.Growth, Cause: "select", Severity: detectors.High, Confidence: 0.9,
		Title: "stuck in " + fn, Site: detectors.Frame{Func: fn, File: "f.go", Line: line},
		Seen: []detectors.Sighting{{Severity: detectors.High, Confidence: 0.9}},
	}
}

func TestIgnoreMatches(t *testing.T) {
	f := finding("example.com/shop/cache.(*Cache[...]).janitor.func2", 7)
	f.Groups = []detectors.Group{{
		Entry: "example.com/shop/pool.run.gowrap1", CreatedBy: detectors.Frame{Func: "example.com/shop/pool.(*Pool).Start"},
		Stack: []detectors.Frame{{Func: "runtime.selectgo"}, {Func: "github.com/redis/go-redis/v9.(*Client).Do"}},
	}}
	tests := []struct {
		detector, fn string
		want         bool
	}{
		{"", "example.com/shop/cache.(*Cache[...]).janitor.func2", true},
		{"", "example.com/shop/cache.(*Cache[...]).janitor", true}, // the function that it is in
		{"", "cache.(*Cache[...]).janitor", true},                  // from the package on
		{"", "shop/cache.*", true},
		{"", "cache.(*Cache*).janitor", true},
		{"", "example.com/shop/*", true},
		{"", "*janitor", true},
		{"", "janitor", false}, // not a whole name
		{"", "ache.*", false},
		{"", "(*Cache[...]).janitor", false},
		{"", "pool.run", true},                 // what a goroutine was started with
		{"", "pool.(*Pool).Start", true},       // who started it
		{"", "go-redis/v9.(*Client).Do", true}, // on its stack
		{"", "github.com/redis/go-redis*", true},
		{"", "example.com/other/*", false},
		{"", "cache.(.Cache.*", false}, // no regular expression
		{"goroutine-leak", "", true},
		{"goroutine-leak/select", "", true},
		{"growth", "", true},
		{"goroutine-leak/cond", "", false},
		{"locks", "", false},
		{"goroutine-leak", "pool.run", true},
		{"deadlock", "pool.run", false},
	}
	for _, test := range tests {
		i := Ignore{Detector: test.detector, Func: test.fn}
		if got := i.Matches(&f); got != test.want {
			t.Errorf("%s %s: %v, want %v", test.detector, test.fn, got, test.want)
		}
	}
}

func TestApply(t *testing.T) {
	date := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	report := func() *detectors.Report {
		weak := finding("main.weak", 5)
		weak.Confidence = 0.2
		return &detectors.Report{
			Findings:  []detectors.Finding{finding("main.a", 1), finding("main.b", 2), finding("main.c", 3), weak},
			Detectors: []detectors.Ran{{Name: "goroutine-leak", Family: detectors.Growth}},
		}
	}
	known := func(f ...detectors.Finding) *Baseline { return NewBaseline(&detectors.Report{Findings: f}) }
	tests := []struct {
		name       string
		policy     Policy
		remain     string
		suppressed string
		warnings   []string // each a part of one
	}{
		{"nothing decided", Policy{}, "a b c", "", nil},
		{"ignored", Policy{Ignores: []Ignore{{Func: "main.b", Reason: "meant", Origin: "x:1"}}}, "a c", "ignore b meant", nil},
		{"ignored on its last day", Policy{Ignores: []Ignore{{Func: "main.b", Expires: date("2026-11-26")}}}, "a c", "ignore b", nil},
		{"expired", Policy{Ignores: []Ignore{{Func: "main.b", Origin: "x:1", Expires: date("2026-11-25")}}}, "a b c", "", []string{"x:1 (main.b) has expired on 2026-11-24"}},
		{"matches nothing", Policy{Ignores: []Ignore{{Func: "main.z", Origin: "x:1"}}}, "a b c", "", []string{"x:1 (main.z) matches nothing"}},
		{"its detector did not look", Policy{Ignores: []Ignore{{Detector: "deadlock", Func: "main.z"}}}, "a b c", "", nil},
		{"its detector looked", Policy{Ignores: []Ignore{{Detector: "goroutine-leak/cond"}}}, "a b c", "", []string{"(goroutine-leak/cond) matches nothing"}},
		{"what would be left out anyway", Policy{Ignores: []Ignore{{Func: "main.weak"}}}, "a b c", "", nil},
		{"known", Policy{Baseline: known(finding("main.a", 1), finding("main.gone", 9))}, "b c", "baseline a", nil},
		{"known, and moved", Policy{Baseline: known(finding("main.a", 71))}, "b c", "baseline a", nil},
		{"ignored and known", Policy{Ignores: []Ignore{{Func: "main.a"}}, Baseline: known(finding("main.a", 1), finding("main.b", 2))}, "c", "ignore a; baseline b", nil},
		{"regraded", Policy{Severities: []Grade{{"goroutine-leak/select", detectors.Info}, {"goroutine-leak", detectors.Critical}}}, "", "", nil},
		{"by family", Policy{Severities: []Grade{{"locks", detectors.Info}}}, "a b c", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := report()
			warnings := test.policy.Apply(r, detectors.Options{MinSeverity: detectors.Low, MinConfidence: 0.5}, date("2026-11-25").Add(12*time.Hour))
			var remain, suppressed []string
			for i, f := range r.Findings {
				remain = append(remain, strings.TrimPrefix(f.Site.Func, "main."))
				if f.Rank != i+1 {
					t.Errorf("%s has rank %d", f.Site.Func, f.Rank)
				}
			}
			for _, s := range r.Suppressed {
				suppressed = append(suppressed, strings.TrimSpace(s.By+" "+strings.TrimPrefix(s.Site.Func, "main.")+" "+s.Reason))
			}
			if got := strings.Join(remain, " "); got != test.remain {
				t.Errorf("what remains is %q, want %q", got, test.remain)
			}
			if got := strings.Join(suppressed, "; "); got != test.suppressed {
				t.Errorf("left out is %q, want %q", got, test.suppressed)
			}
			if len(warnings) != len(test.warnings) {
				t.Fatalf("warnings %q, want %q", warnings, test.warnings)
			}
			for i, want := range test.warnings {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("warning %q, want %q", warnings[i], want)
				}
			}
		})
	}
}

func TestBaselineKnows(t *testing.T) {
	at := func(lines ...int) (list []detectors.Finding) {
		for _, line := range lines {
			list = append(list, finding("main.f", line))
		}
		return list
	}
	tests := []struct {
		name       string
		known, now []detectors.Finding
		want       []bool
	}{
		{"the same", at(1), at(1), []bool{true}},
		{"moved", at(1), at(50), []bool{true}},
		{"a second one", at(1), at(1, 9), []bool{true, false}},
		{"a second, worse one", at(1), at(9, 1), []bool{false, true}},
		{"a second one, and all moved", at(1), at(9, 12), []bool{true, false}},
		{"two known, one left", at(1, 9), at(9), []bool{true}},
		{"two known, both moved", at(1, 9), at(2, 10), []bool{true, true}},
		{"nothing known", nil, at(1), []bool{false}},
	}
	for _, test := range tests {
		b := NewBaseline(&detectors.Report{Findings: test.known})
		if got := b.knows(test.now); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestBaselineRoundTrip(t *testing.T) {
	r := &detectors.Report{Schema: detectors.Schema, Tool: detectors.Tool{Name: "tracedoc", Version: "v0"}, Findings: []detectors.Finding{finding("main.b", 2), finding("main.a", 1)}}
	data, err := NewBaseline(r).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadBaseline(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Findings) != 2 || b.Findings[0].Func != "main.a" || !slices.Equal(b.knows(r.Findings), []bool{true, true}) {
		t.Errorf("%+v", b)
	}
	for _, text := range []string{"", "[]", "{}", `{"schema":"other/v1"}`, `{"schema":"tracedoc/baseline/v1","findings":1}`} {
		if _, err := ReadBaseline(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one in a line", text, err)
		}
	}
}
