// Package render writes reports. It decides nothing: what a finding is called,
// how bad it is and in which order findings come is settled in package
// detectors, and detectors and causes that did not exist yet when this was
// written look no worse than the others.
package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// Options says what the output is for.
type Options struct {
	Width int  // columns to fill; 0 means DefaultWidth
	Color bool // whether ANSI colours may be used

	// Relative returns the path of a traced program's file from the root of the
	// repository, "" if it is not in it. nil if there is no repository.
	Relative func(file string) string
	// Elsewhere is the file of the repository at which to show what is in none
	// of its files, such as its go.mod.
	Elsewhere string
	// FailOn is the severity from which on a finding fails a test.
	FailOn detectors.Severity
}

// DefaultWidth is the number of columns where nobody said how many there are.
const DefaultWidth = 80

// Format is one way to write a report.
type Format struct {
	Name string // what --format takes
	Doc  string // a few words for the list of formats
	// Write writes the whole report. Its error is that of the writer, or says
	// what the format cannot express.
	Write func(io.Writer, *detectors.Report, Options) error
	// Needs says which parts of the report it draws; they are looked up only if a
	// format needs them.
	Needs detectors.Parts
	// Carries tells that it hands on the parts that it is given, for others to draw.
	Carries bool
	// Binary tells that it is nothing for a terminal.
	Binary bool
	// Human tells that people read it as it is, warnings included.
	Human bool
	// Summary writes what belongs into the summary of a CI job, if the service
	// gives a file for it and the format has something to say there; else nil.
	Summary func(io.Writer, *detectors.Report, Options) error
}

// Formats returns all formats, the default first.
func Formats() []Format {
	return []Format{
		{Name: "text", Doc: "for reading in a terminal", Write: Text, Human: true},
		{Name: "json", Doc: "for programs: schema " + detectors.Schema, Write: JSON, Carries: true},
		{Name: "jsonl", Doc: "a line of JSON for each trace and finding", Write: JSONL, Carries: true},
		{Name: "html", Doc: "a page with pictures, in one file, for a browser", Write: HTML, Needs: detectors.Scenes | detectors.Activities},
		{Name: "sarif", Doc: "SARIF 2.1.0, for code scanning", Write: SARIF},
		{Name: "markdown", Doc: "a comment on a pull request", Write: Markdown},
		{Name: "github", Doc: "annotations and job summary of GitHub Actions", Write: GitHub, Summary: Markdown},
		{Name: "gitlab", Doc: "GitLab's Code Quality", Write: GitLab},
		{Name: "junit", Doc: "JUnit XML, a case for each detector", Write: JUnit},
		{Name: "pprof", Doc: "where time was lost, for go tool pprof", Write: Pprof, Needs: detectors.Losses, Binary: true},
		{Name: "perfetto", Doc: "the goroutines of the findings over time, for ui.perfetto.dev", Write: Perfetto, Needs: detectors.Scenes | detectors.Activities, Binary: true},
	}
}

// FormatNames returns the names of all formats, the default first.
func FormatNames() []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// ByName returns the format of that name.
func ByName(name string) (Format, error) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("unknown format %q: use one of %s", name, strings.Join(FormatNames(), ", "))
}
