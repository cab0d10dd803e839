package source

import (
	"strings"
	"testing"
)

func TestFunction(t *testing.T) {
	tree := testTree(t, "testdata/uses")
	frames := map[string]Frame{}
	marks(t, "testdata/uses", "at", func(f Frame, name string) { frames[name] = f })
	for _, tt := range []struct {
		at          string
		whole       bool
		begin, end  string
		has, hasNot string
	}{
		{"ask-send", false, "func() {", "}", "answer <-", "select"},
		{"ask-send", true, "func ask(", "}", "case <-ctx.Done()", "func firstError"},
		{"ask-select", false, "func ask(", "}", "answer <-", "func firstError"},
	} {
		f := frames[tt.at]
		text, ok := tree.Function(f.File, f.Line, tt.whole)
		if !ok || !strings.HasPrefix(text, tt.begin) || !strings.HasSuffix(text, tt.end) || !strings.Contains(text, tt.has) || strings.Contains(text, tt.hasNot) {
			t.Errorf("%s, whole %v: %v, %q", tt.at, tt.whole, ok, text)
		}
	}
	for _, line := range []int{-1, 0, 1, 1 << 30} { // in none
		if text, ok := tree.Function(frames["ask-send"].File, line, true); ok {
			t.Errorf("line %d: %q", line, text)
		}
	}
	if _, ok := tree.Function("nowhere.go", 3, false); ok {
		t.Error("a file that is not at hand has a function")
	}
}
