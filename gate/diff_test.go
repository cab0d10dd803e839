package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

func TestRankTest(t *testing.T) {
	seq := func(from, n int) (v []float64) {
		for i := range n {
			v = append(v, float64(from+i))
		}
		return v
	}
	tests := []struct {
		a, b []float64
		want float64
	}{ // of the exact distribution: 2 of all orders
		{seq(0, 3), seq(10, 3), 2.0 / 20},
		{seq(0, 4), seq(10, 4), 2.0 / 70},
		{seq(10, 5), seq(0, 5), 2.0 / 252},
		{[]float64{1, 2, 3, 5}, []float64{4, 6, 7, 8}, 4.0 / 70},
		{[]float64{1, 4}, []float64{2, 3}, 1},
	}
	for _, test := range tests {
		if got := rankTest(test.a, test.b); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%v and %v: %v, want %v", test.a, test.b, got, test.want)
		}
	}
	if p := rankTest(seq(0, 30), seq(100, 30)); p > 1e-6 {
		t.Errorf("large samples apart: %v", p)
	}
	if p := rankTest([]float64{1, 1, 1, 1}, []float64{1, 1, 1, 1}); p < 0.5 {
		t.Errorf("all equal: %v", p)
	}
	sum := 0.0
	for _, ways := range orders(4, 5) {
		sum += ways
	}
	if sum != 126 {
		t.Errorf("%v orders of 4 and 5, want 126", sum)
	}
}

