package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/traceload"
)

// update is read-only after flag parsing; a flag of a test binary has no other home.
var update = flag.Bool("update", false, "rewrite the example in README.md")

func noEnv(string) string { return "" }

// runTest runs the command with nothing on standard input.
func runTest(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs, noEnv)
	return code, out.String(), errs.String()
}

func TestExitStatus(t *testing.T) {
	finding := func(s detectors.Severity) detectors.Finding { return detectors.Finding{Severity: s} }
	whole, cut := detectors.Trace{Complete: true}, detectors.Trace{}
	high := severityOrNever{set: true, severity: detectors.High}
	tests := []struct {
		name       string
		report     detectors.Report
		flags      analyzeFlags
		unreadable bool
		want       int
	}{
		{"nothing asked", detectors.Report{Findings: []detectors.Finding{finding(detectors.Critical)}}, analyzeFlags{}, false, 0},
		{"at", detectors.Report{Findings: []detectors.Finding{finding(detectors.Low), finding(detectors.High)}}, analyzeFlags{settings: settings{failOn: high}}, false, 1},
		{"above", detectors.Report{Findings: []detectors.Finding{finding(detectors.Critical)}}, analyzeFlags{settings: settings{failOn: high}}, false, 1},
		{"below", detectors.Report{Findings: []detectors.Finding{finding(detectors.Medium)}}, analyzeFlags{settings: settings{failOn: high}}, false, 0},
		{"nothing found, at info", detectors.Report{}, analyzeFlags{settings: settings{failOn: severityOrNever{set: true, severity: detectors.Info}}}, false, 0},
		{"info, at info", detectors.Report{Findings: []detectors.Finding{finding(detectors.Info)}}, analyzeFlags{settings: settings{failOn: severityOrNever{set: true}}}, false, 1},
		{"cut", detectors.Report{Traces: []detectors.Trace{whole, cut}}, analyzeFlags{settings: settings{failOnIncomplete: true}}, false, 1},
		{"whole", detectors.Report{Traces: []detectors.Trace{whole}}, analyzeFlags{settings: settings{failOnIncomplete: true}}, false, 0},
		{"cut, but not asked", detectors.Report{Traces: []detectors.Trace{cut}}, analyzeFlags{}, false, 0},
		{"accepted into a baseline", detectors.Report{Findings: []detectors.Finding{finding(detectors.Critical)}}, analyzeFlags{settings: settings{failOn: high}, writeBaseline: "x"}, false, 0},
		{"one could not be read", detectors.Report{Findings: []detectors.Finding{finding(detectors.Critical)}}, analyzeFlags{settings: settings{failOn: high}}, true, 2},
	}
	for _, test := range tests {
		if got := exitStatus(&test.report, &test.flags, test.unreadable); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// What the user or a server says is quoted, never obeyed.
func TestErrorsArePrintable(t *testing.T) {
	for _, args := range [][]string{
		{"analyze", "no\x1b[31m\u202e\nfile"},
		{"analyze", "--only", "x\x1b[31m", "file"},
		{"analyze", "--\x1b[31m", "file"},
		{"\x1b[31m"},
		{"explain", "\u009b31m"},
	} {
		code, stdout, stderr := runTest(args...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%q: status %d, standard output %q", args, code, stdout)
		}
		if strings.ContainsAny(stderr, "\x1b\u009b\u202e") {
			t.Errorf("%q: standard error %q", args, stderr)
		}
		if n := strings.Count(stderr, "tracedoc: "); n != 1 || strings.Count(stderr, "\n") > 2 {
			t.Errorf("%q: %d complaints, want one line: %q", args, n, stderr)
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	silent, w := io.Pipe() // standard input that nobody writes to
	defer w.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	var out, errs bytes.Buffer
	began := time.Now()
	code := run(ctx, []string{"analyze", "-"}, silent, &out, &errs, noEnv)
	if code != exitUsage || out.Len() > 0 || errs.String() != "tracedoc: interrupted\n" {
		t.Errorf("status %d, standard output %q, standard error %q", code, out.String(), errs.String())
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("out of cheese") }

func TestPanicIsContained(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"analyze", "-"}, panicking{}, &out, &errs, noEnv)
	want := "tracedoc: -: internal error: out of cheese at main_test.go:"
	if code != exitUsage || !strings.HasPrefix(errs.String(), want) || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("status %d, standard error %q, want %q…", code, errs.String(), want)
	}
}

func TestInputError(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"analyze", "-"}, iotest.ErrReader(errors.New("cable cut")), &out, &errs, noEnv)
	if code != exitUsage || !strings.Contains(errs.String(), "cable cut") || out.Len() > 0 {
		t.Errorf("status %d, standard output %q, standard error %q", code, out.String(), errs.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputError(t *testing.T) {
	for _, args := range [][]string{{"analyze", leakTrace}, {"explain", "goroutine-leak"}, {"detectors"}, {"version"}} {
		var errs bytes.Buffer
		code := run(context.Background(), args, nil, fullDisk{}, &errs, noEnv)
		if code != exitUsage || !strings.Contains(errs.String(), "no space left") || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: status %d, standard error %q", args[0], code, errs.String())
		}
	}
}

func TestWriteAll(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	content := func(want map[string]string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(want) {
			t.Errorf("%d entries in the folder, want %d: %v", len(entries), len(want), entries)
		}
		for name, text := range want {
			if got, err := os.ReadFile(path(name)); err != nil || string(got) != text {
				t.Errorf("%s holds %q (%v), want %q", name, got, err, text)
			}
		}
	}
	write := func(stdout io.Writer, files ...string) error {
		var outputs []*output
		for _, f := range files {
			name, text, _ := strings.Cut(f, "=")
			o := &output{data: []byte(text)}
			if name != "" {
				o.path = path(name)
			}
			outputs = append(outputs, o)
		}
		return (&tool{stdout: stdout}).writeAll(outputs)
	}

	var out bytes.Buffer
	if err := write(&out, "a=1", "=shown", "b=2"); err != nil || out.String() != "shown" {
		t.Errorf("%v, standard output %q", err, out.String())
	}
	content(map[string]string{"a": "1", "b": "2"})
	if err := write(&out, "a=3", "c=4"); err != nil {
		t.Error(err)
	}
	content(map[string]string{"a": "3", "b": "2", "c": "4"})

	// All or none.
	if err := write(&out, "a=5", "missing/d=6"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
	if err := write(fullDisk{}, "a=5", "=shown", "d=6"); err == nil {
		t.Error("standard output failed, and nobody said so")
	}
	content(map[string]string{"a": "3", "b": "2", "c": "4"})

	// A file that cannot be put in its place takes back those before it.
	var staged []*stagedFile
	for _, name := range []string{"a", "new", "b"} {
		s, err := newStagedFile(path(name), []byte("late"))
		if err != nil {
			t.Fatal(err)
		}
		staged = append(staged, s)
	}
	for _, s := range staged[:2] {
		if err := s.commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(staged[2].temp); err != nil {
		t.Fatal(err)
	}
	if err := staged[2].commit(); err == nil {
		t.Error("nothing was put in its place, and nobody said so")
	}
	for _, s := range staged {
		s.undo()
		s.discard()
	}
	content(map[string]string{"a": "3", "b": "2", "c": "4"})
}

// Services that show findings beside the code get paths of the repository.
func TestRepositoryPaths(t *testing.T) {
	t.Chdir("../../fixtures") // anywhere in the repository
	trace := "goroutine-leak-chan-send/defect/go1.26.trace.zst"
	for format, want := range map[string]string{
		"sarif":  `"uri": "fixtures/goroutine-leak-chan-send/defect/main.go"`,
		"github": "::error file=fixtures/goroutine-leak-chan-send/defect/main.go,line=",
		"gitlab": `"path": "fixtures/goroutine-leak-chan-send/defect/main.go"`,
		"junit":  `file="fixtures/goroutine-leak-chan-send/defect/main.go"`,
	} {
		if code, stdout, stderr := runTest("analyze", "-f", format, trace); code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("%s: status %d, %s is missing: %s%s", format, code, want, stdout, stderr)
		}
	}
}

func TestRequests(t *testing.T) {
	tests := []struct{ args, want string }{
		{"", "text>"},
		{"-f json", "json>"},
		{"-o x", "text>x"},
		{"-f json -o x", "json>x"},
		{"-o x -f json", "json>x"},
		{"-f github -f sarif -o x", "github> sarif>x"},
		{"-f sarif -o x -f github", "sarif>x github>"},
		{"-f sarif -o x -f markdown -o y -f json -o -", "sarif>x markdown>y json>"},
		{"-o x -f sarif -o y -f junit", "sarif>x junit>y"},
		{"-f json -f text", "error: two reports cannot both go to standard output: give each --format its own --output"},
		{"-f json -o x -f text -o ./x", "error: two reports cannot both go to x: give each --format its own --output"},
		{"-o x -o y", "text>x text>y"},
		{"-f xml", "error: unknown format \"xml\": use one of " + strings.Join(render.FormatNames(), ", ")},
	}
	t.Chdir(t.TempDir())
	for _, test := range tests {
		var list requests
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.VarP(list.format(), "format", "f", "")
		flags.VarP(list.path(), "output", "o", "")
		if err := flags.Parse(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		outputs, err := (&tool{env: noEnv, stdout: io.Discard}).outputsFor(list)
		var got []string
		for _, o := range outputs {
			got = append(got, o.format.Name+">"+o.path)
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if text != test.want {
			t.Errorf("%s: %s, want %s", test.args, text, test.want)
		}
	}
}

func TestColumns(t *testing.T) {
	for value, want := range map[string]int{"": 80, "120": 120, "0": 80, "-3": 80, "x": 80, "1000000": 80} {
		tool := &tool{env: func(key string) string {
			if key == "COLUMNS" {
				return value
			}
			return ""
		}}
		if got := tool.columns(); got != want {
			t.Errorf("COLUMNS=%q: %d, want %d", value, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	m := &meter{source: "tr\x1bace.out", done: make(chan struct{})}
	if got := m.status(time.Second); got != "" {
		t.Errorf("before the trace is open: %q", got)
	}
	m.recording("", 5*time.Second)
	if got, want := m.status(1500*time.Millisecond), `tr\x1bace.out: the server records for 5s, 4s to go`; got != want {
		t.Errorf("while the server records: %q, want %q", got, want)
	}
	m.recording("", 0)
	in, err := traceload.Open(context.Background(), leakTrace, traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m.reading(in)
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	if got := m.status(time.Second); !strings.HasPrefix(got, `tr\x1bace.out: all `) {
		t.Errorf("at the end of a file: %q", got)
	}
	in.Size = 2 * in.PackedBytes()
	if got := m.status(time.Second); !strings.HasPrefix(got, `tr\x1bace.out: 50% of `) || !strings.HasSuffix(got, " MB/s") {
		t.Errorf("half-way: %q", got)
	}
	in.Size = -1
	if got := m.status(time.Second); strings.Contains(got, "%") || !strings.HasSuffix(got, " MB/s") {
		t.Errorf("at the end of a stream: %q", got)
	}

	// What is shown is wiped away, and never wider than the terminal.
	var b bytes.Buffer
	m.gone.Go(func() { m.show(&b, 20) })
	time.Sleep(meterPatience + 3*meterPeriod)
	m.stop()
	lines := strings.Split(b.String(), "\r\x1b[K")
	if len(lines) < 3 || lines[0] != "" || lines[len(lines)-1] != "" {
		t.Fatalf("shown: %q", lines)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 19 {
			t.Errorf("%q is %d columns wide", line, n)
		}
	}
}

func TestBuild(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	tests := []struct {
		info debug.BuildInfo
		want build
	}{
		{debug.BuildInfo{}, build{"devel", ""}},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, build{"devel", ""}},
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, build{"v1.2.3", ""}},
		{debug.BuildInfo{Settings: []debug.BuildSetting{setting("vcs.revision", "0123456789abcdef"), setting("vcs.modified", "false")}}, build{"devel", "0123456789ab"}},
		{debug.BuildInfo{Settings: []debug.BuildSetting{setting("vcs.modified", "true"), setting("vcs.revision", "0123")}}, build{"devel", "0123 with changes"}},
	}
	for _, test := range tests {
		if got := buildFrom(&test.info); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.info, got, test.want)
		}
	}
}

// Every report of a real trace keeps to the schema.
func TestReportsKeepToTheSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../render/report.v1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var traces []string
	for _, pattern := range []string{"/*/defect/go1.26.trace.zst", "/goroutine-leak-*/defect/go1.22.trace.zst"} {
		found, err := filepath.Glob(fixtures + pattern)
		if err != nil {
			t.Fatal(err)
		}
		traces = append(traces, found...)
	}
	if len(traces) < 10 {
		t.Fatalf("only %d traces in %s", len(traces), fixtures)
	}
	for i, trace := range traces {
		args := []string{"analyze", "-f", "json", "--min-severity", "info", "--min-confidence", "0", trace}
		if i%8 != 0 { // reading the source takes longer than all the rest
			args = append(args, "--source", "off")
		}
		code, stdout, stderr := runTest(args...)
		if code != exitDone {
			t.Errorf("%s: status %d: %s", trace, code, stderr)
			continue
		}
		report, err := jsonschema.UnmarshalJSON(strings.NewReader(stdout))
		if err != nil {
			t.Errorf("%s: %v", trace, err)
			continue
		}
		if err := schema.Validate(report); err != nil {
			t.Errorf("%s: %v", trace, err)
		}
	}
}
