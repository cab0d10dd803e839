package render

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tracedoc/tracedoc/detectors"
)

const schemaFile = "report.v1.schema.json"

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decode(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAccepts(t *testing.T) {
	s := compileSchema(t)
	raw, err := os.ReadFile(filepath.Join("testdata", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(decode(t, string(raw))); err != nil { // with properties that we do not know
		t.Error(err)
	}
	r := readReport(t, "report.json")
	if err := s.Validate(decode(t, write(t, Formats()[1], r, Options{}))); err != nil {
		t.Error(err)
	}
	var early map[string]any // as it was before there were source, estimates and tests
	if err := json.Unmarshal(raw, &early); err != nil {
		t.Fatal(err)
	}
	for _, f := range early["findings"].([]any) {
		delete(f.(map[string]any), "source")
		delete(f.(map[string]any), "estimate")
		delete(f.(map[string]any), "tests")
	}
	if err := s.Validate(early); err != nil {
		t.Errorf("findings without source and estimate: %v", err)
	}
	empty := detectors.NewReport(nil, detectors.Options{Version: "v1.2.3"})
	empty.Traces = r.Traces
	if err := s.Validate(decode(t, write(t, Formats()[1], empty, Options{}))); err != nil {
		t.Errorf("a report without findings: %v", err)
	}
}

// What the schema promises, it must also insist on.
func TestSchemaRejects(t *testing.T) {
	s := compileSchema(t)
	estimate := func(key string, value any) map[string]any {
		e := map[string]any{"text": "all", "time_ns": 1, "cpu_ns": 1, "wakeups": 1, "syscalls": 1, "goroutines": 1}
		e[key] = value
		return e
	}
	tests := []struct {
		name   string
		change func(report, trace, finding, group map[string]any)
	}{
		{"another schema", func(r, _, _, _ map[string]any) { r["schema"] = "tracedoc/report/v2" }},
		{"findings are null", func(r, _, _, _ map[string]any) { r["findings"] = nil }},
		{"no tool", func(r, _, _, _ map[string]any) { delete(r, "tool") }},
		{"no traces", func(r, _, _, _ map[string]any) { r["traces"] = []any{} }},
		{"start time is no time", func(_, t, _, _ map[string]any) { t["start_time"] = "yesterday" }},
		{"warnings are null", func(_, t, _, _ map[string]any) { t["warnings"] = nil }},
		{"complete with unread bytes", func(_, t, _, _ map[string]any) { t["unread_bytes"] = 1 }},
		{"incomplete without a warning", func(_, t, _, _ map[string]any) { t["complete"] = false }},
		{"format without version", func(_, t, _, _ map[string]any) { t["format"] = "go" }},
		{"idle sites are null", func(_, t, _, _ map[string]any) { t["idle"].(map[string]any)["sites"] = nil }},
		{"rank 0", func(_, _, f, _ map[string]any) { f["rank"] = 0 }},
		{"severity", func(_, _, f, _ map[string]any) { f["severity"] = "fatal" }},
		{"confidence above 1", func(_, _, f, _ map[string]any) { f["confidence"] = 1.01 }},
		{"family", func(_, _, f, _ map[string]any) { f["family"] = "weather" }},
		{"detector", func(_, _, f, _ map[string]any) { f["detector"] = "Goroutine Leak" }},
		{"fingerprint", func(_, _, f, _ map[string]any) { f["fingerprint"] = "main.go:12" }},
		{"seen nowhere", func(_, _, f, _ map[string]any) { f["seen"] = []any{} }},
		{"a detector that ran has no name", func(r, _, _, _ map[string]any) {
			r["detectors"] = []any{map[string]any{"family": "locks", "about": ""}}
		}},
		{"suppressed by nobody", func(r, _, _, _ map[string]any) {
			f := r["findings"].([]any)[0].(map[string]any)
			r["suppressed"] = []any{map[string]any{"fingerprint": f["fingerprint"], "detector": f["detector"], "cause": f["cause"],
				"severity": f["severity"], "title": f["title"], "site": f["site"], "by": "me", "reason": ""}}
		}},
		{"a detector could not judge without a reason", func(_, t, _, _ map[string]any) { t["not_judged"] = []any{map[string]any{"detector": "x"}} }},
		{"source is null", func(_, _, f, _ map[string]any) { f["source"] = nil }},
		{"a source line without its number", func(_, _, f, _ map[string]any) { delete(f["source"].([]any)[0].(map[string]any), "line") }},
		{"source line 0", func(_, _, f, _ map[string]any) { f["source"].([]any)[0].(map[string]any)["line"] = 0 }},
		{"tests are null", func(_, _, f, _ map[string]any) { f["tests"] = nil }},
		{"a test without a name", func(_, _, f, _ map[string]any) { f["tests"] = []any{""} }},
		{"no pattern", func(_, _, f, _ map[string]any) { delete(f, "pattern") }},
		{"a time as text", func(_, _, f, _ map[string]any) { f["impact"].(map[string]any)["blocked_ns"] = "2s" }},
		{"an estimate without words", func(_, _, f, _ map[string]any) { f["estimate"] = estimate("text", "") }},
		{"an estimate below zero", func(_, _, f, _ map[string]any) { f["estimate"] = estimate("cpu_ns", -1) }},
		{"role", func(_, _, _, g map[string]any) { g["role"] = "boss" }},
		{"state", func(_, _, _, g map[string]any) { g["state"] = "asleep" }},
		{"too many ids", func(_, _, _, g map[string]any) { g["goroutines"] = slices.Repeat([]any{1}, 17) }},
		{"stack is null", func(_, _, _, g map[string]any) { g["stack"] = nil }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			report := map[string]any{}
			if err := json.Unmarshal([]byte(write(t, Formats()[1], readReport(t, "report.json"), Options{})), &report); err != nil {
				t.Fatal(err)
			}
			finding := report["findings"].([]any)[0].(map[string]any)
			test.change(report, report["traces"].([]any)[0].(map[string]any), finding, finding["groups"].([]any)[0].(map[string]any))
			changed, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			if s.Validate(decode(t, string(changed))) == nil {
				t.Error("the schema lets it pass")
			}
		})
	}
}

// The schema's lists of words are those of the code.
func TestSchemaWords(t *testing.T) {
	var doc struct {
		Defs struct{ Family, Severity struct{ Enum []string } } `json:"$defs"`
	}
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var families []string
	for _, f := range detectors.Families() {
		families = append(families, string(f))
	}
	same := func(what string, schema, code []string) {
		slices.Sort(schema)
		slices.Sort(code)
		if !slices.Equal(schema, code) {
			t.Errorf("%s: the schema has %q, the code %q", what, schema, code)
		}
	}
	same("families", doc.Defs.Family.Enum, families)
	same("severities", doc.Defs.Severity.Enum, detectors.Severities())
}
