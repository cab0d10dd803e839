package render

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/tracedoc/tracedoc/detectors"
)

// Names as no program has them, but a trace could.
var hostileNames = []struct{ name, text string }{
	{"controls", "\x1b[31m\u009b2J\x07\u202e\u200b\r\x08\x00x\u2028"},
	{"not UTF-8", "a\xffb\xed\xa0\x80\xc3"},
	{"HTML", `<script>alert(1)</script><img src=x onerror="alert(1)">&lt;b&gt;</code></details><!-- x -->`},
	{"Markdown", "[x](http://evil.example) ![x](http://evil.example/x.png) `code` **b** | a | # h1 ~~s~~ @org/team #123 GH-1 https://evil.example www.evil.example <http://evil.example> me@evil.example $x$ \\ &amp;"},
	{"Markdown lines", "# heading\n- list\n1. list\n> quote\n```\nfence\n~~~\n| a | b |\n|---|---|\n\n    code\n</details>\n---\n[x]: http://evil.example\n:tada:"},
	{"list at the beginning", "1. first"},
	{"rule at the beginning", "--- x"},
	{"fence", "````````go\nx\n````````"},
	{"commands", "::error::pwned\n::set-output name=x::y\n::add-mask::*** ##[error]pwned ##vso[task.complete] ##teamcity[x] x ::stop-commands::t :::group::x"},
	{"command first", "::error file=x::pwned"},
	{"command, percent", "%0A::error::pwned%0D%25"},
	{"properties", "x,file=evil.go,line=1::pwned:y"},
	{"XML", `]]></failure><failure/>&#0;&amp;<![CDATA[<!DOCTYPE x [<!ENTITY x "y">]>&x;` + "\ufffe\uffff\x0b"},
	{"JSON", `"},{"x":"\u0000\"` + "\\"},
	{"SARIF", `[link](1) [x](http://evil.example) {0} {{0}} \[ %SRCROOT%/../../etc/passwd`},
	{"paths", "../../../etc/passwd\\..\\x.go"},
	{"long", strings.Repeat("very long ", 100_000)},
	{"one long word", strings.Repeat("long", 250_000)},
	{"long commands", strings.Repeat("::error::x ", 90_000)},
	{"empty", ""},
}

// checks hold what each format promises of its output, as a parser or schema
// says that is not ours.
var checks = map[string]func(t *testing.T, out string){
	"text":     checkLog,
	"json":     func(t *testing.T, out string) { decodeJSON(t, out) },
	"jsonl":    checkJSONL,
	"html":     checkHTML,
	"sarif":    checkSARIF,
	"markdown": checkMarkdown,
	"github":   checkGitHub,
	"gitlab":   checkGitLab,
	"junit":    checkJUnit,
	"pprof":    checkPprof,
	"perfetto": checkPerfetto,
}

// Whatever stands in a trace, every format stays what it is.
func TestHostileNames(t *testing.T) {
	for _, h := range hostileNames {
		var r detectors.Report
		fill(reflect.ValueOf(&r).Elem(), h.text[:min(len(h.text), 4_000)])
		if len(h.text) > 4_000 { // not everywhere: it takes its time
			f := &r.Findings[0]
			for _, s := range []*string{&f.Title, &f.Detail, &f.Site.Func, &f.Site.File, &f.Groups[0].Stack[0].Func, &f.Evidence[0].Text, &f.Pattern.Before, &f.Source[0].Text, &r.Traces[0].Source} {
				*s = h.text
			}
		}
		r.Traces[0].Idle.Goroutines, r.Findings[0].Severity = 1, detectors.High
		second := r.Findings[0]
		second.Severity = detectors.Medium
		r.Findings = append(r.Findings, second)
		r.Traces = append(r.Traces, r.Traces[0])
		for _, f := range Formats() {
			for _, repo := range []func(string) string{func(file string) string { return file }, nil} {
				t.Run(h.name+"/"+f.Name, func(t *testing.T) {
					out := write(t, f, &r, Options{Width: 80, Relative: repo, Elsewhere: "go.mod"})
					if !utf8.ValidString(out) {
						t.Error("the output is not UTF-8")
					}
					for _, c := range out {
						if c != '\n' && !unicode.IsPrint(c) {
							t.Fatalf("%U reaches whoever reads it", c)
						}
					}
					if f.Name != "json" && len(out) > 600_000 { // the JSON report has everything
						t.Errorf("%d bytes", len(out))
					}
					checkLog(t, firstOf(f.Name != "github", out))
					checks[f.Name](t, out)
				})
			}
		}
	}
}

