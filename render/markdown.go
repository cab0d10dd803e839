package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// maxComment is how many characters a comment on GitHub can have; that is also
// less than GitLab and Gitea allow.
const maxComment = 65536

// maxCommentRows is how many findings the table of a comment lists.
const maxCommentRows = 50

// Markdown writes the report as a comment on a pull request, in GitHub's
// flavour: the verdict, a table, and the details folded. It has at most
// maxComment characters: the details of the last findings go first.
func Markdown(w io.Writer, r *detectors.Report, options Options) error {
	r, opt := options.cleaned(r)
	_, err := io.WriteString(w, commentText(r, opt, maxComment))
	return err
}

// commentText writes a report that is safe to print, in at most limit characters.
func commentText(r *detectors.Report, opt *Options, limit int) string {
	var head strings.Builder
	m := markdown{&head}
	m.verdict(r)
	m.summary(r, opt)
	var tail strings.Builder
	markdown{&tail}.footer(r)
	const note = 120 // for what says how many details are left out
	room := limit - len(head.String()) - len(tail.String()) - note
	var body strings.Builder
	shown := map[string]int{} // pattern → rank of the finding that showed it
	for i := range r.Findings {
		var b strings.Builder
		markdown{&b}.finding(r, &r.Findings[i], opt, shown)
		if b.Len() > room {
			markdown{&body}.para(fmt.Sprintf("<sub>The details of %s are left out to keep this short.</sub>", count(int64(len(r.Findings)-i), "more finding")))
			break
		}
		room -= b.Len()
		body.WriteString(b.String())
	}
	return head.String() + body.String() + tail.String()
}

// markdown is a piece of Markdown in the making. What it is given as text is
// shown as it is: nothing in it is taken for markup, a link or a mention.
type markdown struct{ *strings.Builder }

// para writes a paragraph, which is Markdown.
func (m markdown) para(s string) {
	if s != "" {
		m.WriteString(s)
		m.WriteString("\n\n")
	}
}

// text escapes a text. A comment, which shows as nothing, splits what would
// become a link or a mention though no character in it is special.
func (markdown) text(s string) string { return markdownText.Replace(s) }

var markdownText = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, "|", `\|`, "~", `\~`, "$", `\$`,
	"#", "#<!-- -->", "@", "@<!-- -->", "://", ":<!-- -->//", "www.", "www<!-- -->.", "WWW.", "WWW<!-- -->.", "!", `\!`,
	"GH-", "GH<!-- -->-", "mailto:", "mailto<!-- -->:", "xmpp:", "xmpp<!-- -->:",
)

