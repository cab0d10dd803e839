package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/tracedoc/tracedoc/detectors"
)

// maxResting is how many places where goroutines rest are shown for one trace;
// the JSON report has all of them.
const maxResting = 6

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
	p.suppressed(r.Suppressed)
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

// traceFacts says what a trace is, in a few words each.
func traceFacts(t *detectors.Trace) []string {
	facts := []string{
		cmp.Or(t.Format, "unknown format"), detectors.Duration(t.Duration), count(t.Events, "event"), count(t.Goroutines, "goroutine"), bytesText(t.Bytes),
	}
	if t.StartTime != nil {
		facts = append(facts, "recorded "+t.StartTime.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if t.Complete {
		facts = append(facts, "complete")
	}
	return facts
}

// incompleteText says what became of a trace that breaks off; "" for one that does not.
func incompleteText(t *detectors.Trace) string {
	switch {
	case t.Complete:
		return ""
	case t.UnreadBytes > 0:
		return fmt.Sprintf("%s of %s could not be used; the rest was judged", bytesText(t.UnreadBytes), bytesText(t.Bytes))
	}
	return "only what could be read was judged"
}

// trace writes what a trace is, and what went wrong with reading it.
func (p *page) trace(t *detectors.Trace) {
	facts := traceFacts(t)
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
	if text := incompleteText(t); text != "" {
		p.painted(yellow, "  incomplete: ", text)
	}
	for _, w := range t.Warnings {
		p.painted(yellow, "  warning: ", w)
	}
}

// verdict says the whole in one sentence.
func (p *page) verdict(r *detectors.Report) {
	text := verdictText(r)
	if len(r.Findings) > 0 {
		text += "; look at this first: " + strings.TrimSuffix(r.Findings[0].Title, ".")
	}
	p.painted(bold, "", text+".")
	if len(r.Findings) > 0 && r.Omitted > 0 {
		p.prose("", count(int64(r.Omitted), "more finding")+" left out (--min-severity, --min-confidence, --top).")
	}
}

// verdictText says what was found in all, without a full stop.
func verdictText(r *detectors.Report) string {
	part := ""
	if !r.Complete() {
		part = " in the part that could be read"
	}
	if len(r.Findings) == 0 {
		text := "Nothing wrong was found" + part
		if len(r.Suppressed) > 0 {
			text = "Nothing else wrong was found" + part
		}
		if r.Omitted > 0 {
			text += " at this severity and confidence: " + count(int64(r.Omitted), "finding") + " left out (--min-severity, --min-confidence)"
		}
		return text
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
	return count(int64(len(r.Findings)), "finding") + part + " (" + enumerate(words) + ")"
}

// suppressed says what was left out because somebody decided so.
func (p *page) suppressed(list []detectors.Suppressed) {
	if text := suppressedText(list); text != "" {
		p.prose("", text)
	}
}

// suppressedText words how much was left out by decision; "" if nothing was.
func suppressedText(list []detectors.Suppressed) string {
	counts := map[string]int64{}
	for _, s := range list {
		counts[s.By]++
	}
	var parts []string
	if n := counts["baseline"]; n > 0 {
		parts = append(parts, count(n, "finding")+" known from the baseline")
	}
	if n := counts["ignore"]; n > 0 {
		parts = append(parts, count(n, "finding")+" ignored by the configuration")
	}
	if len(parts) == 0 {
		return ""
	}
	return "Left out: " + enumerate(parts) + "."
}

// summary writes the table of all findings: one line each where the page is
// wide enough, and otherwise two, with names shortened.
func (p *page) summary(findings []detectors.Finding) error {
	const narrowName, narrowImpact, narrowWhere = 16, 18, 12
	head := []string{"#", "severity", "detector", "where", "impact", "sure"}
	wide, narrow := make([][]string, len(findings)), make([][]string, len(findings))
	for i := range findings {
		f := &findings[i]
		where := f.Site
		if f.Caller != (detectors.Frame{}) {
			where = f.Caller
		}
		fn, line := detectors.Short(where.Func), where.Where()
		if where.File == "" { // then Where has said the function
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

// restingText counts what was looked at and found healthy.
func restingText(idle *detectors.Idle) string {
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
	return text
}

// leftInPeace says what was looked at and found healthy.
func (p *page) leftInPeace(traces []detectors.Trace) {
	for i := range traces {
		idle := &traces[i].Idle
		if idle.Goroutines == 0 {
			continue
		}
		text := restingText(idle)
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

// blind is something that some traces cannot show.
type blind struct {
	text    string
	sources []string // of these traces
}

// blindness collects what traces cannot show; what several cannot is there once.
func blindness(traces []detectors.Trace) []*blind {
	var list []*blind
	known := map[string]*blind{}
	for i := range traces {
		for _, text := range traces[i].CannotShow {
			if known[text] == nil {
				known[text] = &blind{text: text}
				list = append(list, known[text])
			}
			known[text].sources = append(known[text].sources, traces[i].Source)
		}
	}
	return list
}

// cannotShow says what no conclusion may be drawn about. What holds for all
// traces is said once.
func (p *page) cannotShow(traces []detectors.Trace) {
	list := blindness(traces)
	if len(list) == 0 {
		return
	}
	p.line()
	if len(traces) > 1 {
		p.line(p.paint(bold, "What these traces cannot show"))
	} else {
		p.line(p.paint(bold, "What this trace cannot show"))
	}
	for _, b := range list {
		text := b.text
		if len(b.sources) < len(traces) {
			text += " (" + strings.Join(b.sources, ", ") + ")"
		}
		p.prose("  - ", text)
	}
}
