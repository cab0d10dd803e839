package render

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"main.(*Cache[...]).Flush", "main.(*Cache[...]).Flush"},
		{"Größe 漢字 🎉 e\u0301", "Größe 漢字 🎉 e\u0301"},
		{"a\nb\r\tc\x00", `a\x0ab\x0d\x09c\x00`},
		{"\x1b[2J\x07\x7f", `\x1b[2J\x07\x7f`},
		{"\u0085\u009b31m", `\u0085\u009b31m`},
		{"\u202a\u202b\u202c\u202d\u202e", `\u202a\u202b\u202c\u202d\u202e`},
		{"\u2066\u2067\u2068\u2069\u200e\u200f\u061c", `\u2066\u2067\u2068\u2069\u200e\u200f\u061c`},
		{"\u200b\u200c\u200d\u2060\ufeff\u00ad", `\u200b\u200c\u200d\u2060\ufeff\u00ad`},
		{"\u2028\u2029\u00a0\u3000", `\u2028\u2029\u00a0\u3000`},
		{"\u3164\u115f\u2800\ufe0f\U000e0100\U000e0041", `\u3164\u115f\u2800\ufe0f\U000e0100\U000e0041`},
		{"\ue000\ufdd0\U0010ffff", `\ue000\ufdd0\U0010ffff`},
		{"a\xffb\xc3", `a\xffb\xc3`},
		{"\xed\xa0\x80", `\xed\xa0\x80`}, // a surrogate
		{"\ufffd", "\ufffd"},             // is a character of its own
		{"Z\u0301\u0323\u0302\u0303", "Z\u0301\u0323\\u0302\\u0303"},
		{"\u0301a", `\u0301a`},
	}
	for _, test := range tests {
		if got := Printable(test.in); got != test.want {
			t.Errorf("Printable(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestPrintableLength(t *testing.T) {
	name := "main." + strings.Repeat("x", 10_000) + ".Do"
	got := Printable("calls " + name + " twice")
	if n := utf8.RuneCountInString(got); n > maxWord+len("calls  twice") {
		t.Errorf("a name of 10 kB takes %d characters", n)
	}
	if !strings.HasPrefix(got, "calls main.x") || !strings.HasSuffix(got, "x.Do twice") || !strings.Contains(got, "…") {
		t.Errorf("want beginning and end of the name, got %q", got)
	}
	if n := utf8.RuneCountInString(Printable(strings.Repeat("word ", 1_000_000))); n > maxText {
		t.Errorf("a text of 5 MB takes %d characters", n)
	}
	if n := utf8.RuneCountInString(Printable(strings.Repeat("\x1b", 1_000_000))); n > maxText {
		t.Errorf("a million escape characters take %d characters", n)
	}
}

func TestPrintableCode(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"\t\tx := 1\t// one \r", "        x := 1    // one"},
		{"  \tx", "      x"},
		{"a\nb\x1b[2J\u202e", `a\x0ab\x1b[2J\u202e`},
		{strings.Repeat("\t", 1000) + "x", strings.Repeat("    ", 20) + "x"},
	}
	for _, test := range tests {
		if got := printableCode(test.in); got != test.want {
			t.Errorf("printableCode(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

// fill sets every string that can be reached from v, and every list to one element.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), s)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), s)
	}
}

const hostile = "\x1b[31m\u009b2J\x07\u202e\u200b\xff\r\x08x"

// Whatever field of a report an attacker can write to, the terminal never obeys.
func TestNothingHostileGetsOut(t *testing.T) {
	var r detectors.Report
	fill(reflect.ValueOf(&r).Elem(), hostile)
	r.Traces[0].Idle.Goroutines, r.Findings[0].Severity = 1, detectors.High
	before := r.Findings[0].Title
	for _, f := range Formats() {
		for _, width := range []int{40, 80, 200} {
			out := write(t, f, &r, Options{Width: width})
			if !utf8.ValidString(out) {
				t.Errorf("%s: the output is not UTF-8", f.Name)
			}
			for _, c := range out {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Errorf("%s at width %d: %U reaches the terminal", f.Name, width, c)
				}
			}
		}
	}
	if r.Findings[0].Title != before {
		t.Error("the report itself was changed")
	}
}

func TestCleanKeepsTheRest(t *testing.T) {
	r := readReport(t, "report.json")
	c := clean(r)
	for i := range r.Findings { // the only strings that are laid out anew
		r.Findings[i].Pattern.Before, r.Findings[i].Pattern.After = "", ""
		c.Findings[i].Pattern.Before, c.Findings[i].Pattern.After = "", ""
		for j := range r.Findings[i].Source {
			r.Findings[i].Source[j].Text, c.Findings[i].Source[j].Text = "", ""
		}
	}
	if !reflect.DeepEqual(r, c) {
		t.Error("clean changes a report that has nothing to clean")
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add(hostile)
	f.Add("main.(*Cache).Flush")
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxText {
			t.Errorf("Printable(%q) = %q", s, got)
		}
		for _, c := range got {
			if !unicode.IsPrint(c) {
				t.Errorf("Printable(%q) lets %U pass", s, c)
			}
		}
		if again := Printable(got); len(got) < maxWord && again != got {
			t.Errorf("Printable(%q) = %q, and again %q", s, got, again)
		}
	})
}
