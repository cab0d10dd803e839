package patterns

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	_ "golang.org/x/sync/errgroup"  // patterns import it
	_ "golang.org/x/sync/semaphore" // patterns import it
	"golang.org/x/tools/txtar"
)

// What a reader sees in a terminal of 80 columns, beside other findings.
const (
	maxColumns = 72 // of a line of code, a tab going to the next multiple of 8
	maxLines   = 36 // of code before or after
	maxTitle   = 48 // characters
	maxWhy     = 600
)

// TestFiles checks each pattern for what parse does not: that its code
// compiles and is formatted, fits a terminal, and that its texts and links
// are of use.
func TestFiles(t *testing.T) {
	names, err := filepath.Glob("*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no patterns: %v", err)
	}
	fset, known := sourceImporter(t)
	ids := make(map[string]bool)
	titles := make(map[string]string)
	for _, name := range names {
		id := strings.TrimSuffix(name, ".txtar")
		ids[id] = true
		t.Run(id, func(t *testing.T) {
			p, ok := Get(id)
			if !ok {
				t.Fatalf("Get(%q) finds nothing", id)
			}
			if p.ID != id || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(id) {
				t.Errorf("ID is %q, want the file's name, in lower case with dashes", p.ID)
			}
			checkTitle(t, p.Title)
			if other, ok := titles[p.Title]; ok {
				t.Errorf("%s has the same title", other)
			}
			titles[p.Title] = id
			checkWhy(t, p.Why)
			if p.Before == p.After {
				t.Error("before and after are the same")
			}
			for _, code := range []string{p.Before, p.After} {
				checkWidth(t, code)
			}
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				if strings.HasSuffix(f.Name, ".go") {
					checkCode(t, fset, known, f)
				}
			}
			checkLinks(t, known, p.Links)
		})
	}
	for _, p := range All() {
		if !ids[p.ID] {
			t.Errorf("All returns %q, which has no file", p.ID)
		}
	}
	if got := len(All()); got != len(names) {
		t.Errorf("All returns %d patterns, want %d", got, len(names))
	}
}

// sourceImporter returns an importer of the standard library, and of modules
// that this test imports, from their source, which needs neither network nor
// build cache. It is slow: share it.
func sourceImporter(t *testing.T) (*token.FileSet, types.Importer) {
	cgo := build.Default.CgoEnabled
	build.Default.CgoEnabled = false // so that package net needs no C compiler
	t.Cleanup(func() { build.Default.CgoEnabled = cgo })
	fset := token.NewFileSet()
	return fset, importer.ForCompiler(fset, "source", nil)
}

func checkTitle(t *testing.T, title string) {
	if strings.ContainsAny(title, "\n\t") || strings.HasSuffix(title, ".") {
		t.Errorf("title %q: want one line without a period", title)
	}
	if len(title) > maxTitle {
		t.Errorf("title %q has %d characters, want at most %d", title, len(title), maxTitle)
	}
}

var sentenceEnd = regexp.MustCompile(`[.!?]( [A-Z]|$)`)

func checkWhy(t *testing.T, why string) {
	if n := len(sentenceEnd.FindAllString(why, -1)); n < 2 || n > 4 {
		t.Errorf("why has %d sentences, want 2 to 4: %s", n, why)
	}
	if len(why) > maxWhy {
		t.Errorf("why has %d characters, want at most %d", len(why), maxWhy)
	}
	if !strings.HasSuffix(why, ".") {
		t.Errorf("why does not end with a sentence: %s", why)
	}
}

func checkWidth(t *testing.T, code string) {
	lines := strings.Split(code, "\n")
	if len(lines) > maxLines {
		t.Errorf("%d lines, want at most %d:\n%s", len(lines), maxLines, code)
	}
	for _, line := range lines {
		columns := 0
		for _, r := range line {
			switch {
			case r == '\t':
				columns += 8 - columns%8
			case r < ' ' || r > '~':
				t.Errorf("character %q in code, want ASCII: %s", r, line)
			default:
				columns++
			}
		}
		if columns > maxColumns {
			t.Errorf("%d columns, want at most %d: %s", columns, maxColumns, line)
		}
	}
}

func checkCode(t *testing.T, fset *token.FileSet, known types.Importer, f txtar.File) {
	formatted, err := format.Source(f.Data)
	if err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	if !bytes.Equal(formatted, f.Data) {
		t.Errorf("%s is not gofmt-ed, want:\n%s", f.Name, formatted)
	}
	file, err := parser.ParseFile(fset, f.Name, f.Data, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		if path := strings.Trim(spec.Path.Value, `"`); !isKnown(path) {
			t.Errorf("%s imports %s, want the standard library and golang.org/x/sync alone", f.Name, path)
			return
		}
	}
	conf := types.Config{Importer: known, Error: func(err error) { t.Error(err) }}
	conf.Check(f.Name, fset, []*ast.File{file}, nil) // errors are told above
}

// isKnown reports whether a package is of the standard library (the first
// element of its path has no dot), or one of the two that extend package sync.
func isKnown(path string) bool {
	if path == "golang.org/x/sync/errgroup" || path == "golang.org/x/sync/semaphore" {
		return true
	}
	host, _, _ := strings.Cut(path, "/")
	return path != "" && !strings.Contains(host, ".")
}

