package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/gate"
)

var names = Names{Detectors: suite.All()}

// whole uses every key.
const whole = `
fail-on: high
fail-on-incomplete: true
min-severity: info
min-confidence: 0.75
top: 20
only: [goroutine-leak, locks]
skip: growth
source: [., ../lib, /src/x]
baseline: ci/baseline.json
severities:
  growth: low
  goroutine-leak: medium
  goroutine-leak/select: critical
ignores:
  - detector: goroutine-leak
    func: example.com/shop/*
    reason: lives as long as the process
    expires: 2027-01-31
  - func: main.(*Pool).run
    reason: meant
known-waits:
  - func: example.com/app.(*Pool).run
    wait: chan receive
    reason: waits for work
  - func: example.com/app.(*Rows).await.func
    reason: lives as long as its rows
    forgot: closes the rows
    in-use: example.com/app.read
`

func TestParse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	c, err := Parse([]byte(whole), path, names)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path: path, FailOn: "high", FailOnIncomplete: true, MinSeverity: detectors.Info, MinConfidence: 0.75, Top: 20,
		Only: []string{"goroutine-leak", "locks"}, Skip: []string{"growth"},
		Source: []string{dir, filepath.Join(filepath.Dir(dir), "lib"), "/src/x"}, Baseline: filepath.Join(dir, "ci", "baseline.json"),
		Severities: []gate.Grade{{Of: "goroutine-leak/select", Severity: detectors.Critical}, {Of: "goroutine-leak", Severity: detectors.Medium}, {Of: "growth", Severity: detectors.Low}},
		Ignores: []gate.Ignore{
			{Detector: "goroutine-leak", Func: "example.com/shop/*", Reason: "lives as long as the process", Expires: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), Origin: path + ":16"},
			{Func: "main.(*Pool).run", Reason: "meant", Origin: path + ":20"},
		},
		KnownWaits: []detectors.KnownWait{
			{Func: "example.com/app.(*Pool).run", Wait: "chan receive", Why: "waits for work"},
			{Func: "example.com/app.(*Rows).await.func", Why: "lives as long as its rows", Forgot: "closes the rows", InUse: "example.com/app.read"},
		},
	}
	want.lines = c.lines
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if got, want := c.Origin("min-confidence"), path+":5"; got != want {
		t.Errorf("origin %s, want %s", got, want)
	}
	if got := Default().Origin("top"); got != "default" {
		t.Errorf("origin of what no file sets: %s", got)
	}
	for _, text := range []string{"", "# only a remark\n", "---\n", "only: []\n", "source: off\n"} {
		if _, err := Parse([]byte(text), path, names); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"fail-on: terrible", `:1: fail-on: unknown severity "terrible"`},
		{"\n\nfail_on: high", ":3: fail_on: unknown key: use one of fail-on, fail-on-incomplete,"},
		{"top: 3\ntop: 4", "top"}, // the library's words
		{"min-confidence: 2", ":1: min-confidence: must be a number from 0 to 1"},
		{"min-confidence: .nan", ":1: min-confidence: must be a number from 0 to 1"},
		{"top: -1", ":1: top: must be a whole number from 0 on"},
		{"top: 1.5", ":1: top: must be a whole number from 0 on"},
		{"fail-on-incomplete: maybe", ":1: fail-on-incomplete: must be true or false"},
		{"only: [nonsense]", `:1: only: unknown detector or family "nonsense": use one of `},
		{"skip: goroutine-leak/select", ":1: skip: \"goroutine-leak/select\" names a cause: use the detector goroutine-leak"},
		{"source: {a: b}", ":1: source: must be a word or a list of words"},
		{"source: [off, x]", `:1: source: "off" goes with no folder`},
		{"baseline: ''", ":1: baseline: must be a text that is not empty"},
		{"baseline:", ":1: baseline: has no value"},
		{"severities: [a]", ":1: severities: must be a mapping"},
		{"severities:\n  goroutine-leak: off", `:2: severities.goroutine-leak: unknown severity "off"`},
		{"severities:\n  goroutine-leak/nothing: low", `:2: severities.goroutine-leak/nothing: goroutine-leak has no cause "nothing": use one of `},
		{"ignores: x", ":1: ignores: must be a list"},
		{"ignores:\n  - x", ":2: ignores[1]: must be a mapping of keys to values"},
		{"ignores:\n  - reason: x", ":2: ignores[1]: names neither a detector nor a func"},
		{"ignores:\n  - func: a.b", ":2: ignores[1]: has no reason"},
		{"ignores:\n  - func: a.b\n    reason: x\n  - func: a.b\n    reason: x\n    expires: soon", `:6: ignores[2].expires: "soon" is no date such as 2027-01-31`},
		{"ignores:\n  - func: a.b\n    until: x", ":3: ignores[1].until: unknown key: use one of detector, func, reason, expires"},
		{"known-waits:\n  - func: a.b", `:2: known-waits[1]: known wait "a.b": no reason`},
		{"known-waits:\n  - func: a.b\n    reason: x\n    wait: forever", `:2: known-waits[1]: known wait "a.b": unknown wait "forever"`},
		{"- a", ":1: must be a mapping of keys to values"},
		{"a", ":1: must be a mapping of keys to values"},
		{"fail-on: [", ": not YAML: "},
		{"a: b: c", ": not YAML: "},
		{"\x00", ": not YAML: "},
	}
	for _, test := range tests {
		_, err := Parse([]byte(test.text), "dir/.tracedoc.yaml", names)
		if err == nil || !strings.HasPrefix(err.Error(), "dir/.tracedoc.yaml:") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n got %v\nwant dir/.tracedoc.yaml%s…", test.text, err, test.want)
		}
	}
}

