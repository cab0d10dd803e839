package render

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// What SARIF says here follows the standard (OASIS, version 2.1.0) and, where
// that leaves a choice, what GitHub's code scanning makes of it: it shows the
// first location alone, which must be in the repository; it shows related
// locations only where the message links to them; it takes a rule with a
// security severity for a vulnerability; and it computes
// primaryLocationLineHash by itself if the partial fingerprints lack it.

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifVersion = "2.1.0"
	sarifRoot    = "%SRCROOT%" // the root of the repository
	// maxRelated is how many further places a result shows.
	maxRelated = 20
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string          `json:"id"`
		ShortDescription     sarifText       `json:"shortDescription"`
		FullDescription      sarifText       `json:"fullDescription"`
		Help                 sarifText       `json:"help"`
		DefaultConfiguration sarifConfig     `json:"defaultConfiguration"`
		Properties           sarifProperties `json:"properties"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags            []string `json:"tags"`
		ProblemSeverity string   `json:"problem.severity"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		RelatedLocations    []sarifLocation    `json:"relatedLocations,omitempty"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Rank                float64            `json:"rank"`
		Properties          sarifResultDetails `json:"properties"`
	}
	sarifResultDetails struct {
		Severity   string  `json:"severity"`
		Confidence float64 `json:"confidence"`
		Traces     int     `json:"traces"` // in which it was found
	}
	sarifLocation struct {
		ID        int            `json:"id,omitempty"`
		Physical  sarifPhysical  `json:"physicalLocation"`
		Logical   []sarifLogical `json:"logicalLocations,omitempty"`
		Message   *sarifText     `json:"message,omitempty"`
		inProgram place
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// homepage is where to read on about tracedoc.
const homepage = "https://github.com/tracedoc/tracedoc"

// SARIF writes the report in SARIF 2.1.0.
func SARIF(w io.Writer, r *detectors.Report, options Options) error {
	r, opt := options.cleaned(r)
	run := sarifRun{
		Tool: sarifTool{sarifDriver{
			Name: r.Tool.Name, Version: strings.TrimPrefix(r.Tool.Version, "v"), InformationURI: homepage, Rules: []sarifRule{},
		}},
		Invocations: []sarifInvocation{{ExecutionSuccessful: true}},
		Results:     []sarifResult{},
		ColumnKind:  "utf16CodeUnits",
	}
	for i := range r.Traces {
		for _, warning := range r.Traces[i].Warnings {
			run.Invocations[0].Notifications = append(run.Invocations[0].Notifications,
				sarifNotification{"warning", sarifText{Text: sarifEscape(r.Traces[i].Source + ": " + warning)}})
		}
	}
	index := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		at, ok := index[rule(f)]
		if !ok {
			at = len(run.Tool.Driver.Rules)
			index[rule(f)] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(r, f))
		}
		run.Results = append(run.Results, sarifResultOf(r, f, at, opt))
	}
	return writeJSON(w, sarifLog{sarifSchema, sarifVersion, []sarifRun{run}}, true)
}

// sarifRuleOf describes the kind of a finding. The worst of its kind comes first,
// and so gives the rule its level.
func sarifRuleOf(r *detectors.Report, f *detectors.Finding) sarifRule {
	about, title := f.Detector, rule(f)
	for _, d := range r.Detectors {
		if d.Name == f.Detector && d.About != "" {
			finds := strings.TrimPrefix(d.About, "finds ")
			about, title = about+" finds "+finds, capital(finds)+" ("+f.Cause+")"
		}
	}
	about = sentences(about)
	var help strings.Builder
	m := markdown{&help}
	m.para(m.text(about + " Run “tracedoc explain " + f.Detector + "” to read how it decides and what it cannot see."))
	m.repair(&f.Pattern, 0, map[string]int{})
	return sarifRule{
		ID:               rule(f),
		ShortDescription: sarifText{Text: sarifEscape(title)},
		FullDescription:  sarifText{Text: sarifEscape(about)},
		Help: sarifText{
			Text:     sarifEscape(sentences(about, f.Pattern.Title, f.Pattern.Why)),
			Markdown: help.String(),
		},
		DefaultConfiguration: sarifConfig{level(f.Severity)},
		Properties:           sarifProperties{Tags: []string{"concurrency", string(f.Family)}, ProblemSeverity: problemSeverity(f.Severity)},
	}
}

// problemSeverity is GitHub's word for how a rule without security severity is
// to be filtered.
func problemSeverity(s detectors.Severity) string {
	if l := level(s); l != "note" {
		return l
	}
	return "recommendation"
}

func sarifResultOf(r *detectors.Report, f *detectors.Finding, ruleIndex int, opt *Options) sarifResult {
	site := opt.site(f)
	res := sarifResult{
		RuleID: rule(f), RuleIndex: ruleIndex, Level: level(f.Severity),
		Locations:           []sarifLocation{sarifLocationOf(site)},
		PartialFingerprints: map[string]string{"tracedoc/v1": f.Fingerprint},
		Rank:                min(100, max(0, f.Score)),
		Properties:          sarifResultDetails{f.Severity.String(), f.Confidence, len(f.Seen)},
	}
	parts := []string{sarifEscape(sentences(f.Title))}
	if fn := f.Site.Func; fn != site.fn && fn != "" { // shown somewhere else than it is
		parts = append(parts, sarifEscape(sentences("It is in "+fn+" at "+f.Site.Where())))
	}
	parts = append(parts, sarifEscape(sentences(f.Detail)))
	for i := range f.Groups {
		g := &f.Groups[i]
		if link := res.relate(string(g.Role), g, opt); link != "" {
			parts = append(parts, link)
		}
	}
	if f.WrongIf != "" {
		parts = append(parts, sarifEscape(sentences("No defect if "+f.WrongIf)))
	}
	parts = append(parts, sarifEscape(sentences(capital(costs(f)), capital(inTraces(r, f)))))
	if f.Pattern.Title != "" {
		parts = append(parts, sarifEscape(sentences("Repair: "+f.Pattern.Title)))
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	res.Message = sarifText{Text: strings.Join(parts, " ")}
	return res
}

// relate adds where a group of goroutines stands, and where it was started, to
// the related locations; it returns the sentence that links to them.
func (res *sarifResult) relate(role string, g *detectors.Group, opt *Options) string {
	link := func(text string, f detectors.Frame) string {
		p, ok := opt.at(f)
		if !ok {
			return ""
		}
		known := slices.IndexFunc(res.RelatedLocations, func(l sarifLocation) bool { return l.inProgram == p })
		if known < 0 {
			if len(res.RelatedLocations) >= maxRelated {
				return ""
			}
			known = len(res.RelatedLocations)
			l := sarifLocationOf(p)
			l.ID, l.Message = known+1, &sarifText{Text: sarifEscape(capital(text))}
			res.RelatedLocations = append(res.RelatedLocations, l)
		}
		return fmt.Sprintf("[%s](%d)", sarifEscape(text), res.RelatedLocations[known].ID)
	}
	stands := ""
	for _, f := range g.Stack {
		if stands = link(cmp.Or(role, "goroutine")+" in "+shortFunc(f.Func), f); stands != "" {
			break
		}
	}
	started := ""
	if g.CreatedBy.Func != "" {
		started = link("started by "+shortFunc(g.CreatedBy.Func), g.CreatedBy)
	}
	switch {
	case stands != "" && started != "":
		return "See the " + stands + ", " + started + "."
	case stands+started != "":
		return "See: " + stands + started + "."
	}
	return ""
}

func sarifLocationOf(p place) sarifLocation {
	l := sarifLocation{
		Physical:  sarifPhysical{sarifArtifact{(&url.URL{Path: p.path}).String(), sarifRoot}, sarifRegion{p.line}},
		inProgram: p,
	}
	if p.fn != "" {
		l.Logical = []sarifLogical{{p.fn, "function"}}
	}
	return l
}

// sarifEscape writes a text so that no part of it is taken for a link or for a
// placeholder (sections 3.11.5 and 3.11.6 of the standard). Braces that hold no
// number are left alone: GitHub shows braces as they come.
func sarifEscape(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`).Replace(s)
	return sarifPlaceholder.ReplaceAllString(s, "{$0}")
}

var sarifPlaceholder = regexp.MustCompile(`\{[0-9]+\}`)
