package detectors

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/patterns"
)

// This file decides, for all rooms alike, how bad a finding is and in which
// order findings come. From here on nothing is decided, only written.
//
// Severity follows from the effect and from goroutine-seconds lost per second
// of trace, that is, from how many goroutines were held up at any moment:
//
//	delays   2 and more: high; 0.2: medium; 0.02: low; less: info
//	stops    critical; high while the detector is not sure (confidence below 0.8)
//	grows    20 goroutines and more: high; 3, or what a test left behind: medium; fewer: low
//	wastes   a tenth of a processor and more: medium; a fiftieth: low; less: info
//
// Waste that comes in bursts (Finding.Active) is measured against the bursts, as
// whoever waits for one of them waits that much longer; but against a tenth of
// the trace at least: a hundredth of a processor in all makes it medium.
//
// A cause's own cap (Cause.Cap) is never exceeded, and a finding with a
// confidence below 0.6 is medium at most, one that is not proven (Finding.Unproven) low.
//
// Score is confidence × (20 per step of severity + up to 20 for the time lost,
// on a logarithmic scale that ends at 1,000 goroutine-seconds). So a sure
// medium finding may stand before a doubtful high one.
const (
	delaysHigh, delaysMedium, delaysLow = 2.0, 0.2, 0.02
	delaysHighAtLeast                   = 100 * time.Millisecond // lost in all; a short burst is no high finding
	delaysMediumAtLeast                 = 20 * time.Millisecond
	growsHigh, growsMedium              = 20, 3
	wastesMedium, wastesLow             = 0.1, 0.02
	burstsFill                          = 0.1 // of the trace, for waste in bursts to count in full
	sureOfStop                          = 0.8
	lessSure                            = 0.3 // by which an explanation may be less sure than what it explains
	doubtful                            = 0.6
)

// confidenceCaps bounds the confidence in findings about what only time tells
// (leaks, growth, standstill) by the length of the trace.
var confidenceCaps = []struct {
	below time.Duration
	cap   float64
}{
	{100 * time.Millisecond, 0.6},
	{300 * time.Millisecond, 0.75},
	{time.Second, 0.9},
}

// Options says what a report is to hold.
type Options struct {
	Version       string // of tracedoc
	MinSeverity   Severity
	MinConfidence float64
	Top           int // 0 for all
}

// NewReport merges, ranks and filters what the traces gave: Collect and Filter.
func NewReport(results []*Result, opt Options) *Report {
	rep := Collect(results, opt.Version)
	rep.Filter(opt)
	return rep
}

// Collect merges and ranks all that the traces gave, and filters nothing.
func Collect(results []*Result, version string) *Report {
	rep := &Report{Schema: Schema, Tool: Tool{Name: "tracedoc", Version: version}}
	var lists [][]Finding
	for i, res := range results {
		rep.Traces = append(rep.Traces, res.trace)
		for _, d := range res.ran {
			if !slices.ContainsFunc(rep.Detectors, func(r Ran) bool { return r.Name == d.Name }) {
				rep.Detectors = append(rep.Detectors, Ran{Name: d.Name, Family: d.Family, About: d.Synopsis()})
			}
		}
		for i := range res.findings {
			res.findings[i].bound(res.trace.Duration)
		}
		var list []Finding
		for _, f := range merge(res.findings) {
			f.Trace = i
			list = append(list, f.finish(res))
		}
		slices.SortStableFunc(list, compare)
		lists = append(lists, list)
	}
	rep.Findings = across(lists)
	rep.order()
	rep.normalize()
	return rep
}

// Filter leaves out what opt does not ask for, counts it in Omitted, and ranks
// the rest anew.
func (r *Report) Filter(opt Options) {
	all := len(r.Findings)
	r.order()
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		return f.Severity < opt.MinSeverity || f.Confidence < opt.MinConfidence
	})
	if opt.Top > 0 && len(r.Findings) > opt.Top {
		r.Findings = r.Findings[:opt.Top]
	}
	r.Omitted += all - len(r.Findings)
}

// order sorts the findings and gives them their ranks.
func (r *Report) order() {
	slices.SortStableFunc(r.Findings, compare)
	for i := range r.Findings {
		r.Findings[i].Rank = i + 1
	}
}

// compare puts the worse of two findings first.
func compare(a, b Finding) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Detector, b.Detector), cmp.Compare(a.Trace, b.Trace),
		strings.Compare(a.Site.Func, b.Site.Func), cmp.Compare(a.Site.Line, b.Site.Line), strings.Compare(a.Cause, b.Cause))
}

