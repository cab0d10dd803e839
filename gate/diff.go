package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

// DiffSchema is the name of a comparison's JSON schema. It changes only by adding.
const DiffSchema = "tracedoc/diff/v1"

// Verdict says what became of a problem.
type Verdict string

// The verdicts, in the order in which a comparison lists them.
const (
	New    Verdict = "new"
	Worse  Verdict = "worse"
	Better Verdict = "better"
	Gone   Verdict = "gone"
	Noise  Verdict = "noise" // a difference, but no more than two recordings of the same differ by
	Same   Verdict = "same"
)

var verdicts = []Verdict{New, Worse, Better, Gone, Noise, Same}

// Diff is the comparison of two sides: one or several traces each.
type Diff struct {
	Schema   string          `json:"schema"`
	Tool     detectors.Tool  `json:"tool"`
	Old      Side            `json:"old"`
	New      Side            `json:"new"`
	Changes  []Change        `json:"changes"`
	Warnings []string        `json:"warnings"`
	Counts   map[Verdict]int `json:"counts"`
}

// Side says what was compared.
type Side struct {
	Traces []detectors.Trace `json:"traces"`
}

// Change is what became of one problem.
type Change struct {
	Verdict Verdict           `json:"verdict"`
	Why     string            `json:"why"`     // the figures behind the verdict, in a sentence
	Finding detectors.Finding `json:"finding"` // the worst, of the new side if the problem is there
	// Seen counts the traces of each side in which the problem is.
	SeenOld int      `json:"seen_old"`
	SeenNew int      `json:"seen_new"`
	Figures []Figure `json:"figures"`
}

// Figure is a measure of a problem on both sides.
type Figure struct {
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Old     Spread  `json:"old"`
	New     Spread  `json:"new"`
	Verdict Verdict `json:"verdict"` // worse, better, noise or same
}

// Spread sums up what several traces gave; all zero if the problem is in none.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// problem is one problem on one side, as each trace had it.
type problem struct {
	worst *detectors.Finding
	seen  []sighting
}

type sighting struct {
	detectors.Sighting
	length time.Duration // of the trace
}

// key tells problems apart: by fingerprint, and by number where a function
// holds several of one.
type key struct {
	fingerprint string
	number      int
}

// problems takes a side apart. Its findings may be filtered or not.
func problems(r *detectors.Report) map[key]*problem {
	all := map[key]*problem{}
	byLine := slices.Clone(r.Findings)
	slices.SortStableFunc(byLine, func(a, b detectors.Finding) int { return cmp.Compare(a.Site.Line, b.Site.Line) })
	number := map[string]int{}
	for i := range byLine {
		f := &byLine[i]
		p := &problem{worst: f}
		for _, s := range f.Seen {
			if s.Trace >= 0 && s.Trace < len(r.Traces) {
				p.seen = append(p.seen, sighting{s, r.Traces[s.Trace].Duration})
			}
		}
		all[key{f.Fingerprint, number[f.Fingerprint]}] = p
		number[f.Fingerprint]++
	}
	return all
}

// Compare compares two sides. Findings that opt leaves out are known of, so that
// what was there already but below a threshold is not new; they are listed only
// if they pass on either side. (A report that was read from a file has lost what
// its own filter left out; a warning says so.)
func Compare(old, now *detectors.Report, opt detectors.Options) *Diff {
	d := &Diff{
		Schema: DiffSchema, Tool: now.Tool, Old: Side{nonNil(old.Traces)}, New: Side{nonNil(now.Traces)},
		Changes: []Change{}, Warnings: []string{}, Counts: map[Verdict]int{},
	}
	if old.Omitted > 0 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("the old report left out %d milder findings: what seems new may be among them (write it with --min-severity info --min-confidence 0)", old.Omitted))
	}
	before, after := problems(old), problems(now)
	for k, a := range after {
		d.add(change(before[k], a, len(old.Traces), len(now.Traces), opt))
	}
	blind := map[string]bool{}
	for k, b := range before {
		switch {
		case after[k] != nil:
		case !looked(now, b.worst.Detector):
			if !blind[b.worst.Detector] {
				blind[b.worst.Detector] = true
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s did not judge the new side: whether its findings are gone cannot be told", b.worst.Detector))
			}
		default:
			d.add(change(b, nil, len(old.Traces), len(now.Traces), opt))
		}
	}
	slices.Sort(d.Warnings)
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(verdicts, a.Verdict), slices.Index(verdicts, b.Verdict)), cmp.Compare(b.Finding.Score, a.Finding.Score),
			strings.Compare(a.Finding.Fingerprint, b.Finding.Fingerprint), cmp.Compare(a.Finding.Site.Line, b.Finding.Site.Line))
	})
	for i := range d.Changes {
		d.Changes[i].Finding.Rank = i + 1
	}
	return d
}

