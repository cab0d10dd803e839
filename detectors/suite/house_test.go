package suite_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tracedoc/tracedoc/"

// TestImportsPointDown holds the house's rule: cmd → render → detectors →
// traceload, and no room knows another. The imports are parsed here, in
// process: a test that asked the go command would be cached over a violation.
func TestImportsPointDown(t *testing.T) {
	rules := []struct {
		who   string // pattern of the importing package, below the module
		never string // pattern of what it must not import
	}{
		{`^traceload$`, `^` + module},
		{`^source$`, `^` + module},
		{`^(traceload|detectors|render|source|gate|cmd)`, `go\.yaml\.in`},
		{`^(detectors|scenes|render|cmd|source|gate|config|tracetest|flight)(/|$)`, `^golang\.org/x/exp/trace`},
		{`^gate$`, `^` + module + `(cmd|config|render|source|traceload|fixtures|detectors/)`},
		{`^scenes$`, `^` + module + `(cmd|config|gate|render|source|fixtures|detectors/)`},
		{`^(detectors|gate|config|render|source|traceload)(/|$)`, `^` + module + `scenes`},
		{`^redact$`, `^` + module + `(cmd|config|render|source|scenes|fixtures|detectors/)`},
		{`^(detectors|gate|config|render|source|traceload|scenes)(/|$)`, `^` + module + `redact`},
		{`^config$`, `^` + module + `(cmd|render|source|traceload|fixtures|detectors/)`},
		{`^detectors(/|$)`, `^` + module + `(gate|config)`},
		{`^detectors$`, `^` + module + `(cmd|render|fixtures)|^` + module + `detectors/(suite|[a-z]+$)`},
		{`^detectors/internal/`, `^` + module + `(cmd|render|fixtures)`},
		{`^detectors/[a-z]+$`, `^` + module + `(cmd|render|source|fixtures)`},
		{`^render$`, `^` + module + `(cmd|source|traceload|fixtures|detectors/)`},
		{`^flight(/|$)`, `^` + module + `(cmd|config|gate|source|redact|tracetest|fixtures)`},
		{`^(traceload|detectors|scenes|render|source|gate|config|cmd|tracetest|redact)`, `^` + module + `flight`},
		{`^(traceload|detectors|scenes|render|source|gate|config)`, `cobra|pflag`},
		{`^(traceload|detectors|scenes|source|cmd|gate|config)`, `tablewriter`},
	}
	room := regexp.MustCompile(`^detectors/[a-z]+$`)
	seen := 0
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "fixtures") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		seen++
		rel, err := filepath.Rel("../..", file)
		if err != nil {
			return err
		}
		who := path.Dir(filepath.ToSlash(rel))
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			what, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			for _, r := range rules {
				if regexp.MustCompile(r.who).MatchString(who) && regexp.MustCompile(r.never).MatchString(what) {
					t.Errorf("%s imports %s", rel, what)
				}
			}
			below, ours := strings.CutPrefix(what, module)
			if ours && room.MatchString(who) && who != "detectors/suite" && room.MatchString(below) {
				t.Errorf("%s: a room imports the room %s; what two rooms share belongs in detectors/internal/facts", rel, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d files seen: the test looks in the wrong place", seen)
	}
}

// TestObserversPadded checks that what several processors write at every event cannot
// share a cache line, see detectors.Observer.
func TestObserversPadded(t *testing.T) {
	parameters := map[string]int{"Observe": 2, "Finish": 1} // of the methods that make an observer
	padded, methods := map[string]bool{}, map[string]int{}  // by folder and type
	for _, pattern := range []string{"../*/*.go", "../internal/facts/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			in := filepath.ToSlash(filepath.Dir(file)) + "."
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						if ts, ok := spec.(*ast.TypeSpec); ok {
							padded[in+ts.Name.Name] = isPadded(ts.Type)
						}
					}
				case *ast.FuncDecl:
					if n := parameters[d.Name.Name]; d.Recv != nil && n > 0 && n == d.Type.Params.NumFields() {
						if ptr, ok := d.Recv.List[0].Type.(*ast.StarExpr); ok {
							if name, ok := ptr.X.(*ast.Ident); ok {
								methods[in+name.Name]++
							}
						}
					}
				}
			}
		}
	}
	observers := 0
	for name, n := range methods {
		if n < 2 {
			continue // no observer: it lacks one of the two
		}
		observers++
		if !padded[name] {
			t.Errorf("%s does not begin and end with a cpu.CacheLinePad", name)
		}
	}
	if observers < 20 {
		t.Fatalf("only %d observers seen: the test looks in the wrong place", observers)
	}
}

func isPadded(e ast.Expr) bool {
	s, ok := e.(*ast.StructType)
	if !ok || len(s.Fields.List) == 0 {
		return false
	}
	is := func(f *ast.Field) bool {
		sel, ok := f.Type.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "CacheLinePad"
	}
	return is(s.Fields.List[0]) && is(s.Fields.List[len(s.Fields.List)-1])
}
