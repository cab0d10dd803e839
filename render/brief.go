package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// maxBriefEvidence is how many observations of one finding Brief shows.
const maxBriefEvidence = 4

// Brief writes the findings of a report, and nothing of its traces, as the text
// of a failing test or job: what, where, what it costs, why we think so, which
// goroutines, and the repair by its name. The whole is for Text.
func Brief(w io.Writer, r *detectors.Report, opt Options) error {
	r = clean(r)
	p := newPage(opt)
	for i := range r.Findings {
		if i > 0 {
			p.line()
		}
		p.brief(&r.Findings[i])
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) brief(f *detectors.Finding) {
	p.painted(bold, "", f.Title)
	name := strings.TrimSuffix(f.Detector+"/"+f.Cause, "/")
	p.prose("  ", fmt.Sprintf("%s, %s, %s sure", name, f.Severity, percent(f.Confidence)))
	if len(f.Tests) > 1 {
		p.prose("  in ", strings.Join(f.Tests, ", "))
	}
	p.line()
	for _, place := range []detectors.Frame{f.Site, f.Caller} {
		if place.File != "" {
			p.line("  ", fitPath(fmt.Sprintf("%s:%d", place.File, place.Line), p.width-2))
		}
	}
	p.source(f.Source)
	if f.Detail != "" {
		p.prose("  ", f.Detail)
	}
	for i, e := range f.Evidence {
		if i == maxBriefEvidence {
			break
		}
		p.prose("  - ", e.Text)
	}
	p.groups(f)
	if f.WrongIf != "" {
		p.line()
		p.prose("  No defect if ", f.WrongIf)
	}
	if f.Pattern.Title != "" {
		p.prose("  Repair: ", fmt.Sprintf("%s (tracedoc explain %s)", f.Pattern.Title, f.Detector))
	}
}
