// Package detectortest runs detectors over the recorded fixtures and compares
// what they find with what the fixtures' sources ask for.
//
// A line of a fixture's program that ends in
//
//	// want detector/cause
//
// asks for a finding of that detector and cause whose site is that line. What
// is asked for and not found fails, and so does what is found and not asked
// for, from severity medium on. A mended program asks for nothing.
package detectortest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Half is one recorded half of a fixture: a program and its traces.
type Half struct {
	Fixture string   // folder's name: "goroutine-leak-chan-send"
	Name    string   // "defect" or "mended"
	Dir     string   // absolute
	Traces  []string // absolute, sorted
	Wants   []Want   // in the order of the source
}

// Want is what one line of a fixture's program asks for.
type Want struct {
	Detector, Cause string
	File            string // path below fixtures: "goroutine-leak-chan-send/defect/main.go"
	Line            int
}

func (w Want) String() string {
	return fmt.Sprintf("%s:%d: %s/%s", w.File, w.Line, w.Detector, w.Cause)
}

// FixtureDir returns the absolute path of the fixtures.
func FixtureDir(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("no caller information: the fixtures cannot be found")
	}
	if !filepath.IsAbs(file) { // built with -trimpath: tests run in their package's folder
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir := wd; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return filepath.Join(dir, "fixtures")
			}
			if dir == filepath.Dir(dir) {
				t.Fatalf("no go.mod above %s", wd)
			}
		}
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "fixtures")
}

