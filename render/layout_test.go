package render

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

func TestWrap(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  []string
	}{
		{"", 20, []string{""}},
		{"one two", 20, []string{"one two"}},
		{"  one \t two  ", 20, []string{"one two"}},
		{"twenty columns fit in here", 20, []string{"twenty columns fit", "in here"}},
		{"exactly twenty chars", 20, []string{"exactly twenty chars"}},
		{"a " + strings.Repeat("x", 45) + " b", 20, []string{"a", strings.Repeat("x", 20), strings.Repeat("x", 20), "xxxxx b"}},
		{strings.Repeat("漢", 11), 20, []string{strings.Repeat("漢", 10), "漢"}},
		{"see https://example.com/a/rather/long/address now", 20, []string{"see", "https://example.com/a/rather/long/address", "now"}},
	}
	for _, test := range tests {
		if got := wrap(test.text, test.width); !slices.Equal(got, test.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func TestFit(t *testing.T) {
	tests := []struct{ got, want string }{
		{fit("short", 10), "short"},
		{fit("(*VeryLongTypeName).Method", 14), "(*VeryLo…ethod"},
		{fit("漢字漢字漢字漢字", 7), "漢字…字"},
		{fitPath("src/app/cache/cache.go:46", 30), "src/app/cache/cache.go:46"},
		{fitPath("src/app/cache/cache.go:46", 20), "…/cache/cache.go:46"},
		{fitPath("src/app/cache/cache.go:46", 14), "…/cache.go:46"},
		{fitPath("a/very_long_file_name.go:46", 12), "very_lo…o:46"},
		{shortFunc("example.com/app/cache.(*Cache).Flush"), "cache.(*Cache).Flush"},
		{shortFunc("example.com/a.F[example.com/b/c.T]"), "a.F[example.com/b/c.T]"},
		{shortFunc("main.main"), "main.main"},
		{grouped(7384703), "7,384,703"},
		{grouped(-1234), "-1,234"},
		{grouped(999), "999"},
		{bytesText(999), "999 bytes"},
		{bytesText(40273618), "40.3 MB"},
		{bytesText(999_960_000), "1.0 GB"},
		{percent(0.999), "99%"},
		{percent(0.29), "29%"},
		{percent(1), "100%"},
		{enumerate([]string{"1 high"}), "1 high"},
		{enumerate([]string{"1 high", "2 low"}), "1 high and 2 low"},
		{enumerate([]string{"1 critical", "1 high", "2 low"}), "1 critical, 1 high and 2 low"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestImpact(t *testing.T) {
	tests := []struct {
		impact detectors.Impact
		want   string
	}{
		{detectors.Impact{}, ""},
		{detectors.Impact{Goroutines: 1, Blocked: 3210 * time.Millisecond, Occurrences: 1}, "1 goroutine, 3.21s lost"},
		{detectors.Impact{Goroutines: 12, Blocked: 218 * time.Millisecond, Occurrences: 40}, "12 goroutines, 218ms lost, 40 times"},
		{detectors.Impact{Goroutines: 12, Blocked: 3210 * time.Millisecond}, "12 goroutines, 3.2 goroutine-seconds"},
		{detectors.Impact{Goroutines: 1000, Blocked: 2489 * time.Second, Occurrences: 1000}, "1,000 goroutines, 2,489 goroutine-seconds, 1,000 times"},
	}
	for _, test := range tests {
		if got := strings.Join(impactParts(test.impact, goroutineSeconds), ", "); got != test.want {
			t.Errorf("%+v: %q, want %q", test.impact, got, test.want)
		}
	}
}

func TestTrim(t *testing.T) {
	frames := func(names ...string) (list []detectors.Frame) {
		for i, n := range names {
			list = append(list, detectors.Frame{Func: n, File: "f.go", Line: i})
		}
		return list
	}
	tests := []struct {
		name      string
		stack     []detectors.Frame
		site      int
		kept      int
		operation string
	}{
		{"lock", frames("internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock", "main.f", "main.main"), 2, 2, "sync.(*Mutex).Lock"},
		{"channel", frames("runtime.chansend1", "main.f", "main.main"), 1, 2, ""},
		{"sleep", frames("time.Sleep", "main.f"), 1, 2, ""},
		{"the site is in sync", frames("runtime.semacquire", "sync.(*Pool).pin", "main.f"), 1, 2, ""},
		{"nothing but runtime", frames("runtime.gopark", "runtime.bgsweep"), 1, 1, ""},
		{"no site", frames("runtime.gopark", "runtime.bgsweep"), 9, 2, ""},
		{"deeper sync frames stay", frames("runtime.chansend1", "main.f", "sync.(*Once).Do", "main.g"), 1, 3, ""},
		{"empty", nil, 9, 0, ""},
	}
	for _, test := range tests {
		site := detectors.Frame{Func: "elsewhere"}
		if test.site < len(test.stack) {
			site = test.stack[test.site]
		}
		kept, operation := trim(test.stack, site)
		if len(kept) != test.kept || operation != test.operation {
			t.Errorf("%s: kept %d frames, operation %q; want %d, %q", test.name, len(kept), operation, test.kept, test.operation)
		}
	}
}

// The guilty line is always among the frames shown, however deep it is.
func TestStackShowsSite(t *testing.T) {
	var stack []detectors.Frame
	for i := range 40 {
		stack = append(stack, detectors.Frame{Func: "main.f", File: "f.go", Line: i})
	}
	for at := range stack {
		p := newPage(Options{Width: 80})
		p.stack(stack, stack[at])
		text := p.String()
		if n := strings.Count(text, "main.f"); n > maxFrames || n < 3 {
			t.Errorf("site %d: %d frames are shown", at, n)
		}
		if strings.Count(text, "> main.f") != 1 {
			t.Errorf("site %d is not marked once:\n%s", at, text)
		}
	}
}

func TestMoments(t *testing.T) {
	step := func(times ...int64) (steps []detectors.TimelineEvent) {
		for _, at := range times {
			steps = append(steps, detectors.TimelineEvent{T: traceload.Time(at)})
		}
		return steps
	}
	tests := []struct {
		steps []detectors.TimelineEvent
		want  string
	}{
		{step(), ""},
		{step(1_000_000, 2_000_000_000), "0.001s 2.000s"},
		{step(1_000_000, 1_000_000), "0.001s 0.001s"},
		{step(1_000_000, 1_004_000), "0.001000s 0.001004s"},
		{step(1_000_000, 1_000_001, 5_000_000_000), "0.001000000s 0.001000001s 5.000000000s"},
	}
	for _, test := range tests {
		if got := strings.Join(moments(test.steps), " "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestDiffer(t *testing.T) {
	tests := []struct{ before, after, goes, comes string }{
		{"a b c", "a b c", "", ""},
		{"a b c", "a c", "b", ""},
		{"a c", "a b c", "", "b"},
		{"a x c", "a y c", "x", "y"},
		{"", "a", "", "a"},
		{"a", "", "a", ""},
		{"m u f", "f m u", "f", "f"},
	}
	for _, test := range tests {
		a, b := strings.Fields(test.before), strings.Fields(test.after)
		goes, comes := differ(a, b)
		if got := marked(a, goes); got != test.goes {
			t.Errorf("%q → %q: goes %q, want %q", test.before, test.after, got, test.goes)
		}
		if got := marked(b, comes); got != test.comes {
			t.Errorf("%q → %q: comes %q, want %q", test.before, test.after, got, test.comes)
		}
	}
}

func marked(lines []string, which []bool) string {
	var words []string
	for i, line := range lines {
		if which[i] {
			words = append(words, line)
		}
	}
	return strings.Join(words, " ")
}

func TestNovel(t *testing.T) {
	split := func(s string) []string { return strings.Split(s, "/") }
	tests := []struct {
		name, before, after string
		head, tail          int
	}{
		{"type first, then the function", "type/{/}//func/old/end", "type/{/}//func/new/end", 4, 7},
		{"too short to matter", "type//func/old", "type//func/new", 0, 4},
		{"tail", "func/old//type/{/}", "func/new//type/{/}", 0, 2},
		{"nothing new", "a/b/c//d", "a/b/c//d", 0, 5},
		{"a line that goes counts as a change", "type/gone/{/}//func/old", "type/{/}//func/new", 0, 6},
	}
	for _, test := range tests {
		after := split(test.after)
		if head, tail := novel(split(test.before), after); head != test.head || tail != test.tail {
			t.Errorf("%s: shows %q, want %q", test.name, after[head:tail], after[test.head:test.tail])
		}
	}
}

func TestCut(t *testing.T) {
	tests := []struct {
		in    string
		width int
		want  string
	}{
		{"", 5, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "1234…"},
		{"漢字漢字", 8, "漢字漢字"},
		{"漢字漢字", 7, "漢字漢…"},
		{"漢字漢字", 6, "漢字…"}, // half a character cannot be shown
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
	}
	for _, test := range tests {
		if got := cut(test.in, test.width); got != test.want {
			t.Errorf("cut(%q, %d) = %q, want %q", test.in, test.width, got, test.want)
		}
	}
}
