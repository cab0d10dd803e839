package render

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string       `xml:"name,attr"`
		Tests     int          `xml:"tests,attr"`
		Failures  int          `xml:"failures,attr"`
		Errors    int          `xml:"errors,attr"`
		Skipped   int          `xml:"skipped,attr"`
		Time      string       `xml:"time,attr"`
		Cases     []junitCase  `xml:"testcase"`
		SystemOut *junitOutput `xml:"system-out"`
		SystemErr *junitOutput `xml:"system-err"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Skipped   *junitSkipped `xml:"skipped"`
		Failure   *junitFailure `xml:"failure"`
		SystemOut *junitOutput  `xml:"system-out"`
	}
	junitOutput struct {
		Text string `xml:",cdata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
)

// JUnit writes the report as the result of a run of tests: a case for each
// detector that looked at the traces. It fails with the findings at or above
// Options.FailOn, passes with milder ones in its output, and is skipped if it
// could not judge any of the traces.
func JUnit(w io.Writer, r *detectors.Report, options Options) error {
	r, opt := options.cleaned(r)
	suite := junitSuite{Name: "tracedoc", Time: "0"}
	ran := slices.Clone(r.Detectors)
	for i := range r.Findings { // of a report that does not list who ran
		f := &r.Findings[i]
		if !slices.ContainsFunc(ran, func(d detectors.Ran) bool { return d.Name == f.Detector }) {
			ran = append(ran, detectors.Ran{Name: f.Detector, Family: f.Family})
		}
	}
	for _, d := range ran {
		c := junitCaseOf(r, d, opt)
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	var warnings strings.Builder
	for i := range r.Traces {
		for _, warning := range r.Traces[i].Warnings {
			fmt.Fprintf(&warnings, "%s: %s\n", r.Traces[i].Source, warning)
		}
	}
	suite.SystemOut, suite.SystemErr = junitOutputOf(suppressedText(r.Suppressed)), junitOutputOf(warnings.String())
	out, err := xml.MarshalIndent(junitSuites{
		Name: "tracedoc", Tests: suite.Tests, Failures: suite.Failures, Suites: []junitSuite{suite},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+string(out)+"\n")
	return err
}

// junitOutputOf returns what was printed; nil if nothing was.
func junitOutputOf(text string) *junitOutput {
	if text == "" {
		return nil
	}
	return &junitOutput{text}
}

func junitCaseOf(r *detectors.Report, d detectors.Ran, opt *Options) junitCase {
	c := junitCase{Name: d.Name, ClassName: strings.Trim("tracedoc."+string(d.Family), "."), Time: "0"}
	var failing, others []*detectors.Finding
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Detector != d.Name:
		case f.Severity >= opt.FailOn:
			failing = append(failing, f)
		default:
			others = append(others, f)
		}
	}
	text := func(list []*detectors.Finding) string {
		var parts []string
		for _, f := range list {
			parts = append(parts, junitText(r, f, opt))
		}
		return strings.Join(parts, "\n")
	}
	c.SystemOut = junitOutputOf(text(others))
	if len(failing) > 0 {
		f := failing[0]
		message := f.Title
		if n := len(failing) - 1; n > 0 {
			message += fmt.Sprintf(" (and %s)", count(int64(n), "more finding"))
		}
		c.Failure = &junitFailure{Message: message, Type: cmp.Or(rule(f), "finding"), Text: text(failing)}
		if p := opt.site(f); p.fn != "" {
			c.File, c.Line = p.path, p.line
		}
		return c
	}
	if reasons := unjudged(r, d.Name); len(reasons) > 0 && len(reasons) == len(r.Traces) && len(others) == 0 {
		c.Skipped = &junitSkipped{Message: "could not judge: " + strings.Join(slices.Compact(reasons), "; ")}
	}
	return c
}

// unjudged returns why a detector had no answer, for each trace where it had none.
func unjudged(r *detectors.Report, detector string) (reasons []string) {
	for i := range r.Traces {
		for _, n := range r.Traces[i].NotJudged {
			if n.Detector == detector {
				reasons = append(reasons, n.Reason)
				break
			}
		}
	}
	return reasons
}

// junitText words a finding in a few lines.
func junitText(r *detectors.Report, f *detectors.Finding, opt *Options) string {
	lines := []string{
		fmt.Sprintf("%s: %s: %s", f.Severity, rule(f), f.Title),
		"  where   " + strings.TrimSpace(opt.where(f)+"  "+f.Site.Func),
		"  costs   " + costs(f),
	}
	if where := inTraces(r, f); where != "" {
		lines = append(lines, "  found   "+where)
	}
	if len(f.Tests) > 0 {
		lines = append(lines, "  test    "+strings.Join(f.Tests, ", "))
	}
	if f.Detail != "" {
		lines = append(lines, "  "+f.Detail)
	}
	for _, e := range f.Evidence[:min(len(f.Evidence), maxEvidence)] {
		lines = append(lines, "  - "+e.Text)
	}
	if f.WrongIf != "" {
		lines = append(lines, "  No defect if "+f.WrongIf)
	}
	if f.Pattern.Title != "" {
		lines = append(lines, "  Repair: "+f.Pattern.Title)
	}
	return strings.Join(lines, "\n") + "\n"
}
