package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
)

// update is read-only after flag parsing; a flag of a test binary has no other home.
var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// The two hand-made reports that every format is tested with.
var reports = []string{"report.json", "hostile.json"}

func readReport(t *testing.T, name string) *detectors.Report {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := detectors.ReadReport(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// write returns what a format writes, of a binary one what a decoder says of it.
func write(t *testing.T, f Format, r *detectors.Report, opt Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r, opt); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	if f.Binary {
		return decoders[f.Name](t, b.Bytes())
	}
	return b.String()
}

// inShop is the repository of report.json.
func inShop(file string) string {
	rel, ok := strings.CutPrefix(file, "example.com/shop/")
	if !ok {
		return ""
	}
	return rel
}

func TestGolden(t *testing.T) {
	for _, name := range reports {
		r := readReport(t, name)
		for _, f := range Formats() {
			for _, opt := range []Options{{Width: 80}, {Width: 200}} {
				opt.Relative, opt.Elsewhere = inShop, "go.mod"
				got := withoutAssets(write(t, f, r, opt))
				kind := f.Name
				if f.Human {
					kind = fmt.Sprintf("%s.%d", f.Name, opt.Width)
				}
				golden := filepath.Join("testdata", strings.TrimSuffix(name, ".json")+"."+kind+".golden")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					continue
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatalf("%v; run: go test ./render -update", err)
				}
				if got != string(want) {
					t.Errorf("%s differs from %s, first at %s\naccept with: go test ./render -update", f.Name, golden, firstDifference(got, string(want)))
				}
			}
		}
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(the end)", "(the end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d:\n got %q\nwant %q", i+1, a, b)
		}
	}
	return "no line"
}

// A line that is wider than the terminal is broken by it anywhere, and tables
// fall apart. Web addresses alone are left whole.
func TestWidth(t *testing.T) {
	for _, name := range reports {
		r := readReport(t, name)
		for _, f := range Formats() {
			if !f.Human {
				continue
			}
			for _, width := range []int{minWidth, 80, 100, 132, 200, 500} {
				for i, line := range strings.Split(write(t, f, r, Options{Width: width}), "\n") {
					if n := columns(line); n > width && !isLink(strings.TrimSpace(line)) {
						t.Errorf("%s as %s: line %d is %d columns wide, allowed are %d: %q", name, f.Name, i+1, n, width, line)
					}
				}
			}
		}
	}
}

func TestColour(t *testing.T) {
	for _, name := range reports {
		r := readReport(t, name)
		for _, f := range Formats() {
			if !f.Human {
				continue
			}
			without := write(t, f, r, Options{Width: 100})
			if strings.Contains(without, "\x1b") {
				t.Errorf("%s as %s: an escape character although colour is off", name, f.Name)
			}
			with := write(t, f, r, Options{Width: 100, Color: true})
			if !strings.Contains(with, strong) {
				t.Errorf("%s as %s: no colour although it is on", name, f.Name)
			}
			for _, code := range []string{bold, dim, red, yellow, cyan, strong, reset} {
				with = strings.ReplaceAll(with, code, "")
			}
			if with != without {
				t.Errorf("%s as %s: colour changes more than colours, first at %s", name, f.Name, firstDifference(with, without))
			}
		}
	}
}

func TestPatternShownOnce(t *testing.T) {
	r := readReport(t, "report.json")
	uses := 0
	var pat detectors.Pattern
	for _, f := range r.Findings {
		if f.Pattern.ID == "shrink-critical-section" {
			uses, pat = uses+1, f.Pattern
		}
	}
	if uses < 2 {
		t.Fatalf("report.json: %d findings share a pattern, want 2 or more", uses)
	}
	text := write(t, Formats()[0], r, Options{Width: 80})
	code := strings.TrimSpace(lines(pat.Before)[0])
	if n := strings.Count(text, code); n != 1 {
		t.Errorf("%q appears %d times, want once", code, n)
	}
	if want := fmt.Sprintf("as in finding 2 (%s)", pat.ID); !strings.Contains(text, want) {
		t.Errorf("%q is missing", want)
	}
}

