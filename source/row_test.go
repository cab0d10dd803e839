package source

import (
	"fmt"
	"strings"
	"testing"
)

func (k RowLoop) word() string { return [...]string{"none", "items", "queue", "open"}[k] }

func TestInRow(t *testing.T) {
	tree := testTree(t, "testdata/row")
	marks(t, "testdata/row", "row", func(f Frame, text string) {
		want, rest, _ := strings.Cut(text, " calls ")
		lines := []int{f.Line}
		if rest != "" {
			var above int
			if _, err := fmt.Sscan(rest, &above); err != nil {
				t.Fatalf("line %d: %v", f.Line, err)
			}
			lines = []int{f.Line - above, f.Line}
		}
		if strings.Contains(f.Func, "appended") {
			f.Callee = "row.(*store).cart"
		}
		if strings.Contains(f.Func, "generic") {
			f.Callee = "row.get[...]"
		}
		row, ok := tree.InRow(f, lines)
		if !ok {
			t.Errorf("line %d: nothing found", f.Line)
			return
		}
		got := row.Loop.word()
		for _, is := range []struct {
			is   bool
			word string
		}{{row.Feeds, "feeds"}, {row.Values, "values"}} {
			if is.is {
				got += " " + is.word
			} else {
				got += " -"
			}
		}
		if got != want {
			t.Errorf("%s, line %d: got %q, want %q", f.Func, f.Line, got, want)
		}
	})
}

func TestInRowNeedsACallThere(t *testing.T) {
	tree := testTree(t, "testdata/row")
	marks(t, "testdata/row", "row", func(f Frame, _ string) {
		for _, lines := range [][]int{nil, {1}, {f.Line, f.Line + 1000}} {
			if row, ok := tree.InRow(f, lines); ok {
				t.Errorf("line %d: %v gives %+v", f.Line, lines, row)
			}
		}
	})
	if _, ok := tree.InRow(Frame{Func: "main.f", File: "/no/such/file.go", Line: 3}, []int{3}); ok {
		t.Error("a file that is not there gives an answer")
	}
}
