package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// maxAnnotations is how many annotations of each level GitHub shows for a step
// of a job; it drops those that come later.
const maxAnnotations = 10

// maxAnnotation is how many runes of an annotation's message are written; GitHub
// cuts messages at 64 kB.
const maxAnnotation = 4000

// GitHub writes the worst findings as workflow commands of GitHub Actions, which
// show them beside the code of a pull request. All of them are in the job's
// summary, see Format.Summary.
func GitHub(w io.Writer, r *detectors.Report, options Options) error {
	r, opt := options.cleaned(r)
	var b strings.Builder
	shown := map[string]int{}
	left := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		kind := annotationLevel(f.Severity)
		if shown[kind]++; shown[kind] > maxAnnotations {
			left++
			continue
		}
		lines := []string{sentences(f.Title)}
		if f.Detail != "" {
			lines = append(lines, sentences(f.Detail))
		}
		lines = append(lines, sentences(capital(costs(f)), capital(inTraces(r, f))))
		if f.WrongIf != "" {
			lines = append(lines, sentences("No defect if "+f.WrongIf))
		}
		if f.Pattern.Title != "" {
			lines = append(lines, sentences("Repair: "+f.Pattern.Title, "See tracedoc explain "+f.Detector))
		}
		properties := "title=" + annotationProperty.Replace(fmt.Sprintf("%s (%s)", rule(f), f.Severity))
		if p := opt.site(f); p.path != "" {
			properties = fmt.Sprintf("file=%s,line=%d,%s", annotationProperty.Replace(p.path), p.line, properties)
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", kind, properties, annotationText.Replace(shortenMiddle(strings.Join(lines, "\n"), maxAnnotation)))
	}
	for i := range r.Traces {
		for _, warning := range r.Traces[i].Warnings {
			fmt.Fprintf(&b, "::notice title=tracedoc::%s\n", annotationText.Replace(r.Traces[i].Source+": "+warning))
		}
	}
	fmt.Fprintf(&b, "tracedoc: %s.\n", verdictText(r))
	if text := suppressedText(r.Suppressed); text != "" {
		fmt.Fprintf(&b, "tracedoc: %s\n", text)
	}
	if left > 0 {
		fmt.Fprintf(&b, "tracedoc: GitHub shows %d annotations of a level; %s in the summary of the job only.\n", maxAnnotations, count(int64(left), "more finding"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func annotationLevel(s detectors.Severity) string {
	if l := level(s); l != "note" {
		return l
	}
	return "notice"
}

// What GitHub's toolkit escapes in a command's message, and in its properties.
var (
	annotationText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