func TestCompareFigures(t *testing.T) {
	tests := []struct {
		name          string
		before, after []float64
		want          Verdict
	}{
		{"equal", []float64{3}, []float64{3}, Same},
		{"one each, little more", []float64{10}, []float64{15}, Noise},
		{"one each, twice", []float64{10}, []float64{20}, Worse},
		{"one each, half", []float64{10}, []float64{5}, Better},
		{"from nothing", []float64{0}, []float64{5}, Worse},
		{"few, apart", []float64{10, 11}, []float64{18, 19}, Worse},
		{"few, within the range", []float64{10, 30}, []float64{20, 60}, Noise},
		{"few, apart but close", []float64{10, 11}, []float64{12, 13}, Noise},
		{"many, apart but close", []float64{10, 11, 10.5, 10.2}, []float64{12, 13, 12.5, 12.2}, Worse},
		{"many, mixed", []float64{10, 14, 12, 13}, []float64{11, 15, 12.5, 13.5}, Noise},
		{"many, apart by nothing", []float64{10, 10.1, 10.2, 10.3}, []float64{10.4, 10.5, 10.6, 10.7}, Noise},
		{"on one side only", nil, []float64{4}, Noise},
	}
	for _, test := range tests {
		slices.Sort(test.before)
		slices.Sort(test.after)
		if got := compare(test.before, test.after); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// side makes a report from a list of "function:goroutines,goroutines,…", a
// number for each trace, "-" where the problem is not in it.
func side(t *testing.T, traces int, texts ...string) *detectors.Report {
	t.Helper()
	r := &detectors.Report{Detectors: []detectors.Ran{{Name: "goroutine-leak"}}}
	for i := range traces {
		r.Traces = append(r.Traces, detectors.Trace{Source: fmt.Sprint(i), Duration: 10 * time.Second, Complete: true})
	}
	for _, text := range texts {
		fn, numbers, _ := strings.Cut(text, ":")
		f := finding(fn, 1)
		f.Seen = nil
		for i, number := range strings.Split(numbers, ",") {
			if number == "-" {
				continue
			}
			var n int
			if _, err := fmt.Sscan(number, &n); err != nil {
				t.Fatal(err)
			}
			f.Impact = detectors.Impact{Goroutines: n}
			f.Seen = append(f.Seen, detectors.Sighting{Trace: i, Severity: f.Severity, Confidence: f.Confidence, Impact: f.Impact})
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

func TestCompare(t *testing.T) {
	weak := side(t, 1, "f:10")
	weak.Findings[0].Confidence = 0.2
	blind := side(t, 1)
	blind.Traces[0].NotJudged = []detectors.NotJudged{{Detector: "goroutine-leak", Reason: "no stacks"}}
	skipped := side(t, 1)
	skipped.Detectors = []detectors.Ran{{Name: "deadlock"}}
	filtered := side(t, 1)
	filtered.Omitted = 2
	tests := []struct {
		name     string
		old, now *detectors.Report
		want     string // "verdict function; …"
		warnings int
		fails    bool
	}{
		{"the same", side(t, 1, "f:10"), side(t, 1, "f:10"), "same f", 0, false},
		{"new", side(t, 1, "f:10"), side(t, 1, "f:10", "g:3"), "new g; same f", 0, true},
		{"gone", side(t, 1, "f:10", "g:3"), side(t, 1, "f:10"), "gone g; same f", 0, false},
		{"worse", side(t, 1, "f:10"), side(t, 1, "f:30"), "worse f", 0, true},
		{"better", side(t, 1, "f:30"), side(t, 1, "f:10"), "better f", 0, false},
		{"noise", side(t, 1, "f:10"), side(t, 1, "f:13"), "noise f", 0, false},
		{"all at once", side(t, 1, "a:10", "b:10", "c:10", "d:10"), side(t, 1, "b:90", "c:1", "d:11", "e:5"), "new e; worse b; better c; gone a; noise d", 0, true},
		{"was there, but too weak to tell", weak, side(t, 1, "f:10"), "same f", 0, false},
		{"too weak to tell now", side(t, 1, "f:10"), weak, "same f", 0, false},
		{"too weak on both sides", weak, weak, "", 0, false},
		{"new, but too weak to tell", side(t, 1), weak, "", 0, false},
		{"in one of five only", side(t, 5), side(t, 5, "f:-,-,9,-,-"), "noise f", 0, false},
		{"in four of five", side(t, 5), side(t, 5, "f:9,-,9,9,9"), "new f", 0, true},
		{"gone by chance", side(t, 5, "f:-,9,-,-,-"), side(t, 2), "noise f", 0, false},
		{"a spread", side(t, 4, "f:10,11,12,13"), side(t, 4, "f:15,16,17,18"), "worse f", 0, true},
		{"a spread, noise", side(t, 4, "f:10,18,12,13"), side(t, 4, "f:15,11,17,14"), "noise f", 0, false},
		{"the detector could not judge", side(t, 1, "f:10"), blind, "", 1, false},
		{"the detector did not run", side(t, 1, "f:10"), skipped, "", 1, false},
		{"the old report was filtered", filtered, side(t, 1, "f:10"), "new f", 1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Compare(test.old, test.now, detectors.Options{MinSeverity: detectors.Low, MinConfidence: 0.5})
			var got []string
			for _, c := range d.Changes {
				got = append(got, string(c.Verdict)+" "+c.Finding.Site.Func)
				if c.Why == "" {
					t.Errorf("%s: no reason is given", c.Finding.Site.Func)
				}
			}
			if s := strings.Join(got, "; "); s != test.want {
				t.Errorf("got %q, want %q", s, test.want)
			}
			if len(d.Warnings) != test.warnings {
				t.Errorf("warnings: %q", d.Warnings)
			}
			if _, fails := d.Failing(); fails != test.fails {
				t.Errorf("fails: %v, want %v", fails, test.fails)
			}
		})
	}
}

func TestWhy(t *testing.T) {
	d := Compare(side(t, 4, "f:10,11,12,13"), side(t, 4, "f:15,16,17,18"), detectors.Options{})
	if want := "goroutines 11.5 (10 to 13 in 4 traces) → 16.5 (15 to 18 in 4 traces) goroutines"; d.Changes[0].Why != want {
		t.Errorf("%q, want %q", d.Changes[0].Why, want)
	}
}