func TestSource(t *testing.T) {
	line := func(n int, text string, site bool) detectors.SourceLine {
		return detectors.SourceLine{Line: n, Text: text, Site: site}
	}
	long := make([]detectors.SourceLine, 30)
	for i := range long {
		long[i] = line(85+i, "\t\tstep()", i == 28)
	}
	tests := []struct {
		name   string
		source []detectors.SourceLine
		want   string // between where and costs
	}{
		{"none", nil, ""},
		{"indentation that all share", []detectors.SourceLine{line(8, "\t\tif a {", false), line(9, "", false), line(10, "\t\t\tb <-\t1", true)},
			"           8  if a {\n           9\n        > 10      b <-    1\n"},
		{"only the site", []detectors.SourceLine{line(3, "}", true)}, "        > 3  }\n"},
		{"too many", long, "" +
			"          108  step()\n          109  step()\n          110  step()\n          111  step()\n" +
			"          112  step()\n        > 113  step()\n          114  step()\n"},
		{"too wide", []detectors.SourceLine{line(7, "\tf("+strings.Repeat("x, ", 50)+")", true)},
			"        > 7  f(" + strings.Repeat("x, ", 21) + "x…\n"},
		{"none is the site", []detectors.SourceLine{line(1, "package a", false)}, "          1  package a\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := readReport(t, "report.json")
			r.Findings = r.Findings[:1]
			r.Findings[0].Source = test.source
			_, rest, _ := strings.Cut(write(t, Formats()[0], r, Options{Width: 80}), "  where   ")
			_, rest, ok := strings.Cut(rest, "quotes.go:47\n")
			got, _, ok2 := strings.Cut(rest, "  costs ")
			if !ok || !ok2 || got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// A goroutine that plays two parts is not given either in the timeline.
func TestTimelineRoles(t *testing.T) {
	r := readReport(t, "report.json")
	f := &r.Findings[1]
	f.Groups = append(f.Groups, detectors.Group{Role: detectors.Holder, Count: 1, Goroutines: []int64{25}})
	text := write(t, Formats()[0], r, Options{Width: 80})
	if strings.Contains(text, "G25 waiter") || strings.Contains(text, "G25 holder") || !strings.Contains(text, "G26 waiter") {
		t.Errorf("want G25 without a role and G26 with one in:\n%s", text)
	}
}

func TestNothingFound(t *testing.T) {
	tests := []struct {
		name     string
		omitted  int
		complete bool
		want     string
		unwanted string
	}{
		{"whole", 0, true, "Nothing wrong was found.", "incomplete"},
		{"part", 0, false, "Nothing wrong was found in the part that could be read.", "found."},
		{"filtered", 2, true, "Nothing wrong was found at this severity and confidence: 2 findings left out", "found."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := readReport(t, "report.json")
			r.Findings, r.Traces, r.Omitted = nil, r.Traces[:1], test.omitted
			r.Traces[0].Complete = test.complete
			text := write(t, Formats()[0], r, Options{Width: 80})
			if !strings.Contains(text, test.want) || strings.Contains(text, test.unwanted) {
				t.Errorf("want %q and not %q in:\n%s", test.want, test.unwanted, text)
			}
			for _, want := range []string{"Left in peace: 214 idle goroutines at 3 sites", "cannot show", "no CPU samples"} {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing", want)
				}
			}
		})
	}
}

// A report in JSON is the report.
func TestJSONRoundTrip(t *testing.T) {
	for _, name := range reports {
		first := write(t, Formats()[1], readReport(t, name), Options{})
		r, err := detectors.ReadReport(strings.NewReader(first))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if second := write(t, Formats()[1], r, Options{}); second != first {
			t.Errorf("%s: changed by writing and reading, first at %s", name, firstDifference(second, first))
		}
		if strings.Contains(first, "null") {
			t.Errorf("%s: a list is null", name)
		}
	}
}

func TestJSONText(t *testing.T) {
	r := readReport(t, "report.json")
	r.Findings[0].Title = "<b> & \xff \u009b \u202e \U000e0041 \x1b é 漢"
	got := write(t, Formats()[1], r, Options{})
	if want := `"title": "<b> & \ufffd \u009b \u202e \udb40\udc41 \u001b é 漢"`; !strings.Contains(got, want) {
		t.Errorf("%s is missing", want)
	}
	var back detectors.Report
	if err := json.Unmarshal([]byte(got), &back); err != nil {
		t.Fatal(err)
	}
	if want := "<b> & \ufffd \u009b \u202e \U000e0041 \x1b é 漢"; back.Findings[0].Title != want {
		t.Errorf("read back as %q, want %q", back.Findings[0].Title, want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("disk full")

func TestWriteError(t *testing.T) {
	r := readReport(t, "report.json")
	for _, f := range Formats() {
		if err := f.Write(fullDisk{}, r, Options{}); !errors.Is(err, errFull) {
			t.Errorf("%s: error %v, want that of the writer", f.Name, err)
		}
	}
}

func TestByName(t *testing.T) {
	for _, name := range FormatNames() {
		if f, err := ByName(name); err != nil || f.Name != name {
			t.Errorf("ByName(%q) = %q, %v", name, f.Name, err)
		}
	}
	if _, err := ByName("xml"); err == nil || !strings.Contains(err.Error(), "text, json") {
		t.Errorf("an unknown format: error %v, want one that lists the formats", err)
	}
}
