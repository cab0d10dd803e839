package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
)

// How much of a finding is shown in a report; the JSON report has all of it.
const (
	maxSource   = 7  // lines around the site
	maxFrames   = 5  // of one stack
	maxGroups   = 6  // of one finding
	maxIDs      = 5  // goroutine ids of one group
	maxEvidence = 10 // observations of one finding
	maxTimeline = 12 // steps of one timeline
	maxTests    = 4  // that a finding belongs to
)

// limits are those of a page.
type limits struct {
	source, frames, groups, ids, evidence, timeline, tests int
	// whole tells that nothing is left out or shortened, also not what stacks
	// have of runtime and sync.
	whole bool
}

func inReport() limits {
	return limits{maxSource, maxFrames, maxGroups, maxIDs, maxEvidence, maxTimeline, maxTests, false}
}

func unlimited() limits {
	const all = 1 << 30
	return limits{all, all, all, all, all, all, all, true}
}

// finding writes one finding in full. A pattern that another finding has shown
// already is referred to.
func (p *page) finding(r *detectors.Report, f *detectors.Finding, shown map[string]int) {
	name := fmt.Sprintf("%d · %s · %s", f.Rank, f.Severity, strings.TrimSuffix(f.Detector+" · "+f.Cause, " · "))
	sure := percent(f.Confidence) + " sure"
	name = fit(name, p.width-columns(sure)-9)
	p.rule(name, p.paint(severityColor(f.Severity), name), sure)
	p.painted(bold, "", f.Title)
	p.line()
	p.place("  where   ", f.Site)
	p.place("  by way of ", f.Caller)
	p.source(f.Source)
	if parts := impactParts(f.Impact, goroutineSeconds); len(parts) > 0 {
		p.prose("  costs   ", strings.Join(parts, ", "))
	}
	if e := f.Estimate; e != nil {
		text := e.Text
		if parts := estimateParts(e); len(parts) > 0 {
			text = strings.Join(parts, ", ") + ". " + text
		}
		p.prose("  saves   ", "an estimate: "+text)
	}
	if len(f.Tests) > 0 {
		shown := f.Tests[:min(len(f.Tests), p.limits.tests)]
		text := strings.Join(shown, ", ")
		if n := len(f.Tests) - len(shown); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		p.prose("  test    ", text)
	}
	if worst := sourceOf(r, f); len(r.Traces) > 1 && worst != "" {
		where := ""
		if n := len(f.Seen); n > 1 {
			where = fmt.Sprintf("%d of %d, worst in ", n, len(r.Traces))
		}
		p.line("  trace   ", where, fitPath(worst, p.width-10-columns(where)))
	}
	if f.Detail != "" {
		p.line()
		p.prose("  ", f.Detail)
	}
	if len(f.Picture) > 0 {
		p.line()
		for _, line := range f.Picture {
			p.prose("    ", line)
		}
	}
	p.evidence(f.Evidence)
	p.groups(f)
	p.timeline(f)
	if f.WrongIf != "" {
		p.line()
		p.prose("  No defect if ", f.WrongIf)
	}
	p.repair(&f.Pattern, f.Rank, shown)
}

// sourceOf names the trace that a finding is about; "" if there is none.
func sourceOf(r *detectors.Report, f *detectors.Finding) string {
	if f.Trace < 0 || f.Trace >= len(r.Traces) {
		return ""
	}
	return r.Traces[f.Trace].Source
}