// Halves returns all recorded halves whose fixture's name has the prefix. It
// fails if a trace was recorded from another source than the one beside it.
func Halves(t testing.TB, prefix string) []Half {
	t.Helper()
	root := FixtureDir(t)
	programs, err := filepath.Glob(filepath.Join(root, prefix+"*", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var halves []Half
	for _, program := range programs {
		dir := filepath.Dir(program)
		h := Half{Fixture: filepath.Base(filepath.Dir(dir)), Name: filepath.Base(dir), Dir: dir}
		if h.Name != "defect" && h.Name != "mended" {
			continue
		}
		h.Traces, _ = filepath.Glob(filepath.Join(dir, "*.trace.zst")) // the pattern is constant
		if len(h.Traces) == 0 {
			t.Errorf("%s/%s has no recorded trace; run: go generate ./fixtures", h.Fixture, h.Name)
			continue
		}
		h.Wants = readSource(t, h, program)
		halves = append(halves, h)
	}
	return halves
}

var wantPattern = regexp.MustCompile(`// want ((?:[a-z-]+/[a-z-]+ ?)+)$`)

// readSource returns the wants of a program and checks that its traces are not stale.
func readSource(t testing.TB, h Half, program string) []Want {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	stored, err := os.ReadFile(filepath.Join(h.Dir, "source.sha256"))
	if err != nil || strings.Fields(string(stored) + " -")[0] != hex.EncodeToString(sum[:]) {
		t.Errorf("the traces of %s/%s were recorded from another source; run: go generate ./fixtures", h.Fixture, h.Name)
	}
	var wants []Want
	sc := bufio.NewScanner(strings.NewReader(string(data)))
	for line := 1; sc.Scan(); line++ {
		m := wantPattern.FindStringSubmatch(strings.TrimSpace(sc.Text()))
		if m == nil {
			continue
		}
		for _, w := range strings.Fields(m[1]) {
			det, cause, _ := strings.Cut(w, "/")
			wants = append(wants, Want{det, cause, h.Fixture + "/" + h.Name + "/main.go", line})
		}
	}
	return wants
}

// Analyze returns the findings in one recorded trace; src may be nil.
func Analyze(t testing.TB, trace string, src detectors.Source, list ...*detectors.Detector) *detectors.Report {
	t.Helper()
	in, err := traceload.Open(context.Background(), trace, traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	res, err := detectors.Analyze(in, list, detectors.Config{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range res.Warnings() {
		if strings.Contains(w, "internal error") {
			t.Errorf("%s: %s", trace, w)
		}
	}
	return detectors.NewReport([]*detectors.Result{res}, detectors.Options{MinConfidence: 0.5})
}

// Run checks one detector alone on its own fixtures.
func Run(t *testing.T, d *detectors.Detector) {
	t.Helper()
	halves := Halves(t, d.Name+"-")
	if len(halves) == 0 {
		t.Fatalf("no fixture for %s below fixtures/", d.Name)
	}
	for _, h := range halves {
		h.Wants = only(h.Wants, d.Name)
		Check(t, h, d)
	}
}

func only(wants []Want, detector string) []Want {
	var list []Want
	for _, w := range wants {
		if w.Detector == detector {
			list = append(list, w)
		}
	}
	return list
}

// Check compares what the detectors find in each trace of a half with its
// wants, with the source at hand and without. With -short it takes only the
// trace of the newest Go version.
func Check(t *testing.T, h Half, list ...*detectors.Detector) {
	for _, trace := range h.Traces {
		name := strings.TrimSuffix(filepath.Base(trace), ".trace.zst")
		if testing.Short() && name != newest {
			continue
		}
		check(t, h, trace, name, nil, list)
		check(t, h, trace, name+"+source", tree(), list)
	}
}

// newest is the Go version whose traces a quick look takes.
const newest = "go1.26"

// tree is the source of the fixtures, read once for all tests of a package:
// they run one after the other.
var tree = sync.OnceValue(source.Default)

func check(t *testing.T, h Half, trace, name string, src detectors.Source, list []*detectors.Detector) {
	t.Run(h.Fixture+"/"+h.Name+"/"+name, func(t *testing.T) {
		rep := Analyze(t, trace, src, list...)
		wants := h.Wants
		if src == nil {
			wants = h.wantsWithoutSource(t, name, rep, list)
		}
		if src != nil {
			h.checkMarks(t, rep)
			checkNames(t, rep)
		}
		asked := map[int]bool{} // by index of finding
		if src == nil && isDeadlock(h.Wants) {
			h.sameHang(t, rep, asked)
		}
		for _, w := range wants {
			met := false
			for i, f := range rep.Findings {
				if w.matches(f) || w.explained(f, list) {
					met, asked[i] = true, true
					if f.Severity < detectors.Medium && !(src == nil && f.Unproven) { // the source is the proof
						t.Errorf("%s: found, but as %s (confidence %.2f)", w, f.Severity, f.Confidence)
					}
				}
			}
			if !met {
				t.Errorf("%s: not found", w)
			}
		}
		for i, f := range rep.Findings {
			if !asked[i] && f.Severity >= detectors.Medium {
				t.Errorf("%s:%d: unexpected %s/%s (%s, confidence %.2f): %s", f.Site.File, f.Site.Line, f.Detector, f.Cause, f.Severity, f.Confidence, f.Title)
			}
		}
		if t.Failed() {
			for _, f := range rep.Findings {
				t.Logf("%s %s/%s %.2f at %s: %s\n%s\nevidence: %v", f.Severity, f.Detector, f.Cause, f.Confidence, f.Site.Where(), f.Title, f.Detail, f.Evidence)
			}
		}
	})
}

// withoutSource is the file beside a defect's main.go that says what is told of
// it without source, if the trace alone cannot show its cause:
//
//	# why it cannot
//	detector/cause line [trace...]
//	nothing [trace...]
//
// A line that names traces is for these alone.
const withoutSource = "without-source.txt"

var toldPattern = regexp.MustCompile(`^(?:([a-z-]+)/([a-z-]+) (\d+)|nothing)((?: go1[.\w]+)*)$`)

// wantsWithoutSource returns what is wanted of a half whose source is not at
// hand: the same, or, if the trace cannot show that, what stands in its file
// withoutSource. The file must not stand there for nothing.
func (h Half) wantsWithoutSource(t *testing.T, name string, rep *detectors.Report, list []*detectors.Detector) []Want {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.Dir, withoutSource))
	if errors.Is(err, fs.ErrNotExist) {
		return h.Wants
	}
	if err != nil {
		t.Fatal(err)
	}
	var wants []Want
	why, concerned := false, false
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "# ") {
			why = true
			continue
		}
		m := toldPattern.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s/%s/%s: cannot read %q", h.Fixture, h.Name, withoutSource, line)
		}
		if traces := strings.Fields(m[4]); len(traces) > 0 && !slices.Contains(traces, name) {
			continue
		}
		concerned = true
		n, _ := strconv.Atoi(m[3]) // the pattern has digits, or there is nothing
		w := Want{m[1], m[2], h.Fixture + "/" + h.Name + "/main.go", n}
		if slices.ContainsFunc(list, func(d *detectors.Detector) bool { return d.Name == w.Detector }) {
			wants = append(wants, w)
		}
	}
	if !why {
		t.Errorf("%s/%s/%s does not say why", h.Fixture, h.Name, withoutSource)
	}
	if !concerned {
		return h.Wants
	}
	for _, w := range h.Wants {
		if !slices.Contains(wants, w) && slices.ContainsFunc(rep.Findings, w.matches) {
			t.Errorf("%s is told without source too: remove it from %s", w, withoutSource)
		}
	}
	return wants
}

