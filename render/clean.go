package render

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

// Whatever stands in a trace may have been written by an attacker: names of
// functions and files, log messages, task names. Formats for people therefore
// never print a report as it came but the copy that clean makes of it, in which
// every string went through Printable. No other place needs to think of it.

const (
	maxWord = 160  // runes of one word (a name, a path) that are shown
	maxText = 4000 // runes of one string that are shown
	maxCode = 400  // lines of one piece of code that are shown
	marks   = 2    // combining marks in a row that are shown as such
)

// Printable makes a string safe to show in one line of a terminal: control
// characters (line breaks too), bytes that are not UTF-8, and characters that
// are invisible or turn the direction of writing appear as \x1b or \u202e; so do
// the first characters of what a CI service obeys in the log of a job
// (::error::, ##[error], ##vso[…]); what is longer than anybody reads is shortened
// in the middle.
func Printable(s string) string {
	s = shortenMiddle(s, 16*maxText) // before the work is done, not after
	var b strings.Builder
	run := marks // of combining marks; at the beginning there is nothing to combine with
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		mark := unicode.Is(unicode.M, r)
		if mark {
			run++
		} else {
			run = 0
		}
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strings.HasPrefix(s, "##"), strings.HasPrefix(s, "::") && !strings.HasPrefix(s, ":::"):
			fmt.Fprintf(&b, `\x%02x`, r)
		case visible(r) && (!mark || run <= marks):
			b.WriteString(s[:n])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	words := strings.Split(b.String(), " ")
	for i, w := range words {
		words[i] = shortenMiddle(w, maxWord)
	}
	return shortenMiddle(strings.Join(words, " "), maxText)
}

// visible tells whether a character can be seen for what it is: not the
// controls, and not those that look like nothing or only change how others look.
func visible(r rune) bool {
	switch {
	case r == 0x034f, // combining grapheme joiner
		r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x17b4, r == 0x17b5, // Khmer inherent vowels
		0x180b <= r && r <= 0x180f,   // Mongolian variation selectors
		r == 0x2800,                  // empty Braille pattern
		0xfe00 <= r && r <= 0xfe0f,   // variation selectors
		0xe0100 <= r && r <= 0xe01ef: // the same, supplement
		return false
	}
	return unicode.IsPrint(r)
}

// printableLines makes a text of several lines safe, line by line.
func printableLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > maxCode {
		lines = append(lines[:maxCode], "…")
	}
	for i, line := range lines {
		lines[i] = printableCode(line)
	}
	return strings.Join(lines, "\n")
}

// printableCode makes a line of code safe, and turns tabs into four spaces
// each, but no more than 20 at its beginning.
func printableCode(line string) string {
	rest := strings.TrimLeft(line, "\t")
	indent := min(len(line)-len(rest), 20)
	return strings.Repeat("    ", indent) + Printable(strings.TrimRight(strings.ReplaceAll(rest, "\t", "    "), " \r"))
}

// clean returns a copy of the report that is safe to print.
func clean(r *detectors.Report) *detectors.Report { return cleanCopy(r) }

// cleanDiff does so for a comparison.
func cleanDiff(d *gate.Diff) *gate.Diff { return cleanCopy(d) }

func cleanCopy[T any](v *T) *T {
	var out T
	cleanValue(reflect.ValueOf(&out).Elem(), reflect.ValueOf(v).Elem())
	return &out
}

// cleanValue copies src to dst. It goes by the shape of the types and not by
// their fields, so that a field added tomorrow is covered as well.
func cleanValue(dst, src reflect.Value) {
	if src.Type() == reflect.TypeFor[time.Time]() {
		dst.Set(src)
		return
	}
	switch src.Kind() {
	case reflect.String:
		// The linker writes the dots in the last element of an import path as %2e.
		dst.SetString(Printable(strings.ReplaceAll(src.String(), "%2e", ".")))
	case reflect.Struct:
		for i := range src.NumField() {
			cleanValue(dst.Field(i), src.Field(i))
		}
		switch v := src.Interface().(type) {
		case detectors.Pattern:
			dst.FieldByName("Before").SetString(printableLines(v.Before))
			dst.FieldByName("After").SetString(printableLines(v.After))
		case detectors.SourceLine:
			dst.FieldByName("Text").SetString(printableCode(v.Text))
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				cleanValue(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map: // its keys are words of ours
		if !src.IsNil() {
			dst.Set(reflect.MakeMap(src.Type()))
			for _, k := range src.MapKeys() {
				v := reflect.New(src.Type().Elem()).Elem()
				cleanValue(v, src.MapIndex(k))
				dst.SetMapIndex(k, v)
			}
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			cleanValue(dst.Elem(), src.Elem())
		}
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		dst.Set(src)
	default:
		panic(fmt.Sprintf("render: a report holds a %s, which clean does not know", src.Type()))
	}
}
