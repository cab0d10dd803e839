// Package gate holds what a team has decided about findings: which severity
// they have for it, which of them it ignores, and which it knows already. It
// also compares reports, so that only what is new or worse needs a decision.
//
// A [Policy] is applied between detectors.Collect, which ranks all that was
// found, and an output format.
package gate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

// Policy is what was decided. The zero value changes nothing.
type Policy struct {
	Severities []Grade // the first that fits a finding counts
	Ignores    []Ignore
	Baseline   *Baseline // nil if there is none
}

// Grade gives the findings of a detector another severity than their own.
type Grade struct {
	Of       string // a detector, "detector/cause", or a family
	Severity detectors.Severity
}

// Ignore leaves findings out.
type Ignore struct {
	Detector string // a detector, "detector/cause", or a family; "" is any
	// Func is a pattern of a function's name, "" is any: "*" stands for any
	// characters, and the name may be given from its package's path on, from its
	// package on, or from any element of the path on. It fits a finding if it
	// fits a function that plays any part in it: its site, or a function on the
	// stack of a group, that a goroutine was started with, or that started it. A
	// closure also goes by the function that it is in.
	Func    string
	Reason  string
	Expires time.Time // the first moment at which it no longer holds; zero is never
	Origin  string    // where it was written, for messages: ".tracedoc.yaml:12"
}

// Fits tells whether a finding of detector and cause goes by that name.
func Fits(name string, f *detectors.Finding) bool {
	return name == "" || name == f.Detector || name == f.Detector+"/"+f.Cause || name == string(f.Family)
}

// Matches tells whether a finding is to be left out.
func (i *Ignore) Matches(f *detectors.Finding) bool {
	if !Fits(i.Detector, f) {
		return false
	}
	if i.Func == "" {
		return true
	}
	p := pattern(i.Func)
	matches := func(fn string) bool { return p.MatchString(fn) || p.MatchString(closures.ReplaceAllString(fn, "")) }
	if matches(f.Site.Func) {
		return true
	}
	for j := range f.Groups {
		g := &f.Groups[j]
		if matches(g.Entry) || matches(g.CreatedBy.Func) || slices.ContainsFunc(g.Stack, func(fr detectors.Frame) bool { return matches(fr.Func) }) {
			return true
		}
	}
	return false
}

// pattern compiles a pattern of a function's name. A pointer receiver's star
// needs no escape: it fits itself.
func pattern(glob string) *regexp.Regexp {
	parts := strings.Split(glob, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:.*/)?(?s:` + strings.Join(parts, ".*") + `)$`)
}

// closures are what the compiler appends to the name of the function around a closure.
var closures = regexp.MustCompile(`(\.(func|gowrap|deferwrap)\d+|\.\d+|-range\d+|-fm)+$`)

// By whom a finding was left out, see detectors.Suppressed.
const (
	ByBaseline = "baseline"
	ByIgnore   = "ignore"
)

// Apply regrades, leaves out what is ignored or known, and filters as opt says.
// What is left out by decision, and would have passed the filter, is listed in
// r.Suppressed. The warnings, a line each, are about ignores that have expired at
// the time now, and about ignores that match nothing though their detector looked.
func (p *Policy) Apply(r *detectors.Report, opt detectors.Options, now time.Time) (warnings []string) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if at := slices.IndexFunc(p.Severities, func(g Grade) bool { return Fits(g.Of, f) }); at >= 0 {
			f.Regrade(p.Severities[at].Severity)
		}
	}
	leaveOut := func(by, reason string, f detectors.Finding) {
		if f.Severity < opt.MinSeverity || f.Confidence < opt.MinConfidence {
			return
		}
		r.Suppressed = append(r.Suppressed, detectors.Suppressed{
			Fingerprint: f.Fingerprint, Detector: f.Detector, Cause: f.Cause, Severity: f.Severity, Title: f.Title, Site: f.Site, By: by, Reason: reason,
		})
	}
	for i := range p.Ignores {
		ignore := &p.Ignores[i]
		expired := !ignore.Expires.IsZero() && !now.Before(ignore.Expires)
		matched := 0
		r.Findings = slices.DeleteFunc(r.Findings, func(f detectors.Finding) bool {
			if !ignore.Matches(&f) {
				return false
			}
			matched++
			if expired {
				return false
			}
			leaveOut(ByIgnore, ignore.Reason, f)
			return true
		})
		switch {
		case expired:
			warnings = append(warnings, fmt.Sprintf("%s has expired on %s and no longer holds: remove or renew it", ignore, ignore.Expires.AddDate(0, 0, -1).Format(time.DateOnly)))
		case matched == 0 && ignore.looked(r):
			warnings = append(warnings, fmt.Sprintf("%s matches nothing: remove it if it is no longer needed", ignore))
		}
	}
	if p.Baseline != nil {
		var left []detectors.Finding
		for i, known := range p.Baseline.knows(r.Findings) {
			if known {
				leaveOut(ByBaseline, "", r.Findings[i])
			} else {
				left = append(left, r.Findings[i])
			}
		}
		r.Findings = left
	}
	r.Filter(opt)
	return warnings
}

// String names an ignore in a message.
func (i *Ignore) String() string {
	text := "the ignore"
	if i.Origin != "" {
		text += " at " + i.Origin
	}
	return text + " (" + strings.TrimSpace(i.Detector+" "+i.Func) + ")"
}

// looked tells whether a detector looked that the ignore is about.
func (i *Ignore) looked(r *detectors.Report) bool {
	name, _, _ := strings.Cut(i.Detector, "/")
	return name == "" || len(r.Detectors) == 0 || slices.ContainsFunc(r.Detectors, func(d detectors.Ran) bool { return d.Name == name || string(d.Family) == name })
}
