package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
)

func exampleDetector() *detectors.Detector {
	return &detectors.Detector{
		Name: "tidal-drift", Family: detectors.Scheduling,
		Doc: `// Package tidaldrift finds goroutines that come and go with the tide, which is a rare thing to find. It is made up.
//
// # What it looks for
//
// The moon. With a list:
//   - high tide
//   - low tide
//
// # How it decides
//
// By looking.
//
// # What it cannot see
//
// Clouds.
//
// # Repair
//
// None.
package tidaldrift
`,
		Causes: []detectors.Cause{
			{Name: "spring", Pattern: "buffered-result"},
			{Name: "neap", Pattern: "buffered-result"},
		},
	}
}

func TestExplain(t *testing.T) {
	var b bytes.Buffer
	if err := Explain(&b, exampleDetector(), Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"tidal-drift · scheduling\n",
		"\n  tidal-drift finds goroutines that come and go with the tide,",
		"\nWhat it looks for\n\n  The moon. With a list:\n",
		"\nHow it decides\n\n  By looking.\n", "\nWhat it cannot see\n", "\nRepair\n\n  None.\n",
		"\nCauses and their repairs\n\n  spring: ", "(buffered-result)\n",
		"\n    before:\n", "\n    after:\n",
		"\n  neap: ", "\n    as for spring\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	for _, unwanted := range []string{"\t", "# ", "tidaldrift", "\x1b"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in:\n%s", unwanted, text)
		}
	}
	for line := range strings.Lines(text) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}

	d := exampleDetector()
	d.Causes[0].Pattern = "no-such-pattern"
	if err := Explain(&b, d, Options{}); err == nil {
		t.Error("a pattern that does not exist is no error")
	}
	if err := Explain(fullDisk{}, exampleDetector(), Options{}); err != errFull {
		t.Errorf("error %v, want that of the writer", err)
	}
}

func TestList(t *testing.T) {
	var b bytes.Buffer
	if err := List(&b, []*detectors.Detector{exampleDetector()}, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	want := `detector     family      what it does
tidal-drift  scheduling  finds goroutines that come and go with the tide, which
                         is a rare thing to find
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