// sameHang marks findings that tell of nothing but goroutines that hang on a
// lock of the deadlock, at lines with a mark: without source they may stand
// beside one of the deadlock that is not sure enough to explain them.
func (h Half) sameHang(t *testing.T, rep *detectors.Report, asked map[int]bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.Dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for i, f := range rep.Findings {
		if f.Detector == "goroutine-leak" && f.Cause == "mutex" && f.Site.Line <= len(lines) && hangPattern.MatchString(lines[f.Site.Line-1]) {
			asked[i] = true
		}
	}
}

var hangPattern = regexp.MustCompile(`// (holds|waits|behind) \S+`)

// Marks in a fixture of a deadlock: the line takes the lock, or waits for it.
var markPattern = regexp.MustCompile(`// (holds|waits) (\S+)`)

// checkMarks compares the deadlock that was found with the program's marks:
// each holder and waiter is to be named with its lock and its line.
func (h Half) checkMarks(t *testing.T, rep *detectors.Report) {
	t.Helper()
	if !isDeadlock(h.Wants) || h.Wants[0].Cause == "unreleased" { // whoever held it is gone
		return
	}
	said := ""
	for _, f := range rep.Findings {
		if f.Detector == "deadlock" {
			said += f.Detail
		}
	}
	data, err := os.ReadFile(filepath.Join(h.Dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "//") {
			continue
		}
		for _, m := range markPattern.FindAllStringSubmatch(line, -1) {
			want := m[2] + " at main.go:" + strconv.Itoa(i+1)
			if m[1] == "holds" { // by a function that has returned: then its call is named
				want = m[2] + " since main.go:"
			}
			if !strings.Contains(strings.ReplaceAll(said, " for reading", ""), want) {
				t.Errorf("main.go:%d: %s %s is not said: %s", i+1, m[1], m[2], said)
			}
		}
	}
}

// How findings of the other detectors of locks name lock and holder, where the source is at hand.
var namedPatterns = map[string]*regexp.Regexp{
	"lock-held-while-blocked": regexp.MustCompile(`^G\d+ \S+ holds \w+\.\w+ since main\.go:\d+ and `),
	"lock-contention":         regexp.MustCompile(`(keeps?|hold) \w+\.\w+[ ,]`),
}

// checkNames wants the lock's name, and the holder's line, in findings of locks of the program.
func checkNames(t *testing.T, rep *detectors.Report) {
	t.Helper()
	for _, f := range rep.Findings {
		if re := namedPatterns[f.Detector]; re != nil && f.Severity >= detectors.Medium && strings.HasSuffix(f.Site.File, "main.go") && !re.MatchString(f.Detail) {
			t.Errorf("%s: %s/%s does not name the lock and who holds it since where: %s", f.Site.Where(), f.Detector, f.Cause, f.Detail)
		}
	}
}

// explained tells whether the finding stands on w's line and is of a detector
// that explains more than the one that w asks for, and so is told in its place.
func (w Want) explained(f detectors.Finding, list []*detectors.Detector) bool {
	asked := slices.IndexFunc(list, func(d *detectors.Detector) bool { return d.Name == w.Detector })
	return asked >= 0 && slices.Contains(list[asked].Yields, f.Detector) && f.Site.Line == w.Line && strings.HasSuffix(f.Site.File, w.File)
}

func isDeadlock(wants []Want) bool {
	return slices.ContainsFunc(wants, func(w Want) bool { return w.Detector == "deadlock" })
}

func (w Want) matches(f detectors.Finding) bool {
	return f.Detector == w.Detector && f.Cause == w.Cause && f.Site.Line == w.Line && strings.HasSuffix(f.Site.File, w.File)
}
