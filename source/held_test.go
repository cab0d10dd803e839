package source

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// traceName is the name that the compiler gives to the innermost function
// around a position.
func traceName(file *ast.File, at token.Pos) string {
	name := ""
	literals := map[ast.Node]int{} // how many literals of a function were seen
	var open []ast.Node
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			switch open[len(open)-1].(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				names = names[:len(names)-1]
			}
			open = open[:len(open)-1]
			return true
		}
		open = append(open, n)
		switch n := n.(type) {
		case *ast.FuncDecl:
			fn := file.Name.Name + "."
			if n.Recv != nil {
				typ := n.Recv.List[0].Type
				star, pointer := typ.(*ast.StarExpr)
				if pointer {
					typ = star.X
				}
				generic := ""
				if x, ok := typ.(*ast.IndexExpr); ok {
					typ, generic = x.X, "[...]"
				}
				recv := typ.(*ast.Ident).Name + generic
				if pointer {
					recv = "(*" + recv + ")"
				}
				fn += recv + "."
			}
			fn += n.Name.Name
			if n.Type.TypeParams != nil {
				fn += "[...]"
			}
			names = append(names, fn)
		case *ast.FuncLit:
			parent := file.Name.Name + ".init"
			nested := false
			for _, o := range open[:len(open)-1] {
				switch o.(type) {
				case *ast.FuncLit:
					nested = true
				}
			}
			if len(names) > 0 {
				parent = names[len(names)-1]
			}
			var outer ast.Node = file
			for _, o := range open[:len(open)-1] {
				switch o.(type) {
				case *ast.FuncDecl, *ast.FuncLit:
					outer = o
				}
			}
			literals[outer]++
			suffix := fmt.Sprintf(".func%d", literals[outer])
			if nested {
				suffix = fmt.Sprintf(".%d", literals[outer])
			}
			names = append(names, parent+suffix)
		}
		if len(names) > 0 && n.Pos() <= at && at < n.End() {
			name = names[len(names)-1]
		}
		return true
	})
	return name
}

// marks calls f for each comment "// word: text" in the Go files of a folder.
func marks(t *testing.T, dir, word string, f func(frame Frame, text string)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	n := 0
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			for _, c := range group.List {
				text, ok := strings.CutPrefix(c.Text, "// "+word+":")
				if !ok {
					continue
				}
				n++
				f(Frame{Func: traceName(file, c.Pos()), File: abs, Line: fset.Position(c.Pos()).Line}, strings.TrimSpace(text))
			}
		}
	}
	if n == 0 {
		t.Fatalf("no comment %q in %s", word, dir)
	}
}

func words(locks []Lock) string {
	var list []string
	for _, l := range locks {
		text := l.Name
		if l.Mode == Read {
			text += "(r)"
		}
		if l.May {
			text += "?"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func testTree(t *testing.T, dirs ...string) *Tree {
	t.Helper()
	tree, err := New(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestHeld(t *testing.T) {
	tree := testTree(t, "testdata/held")
	marks(t, "testdata/held", "held", func(f Frame, want string) {
		locks, ok := tree.Held(f)
		where := fmt.Sprintf("%s:%d (%s)", filepath.Base(f.File), f.Line, f.Func)
		if !ok {
			t.Errorf("%s: not found: %q", where, tree.Warnings())
			return
		}
		if got := words(locks); got != want {
			t.Errorf("%s: held %q, want %q", where, got, want)
		}
	})
	if w := tree.Warnings(); w != nil {
		t.Errorf("warnings: %q", w)
	}
}