func (d *Diff) add(c Change, listed bool) {
	if listed {
		d.Changes = append(d.Changes, c)
		d.Counts[c.Verdict]++
	}
}

func nonNil(t []detectors.Trace) []detectors.Trace {
	if t == nil {
		return []detectors.Trace{}
	}
	return t
}

// looked tells whether a detector had an answer for any trace.
func looked(r *detectors.Report, detector string) bool {
	if len(r.Detectors) > 0 && !slices.ContainsFunc(r.Detectors, func(d detectors.Ran) bool { return d.Name == detector }) {
		return false
	}
	for i := range r.Traces {
		if !slices.ContainsFunc(r.Traces[i].NotJudged, func(n detectors.NotJudged) bool { return n.Detector == detector }) {
			return true
		}
	}
	return len(r.Traces) == 0
}

// Failing returns the worst severity of what is new or worse; ok is false if
// nothing is.
func (d *Diff) Failing() (worst detectors.Severity, ok bool) {
	for i := range d.Changes {
		if c := &d.Changes[i]; c.Verdict == New || c.Verdict == Worse {
			worst, ok = max(worst, c.Finding.Severity), true
		}
	}
	return worst, ok
}

// change judges what became of a problem; b or a is nil where it is not there.
// listed is false if it passes the filter on neither side.
func change(b, a *problem, tracesOld, tracesNew int, opt detectors.Options) (c Change, listed bool) {
	passes := func(p *problem) bool {
		return p != nil && p.worst.Severity >= opt.MinSeverity && p.worst.Confidence >= opt.MinConfidence
	}
	for _, p := range []*problem{b, a} {
		if p != nil {
			c.Finding = *p.worst
		}
	}
	c.Figures = figures(b, a)
	if b != nil {
		c.SeenOld = len(b.seen)
	}
	if a != nil {
		c.SeenNew = len(a.seen)
	}
	switch {
	case b == nil:
		c.Verdict, c.Why = presence(New, c.SeenNew, tracesNew, tracesOld, "new", "old")
	case a == nil:
		c.Verdict, c.Why = presence(Gone, c.SeenOld, tracesOld, tracesNew, "old", "new")
	default:
		c.Verdict, c.Why = weigh(c.Figures)
		if c.Verdict == Worse && !passes(a) {
			return c, false // it got worse, and is still not worth telling
		}
	}
	return c, passes(b) || passes(a)
}

// presence judges a problem that is on one side only, in seen of its traces.
// That the other side's traces all missed it may be chance, if it does not show
// in every trace.
func presence(verdict Verdict, seen, traces, others int, side, other string) (Verdict, string) {
	if traces < 2 && others < 2 {
		return verdict, fmt.Sprintf("only on the %s side", side)
	}
	text := fmt.Sprintf("in %d of %d traces of the %s side, in none of %d of the %s side", seen, traces, side, others, other)
	rate := float64(seen) / float64(max(traces, 1))
	if chance := missed(rate, others); chance > significance {
		return Noise, fmt.Sprintf("%s: that may be chance (%.0f%%)", text, 100*chance)
	}
	return verdict, text
}

// missed is how likely n traces all miss a problem that shows in that share of them.
func missed(rate float64, n int) float64 {
	p := 1.0
	for range n {
		p *= 1 - rate
	}
	return p
}