// checkLinks wants Go's own pages, and of packages that patterns may import
// that the named symbol exists.
func checkLinks(t *testing.T, known types.Importer, links []string) {
	seen := make(map[string]bool)
	for _, link := range links {
		u, err := url.Parse(link)
		if err != nil {
			t.Error(err)
			continue
		}
		if seen[link] {
			t.Errorf("link %s is there twice", link)
		}
		seen[link] = true
		path := strings.Trim(u.Path, "/")
		switch {
		case u.Scheme != "https" || u.RawQuery != "" || path == "":
			t.Errorf("link %s: want an https page without a query", link)
		case u.Host == "go.dev":
			if !regexp.MustCompile(`^(blog|doc|ref|wiki)/.`).MatchString(path) {
				t.Errorf("link %s: want go.dev/blog, doc, ref or wiki", link)
			}
		case u.Host != "pkg.go.dev":
			t.Errorf("link %s: want go.dev or pkg.go.dev", link)
		case isKnown(path):
			pkg, err := known.Import(path)
			if err != nil {
				t.Errorf("link %s: %v", link, err)
			} else if !hasSymbol(pkg, u.Fragment) {
				t.Errorf("link %s: no %s in package %s", link, u.Fragment, path)
			}
		}
	}
}

// hasSymbol reports whether a package has that symbol: "Name" or
// "Type.Member"; an empty one is the package itself.
func hasSymbol(pkg *types.Package, symbol string) bool {
	if symbol == "" {
		return true
	}
	name, member, isMember := strings.Cut(symbol, ".")
	obj := pkg.Scope().Lookup(name)
	if obj == nil || !obj.Exported() {
		return false
	}
	if isMember {
		obj, _, _ = types.LookupFieldOrMethod(obj.Type(), true, pkg, member)
	}
	return obj != nil
}

func TestGet(t *testing.T) {
	for _, id := range []string{"", "no-such-pattern", "Copy-On-Write", "copy-on-write.txtar"} {
		if p, ok := Get(id); ok || !reflect.DeepEqual(p, Pattern{}) {
			t.Errorf("Get(%q) = %v, %v, want nothing", id, p, ok)
		}
	}
	all := All()
	if !slices.IsSortedFunc(all, func(a, b Pattern) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("All is not sorted by ID")
	}
	for _, want := range all {
		if got, ok := Get(want.ID); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("Get(%q) = %v, %v, want what All returns", want.ID, got, ok)
		}
	}
}

// What a caller does to a result must not reach the next caller.
func TestResultsAreTheCallers(t *testing.T) {
	first := All()
	want := first[0].Links[0]
	first[0].Links[0] = "changed"
	got, _ := Get(first[0].ID)
	if got.Links[0] != want {
		t.Errorf("Get sees a change made to the result of All")
	}
	got.Links[0] = "changed"
	if All()[0].Links[0] != want {
		t.Errorf("All sees a change made to the result of Get")
	}
}

func TestParseAll(t *testing.T) {
	whole := &fstest.MapFile{Data: []byte("It helps.\n-- title --\nDo it\n-- links --\nhttps://go.dev/ref/mem\n" +
		"-- before.go --\npackage p\n\nvar a int\n-- after.go --\npackage p\n\nvar b int\n")}
	broken := &fstest.MapFile{Data: []byte("It helps.\n")}
	// A dash sorts before the dot of the file's name.
	all, err := parseAll(fstest.MapFS{"run-once.txtar": whole, "run.txtar": whole, "doc.go": broken})
	if err != nil || len(all) != 2 || all[0].ID != "run" || all[1].ID != "run-once" {
		t.Errorf("parseAll = %v, %v, want run and run-once", all, err)
	}
	all, err = parseAll(fstest.MapFS{"run.txtar": whole, "walk.txtar": broken})
	if want := "walk.txtar: no title, before.go, after.go, links"; all != nil || err == nil || err.Error() != want {
		t.Errorf("parseAll = %v, %v, want error %s", all, err, want)
	}
}

func TestParse(t *testing.T) {
	const (
		title  = "-- title --\nDo it well\n"
		before = "-- before.go --\npackage p\n\nvar bad int\n"
		after  = "-- after.go --\npackage p\n\nimport (\n\t\"io\"\n)\n\nimport \"os\"\n\n// good is.\nvar good io.Writer = os.Stdout\n"
		links  = "-- links --\nhttps://go.dev/ref/mem\nhttps://go.dev/ref/spec\n"
	)
	for _, test := range []struct {
		name, data, err string
	}{
		{"whole", "It helps.\nNot always.\n" + title + before + after + links, ""},
		{"any order", "It helps.\n\nNot always.\n" + links + after + before + title, ""},
		{"empty", "", "x.txtar: no text before the first file"},
		{"no why", title + before + after + links, "x.txtar: no text before the first file"},
		{"no files", "It helps.\n", "x.txtar: no title, before.go, after.go, links"},
		{"one missing", "It helps.\n" + title + before + links, "x.txtar: no after.go"},
		{"twice", "It helps.\n" + title + title, `x.txtar: file "title" is unknown or there twice`},
		{"unknown", "It helps.\n-- main.go --\n", `x.txtar: file "main.go" is unknown or there twice`},
		{"empty file", "It helps.\n-- title --\n \n", "x.txtar: title is empty"},
		{"no Go", "It helps.\n-- before.go --\nfunc f() {}\n", "x.txtar: before.go: 1:1: expected 'package', found 'func'"},
		{"no code", "It helps.\n-- after.go --\npackage p\n\nimport \"os\"\n", "x.txtar: after.go: nothing after the imports"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse("x.txtar", []byte(test.data))
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			want := Pattern{
				ID:     "x",
				Title:  "Do it well",
				Why:    "It helps. Not always.",
				Before: "var bad int",
				After:  "// good is.\nvar good io.Writer = os.Stdout",
				Links:  []string{"https://go.dev/ref/mem", "https://go.dev/ref/spec"},
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("parse = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}
