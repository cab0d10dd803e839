package render

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

func writeDiff(t *testing.T, f DiffFormat, d *gate.Diff) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, d, Options{Width: 80}); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return b.String()
}

// exampleDiff compares report.json with itself after some changes.
func exampleDiff(t *testing.T) *gate.Diff {
	old, now := readReport(t, "report.json"), readReport(t, "report.json")
	for _, r := range []*detectors.Report{old, now} {
		r.Traces = r.Traces[:1]
		r.Traces[0].Duration = 5 * time.Second
		for i := range r.Findings {
			r.Findings[i].Seen = []detectors.Sighting{{Severity: r.Findings[i].Severity, Confidence: r.Findings[i].Confidence, Impact: r.Findings[i].Impact}}
		}
	}
	old.Findings = old.Findings[1:]                   // the first is new
	now.Findings[1].Seen[0].Impact.Blocked *= 3       // worse
	now.Findings[2].Seen[0].Impact.Blocked += 1000000 // noise
	now.Findings = now.Findings[:3]                   // the fourth is gone
	return gate.Compare(old, now, detectors.Options{})
}

func TestDiffText(t *testing.T) {
	text := writeDiff(t, DiffFormats()[0], exampleDiff(t))
	for _, want := range []string{
		"\n1 new, 1 worse and 1 gone; 1 difference within noise.\n",
		"\n── new · critical · goroutine-leak/chan-send ",
		"\n── worse · high · lock-held-while-blocked/network ",
		"  why     held up ", " → ",
		"\n── gone · low · lock-contention/convoy ", "  why     only on the old side\n",
		"\n── noise · medium · tidal-drift/neap ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// What the JSON form promises, as its schema says.
func TestDiffKeepsToItsSchema(t *testing.T) {
	s := compileFile(t, "diff.v1.schema.json")
	for name, d := range map[string]*gate.Diff{"example": exampleDiff(t), "empty": gate.Compare(&detectors.Report{}, &detectors.Report{}, detectors.Options{})} {
		if err := s.Validate(decodeJSON(t, writeDiff(t, DiffFormats()[1], d))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(d *gate.Diff){
		"verdict": func(d *gate.Diff) { d.Changes[0].Verdict = "odd" },
		"schema":  func(d *gate.Diff) { d.Schema = "tracedoc/diff/v2" },
		"why":     func(d *gate.Diff) { d.Changes[0].Why = "" },
		"figures": func(d *gate.Diff) { d.Changes[0].Figures = nil },
	} {
		d := exampleDiff(t)
		change(d)
		if s.Validate(decodeJSON(t, writeDiff(t, DiffFormats()[1], d))) == nil {
			t.Errorf("%s: the schema lets it pass", name)
		}
	}
}

// As for reports, whatever stands in a trace, a comparison stays what it is.
func TestHostileDiffs(t *testing.T) {
	for _, h := range hostileNames {
		var d gate.Diff
		fill(reflect.ValueOf(&d).Elem(), h.text[:min(len(h.text), 4_000)])
		d.Changes[0].Finding.Title, d.Changes[0].Finding.Site.Func, d.Changes[0].Why = h.text, h.text, h.text
		d.Counts = map[gate.Verdict]int{gate.New: 1}
		d.Changes[0].Verdict = gate.New
		for _, f := range DiffFormats() {
			t.Run(h.name+"/"+f.Name, func(t *testing.T) {
				out := writeDiff(t, f, &d)
				for _, c := range out {
					if c != '\n' && !unicode.IsPrint(c) {
						t.Fatalf("%U reaches whoever reads it", c)
					}
				}
				checkLog(t, out)
				switch f.Name {
				case "json":
					decodeJSON(t, out)
				case "markdown":
					checkMarkdown(t, out)
				}
			})
		}
	}
	many := exampleDiff(t)
	for len(many.Changes) < 2000 {
		many.Changes = append(many.Changes, many.Changes...)
	}
	checkMarkdown(t, writeDiff(t, DiffFormats()[2], many))
}
