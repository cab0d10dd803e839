package detectors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A problem in several traces is one finding: the worst of them.
func TestAcross(t *testing.T) {
	// A finding is written "function:line severity", a list of them per trace.
	tests := []struct {
		name   string
		traces []string
		want   string // "function:line severity @trace of the worst, seen in"
	}{
		{"one trace", []string{"f:1 high"}, "f:1 high @0 [0]"},
		{"in two, the second is worse", []string{"f:1 low", "f:1 high"}, "f:1 high @1 [0 1]"},
		{"in two, as bad", []string{"f:1 low", "f:1 low"}, "f:1 low @0 [0 1]"},
		{"in the first and the third", []string{"f:1 high", "g:1 medium", "f:9 low"}, "f:1 high @0 [0 2]; g:1 medium @1 [1]"},
		{"two of one function in one trace", []string{"f:1 high, f:2 low"}, "f:1 high @0 [0]; f:2 low @0 [0]"},
		{"paired by line", []string{"f:1 high, f:2 low", "f:2 medium"}, "f:1 high @0 [0]; f:2 medium @1 [0 1]"},
		{"paired by line, then in order", []string{"f:1 high, f:2 low", "f:2 high, f:7 medium"}, "f:1 high @0 [0 1]; f:2 high @1 [0 1]"},
		{"one more in the second", []string{"f:2 low", "f:2 low, f:7 medium"}, "f:7 medium @1 [1]; f:2 low @0 [0 1]"},
		{"nothing", []string{"", ""}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var results []*Result
			for _, trace := range test.traces {
				res := &Result{trace: Trace{Duration: 10 * time.Second}}
				for _, text := range strings.Split(trace, ", ") {
					fn, rest, ok := strings.Cut(text, ":")
					if !ok {
						continue
					}
					f := Finding{Cause: "c", Confidence: 0.9, Site: Frame{Func: fn}}
					var severity Severity
					if _, err := fmt.Sscanf(rest, "%d %v", &f.Site.Line, textOf{&severity}); err != nil {
						t.Fatal(err)
					}
					f.Impact.Blocked = map[Severity]time.Duration{Low: time.Second, Medium: 3 * time.Second, High: 30 * time.Second}[severity]
					res.findings = append(res.findings, judgedBy(testDetector, f))
				}
				results = append(results, res)
			}
			rep := Collect(results, "v0")
			var got []string
			for _, f := range rep.Findings {
				var in []int
				for _, s := range f.Seen {
					in = append(in, s.Trace)
					if s.Trace == f.Trace && (s.Severity != f.Severity || s.Impact != f.Impact || s.Confidence != f.Confidence) {
						t.Errorf("the worst of %s is not what was seen in trace %d: %+v", f.Site.Func, f.Trace, s)
					}
				}
				got = append(got, fmt.Sprintf("%s:%d %v @%d %v", f.Site.Func, f.Site.Line, f.Severity, f.Trace, in))
			}
			if s := strings.Join(got, "; "); s != test.want {
				t.Errorf("got  %s\nwant %s", s, test.want)
			}
		})
	}
}

// textOf lets Sscanf read what implements encoding.TextUnmarshaler.
type textOf struct{ s *Severity }

func (v textOf) Scan(state fmt.ScanState, _ rune) error {
	token, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	return v.s.UnmarshalText(token)
}

func TestRegrade(t *testing.T) {
	rep := Collect([]*Result{{trace: Trace{Duration: time.Second}, findings: []judged{
		judgedBy(testDetector, Finding{Cause: "c", Effect: EffectStops, Confidence: 0.9, Site: Frame{Func: "a"}}),
		judgedBy(testDetector, Finding{Cause: "c", Effect: EffectDelays, Confidence: 0.9, Site: Frame{Func: "b"}, Impact: Impact{Blocked: 3 * time.Second}}),
	}}}, "v0")
	if rep.Findings[0].Site.Func != "a" {
		t.Fatalf("%s stands first, want what stops", rep.Findings[0].Site.Func)
	}
	before := rep.Findings[0].Score
	rep.Findings[0].Regrade(Info)
	if f := rep.Findings[0]; f.Severity != Info || f.Seen[0].Severity != Info || f.Score >= before {
		t.Errorf("%+v", f)
	}
	rep.Filter(Options{MinSeverity: Low})
	if len(rep.Findings) != 1 || rep.Findings[0].Site.Func != "b" || rep.Findings[0].Rank != 1 || rep.Omitted != 1 {
		t.Errorf("after the filter: %+v, %d omitted", rep.Findings, rep.Omitted)
	}
}

func TestReportNamesItsDetectors(t *testing.T) {
	quiet := &Detector{Name: "quiet", Family: Growth, Doc: "// Package quiet finds nothing. Ever.\npackage quiet"}
	rep := Collect([]*Result{{ran: []*Detector{testDetector, quiet}}, {ran: []*Detector{quiet}}}, "v0")
	want := []Ran{{Name: "d", Family: Locks}, {Name: "quiet", Family: Growth, About: "finds nothing"}}
	if !slices.Equal(rep.Detectors, want) {
		t.Errorf("%+v, want %+v", rep.Detectors, want)
	}
}
