package render_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors/suite"
)

// Formats write what they are given. One that knew detectors or causes by name
// would have to be changed with each new one, and would be wrong until then.
func TestRenderKnowsNoDetector(t *testing.T) {
	names := map[string]bool{}
	for _, d := range suite.All() {
		names[d.Name] = true
		for _, c := range d.Causes {
			names[c.Name] = true
		}
	}
	if len(names) == 0 {
		t.Fatal("the suite is empty")
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, _ := strconv.Unquote(lit.Value); names[text] {
					t.Errorf("%s: render must not know %q", fset.Position(lit.Pos()), text)
				}
			}
			return true
		})
	}
}
