package render

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/tracedoc/tracedoc/detectors"
)

// How much of a finding is shown; the JSON report has all of it.
const (
	maxFrames   = 5  // of one stack
	maxGroups   = 6  // of one finding
	maxIDs      = 5  // goroutine ids of one group
	maxEvidence = 10 // observations of one finding
	maxTimeline = 12 // steps of one timeline
	maxResting  = 6  // places where goroutines rest, for one trace
)

// Text writes the report for a reader at a terminal: the verdict, a summary,
// then each finding with its evidence and its repair.
func Text(w io.Writer, r *detectors.Report, opt Options) error {
	r = clean(r)
	p := newPage(opt)
	for i := range r.Traces {
		p.trace(&r.Traces[i])
	}
	p.line()
	p.verdict(r)
	if len(r.Findings) > 0 {
		p.line()
		if err := p.summary(r.Findings); err != nil {
			return err
		}
	}
	shown := map[string]int{} // pattern → rank of the finding that showed it
	for i := range r.Findings {
		p.line()
		p.finding(r, &r.Findings[i], shown)
	}
	p.leftInPeace(r.Traces)
	p.cannotShow(r.Traces)
	_, err := io.WriteString(w, p.String())
	return err
}

// trace writes what a trace is, and what went wrong with reading it.
func (p *page) trace(t *detectors.Trace) {
	facts := []string{
		cmp.Or(t.Format, "unknown format"), detectors.Duration(t.Duration), count(t.Events, "event"), count(t.Goroutines, "goroutine"), bytesText(t.Bytes),
	}
	if t.StartTime != nil {
		facts = append(facts, "recorded "+t.StartTime.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if t.Complete {
		facts = append(facts, "complete")
	}
	source := fitPath(t.Source, p.width-2)
	text := source + ": " + strings.Join(facts, ", ")
	for i, line := range wrap(text, p.width-2) {
		if i > 0 {
			line = "  " + line
		} else if rest, ok := strings.CutPrefix(line, source); ok {
			line = p.paint(bold, source) + rest
		}
		p.line(line)
	}
	if !t.Complete {
		text := "only what could be read was judged"
		if t.UnreadBytes > 0 {
			text = fmt.Sprintf("%s of %s could not be used; the rest was judged", bytesText(t.UnreadBytes), bytesText(t.Bytes))
		}
		p.painted(yellow, "  incomplete: ", text)
	}
	for _, w := range t.Warnings {
		p.painted(yellow, "  warning: ", w)
	}
}

// verdict says the whole in one sentence.
func (p *page) verdict(r *detectors.Report) {
	part := ""
	if !r.Complete() {
		part = " in the part that could be read"
	}
	if len(r.Findings) == 0 {
		text := "Nothing wrong was found" + part
		if r.Omitted > 0 {
			text += " at this severity and confidence: " + count(int64(r.Omitted), "finding") + " left out (--min-severity, --min-confidence)"
		}
		p.painted(bold, "", text+".")
		return
	}
	counts := map[detectors.Severity]int{}
	for i := range r.Findings {
		counts[r.Findings[i].Severity]++
	}
	var words []string
	for s := detectors.Critical; s >= detectors.Info; s-- {
		if counts[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	if len(r.Findings) == 1 {
		words = []string{r.Findings[0].Severity.String()}
	}
	text := count(int64(len(r.Findings)), "finding") + part + " (" + list(words) + "); look at this first: " + strings.TrimSuffix(r.Findings[0].Title, ".") + "."
	p.painted(bold, "", text)
	if r.Omitted > 0 {
		p.prose("", count(int64(r.Omitted), "more finding")+" left out (--min-severity, --min-confidence, --top).")
	}
}

// summary writes the table of all findings: one line each where the page is
// wide enough, and otherwise two, with names shortened.
func (p *page) summary(findings []detectors.Finding) error {
	const narrowName, narrowImpact, narrowWhere = 16, 18, 12
	head := []string{"#", "severity", "detector", "where", "impact", "sure"}
	wide, narrow := make([][]string, len(findings)), make([][]string, len(findings))
	for i := range findings {
		f := &findings[i]
		fn, line := detectors.Short(f.Site.Func), f.Site.Where()
		if f.Site.File == "" { // then Where has said the function
			fn, line = line, ""
		}
		rank, name, sure := fmt.Sprint(f.Rank), fit(f.Detector, 2*narrowName), percent(f.Confidence)
		short := impactParts(f.Impact, goroutineSecondsShort)
		short = short[:min(2, len(short))]
		for j := range short {
			short[j] = fit(short[j], narrowImpact)
		}
		wide[i] = []string{rank, f.Severity.String(), name, strings.TrimSpace(fn + " " + line), strings.Join(impactParts(f.Impact, goroutineSeconds), ", "), sure}
		narrow[i] = []string{rank, f.Severity.String(), breakName(name, narrowName), strings.TrimSpace(fn + "\n" + line), strings.Join(short, "\n"), sure}
	}
	rows := wide
	if tableWidth(head, wide) > p.width {
		rows = narrow
		if excess := tableWidth(head, narrow) - p.width; excess > 0 {
			const where = 3
			room := max(narrowWhere, columnWidth(head, narrow, where)-excess)
			for _, row := range narrow {
				lines := strings.Split(row[where], "\n")
				for i := range lines {
					lines[i] = fit(lines[i], room)
				}
				row[where] = strings.Join(lines, "\n")
			}
		}
	}
	for i, row := range rows {
		row[1] = p.paint(severityColor(findings[i].Severity), row[1])
	}
	return p.table(head, rows)
}

const columnGap = "  "

func columnWidth(head []string, rows [][]string, c int) int {
	w := columns(head[c])
	for _, row := range rows {
		for line := range strings.SplitSeq(row[c], "\n") {
			w = max(w, columns(line))
		}
	}
	return w
}

func tableWidth(head []string, rows [][]string) int {
	sum := len(columnGap) * (len(head) - 1)
	for c := range head {
		sum += columnWidth(head, rows, c)
	}
	return sum
}

// table writes rows below a heading, without lines but one, columns two blanks apart.
func (p *page) table(head []string, rows [][]string) error {
	var b strings.Builder
	cell := func(align tw.Align) tw.CellConfig {
		return tw.CellConfig{
			Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
			Alignment:  tw.CellAlignment{Global: align},
			Padding:    tw.CellPadding{Global: tw.Padding{Left: tw.Empty, Right: columnGap, Overwrite: true}},
		}
	}
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Settings: tw.Settings{
				Separators: tw.Separators{ShowHeader: tw.Off, ShowFooter: tw.Off, BetweenRows: tw.Off, BetweenColumns: tw.Off},
				Lines:      tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off},
			},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header: cell(tw.AlignLeft), Row: cell(tw.AlignLeft), Behavior: tw.Behavior{TrimSpace: tw.Off},
		}),
		tablewriter.WithEastAsian(tw.Off),
	)
	t.Header(head)
	for _, row := range rows {
		if err := t.Append(row); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	if err := t.Render(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	for i, line := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		if i == 0 {
			line = p.paint(dim, line)
		}
		p.line(line)
	}
	return nil
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
	if f.Site != (detectors.Frame{}) {
		fn, at := shortFunc(f.Site.Func), ""
		if f.Site.File != "" {
			at = fmt.Sprintf("%s:%d", f.Site.File, f.Site.Line)
		}
		if room := p.width - 10; columns(fn)+2+columns(at) <= room {
			p.line(strings.TrimRight("  where   "+fn+"  "+at, " "))
		} else {
			p.line("  where   ", fit(fn, room))
			p.line("          ", fitPath(at, room))
		}
	}
	if parts := impactParts(f.Impact, goroutineSeconds); len(parts) > 0 {
		p.prose("  costs   ", strings.Join(parts, ", "))
	}
	if len(r.Traces) > 1 && f.Trace >= 0 && f.Trace < len(r.Traces) {
		p.line("  trace   ", fitPath(r.Traces[f.Trace].Source, p.width-10))
	}
	if f.Detail != "" {
		p.line()
		p.prose("  ", f.Detail)
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
	for _, e := range list[:min(len(list), maxEvidence)] {
		sign := "·"
		if e.Weight > 0 {
			sign = "+"
		} else if e.Weight < 0 {
			sign = "−"
		}
		p.prose("    "+sign+" ", e.Text)
	}
	p.more("    ", len(list)-maxEvidence, "observation")
}

func (p *page) groups(f *detectors.Finding) {
	for i := range f.Groups[:min(len(f.Groups), maxGroups)] {
		g := &f.Groups[i]
		frames, operation := trim(g.Stack, f.Site)
		p.heading(capital(cmp.Or(string(g.Role), "goroutines")))
		text := count(int64(g.Count), "goroutine")
		if ids := goroutineIDs(g); ids != "" {
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
		p.prose("    ", text)
		p.stack(frames, f.Site)
	}
	p.more("  ", len(f.Groups)-maxGroups, "group")
}

func goroutineIDs(g *detectors.Group) string {
	var ids []string
	for _, id := range g.Goroutines[:min(len(g.Goroutines), maxIDs)] {
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
	if at >= maxFrames { // the innermost frame, then those around the site
		from = at - 2
	}
	shown := frames[from:min(len(frames), from+maxFrames)]
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

func (p *page) timeline(f *detectors.Finding) {
	if len(f.Timeline) == 0 {
		return
	}
	p.heading("Timeline")
	steps, left := f.Timeline, 0
	if n := len(steps); n > maxTimeline { // how it began and how it ended
		const head = maxTimeline * 2 / 3
		left = n - maxTimeline
		steps = slices.Concat(steps[:head], steps[n-(maxTimeline-head):])
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
		if left > 0 && i == maxTimeline*2/3 {
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

// leftInPeace says what was looked at and found healthy.
func (p *page) leftInPeace(traces []detectors.Trace) {
	for i := range traces {
		idle := &traces[i].Idle
		if idle.Goroutines == 0 {
			continue
		}
		counted := 0
		for _, s := range idle.Sites {
			counted += s.Goroutines
		}
		text := "Left in peace: " + count(int64(idle.Goroutines), "idle goroutine")
		if n := len(idle.Sites); n > 0 && counted >= idle.Goroutines {
			text += " at " + count(int64(n), "site")
		} else if n > 0 {
			text += fmt.Sprintf(" at more than %s", count(int64(n), "site"))
		}
		if len(traces) > 1 {
			text += " (" + fitPath(traces[i].Source, p.width-2) + ")"
		}
		p.line()
		p.painted(bold, "", text)
		shown := idle.Sites[:min(len(idle.Sites), maxResting)]
		widthN, width := 0, 0
		for _, s := range shown {
			widthN = max(widthN, columns(grouped(int64(s.Goroutines))))
			width = max(width, columns(restingPlace(s.Site, p.width)))
		}
		width = min(width, p.width*2/5)
		for _, s := range shown {
			p.prose("  "+padLeft(grouped(int64(s.Goroutines)), widthN)+"  "+pad(restingPlace(s.Site, width), width)+"  ", s.Why)
		}
		p.more("  ", len(idle.Sites)-len(shown), "site")
	}
}

// restingPlace names a place in at most width columns, at the function's expense.
func restingPlace(f detectors.Frame, width int) string {
	where := f.Where()
	if f.File == "" {
		return fit(where, width)
	}
	if room := width - columns(where) - 1; room >= 8 {
		where = fit(detectors.Short(f.Func), room) + " " + where
	}
	return fit(where, width)
}

// cannotShow says what no conclusion may be drawn about. What holds for all
// traces is said once.
func (p *page) cannotShow(traces []detectors.Trace) {
	var order []string
	sources := map[string][]string{}
	for i := range traces {
		for _, text := range traces[i].CannotShow {
			if sources[text] == nil {
				order = append(order, text)
			}
			sources[text] = append(sources[text], traces[i].Source)
		}
	}
	if len(order) == 0 {
		return
	}
	p.line()
	if len(traces) > 1 {
		p.line(p.paint(bold, "What these traces cannot show"))
	} else {
		p.line(p.paint(bold, "What this trace cannot show"))
	}
	for _, text := range order {
		if n := len(sources[text]); n < len(traces) {
			text += " (" + strings.Join(sources[text], ", ") + ")"
		}
		p.prose("  - ", text)
	}
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

// shortFunc drops the path of a function's package but its last element:
// "cache.(*Cache).Flush" for "example.com/app/cache.(*Cache).Flush".
func shortFunc(fn string) string {
	head, _, _ := strings.Cut(fn, "[") // type arguments hold slashes of their own
	return fn[strings.LastIndexByte(head, '/')+1:]
}