func firstOf(use bool, s string) string {
	if use {
		return s
	}
	return ""
}

// Ordinary reports pass the same checks.
func TestFormatsAreValid(t *testing.T) {
	for _, f := range Formats() {
		check := checks[f.Name]
		if check == nil {
			t.Errorf("nothing checks the format %s", f.Name)
			continue
		}
		for _, name := range reports {
			check(t, write(t, f, readReport(t, name), Options{Width: 80, Relative: inShop, Elsewhere: "go.mod"}))
		}
		empty := readReport(t, "report.json")
		empty.Findings, empty.Detectors = nil, []detectors.Ran{{Name: "quiet", Family: detectors.Locks}}
		check(t, write(t, f, empty, Options{}))
		many := readReport(t, "report.json")
		for len(many.Findings) < 400 {
			many.Findings = append(many.Findings, many.Findings[:4]...)
		}
		check(t, write(t, f, many, Options{Relative: inShop}))
	}
}

// checkLog fails on what a CI service obeys in the log of a job.
func checkLog(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") || strings.Contains(line, "##teamcity[") {
			t.Errorf("a CI service obeys %.200q", line)
		}
	}
}

func decodeJSON(t *testing.T, out string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compileFile(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkJSONL(t *testing.T, out string) {
	for line := range strings.Lines(out) {
		v, ok := decodeJSON(t, line).(map[string]any)
		if !ok || v["kind"] != "trace" && v["kind"] != "finding" {
			t.Errorf("%.100q is no entry", line)
		}
	}
}

// Lines of an ordinary report keep to the parts of the report's schema.
func TestJSONLKeepsToTheSchema(t *testing.T) {
	parts := map[string]*jsonschema.Schema{}
	for _, kind := range []string{"trace", "finding"} {
		parts[kind] = compileFile(t, schemaFile+"#/$defs/"+kind)
	}
	n := 0
	for line := range strings.Lines(write(t, mustFormat(t, "jsonl"), readReport(t, "report.json"), Options{})) {
		v := decodeJSON(t, line).(map[string]any)
		if err := parts[v["kind"].(string)].Validate(v); err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("%d lines, want 2 traces and 4 findings", n)
	}
}

func mustFormat(t *testing.T, name string) Format {
	t.Helper()
	f, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var sarifOfOASIS *jsonschema.Schema

func checkSARIF(t *testing.T, out string) {
	if sarifOfOASIS == nil {
		sarifOfOASIS = compileFile(t, filepath.Join("testdata", "schemas", "sarif-schema-2.1.0.json"))
	}
	if err := sarifOfOASIS.Validate(decodeJSON(t, out)); err != nil {
		t.Errorf("not SARIF: %.2000v", err)
	}
	// What GitHub asks for beyond the schema.
	var log sarifLog
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "security-severity") || strings.Contains(out, "primaryLocationLineHash") {
		t.Error("a property that GitHub would take for something else")
	}
	for _, res := range log.Runs[0].Results {
		if res.RuleIndex >= len(log.Runs[0].Tool.Driver.Rules) || log.Runs[0].Tool.Driver.Rules[res.RuleIndex].ID != res.RuleID {
			t.Errorf("the result's rule %q is not the one at %d", res.RuleID, res.RuleIndex)
		}
		for _, l := range res.RelatedLocations {
			if !strings.Contains(res.Message.Text, fmt.Sprintf("](%d)", l.ID)) {
				t.Errorf("the message does not link to location %d: %s", l.ID, res.Message.Text)
			}
		}
		if strings.Contains(res.Message.Text, "](http") && !strings.Contains(res.Message.Text, `\](http`) {
			t.Errorf("a link to elsewhere: %s", res.Message.Text)
		}
	}
}

var gitlabSchema *jsonschema.Schema

func checkGitLab(t *testing.T, out string) {
	if gitlabSchema == nil {
		gitlabSchema = compileFile(t, filepath.Join("testdata", "schemas", "gitlab-codequality.json"))
	}
	list, ok := decodeJSON(t, out).([]any)
	if !ok {
		t.Fatal("not a list")
	}
	seen := map[any]bool{}
	for _, issue := range list {
		if err := gitlabSchema.Validate(issue); err != nil {
			t.Error(err)
		}
		entry := issue.(map[string]any)
		if fp := entry["fingerprint"]; seen[fp] {
			t.Errorf("GitLab shows only one of those with fingerprint %v", fp)
		} else {
			seen[fp] = true
		}
		if !slices.Contains([]any{"info", "minor", "major", "critical", "blocker"}, entry["severity"]) {
			t.Errorf("severity %v", entry["severity"])
		}
	}
}

// checkMarkdown parses as GitHub does: nothing is there but what we put there.
func checkMarkdown(t *testing.T, out string) {
	if n := utf8.RuneCountInString(out); n > maxComment {
		t.Errorf("%d characters, allowed are %d", n, maxComment)
	}
	source := []byte(out)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	depth, code := 0, false // code tells whether what follows is in a <code>, where nobody is notified
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		markup := ""
		switch n := n.(type) {
		case *ast.Link, *ast.Image:
			t.Errorf("a link or an image in line %d", 1+bytes.Count(source[:n.Pos()], []byte("\n")))
		case *ast.AutoLink:
			if url := string(n.URL(source)); !strings.HasPrefix(url, "https://go.dev/") && !strings.HasPrefix(url, "https://pkg.go.dev/") && !strings.HasPrefix(url, "https://example.com/") {
				t.Errorf("a link to %.200q", url)
			}
		case *ast.Heading:
			if n.Level != 3 {
				t.Errorf("a heading of level %d: %.200q", n.Level, n.Lines().Value(source))
			}
		case *ast.RawHTML:
			markup = string(n.Segments.Value(source))
			code = markup == "<code>" || code && markup != "</code>"
		case *ast.HTMLBlock:
			markup = string(n.Lines().Value(source))
		case *ast.Text:
			if shown := html.UnescapeString(string(n.Value(source))); !code && mention(shown) {
				t.Errorf("a mention: %.200q", shown)
			}
		}
		depth += strings.Count(markup, "<details>") - strings.Count(markup, "</details>")
		if depth < 0 || depth > 1 {
			t.Errorf("details in details, or closed twice, at %.200q", markup)
		}
		for _, tag := range []string{"<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<sub>", "</sub>", "<!-- -->", "<!-- tracedoc -->", "<!-- tracedoc diff -->"} {
			markup = strings.ReplaceAll(markup, tag, "")
		}
		if strings.ContainsAny(markup, "<>") {
			t.Errorf("HTML: %.200q", markup)
		}
		return ast.WalkContinue, nil
	})
	if err != nil || depth != 0 {
		t.Errorf("details that are not closed: %d (%v)", depth, err)
	}
}

