package source

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func (o ChanOrigin) word() string {
	return [...]string{"unknown", "context", "timer", "ticker", "field", "package", "local", "parameter", "call"}[o]
}

func describeOp(op ChanOp) string {
	text := op.Kind.String()
	if op.Default {
		text += "+default"
	}
	for i, c := range op.Channels {
		if i > 0 {
			text += ";"
		}
		text += " " + c.Expr
		if c.Send && op.Kind == ChanSelect {
			text += "!"
		}
		text += " " + c.Origin.word()
		if c.Name != "" && c.Origin != OriginContext && c.Origin != OriginCall {
			text += " " + strings.TrimSuffix(c.Name, ".C")
		}
		if c.Made {
			text += " " + strconv.Itoa(c.Buffer)
		}
	}
	return text
}

func TestChanOps(t *testing.T) {
	tree := testTree(t, "testdata/chans")
	lines := map[int]bool{}
	file := ""
	marks(t, "testdata/chans", "waits", func(f Frame, want string) {
		lines[f.Line], file = true, f.File
		ops, ok := tree.ChanOps(f.File, f.Line)
		if !ok {
			t.Errorf("line %d: nothing found", f.Line)
		}
		var got []string
		for _, op := range ops {
			got = append(got, describeOp(op))
		}
		if got := strings.Join(got, " | "); got != want {
			t.Errorf("line %d:\n got %s\nwant %s", f.Line, got, want)
		}
	})
	for n := 1; n < 200; n++ {
		if ops, ok := tree.ChanOps(file, n); ok != lines[n] {
			t.Errorf("line %d: operations %v, want some: %v", n, ops, lines[n])
		}
	}
	got, ok := tree.Channels(file, 37)
	if want := "[ctx.Done()]"; !ok || fmt.Sprint(got) != want {
		t.Errorf("Channels = %v, %v; want %s", got, ok, want)
	}
	if _, ok := tree.Channels("/nowhere/chans.go", 37); ok {
		t.Error("channels of a file that is not at hand")
	}
}

// TestMayWaitForTimer: wherever a statement waits for a timer, a quick look says that it may.
func TestMayWaitForTimer(t *testing.T) {
	all, may, does := 0, 0, 0
	for _, dir := range []string{"testdata/chans", "testdata/uses", "testdata/walk", "testdata/row"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		quick, whole := testTree(t, dir), testTree(t, dir)
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Count(src, []byte("\n")) {
				ops, _ := whole.ChanOps(name, line)
				timer := slices.ContainsFunc(ops, func(op ChanOp) bool {
					return slices.ContainsFunc(op.Channels, func(c ChanRef) bool { return c.Origin == OriginTimer || c.Origin == OriginTicker })
				})
				got := quick.MayWaitForTimer(name, line)
				if timer && !got {
					t.Errorf("%s:%d: no timer", name, line)
				}
				if len(ops) > 0 {
					all++
					if got {
						may++
					}
					if timer {
						does++
					}
				}
			}
		}
		if len(quick.packages) != 0 {
			t.Errorf("%s: %d packages were loaded", dir, len(quick.packages))
		}
	}
	if does == 0 || may == all {
		t.Errorf("of %d statements %d may wait for timers, %d do", all, may, does)
	}
}
