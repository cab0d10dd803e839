package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// sheet is what the script of the HTML report draws: a report in words and
// numbers that need no more thought. html/src/model.ts says the same in its
// language. Frames and repairs, which many findings share, stand there once.
type sheet struct {
	Version  string         `json:"version"`
	Verdict  string         `json:"verdict"`
	Notes    []string       `json:"notes"`
	Traces   []sheetTrace   `json:"traces"`
	Findings []sheetFinding `json:"findings"`
	Frames   []sheetFrame   `json:"frames"`
	Patterns []sheetPattern `json:"patterns"`
	Kinds    []sheetKind    `json:"kinds"` // what goroutines do
	Blind    []sheetBlind   `json:"blind"`

	frames map[detectors.Frame]int
	kinds  map[sheetKind]int
}

type sheetFrame struct {
	Func  string `json:"fn"`
	Short string `json:"short"`
	File  string `json:"file"`
	Line  int    `json:"line"`
}

type sheetKind struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

type sheetTrace struct {
	Source     string      `json:"source"`
	About      string      `json:"about"`
	Warnings   []string    `json:"warnings"`
	Duration   int64       `json:"duration"`
	Step       int64       `json:"step"`     // of Activity
	Activity   []sheetBand `json:"activity"` // empty where it was not looked up
	Resting    string      `json:"resting"`
	RestingAt  []sheetRest `json:"restingAt"`
	RestingOut int         `json:"restingOut"` // sites that are not in RestingAt
}

// sheetBand is how many goroutines did one thing, over time, and how much time
// all of them spent so.
type sheetBand struct {
	Kind  int       `json:"kind"`
	Mean  []float64 `json:"mean"`
	Spent int64     `json:"spent"`
	Text  string    `json:"text"` // Spent in words
}

type sheetRest struct {
	Count int    `json:"n"`
	Frame int    `json:"frame"`
	Why   string `json:"why"`
}

// sheetBlind is something that a trace cannot show.
type sheetBlind struct {
	Text string `json:"text"`
	In   string `json:"in"` // which traces; "" for all
}

type sheetFinding struct {
	Rank     int             `json:"rank"`
	Trace    int             `json:"trace"`
	Seen     string          `json:"seen"` // in which traces, in words; "" if there is only one
	Detector string          `json:"detector"`
	Cause    string          `json:"cause"`
	Severity string          `json:"severity"`
	Sure     string          `json:"sure"`
	Title    string          `json:"title"`
	Detail   string          `json:"detail"`
	Costs    string          `json:"costs"`
	Saves    string          `json:"saves"`
	Tests    []string        `json:"tests"`
	Site     int             `json:"site"`
	Caller   int             `json:"caller"` // -1 if the site is the program's own
	Source   []sheetLine     `json:"source"`
	Evidence []sheetEvidence `json:"evidence"`
	Groups   []sheetGroup    `json:"groups"`
	Steps    []sheetStep     `json:"steps"`
	Wrong    string          `json:"wrong"`
	Pattern  int             `json:"pattern"` // -1 if there is none
	Picture  []string        `json:"picture"` // drawn in text; empty if there is a graph
	Graph    []sheetNode     `json:"graph"`
	Scene    *sheetScene     `json:"scene"`
	Open     *opening        `json:"open"`
	From     int64           `json:"from"` // what it is about, in the trace's time
	To       int64           `json:"to"`
	Less     string          `json:"less"` // what was left out for want of room; "" if nothing was
}

type sheetLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Mark string `json:"mark"` // ">" the site; "-" goes; "+" comes
}

type sheetEvidence struct {
	Text string `json:"text"`
	Sign int    `json:"sign"`
}

type sheetGroup struct {
	Role    string `json:"role"`
	Count   int    `json:"count"`
	IDs     string `json:"ids"`
	Text    string `json:"text"`
	Stack   []int  `json:"stack"`
	Top     int    `json:"top"` // the first frame that is not runtime or sync
	LeftOut int    `json:"leftOut"`
}

type sheetStep struct {
	T         int64  `json:"t"`
	At        string `json:"at"`
	Goroutine int64  `json:"g"`
	Event     string `json:"event"`
	Text      string `json:"text"`
}

type sheetPattern struct {
	ID     string      `json:"id"`
	Title  string      `json:"title"`
	Why    string      `json:"why"`
	Before []sheetLine `json:"before"`
	After  []sheetLine `json:"after"`
	Links  []string    `json:"links"`
}

type sheetNode struct {
	Goroutine int64    `json:"g"`
	Count     int      `json:"count"`
	Frame     int      `json:"frame"`
	Holds     []string `json:"holds"`
	Waits     string   `json:"waits"`
	For       int      `json:"for"`
}