// line escapes a text that begins a line, where more is special.
func (m markdown) line(s string) string {
	text := m.text(s)
	trimmed := strings.TrimLeft(text, " ")
	if rest := strings.TrimLeft(trimmed, "0123456789"); strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "\\)") {
		return trimmed[:len(trimmed)-len(rest)] + `\` + strings.TrimPrefix(rest, `\`)
	}
	if trimmed != "" && strings.ContainsRune("-+=:", rune(trimmed[0])) {
		return `\` + trimmed
	}
	return trimmed
}

// code shows a text in the typewriter's face.
func (markdown) code(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + markdownCode.Replace(s) + "</code>"
}

// markdownCode escapes what is special inside an HTML element in a line.
var markdownCode = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, "&#92;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;",
	"|", "&#124;", "~", "&#126;", "$", "&#36;", "://", "&#58;//", "@", "&#64;", "www.", "www&#46;", "WWW.", "WWW&#46;", "!", "&#33;",
	"mailto:", "mailto&#58;", "xmpp:", "xmpp&#58;", "#", "&#35;",
)

// block shows lines as they are.
func (m markdown) block(language string, lines []string) {
	fence := "```"
	for _, line := range lines {
		for strings.Contains(line, fence) {
			fence += "`"
		}
	}
	m.WriteString(fence + language + "\n")
	for _, line := range lines {
		m.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	m.WriteString(fence + "\n\n")
}

// fold begins what can be unfolded; summary is HTML.
func (m markdown) fold(summary string) {
	m.WriteString("<details>\n<summary>" + summary + "</summary>\n\n")
}
func (m markdown) unfold() { m.WriteString("</details>\n\n") }

var lights = map[string]string{"error": "🔴", "warning": "🟠", "note": "🔵"}

func (m markdown) verdict(r *detectors.Report) {
	m.para("<!-- tracedoc -->") // by which a job finds its comment again
	m.para("### " + m.text(r.Tool.Name) + ": " + m.text(verdictText(r)))
	if n := len(r.Traces); n > 1 {
		m.para(count(int64(n), "trace") + " read.")
	}
	m.para(m.line(suppressedText(r.Suppressed)))
	for i := range r.Traces {
		for _, w := range r.Traces[i].Warnings {
			m.WriteString("- ⚠️ " + m.code(r.Traces[i].Source) + ": " + m.text(w) + "\n")
		}
	}
	m.WriteString("\n")
}

func (m markdown) summary(r *detectors.Report, opt *Options) {
	if len(r.Findings) == 0 {
		return
	}
	m.WriteString("| # | severity | finding | where | costs | sure |\n| --: | --- | --- | --- | --- | --: |\n")
	for i := range r.Findings[:min(len(r.Findings), maxCommentRows)] {
		f := &r.Findings[i]
		where := m.code(opt.where(f))
		fmt.Fprintf(m, "| %d | %s %s | %s | %s | %s | %s |\n", f.Rank, lights[level(f.Severity)], f.Severity,
			m.text(fit(f.Title, 200)), where, m.text(strings.Join(impactParts(f.Impact, goroutineSecondsShort), ", ")), percent(f.Confidence))
	}
	m.WriteString("\n")
	if n := len(r.Findings) - maxCommentRows; n > 0 {
		m.para("… and " + count(int64(n), "more finding") + ".")
	}
}

// where names the place of a finding in a word: in the repository, or as far as
// the trace tells.
func (o *Options) where(f *detectors.Finding) string {
	if p := o.site(f); p.fn != "" {
		return fmt.Sprintf("%s:%d", p.path, p.line)
	}
	return f.Site.Where()
}

func (m markdown) finding(r *detectors.Report, f *detectors.Finding, opt *Options, shown map[string]int) {
	m.fold(fmt.Sprintf("%d · %s · %s · %s", f.Rank, f.Severity, m.code(rule(f)), m.code(opt.where(f))))
	m.para("**" + m.text(f.Title) + "**")
	if f.Site.Func != "" {
		m.para("In " + m.code(f.Site.Func) + " at " + m.code(cmp.Or(fitPath(fmt.Sprintf("%s:%d", f.Site.File, f.Site.Line), maxWord), f.Site.Where())))
	}
	m.source(f)
	m.para(m.line(f.Detail))
	m.para(m.line(sentences(capital(costs(f)), capital(inTraces(r, f)))))
	m.evidence(f.Evidence)
	for i := range f.Groups[:min(len(f.Groups), maxGroups)] {
		m.group(&f.Groups[i], f.Site)
	}
	if f.WrongIf != "" {
		m.para("*No defect if* " + m.text(f.WrongIf))
	}
	m.repair(&f.Pattern, f.Rank, shown)
	m.para("<sub>fingerprint " + m.code(f.Fingerprint) + "</sub>")
	m.unfold()
}

func (m markdown) source(f *detectors.Finding) {
	var lines []string
	for _, l := range f.Source {
		mark := "  "
		if l.Site {
			mark = "> "
		}
		lines = append(lines, fmt.Sprintf("%s%4d  %s", mark, l.Line, l.Text))
	}
	if len(lines) > 0 {
		m.block("", lines)
	}
}

func (m markdown) evidence(list []detectors.Evidence) {
	for _, e := range list[:min(len(list), maxEvidence)] {
		m.WriteString("- " + m.line(e.Text))
		if e.Weight < 0 {
			m.WriteString(" (speaks against it)")
		}
		m.WriteString("\n")
	}
	if len(list) > 0 {
		m.WriteString("\n")
	}
}

func (m markdown) group(g *detectors.Group, site detectors.Frame) {
	text := capital(cmp.Or(string(g.Role), "goroutines")) + ": " + count(int64(g.Count), "goroutine")
	if state := strings.TrimSpace(g.State + " " + g.Reason); state != "" {
		text += ", " + state
	}
	if g.CreatedBy.Func != "" {
		text += ", started by " + g.CreatedBy.Func + " at " + g.CreatedBy.Where()
	}
	m.para(m.line(text))
	frames, _ := trim(g.Stack, site)
	var lines []string
	for i, f := range frames {
		if i == 2*maxFrames {
			lines = append(lines, "… "+count(int64(len(frames)-i), "more frame"))
			break
		}
		lines = append(lines, shortFunc(f.Func)+"  "+fitPath(fmt.Sprintf("%s:%d", f.File, f.Line), 80))
	}
	if len(lines) > 0 {
		m.block("", lines)
	}
}

// repair writes a pattern in full the first time, and refers to it later.
func (m markdown) repair(pat *detectors.Pattern, rank int, shown map[string]int) {
	if pat.Title == "" {
		return
	}
	m.para("**Repair: " + m.text(pat.Title) + "**")
	if first, ok := shown[pat.ID]; ok {
		m.para(fmt.Sprintf("As in finding %d.", first))
		return
	}
	shown[pat.ID] = rank
	m.para(m.line(pat.Why))
	if before := lines(pat.Before); len(before) > 0 {
		m.para("Before:")
		m.block("go", before)
	}
	if after := lines(pat.After); len(after) > 0 {
		m.para("After:")
		m.block("go", after)
	}
	for _, link := range pat.Links {
		if isLink(link) && !strings.ContainsAny(link, " <>()[]\"\\`") {
			m.WriteString("- <" + link + ">\n")
		}
	}
	if len(pat.Links) > 0 {
		m.WriteString("\n")
	}
}

func (m markdown) footer(r *detectors.Report) {
	m.WriteString("<sub>" + m.text(r.Tool.Name+" "+r.Tool.Version) + "</sub>\n")
}
