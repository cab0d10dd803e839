package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/tracedoc/tracedoc/detectors"
)

// gitlabIssue is an entry of GitLab's Code Quality report, a part of the format
// of Code Climate.
type gitlabIssue struct {
	Description string         `json:"description"`
	CheckName   string         `json:"check_name"`
	Fingerprint string         `json:"fingerprint"`
	Severity    string         `json:"severity"`
	Location    gitlabLocation `json:"location"`
}

type gitlabLocation struct {
	Path  string      `json:"path"`
	Lines gitlabLines `json:"lines"`
}

type gitlabLines struct {
	Begin int `json:"begin"`
}

// gitlabSeverities are GitLab's words, by our severity.
var gitlabSeverities = map[detectors.Severity]string{
	detectors.Info: "info", detectors.Low: "minor", detectors.Medium: "major", detectors.High: "critical", detectors.Critical: "blocker",
}

// GitLab writes the report for GitLab's Code Quality. GitLab compares the
// fingerprints of two branches, and shows only one entry of each.
func GitLab(w io.Writer, r *detectors.Report, options Options) error {
	r, opt := options.cleaned(r)
	issues := []gitlabIssue{}
	seen := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		p := opt.site(f)
		if p.path == "" { // it must be somewhere
			p.path, p.line = f.Site.File, max(f.Site.Line, 1)
		}
		fingerprint := f.Fingerprint
		if n := seen[f.Fingerprint]; n > 0 { // a second one in the same function
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", f.Fingerprint, n))
			fingerprint = hex.EncodeToString(sum[:8])
		}
		seen[f.Fingerprint]++
		issues = append(issues, gitlabIssue{
			Description: sentences(f.Title, capital(costs(f)), capital(inTraces(r, f)), f.Pattern.Title),
			CheckName:   rule(f),
			Fingerprint: fingerprint,
			Severity:    gitlabSeverities[min(max(f.Severity, detectors.Info), detectors.Critical)],
			Location:    gitlabLocation{p.path, gitlabLines{p.line}},
		})
	}
	return writeJSON(w, issues, true)
}