// newSheet words a clean report.
func newSheet(r *detectors.Report, have portion) *sheet {
	s := &sheet{
		Version: r.Tool.Version, Verdict: verdictText(r), Notes: []string{}, Traces: []sheetTrace{}, Findings: []sheetFinding{},
		Frames: []sheetFrame{}, Patterns: []sheetPattern{}, Kinds: []sheetKind{}, Blind: []sheetBlind{},
		frames: map[detectors.Frame]int{}, kinds: map[sheetKind]int{},
	}
	if len(r.Findings) > 0 && r.Omitted > 0 {
		s.Notes = append(s.Notes, count(int64(r.Omitted), "more finding")+" left out (--min-severity, --min-confidence, --top).")
	}
	if text := suppressedText(r.Suppressed); text != "" {
		s.Notes = append(s.Notes, text)
	}
	if n := len(r.Findings) - have.shown; n > 0 {
		s.Notes = append(s.Notes, count(int64(n), "more finding")+" left out, for which this file has no room: they are in the JSON report.")
	}
	for i := range r.Traces {
		s.Traces = append(s.Traces, s.trace(&r.Traces[i], len(r.Traces)))
	}
	for _, b := range blindness(r.Traces) {
		in := ""
		if len(b.sources) < len(r.Traces) {
			in = strings.Join(b.sources, ", ")
		}
		s.Blind = append(s.Blind, sheetBlind{b.text, in})
	}
	patterns := map[string]int{}
	for i := range r.Findings[:have.shown] {
		s.Findings = append(s.Findings, s.finding(r, i, have, patterns))
	}
	return s
}

// maxSteps is how many parts of a trace are drawn, for each of several traces.
const maxSteps = 400

func (s *sheet) trace(t *detectors.Trace, of int) sheetTrace {
	out := sheetTrace{
		Source: t.Source, About: strings.Join(traceFacts(t), ", "), Warnings: []string{}, Duration: int64(t.Duration),
		Activity: []sheetBand{}, RestingAt: []sheetRest{},
	}
	if text := incompleteText(t); text != "" {
		out.Warnings = append(out.Warnings, "incomplete: "+text)
	}
	out.Warnings = append(out.Warnings, t.Warnings...)
	if a := t.Activity; a != nil && a.Step > 0 {
		every := 1 // that so many parts fit
		for _, b := range a.States {
			every = max(every, (len(b.Mean)*min(of, 8)+maxSteps-1)/maxSteps)
		}
		out.Step = int64(a.Step) * int64(every)
		for i, b := range a.States {
			band := sheetBand{Kind: s.kind(b.State, b.Reason), Mean: thinned(b.Mean, every)}
			if i < len(a.Spent) {
				band.Spent, band.Text = int64(a.Spent[i].Time), spentText(a.Spent[i])
			}
			out.Activity = append(out.Activity, band)
		}
	}
	if t.Idle.Goroutines > 0 {
		out.Resting = restingText(&t.Idle)
		shown := t.Idle.Sites[:min(len(t.Idle.Sites), maxResting)]
		for _, rest := range shown {
			out.RestingAt = append(out.RestingAt, sheetRest{rest.Goroutines, s.frame(rest.Site), rest.Why})
		}
		out.RestingOut = len(t.Idle.Sites) - len(shown)
	}
	return out
}

// thinned takes the mean of every so many numbers.
func thinned(list []float64, every int) []float64 {
	out := []float64{}
	for part := range slices.Chunk(list, every) {
		sum := 0.0
		for _, n := range part {
			sum += n
		}
		out = append(out, float64(int64(sum/float64(len(part))*100+0.5))/100)
	}
	return out
}

func spentText(spent detectors.Spent) string {
	if s := spent.Time.Seconds(); s >= 1 {
		return strings.TrimSuffix(impactParts(detectors.Impact{Goroutines: 2, Blocked: spent.Time}, "s")[1], " s") + " s"
	}
	return detectors.Duration(spent.Time)
}

// frame returns the index of a frame in the table; -1 for the zero frame.
func (s *sheet) frame(f detectors.Frame) int {
	if f == (detectors.Frame{}) {
		return -1
	}
	i, ok := s.frames[f]
	if !ok {
		i = len(s.Frames)
		s.frames[f] = i
		s.Frames = append(s.Frames, sheetFrame{Func: f.Func, Short: shortFunc(f.Func), File: f.File, Line: f.Line})
	}
	return i
}

func (s *sheet) kind(state, reason string) int {
	k := sheetKind{state, reason}
	i, ok := s.kinds[k]
	if !ok {
		i = len(s.Kinds)
		s.kinds[k] = i
		s.Kinds = append(s.Kinds, k)
	}
	return i
}