// mention tells whether a text of a comment notifies somebody, or refers to an issue.
func mention(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		next := rune(s[i+1])
		if s[i] == '@' && (unicode.IsLetter(next) || unicode.IsDigit(next)) || s[i] == '#' && unicode.IsDigit(next) {
			return true
		}
	}
	return false
}

// checkGitHub reads workflow commands as the runner does: what follows the
// second "::" is the message, and properties are told apart by commas.
func checkGitHub(t *testing.T, out string) {
	perLevel := map[string]int{}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		command, ok := strings.CutPrefix(line, "::")
		if !ok {
			if !strings.HasPrefix(line, "tracedoc: ") || strings.Contains(line, "##") {
				t.Errorf("neither a command nor a remark of ours: %.200q", line)
			}
			continue
		}
		head, message, ok := strings.Cut(command, "::")
		kind, rest, _ := strings.Cut(head, " ")
		if !ok || message == "" || kind != "error" && kind != "warning" && kind != "notice" {
			t.Errorf("the command %.200q", line)
		}
		perLevel[kind]++
		for property := range strings.SplitSeq(rest, ",") {
			if name, _, ok := strings.Cut(property, "="); !ok || name != "file" && name != "line" && name != "title" {
				t.Errorf("the property %q of %.200q", property, line)
			}
		}
		if len(line) > 64<<10 {
			t.Errorf("%d bytes in a line", len(line))
		}
	}
	for kind, n := range perLevel {
		if kind != "notice" && n > maxAnnotations {
			t.Errorf("%d annotations of level %s", n, kind)
		}
	}
}