func TestFind(t *testing.T) {
	top := t.TempDir()
	deep := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	write := func(dir, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := Find(deep, names); err != nil || c.Path != "" || c.MinConfidence != 0.5 {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	write(top, "top: 1")
	if c, err := Find(deep, names); err != nil || c.Top != 1 {
		t.Errorf("two folders up: %+v, %v", c, err)
	}
	write(filepath.Join(top, "a"), "top: 2")
	if c, err := Find(deep, names); err != nil || c.Top != 2 {
		t.Errorf("the nearest counts: %+v, %v", c, err)
	}
	write(filepath.Join(top, "a"), "top: x")
	if _, err := Find(deep, names); err == nil {
		t.Error("a wrong file is not passed over")
	}
	if err := os.Mkdir(filepath.Join(deep, FileName), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(deep, names); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder of that name: %v", err)
	}
	if _, err := Read(filepath.Join(top, "missing.yaml"), names); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("tracedoc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is what an editor gives to its JSON Schema validator.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Editors and the command agree on what is right.
func TestSchema(t *testing.T) {
	s := schema(t)
	if err := s.Validate(asJSON(t, strings.ReplaceAll(whole, "2027-01-31", `"2027-01-31"`))); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"fail-on: terrible", "fail_on: high", "min-confidence: 2", "top: -1", "top: 1.5", "fail-on-incomplete: maybe", "skip: goroutine-leak/select",
		"source: {a: b}", "baseline: ''", "severities: [a]", "severities: {goroutine-leak: off}", "ignores: x", "ignores: [x]", "ignores: [{reason: x}]",
		"ignores: [{func: a.b}]", "ignores: [{func: a.b, reason: x, expires: soon}]", "ignores: [{func: a.b, reason: x, until: y}]",
		"known-waits: [{func: a.b}]", "known-waits: [{func: ab, reason: x}]", "known-waits: [{func: a.b, reason: x, wait: forever}]",
		"known-waits: [{func: a.b, reason: x, in-use: a.c}]",
	} {
		if s.Validate(asJSON(t, text)) == nil {
			t.Errorf("the schema lets %q pass", text)
		}
		if _, err := Parse([]byte(text), FileName, names); err == nil {
			t.Errorf("Parse lets %q pass", text)
		}
	}
}

// The schema's lists of words are those of the code.
func TestSchemaWords(t *testing.T) {
	data, err := os.ReadFile("tracedoc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Properties map[string]struct {
			Items struct {
				Properties map[string]struct{ Enum []string }
			}
		}
		Definitions struct{ Severity struct{ Enum []string } }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if got := doc.Definitions.Severity.Enum; !slices.Equal(got, detectors.Severities()) {
		t.Errorf("severities %q", got)
	}
	if got := doc.Properties["known-waits"].Items.Properties["wait"].Enum; !slices.Equal(got, detectors.KnownWaitWords) {
		t.Errorf("waits %q", got)
	}
	c, err := Parse([]byte(whole), FileName, names)
	if err != nil {
		t.Fatal(err)
	}
	for key := range doc.Properties {
		if c.lines[key] == 0 {
			t.Errorf("the schema has the key %s, which the example of all keys lacks", key)
		}
	}
	for key := range c.lines {
		if _, ok := doc.Properties[key]; !ok {
			t.Errorf("the schema lacks the key %s", key)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("a: &x [*x]")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		if _, err := Parse([]byte(text), FileName, names); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: an error of several lines: %v", text, err)
		}
	})
}

// The example in README.md is right.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(example, "known-waits") {
		t.Fatal("README.md has no example of a configuration")
	}
	if _, err := Parse([]byte(example), FileName, names); err != nil {
		t.Error(err)
	}
	if err := schema(t).Validate(asJSON(t, strings.ReplaceAll(example, "2027-01-31", `"2027-01-31"`))); err != nil {
		t.Error(err)
	}
}