func (s *sheet) finding(r *detectors.Report, i int, have portion, patterns map[string]int) sheetFinding {
	f := &r.Findings[i]
	out := sheetFinding{
		Rank: f.Rank, Trace: f.Trace, Detector: f.Detector, Cause: f.Cause, Severity: f.Severity.String(), Sure: percent(f.Confidence),
		Title: f.Title, Detail: f.Detail, Costs: strings.Join(impactParts(f.Impact, goroutineSeconds), ", "), Tests: listed(f.Tests[:min(len(f.Tests), maxTests)]),
		Site: s.frame(f.Site), Caller: s.frame(f.Caller), Source: quoted(f.Source), Evidence: []sheetEvidence{}, Groups: []sheetGroup{}, Steps: []sheetStep{},
		Wrong: f.WrongIf, Pattern: s.pattern(&f.Pattern, patterns), Picture: listed(f.Picture), Graph: []sheetNode{},
	}
	if n := len(f.Tests) - len(out.Tests); n > 0 {
		out.Tests = append(slices.Clip(out.Tests), fmt.Sprintf("%d more", n))
	}
	if e := f.Estimate; e != nil {
		out.Saves = e.Text
		if parts := estimateParts(e); len(parts) > 0 {
			out.Saves = strings.Join(parts, ", ") + ". " + e.Text
		}
	}
	if source := sourceOf(r, f); len(r.Traces) > 1 && source != "" {
		out.Seen = source
		if n := len(f.Seen); n > 1 {
			out.Seen = fmt.Sprintf("%d of %d, worst in %s", n, len(r.Traces), source)
		}
	}
	whole := i < have.stacks
	evidence, groups, steps := f.Evidence, f.Groups, f.Timeline
	if !whole {
		evidence, groups, steps = evidence[:min(len(evidence), 3)], groups[:min(len(groups), 2)], steps[:min(len(steps), 6)]
		out.Less = "For want of room in this file, only a part of the evidence, the steps and the stacks is here. The JSON report has all of it."
	}
	for _, e := range evidence {
		out.Evidence = append(out.Evidence, sheetEvidence{e.Text, cmp.Compare(e.Weight, 0)})
	}
	for j := range groups {
		out.Groups = append(out.Groups, s.group(&groups[j], f.Site, whole))
	}
	for j, at := range moments(steps) {
		step := steps[j]
		out.Steps = append(out.Steps, sheetStep{int64(step.T), at, step.Goroutine, step.Event, step.Text})
	}
	for _, n := range f.Graph {
		out.Graph = append(out.Graph, sheetNode{n.Goroutine, n.Count, s.frame(n.Site), listed(n.Holds), n.Waits, n.For})
	}
	if len(out.Graph) > 0 {
		out.Picture = []string{}
	}
	out.From, out.To = extent(r, f)
	out.Open = openingOf(r, f, out.From, out.To)
	if f.Scene != nil && i < have.pictures {
		out.Scene = s.scene(f.Scene)
	} else if f.Scene != nil {
		out.Less = strings.TrimSpace("For want of room in this file, the picture of this finding is left out. " + out.Less)
	}
	return out
}

// listed is the list itself, never nil: the script counts on lists.
func listed(list []string) []string { return append([]string{}, list...) }

func quoted(lines []detectors.SourceLine) []sheetLine {
	out := []sheetLine{}
	for _, l := range lines {
		mark := ""
		if l.Site {
			mark = ">"
		}
		out = append(out, sheetLine{l.Line, l.Text, mark})
	}
	return out
}

func (s *sheet) group(g *detectors.Group, site detectors.Frame, whole bool) sheetGroup {
	below, operation := trim(g.Stack, site)
	out := sheetGroup{Role: string(g.Role), Count: g.Count, IDs: goroutineIDs(g, maxIDs), Text: groupText(g, operation, maxIDs), Stack: []int{}, Top: len(g.Stack) - len(below)}
	stack := g.Stack
	if !whole {
		stack, out.Top = below[:min(len(below), maxFrames)], 0
	}
	out.LeftOut = len(g.Stack) - len(stack)
	for _, f := range stack {
		out.Stack = append(out.Stack, s.frame(f))
	}
	return out
}

// pattern returns the index of a repair in the table; -1 if there is none.
func (s *sheet) pattern(p *detectors.Pattern, known map[string]int) int {
	if p.ID == "" && p.Title == "" {
		return -1
	}
	key := fmt.Sprint(*p)
	if i, ok := known[key]; ok {
		return i
	}
	before, after := lines(p.Before), lines(p.After)
	goes, comes := differ(before, after)
	known[key] = len(s.Patterns)
	s.Patterns = append(s.Patterns, sheetPattern{
		ID: p.ID, Title: cmp.Or(p.Title, p.ID), Why: p.Why, Before: markLines(before, goes, "-"), After: markLines(after, comes, "+"),
		Links: listed(slices.DeleteFunc(slices.Clone(p.Links), func(link string) bool { return !strings.HasPrefix(link, "https://") })),
	})
	return known[key]
}

func markLines(code []string, which []bool, mark string) []sheetLine {
	out := []sheetLine{}
	for i, line := range code {
		l := sheetLine{Line: i + 1, Text: line}
		if which[i] {
			l.Mark = mark
		}
		out = append(out, l)
	}
	return out
}