func checkJUnit(t *testing.T, out string) {
	var suites junit.Testsuites
	dec := xml.NewDecoder(bytes.NewReader([]byte(out)))
	dec.Strict = true
	if err := dec.Decode(&suites); err != nil {
		t.Fatal(err)
	}
	if len(suites.Suites) != 1 || suites.Suites[0].Name != "tracedoc" || len(suites.Suites[0].Testcases) != suites.Tests || suites.Tests == 0 {
		t.Fatalf("%d suites, %d tests", len(suites.Suites), suites.Tests)
	}
	failures := 0
	for _, c := range suites.Suites[0].Testcases {
		if c.Failure != nil {
			failures++
		}
	}
	if failures != suites.Failures || failures != suites.Suites[0].Failures {
		t.Errorf("%d failures, announced are %d and %d", failures, suites.Failures, suites.Suites[0].Failures)
	}
}

func TestJUnitCases(t *testing.T) {
	r := readReport(t, "report.json")
	r.Detectors = []detectors.Ran{{Name: "goroutine-leak", Family: detectors.Growth}, {Name: "lock-contention", Family: detectors.Locks}, {Name: "quiet", Family: detectors.Locks}, {Name: "blind", Family: detectors.Locks}}
	for i := range r.Traces {
		r.Traces[i].NotJudged = []detectors.NotJudged{{Detector: "blind", Reason: "the trace holds no stacks"}}
	}
	r.Traces[0].NotJudged = append(r.Traces[0].NotJudged, detectors.NotJudged{Detector: "quiet", Reason: "too short"})
	var suites junit.Testsuites
	if err := xml.Unmarshal([]byte(write(t, mustFormat(t, "junit"), r, Options{FailOn: detectors.High, Relative: inShop})), &suites); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range suites.Suites[0].Testcases {
		state := "passes"
		switch {
		case c.Failure != nil:
			state = "fails: " + c.Failure.Type
		case c.Skipped != nil:
			state = c.Skipped.Message
		case c.SystemOut != nil:
			state = "passes with a remark"
		}
		got = append(got, c.Classname+" "+c.Name+" "+state)
	}
	want := []string{
		"tracedoc.growth goroutine-leak fails: goroutine-leak/chan-send",
		"tracedoc.locks lock-contention passes with a remark",
		"tracedoc.locks quiet passes",
		"tracedoc.locks blind could not judge: the trace holds no stacks",
		"tracedoc.locks lock-held-while-blocked fails: lock-held-while-blocked/network", // ran, though not in the list
		"tracedoc.scheduling tidal-drift passes with a remark",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What is in no file of the repository is shown where the team can see it.
func TestSite(t *testing.T) {
	in := detectors.Frame{Func: "shop.Sell", File: "example.com/shop/sell.go", Line: 7}
	out := detectors.Frame{Func: "lib.Do", File: "example.com/lib@v1/do.go", Line: 9}
	tests := []struct {
		name string
		f    detectors.Finding
		want place
	}{
		{"in the repository", detectors.Finding{Site: in}, place{"sell.go", 7, "shop.Sell"}},
		{"called from it", detectors.Finding{Site: out, Groups: []detectors.Group{{Stack: []detectors.Frame{out, in}}}}, place{"sell.go", 7, "shop.Sell"}},
		{"started by it", detectors.Finding{Site: out, Groups: []detectors.Group{{Stack: []detectors.Frame{out}, CreatedBy: in}}}, place{"sell.go", 7, "shop.Sell"}},
		{"not of it", detectors.Finding{Site: out}, place{"go.mod", 1, ""}},
		{"without a line", detectors.Finding{Site: detectors.Frame{Func: "f", File: "example.com/shop/x.go"}}, place{"x.go", 1, "f"}},
	}
	opt := Options{Relative: inShop, Elsewhere: "go.mod"}
	for _, test := range tests {
		if got := opt.site(&test.f); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestSchemasHaveTheirNotice(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("testdata", "schemas", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "schemas", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no schemas", err)
	}
	for _, f := range files {
		if !strings.Contains(string(readme), "`"+filepath.Base(f)+"`") {
			t.Errorf("README.md does not say where %s is from", f)
		}
	}
}
