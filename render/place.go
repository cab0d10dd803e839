package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// place is a line of a file, as services show findings beside the code.
type place struct {
	path string // from the root of the repository, with slashes
	line int    // at least 1
	fn   string // "" for a place that stands for none in the repository
}

// cleaned returns a copy of the report that is safe to print, and options whose
// Relative knows the files of that copy.
func (o Options) cleaned(r *detectors.Report) (*detectors.Report, *Options) {
	if o.Relative != nil {
		paths := map[string]string{}
		note := func(f detectors.Frame) {
			if shown := Printable(f.File); paths[shown] == "" && f.File != "" {
				paths[shown] = Printable(o.Relative(f.File))
			}
		}
		for i := range r.Findings {
			f := &r.Findings[i]
			note(f.Site)
			note(f.Caller)
			for j := range f.Groups {
				note(f.Groups[j].CreatedBy)
				for _, frame := range f.Groups[j].Stack {
					note(frame)
				}
			}
		}
		o.Relative = func(file string) string { return paths[file] }
	}
	return clean(r), &o
}

// at returns the place of a frame; ok is false if it is not in the repository.
func (o *Options) at(f detectors.Frame) (place, bool) {
	if o.Relative == nil || f.File == "" {
		return place{}, false
	}
	path := o.Relative(f.File)
	return place{path, max(f.Line, 1), f.Func}, path != ""
}

// site returns the one place of the repository that a finding is shown at: its
// site, or, for a site in a library, the nearest frame of its goroutines that
// is in the repository. A finding that has none is shown at o.Elsewhere.
func (o *Options) site(f *detectors.Finding) place {
	for _, frame := range []detectors.Frame{f.Site, f.Caller} {
		if p, ok := o.at(frame); ok {
			return p
		}
	}
	for i := range f.Groups {
		g := &f.Groups[i]
		for _, frame := range append(slices.Clip(g.Stack), g.CreatedBy) {
			if p, ok := o.at(frame); ok {
				return p
			}
		}
	}
	return place{path: o.Elsewhere, line: 1}
}

// level is what most services call severities.
func level(s detectors.Severity) string {
	switch {
	case s >= detectors.High:
		return "error"
	case s == detectors.Medium:
		return "warning"
	}
	return "note"
}

// rule names the kind of a finding.
func rule(f *detectors.Finding) string {
	return strings.TrimSuffix(f.Detector+"/"+f.Cause, "/")
}

// costs words what a finding costs and how sure it is, in one line.
func costs(f *detectors.Finding) string {
	return strings.Join(append(impactParts(f.Impact, goroutineSeconds), percent(f.Confidence)+" sure"), ", ")
}

// inTraces says in how many of several traces a finding is; "" for one trace.
func inTraces(r *detectors.Report, f *detectors.Finding) string {
	if len(r.Traces) < 2 {
		return ""
	}
	text := fmt.Sprintf("in %d of %d traces", len(f.Seen), len(r.Traces))
	if worst := sourceOf(r, f); worst != "" {
		if len(f.Seen) > 1 {
			text += ", worst in " + worst
		} else {
			text += ": " + worst
		}
	}
	return text
}

// sentences joins texts that may or may not end in a full stop.
func sentences(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		if !strings.HasSuffix(t, ".") {
			t += "."
		}
		out = append(out, t)
	}
	return strings.Join(out, " ")
}
