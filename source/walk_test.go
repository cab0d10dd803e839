package source_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/source/testdata/walk"
)

// goroutine is one of the runtime's own listing of all goroutines.
type goroutine struct {
	stack, created []source.Frame
}

var locationLine = regexp.MustCompile(`^\t(.*\.go):(\d+)`)

// goroutines returns the stacks of all goroutines, as a trace would have them.
func goroutines() []goroutine {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var list []goroutine
	for _, text := range strings.Split(string(buf), "\n\n") {
		var g goroutine
		lines := strings.Split(text, "\n")
		for i := 1; i+1 < len(lines); i += 2 {
			fn, created := strings.CutPrefix(lines[i], "created by ")
			if created {
				fn, _, _ = strings.Cut(fn, " in goroutine")
			} else {
				fn = fn[:strings.LastIndexByte(fn, '(')]
			}
			m := locationLine.FindStringSubmatch(lines[i+1])
			if m == nil {
				continue
			}
			n, _ := strconv.Atoi(m[2])
			f := source.Frame{Func: fn, File: m[1], Line: n}
			if created {
				g.created = append(g.created, f)
			} else {
				g.stack = append(g.stack, f)
			}
		}
		// A trace has the stack from the operation outward.
		for len(g.stack) > 0 && (strings.HasPrefix(g.stack[0].Func, "internal/sync.") || strings.HasPrefix(g.stack[0].Func, "sync.runtime_")) {
			g.stack = g.stack[1:]
		}
		list = append(list, g)
	}
	return list
}

// expected finds the comments of that word, by line.
func expected(t *testing.T, file, word string) map[int]string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{}
	for i, line := range strings.Split(string(src), "\n") {
		if _, text, ok := strings.Cut(line, "// "+word+":"); ok {
			want[i+1] = strings.TrimSpace(text)
		}
	}
	return want
}

func describe(h *source.Holding) string {
	what := h.Waits
	if what == nil {
		what = h.Awaits
	}
	if what == nil {
		return "nothing"
	}
	text := what.Name + ";"
	for i, l := range h.Held() {
		if i > 0 {
			text += ","
		}
		text += " " + l.Name
		if l.Mode == source.Read {
			text += "(r)"
		}
		if l.May {
			text += "?"
		}
		if h.Waits == nil {
			continue
		}
		text += map[source.Relation]string{source.Same: "=", source.Distinct: "#", source.Unknown: "~"}[source.Relate(*what, l, true)]
	}
	return text
}

func TestWalk(t *testing.T) {
	file, err := filepath.Abs("testdata/walk/walk.go")
	if err != nil {
		t.Fatal(err)
	}
	want := expected(t, file, "waits")
	tree, err := source.New(".")
	if err != nil {
		t.Fatal(err)
	}
	walk.Hang()

	// look finds what is parked at each line, sorted.
	look := func() map[int][]string {
		got := map[int][]string{}
		for _, g := range goroutines() {
			for _, f := range g.stack {
				if strings.Contains(f.File, "testdata/walk") && want[f.Line] != "" {
					h := tree.Walk(g.stack, g.created)
					got[f.Line] = append(got[f.Line], describe(h))
					break
				} else if strings.Contains(f.File, "testdata/walk") {
					break
				}
			}
		}
		for _, list := range got {
			slices.Sort(list)
		}
		return got
	}
	var wrong []string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := look()
		wrong = nil
		for line, text := range want {
			list := strings.Split(text, "|")
			for i := range list {
				list[i] = strings.TrimSpace(list[i])
			}
			slices.Sort(list)
			if !slices.Equal(got[line], list) {
				wrong = append(wrong, fmt.Sprintf("walk.go:%d: got  %s\n\twant %s", line, strings.Join(got[line], " | "), strings.Join(list, " | ")))
			}
		}
		if len(wrong) == 0 || time.Now().After(deadline) {
			break
		}
	}
	slices.Sort(wrong)
	for _, w := range wrong {
		t.Error(w)
	}
	if w := tree.Warnings(); w != nil {
		t.Errorf("warnings: %q", w)
	}
}
