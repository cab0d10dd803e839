package detectors

import (
	"slices"
	"strings"
	"testing"
)

func TestParseKnownWaits(t *testing.T) {
	rows, err := ParseKnownWaits(`
# a comment
example.com/app.(*Pool).work | chan receive | waits for work
example.com/app.(*Rows).await|-|lives as long as its rows | forgot: closes the rows | in use: example.com/app.(*Rows).Next
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []KnownWait{
		{Func: "example.com/app.(*Pool).work", Wait: "chan receive", Why: "waits for work"},
		{Func: "example.com/app.(*Rows).await", Why: "lives as long as its rows", Forgot: "closes the rows", InUse: "example.com/app.(*Rows).Next"},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got %+v\nwant %+v", rows, want)
	}
	for text, want := range map[string]string{
		"a.b | -":                                `line 1: known wait "a.b": want function | wait | reason`,
		"\na.b | - | ":                           `line 2: known wait "a.b": no reason`,
		"work | - | why":                         "not a function",
		"a.b c | - | why":                        "not a function",
		"a.b | waiting | why":                    `unknown wait "waiting"`,
		"a.b | - | why | forget: it":             `unknown cell "forget: it"`,
		"a.b | - | why | in use: a.c":            "matters only where something is forgotten",
		" | - | why":                             "no function",
		"a.b | - | why | forgot: x | in use: a ": "",
	} {
		_, err := ParseKnownWaits(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func FuzzParseKnownWaits(f *testing.F) {
	f.Add("example.com/app.(*Rows).await|-|lives as long as its rows | forgot: closes the rows | in use: a.b")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := ParseKnownWaits(text)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %q", err)
		}
		for _, r := range rows {
			if err := r.Validate(); err != nil {
				t.Errorf("parsed, and yet %v", err)
			}
		}
	})
}
