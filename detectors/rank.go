package detectors

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
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
// Waste that comes in bursts (Finding.Active) is measured against the bursts:
// whoever waits for one of them waits that much longer.
//
// A cause's own cap (Cause.Cap) is never exceeded, and a finding with a
// confidence below 0.6 is medium at most.
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

// NewReport merges, ranks and filters what the traces gave.
func NewReport(results []*Result, opt Options) *Report {
	rep := &Report{Schema: Schema, Tool: Tool{Name: "tracedoc", Version: opt.Version}}
	for i, res := range results {
		rep.Traces = append(rep.Traces, res.trace)
		for _, f := range merge(res.findings) {
			f.Trace = i
			rep.Findings = append(rep.Findings, f.finish(&res.trace))
		}
	}
	slices.SortStableFunc(rep.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Detector, b.Detector), cmp.Compare(a.Trace, b.Trace),
			strings.Compare(a.Site.Func, b.Site.Func), cmp.Compare(a.Site.Line, b.Site.Line), strings.Compare(a.Cause, b.Cause))
	})
	all := len(rep.Findings)
	rep.Findings = slices.DeleteFunc(rep.Findings, func(f Finding) bool {
		return f.Severity < opt.MinSeverity || f.Confidence < opt.MinConfidence
	})
	if opt.Top > 0 && len(rep.Findings) > opt.Top {
		rep.Findings = rep.Findings[:opt.Top]
	}
	rep.Omitted = all - len(rep.Findings)
	for i := range rep.Findings {
		rep.Findings[i].Rank = i + 1
	}
	rep.normalize()
	return rep
}

// merge drops findings that another detector's finding explains better.
func merge(list []judged) []judged {
	return slices.DeleteFunc(slices.Clone(list), func(f judged) bool {
		return slices.ContainsFunc(list, func(better judged) bool {
			return slices.Contains(f.by.Yields, better.Detector) &&
				better.Confidence >= 0.5 && better.Confidence > f.Confidence-lessSure &&
				(better.Site == f.Site || slices.Contains(better.Explains, f.Site))
		})
	})
}

// finish fills in what follows from the rest.
func (j judged) finish(t *Trace) Finding {
	f := j.Finding
	cause, _ := j.by.Cause(f.Cause) // Report has checked it
	if (f.Effect == EffectGrows || f.Effect == EffectStops) && !f.OutlivesTest {
		for _, c := range confidenceCaps {
			if t.Duration < c.below {
				f.Confidence = min(f.Confidence, c.cap)
			}
		}
	}
	f.Confidence = math.Round(100*min(1, max(0, f.Confidence))) / 100
	f.Severity = min(severity(&f, t.Duration), cause.Cap)
	if f.Confidence < doubtful {
		f.Severity = min(f.Severity, Medium)
	}
	f.Score = score(&f)
	f.Fingerprint = fingerprint(&f)
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
			rate = lost / f.Active.Seconds()
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

// fingerprint names a problem so that it is found again in another trace of
// the same program: no line numbers, ids, times or counts, no closure ordinals.
func fingerprint(f *Finding) string {
	parts := []string{f.Detector, f.Cause, stableName(f.Site.Func)}
	for _, k := range f.Key {
		parts = append(parts, stableName(k))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

var (
	ordinals = regexp.MustCompile(`(\.(func|gowrap|deferwrap)\d+|\.\d+|-range\d+|-fm)+$`)
	typeArgs = regexp.MustCompile(`\[[^\]]*\]`)
)

// stableName strips from a function's name what changes when code around it
// does: the ordinals of closures and wrappers, and type arguments.
func stableName(fn string) string {
	return ordinals.ReplaceAllString(typeArgs.ReplaceAllString(fn, ""), "")
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