// merge drops findings that another detector's finding explains better, which
// then says what they have to add. What is doubtful itself explains no
// standstill that is not.
func merge(list []judged) []judged {
	all := slices.Clone(list)
	dropped := make([]bool, len(list))
	for i := range list {
		for j := range list {
			if list[j].explains(&list[i]) {
				dropped[i] = true
				if adds := list[i].Adds; adds != "" && !dropped[j] {
					all[j].Detail += " " + adds
				}
				break
			}
		}
	}
	kept := all[:0]
	for i := range all {
		if !dropped[i] {
			kept = append(kept, all[i])
		}
	}
	return kept
}

// explains tells whether f need not be told beside better.
func (better *judged) explains(f *judged) bool {
	return slices.Contains(f.by.Yields, better.Detector) &&
		better.Confidence >= 0.5 && (better.Confidence >= doubtful || f.Confidence < doubtful || f.Effect == EffectDelays) && better.Confidence >= f.Confidence-lessSure &&
		(better.Site == f.Site || slices.Contains(better.Explains, f.Site))
}

// bound caps the confidence in what only time tells, and rounds it to hundredths.
func (j *judged) bound(length time.Duration) {
	for _, c := range confidenceCaps {
		if (j.Effect == EffectGrows || j.Effect == EffectStops) && !j.OutlivesTest && length < c.below {
			j.Confidence = min(j.Confidence, c.cap)
		}
	}
	j.Confidence = math.Round(100*min(1, max(0, j.Confidence))) / 100
}

// finish fills in what follows from the rest.
func (j judged) finish(res *Result) Finding {
	length := res.trace.Duration
	j.bound(length)
	f := j.Finding
	cause, _ := j.by.Cause(f.Cause) // Report has checked it
	f.Severity = min(severity(&f, length), cause.Cap)
	if f.Confidence < doubtful {
		f.Severity = min(f.Severity, Medium)
	}
	if f.Unproven {
		f.Severity = min(f.Severity, Low)
	}
	f.Score = score(&f)
	f.Fingerprint = fingerprint(&f, res.packages)
	f.Seen = []Sighting{{Trace: f.Trace, Severity: f.Severity, Confidence: f.Confidence, Impact: f.Impact}}
	f.Pattern, _ = PatternByID(cmp.Or(f.Repair, cause.Pattern)) // Validate and Report have checked it
	return f
}

func severity(f *Finding, length time.Duration) Severity {
	lost := f.Impact.Blocked.Seconds()
	rate := lost / max(length.Seconds(), 0.1)
	switch f.Effect {
	case EffectStops:
		if f.Confidence >= sureOfStop {
			return Critical
		}
		return High
	case EffectGrows:
		switch n := f.Impact.Goroutines; {
		case n >= growsHigh:
			return High
		case n >= growsMedium, f.OutlivesTest:
			return Medium
		}
		return Low
	case EffectWastes:
		if f.Active > 0 {
			rate = lost / max(f.Active.Seconds(), length.Seconds()*burstsFill)
		}
		switch {
		case rate >= wastesMedium:
			return Medium
		case rate >= wastesLow:
			return Low
		}
		return Info
	}
	switch {
	case rate >= delaysHigh && f.Impact.Blocked >= delaysHighAtLeast:
		return High
	case rate >= delaysMedium && f.Impact.Blocked >= delaysMediumAtLeast:
		return Medium
	case rate >= delaysLow:
		return Low
	}
	return Info
}

func score(f *Finding) float64 {
	lost := min(1, math.Log10(1+10*f.Impact.Blocked.Seconds())/4)
	return math.Round(10*f.Confidence*(20*float64(f.Severity)+20*lost)) / 10
}

// PatternByID returns the repair of that id as findings show it.
func PatternByID(id string) (Pattern, bool) {
	p, ok := patterns.Get(id)
	return Pattern{ID: p.ID, Title: p.Title, Why: p.Why, Before: p.Before, After: p.After, Links: p.Links}, ok
}

// Select applies --only and --skip: names of detectors or of families. An
// empty only means all; skip wins.
func Select(list []*Detector, only, skip []string) ([]*Detector, error) {
	for _, name := range slices.Concat(only, skip) {
		if !slices.Contains(Families(), Family(name)) && !slices.ContainsFunc(list, func(d *Detector) bool { return d.goesBy(name) }) {
			var known []string
			for _, f := range Families() {
				known = append(known, string(f))
			}
			for _, d := range list {
				known = append(known, d.Name)
			}
			return nil, fmt.Errorf("unknown detector or family %q: use one of %s", name, strings.Join(known, ", "))
		}
	}
	var picked []*Detector
	for _, d := range list {
		if (len(only) == 0 || slices.ContainsFunc(only, d.goesBy)) && !slices.ContainsFunc(skip, d.goesBy) {
			picked = append(picked, d)
		}
	}
	return picked, nil
}

func (d *Detector) goesBy(name string) bool { return d.Name == name || string(d.Family) == name }