// place writes where a frame is; nothing for the zero frame.
func (p *page) place(first string, f detectors.Frame) {
	if f == (detectors.Frame{}) {
		return
	}
	fn, at := shortFunc(f.Func), ""
	if f.File != "" {
		at = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if room := p.width - columns(first); columns(fn)+2+columns(at) <= room {
		p.line(strings.TrimRight(first+fn+"  "+at, " "))
	} else {
		p.line(first, fit(fn, room))
		p.line(strings.Repeat(" ", columns(first)), fitPath(at, room))
	}
}

// source writes the lines around the site, the guilty one marked. What all of
// them are indented by is left off.
func (p *page) source(all []detectors.SourceLine) {
	at := max(0, slices.IndexFunc(all, func(l detectors.SourceLine) bool { return l.Site }))
	from := max(0, min(at-p.limits.source/2, len(all)-p.limits.source))
	shown := all[from:min(len(all), from+p.limits.source)]
	indent, width := math.MaxInt, 0
	for _, l := range shown {
		if text := strings.TrimLeft(l.Text, " "); text != "" {
			indent = min(indent, len(l.Text)-len(text))
		}
		width = max(width, len(fmt.Sprint(l.Line)))
	}
	for _, l := range shown {
		mark, color := "  ", plain
		if l.Site {
			mark, color = "> ", bold
		}
		number := fmt.Sprintf("%*d  ", width, l.Line)
		text := cut(l.Text[min(indent, len(l.Text)):], p.width-10-len(number))
		p.line("        ", p.paint(color, strings.TrimRight(mark+number+text, " ")))
	}
}

func (p *page) heading(text string) {
	p.line()
	p.line("  ", p.paint(bold, text))
}

func (p *page) more(indent string, n int, thing string) {
	if n > 0 {
		p.line(indent, p.paint(dim, "… "+count(int64(n), "more "+thing)))
	}
}

func (p *page) evidence(list []detectors.Evidence) {
	if len(list) == 0 {
		return
	}
	p.heading("Evidence")
	for _, e := range list[:min(len(list), p.limits.evidence)] {
		sign := "·"
		if e.Weight > 0 {
			sign = "+"
		} else if e.Weight < 0 {
			sign = "−"
		}
		p.prose("    "+sign+" ", e.Text)
	}
	p.more("    ", len(list)-p.limits.evidence, "observation")
}

func (p *page) groups(f *detectors.Finding) {
	for i := range f.Groups[:min(len(f.Groups), p.limits.groups)] {
		g := &f.Groups[i]
		frames, operation := trim(g.Stack, f.Site)
		if p.limits.whole {
			frames = g.Stack
		}
		p.heading(capital(cmp.Or(string(g.Role), "goroutines")))
		text := groupText(g, operation, p.limits.ids)
		p.prose("    ", text)
		p.stack(frames, f.Site)
	}
	p.more("  ", len(f.Groups)-p.limits.groups, "group")
}

// groupText says who they are, with at most that many ids; operation is the call
// into sync that they wait in.
func groupText(g *detectors.Group, operation string, most int) string {
	text := count(int64(g.Count), "goroutine")
	if ids := goroutineIDs(g, most); ids != "" {
		text += " (" + ids + ")"
	}
	if g.State != "" {
		text += ", " + g.State
	}
	if g.Reason != "" {
		text += " (" + g.Reason + ")"
	}
	if operation != "" {
		text += " in " + operation
	}
	if g.Entry != "" {
		text += "; started as " + shortFunc(g.Entry)
		if g.CreatedBy.Func != "" {
			text += " by " + shortFunc(g.CreatedBy.Func) + " at " + g.CreatedBy.Where()
		}
	} else if g.CreatedBy.Func != "" {
		text += "; started by " + shortFunc(g.CreatedBy.Func) + " at " + g.CreatedBy.Where()
	}
	return text
}

func goroutineIDs(g *detectors.Group, most int) string {
	var ids []string
	for _, id := range g.Goroutines[:min(len(g.Goroutines), most)] {
		ids = append(ids, fmt.Sprintf("G%d", id))
	}
	if len(ids) > 0 && g.Count > len(ids) {
		ids = append(ids, "…")
	}
	return strings.Join(ids, ", ")
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// machinery are the beginnings of the names of functions that say how a wait
// is done, below the call that the program made.
var machinery = []string{"runtime.", "internal/runtime/", "sync.", "internal/sync.", "internal/poll."}

// trim leaves off the frames of runtime and sync at the top of a stack, but
// never the site. operation is the call into sync that they come from, if any.
func trim(stack []detectors.Frame, site detectors.Frame) (frames []detectors.Frame, operation string) {
	i := 0
	for i < len(stack) && stack[i] != site &&
		slices.ContainsFunc(machinery, func(m string) bool { return strings.HasPrefix(stack[i].Func, m) }) {
		i++
	}
	if i == len(stack) {
		return stack, ""
	}
	if i > 0 && !strings.HasPrefix(stack[i-1].Func, "runtime.") {
		operation = shortFunc(stack[i-1].Func)
	}
	return stack[i:], operation
}

// stack writes some frames, the site's among them and marked.
func (p *page) stack(frames []detectors.Frame, site detectors.Frame) {
	at := slices.Index(frames, site)
	from := 0
	if at >= p.limits.frames { // the innermost frame, then those around the site
		from = at - 2
	}
	shown := frames[from:min(len(frames), from+p.limits.frames)]
	if p.limits.whole {
		for i, f := range shown {
			p.frame(f, from+i == at)
		}
		return
	}
	width := 0
	for _, f := range shown {
		width = max(width, columns(shortFunc(f.Func)))
	}
	width = min(width, (p.width-8)*3/5)
	if from > 0 {
		p.more("        ", from, "frame")
	}
	for i, f := range shown {
		mark, color := "  ", plain
		if from+i == at {
			mark, color = "> ", bold
		}
		line := pad(fit(shortFunc(f.Func), width), width)
		if f.File != "" {
			line += "  " + fitPath(fmt.Sprintf("%s:%d", f.File, f.Line), p.width-10-width)
		}
		p.line("      ", p.paint(color, mark+strings.TrimRight(line, " ")))
	}
	p.more("        ", len(frames)-from-len(shown), "frame")
}

// frame writes one frame without shortening it, in two lines. Broken up, a path
// could not be copied.
func (p *page) frame(f detectors.Frame, marked bool) {
	mark, color := "  ", plain
	if marked {
		mark, color = "> ", bold
	}
	p.line("      ", p.paint(color, mark+f.Func))
	if f.File != "" {
		p.line("            ", f.File, fmt.Sprintf(":%d", f.Line))
	}
}

func (p *page) timeline(f *detectors.Finding) {
	if len(f.Timeline) == 0 {
		return
	}
	p.heading("Timeline")
	steps, left := f.Timeline, 0
	most := p.limits.timeline
	head := most * 2 / 3
	if n := len(steps); n > most { // how it began and how it ended
		left = n - most
		steps = slices.Concat(steps[:head], steps[n-(most-head):])
	}
	roles := map[int64]string{} // of those that play only one
	for _, g := range f.Groups {
		for _, id := range g.Goroutines {
			if role, ok := roles[id]; ok && role != string(g.Role) {
				roles[id] = ""
			} else {
				roles[id] = string(g.Role)
			}
		}
	}
	moments, who := moments(steps), make([]string, len(steps))
	widthT, widthWho, widthEvent := 0, 0, 0
	for i, s := range steps {
		if s.Goroutine > 0 {
			who[i] = strings.TrimSpace(fmt.Sprintf("G%d %s", s.Goroutine, roles[s.Goroutine]))
		}
		widthT, widthWho, widthEvent = max(widthT, columns(moments[i])), max(widthWho, columns(who[i])), max(widthEvent, columns(s.Event))
	}
	widthWho, widthEvent = min(widthWho, 16), min(widthEvent, 10)
	for i, s := range steps {
		if left > 0 && i == head {
			p.more("    ", left, "step")
		}
		p.prose("    "+padLeft(moments[i], widthT)+"  "+pad(fit(who[i], widthWho), widthWho)+"  "+pad(fit(s.Event, widthEvent), widthEvent)+"  ", s.Text)
	}
}

// moments writes the times of a timeline in seconds, with as many digits as it
// takes to tell neighbours apart.
func moments(steps []detectors.TimelineEvent) []string {
	texts := make([]string, len(steps))
	for _, digits := range []int{3, 6, 9} {
		clear := true
		for i, s := range steps {
			texts[i] = fmt.Sprintf("%.*fs", digits, time.Duration(s.T).Seconds())
			clear = clear && (i == 0 || s.T == steps[i-1].T || texts[i] != texts[i-1])
		}
		if clear {
			break
		}
	}
	return texts
}

// repair writes a pattern in full the first time, and refers to it later.
func (p *page) repair(pat *detectors.Pattern, rank int, shown map[string]int) {
	if pat.ID == "" && pat.Title == "" {
		return
	}
	p.heading("Repair: " + fit(cmp.Or(pat.Title, pat.ID), p.width-12))
	if first, ok := shown[pat.ID]; ok {
		p.line("    ", fmt.Sprintf("as in finding %d (%s)", first, fit(pat.ID, p.width-30)))
		return
	}
	shown[pat.ID] = rank
	p.pattern(pat, "    ")
}

func severityColor(s detectors.Severity) string {
	switch s {
	case detectors.Critical:
		return strong
	case detectors.High:
		return red
	case detectors.Medium:
		return yellow
	case detectors.Low:
		return cyan
	}
	return dim
}

// percent words a confidence: never more than is claimed.
func percent(c float64) string { return fmt.Sprintf("%d%%", int(math.Floor(c*100+1e-9))) }

// Units of lost time that many goroutines sum up to, lest it be taken for time
// on the wall; the short one is for tables.
const (
	goroutineSeconds      = "goroutine-seconds"
	goroutineSecondsShort = "goroutine-s"
)

// impactParts words what a defect costs, the most telling first.
func impactParts(i detectors.Impact, unit string) []string {
	var parts []string
	if i.Goroutines > 0 {
		parts = append(parts, count(int64(i.Goroutines), "goroutine"))
	}
	switch s := i.Blocked.Seconds(); {
	case s <= 0:
	case s < 1 || i.Goroutines <= 1:
		parts = append(parts, detectors.Duration(i.Blocked)+" lost")
	case s < 9.95:
		parts = append(parts, fmt.Sprintf("%.1f %s", s, unit))
	default:
		parts = append(parts, grouped(int64(math.Round(s)))+" "+unit)
	}
	if i.Occurrences > 1 {
		parts = append(parts, grouped(int64(i.Occurrences))+" times")
	}
	return parts
}

// estimateParts words the numbers of an estimate.
func estimateParts(e *detectors.Estimate) []string {
	var parts []string
	if e.Time > 0 {
		parts = append(parts, detectors.Duration(e.Time)+" of waiting")
	}
	if e.CPU > 0 {
		parts = append(parts, detectors.Duration(e.CPU)+" of processor time")
	}
	for _, n := range []struct {
		n     int
		thing string
	}{{e.Wakeups, "wake-up"}, {e.Syscalls, "system call"}, {e.Goroutines, "goroutine"}} {
		if n.n > 0 {
			parts = append(parts, count(int64(n.n), n.thing))
		}
	}
	return parts
}

// shortFunc drops the path of a function's package but its last element:
// "cache.(*Cache).Flush" for "example.com/app/cache.(*Cache).Flush".
func shortFunc(fn string) string {
	head, _, _ := strings.Cut(fn, "[") // type arguments hold slashes of their own
	return fn[strings.LastIndexByte(head, '/')+1:]
}
