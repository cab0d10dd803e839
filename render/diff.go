package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/gate"
)

// DiffFormat is one way to write a comparison.
type DiffFormat struct {
	Name  string
	Doc   string
	Write func(io.Writer, *gate.Diff, Options) error
}

// DiffFormats returns all formats of comparisons, the default first.
func DiffFormats() []DiffFormat {
	return []DiffFormat{
		{"text", "for reading in a terminal", DiffText},
		{"json", "for programs: schema " + gate.DiffSchema, DiffJSON},
		{"markdown", "a comment on a pull request", DiffMarkdown},
	}
}

// DiffJSON writes a comparison in its schema's form, see diff.v1.schema.json.
func DiffJSON(w io.Writer, d *gate.Diff, _ Options) error { return writeJSON(w, d, true) }

// shownVerdicts are those that are told one by one; what is the same is counted.
func shownVerdict(v gate.Verdict) bool { return v != gate.Same }

// DiffText writes a comparison for a reader at a terminal.
func DiffText(w io.Writer, d *gate.Diff, opt Options) error {
	d = cleanDiff(d)
	p := newPage(opt)
	p.prose("old  ", sideText(d.Old))
	p.prose("new  ", sideText(d.New))
	for _, warning := range d.Warnings {
		p.painted(yellow, "warning: ", warning)
	}
	p.line()
	p.painted(bold, "", diffVerdict(d))
	for i := range d.Changes {
		c := &d.Changes[i]
		if !shownVerdict(c.Verdict) {
			continue
		}
		f := &c.Finding
		p.line()
		color := dim
		switch c.Verdict {
		case gate.New, gate.Worse:
			color = severityColor(f.Severity)
		case gate.Better, gate.Gone:
			color = cyan
		}
		head := fmt.Sprintf("%s · %s · %s", c.Verdict, f.Severity, rule(f))
		head = fit(head, p.width-columns(percent(f.Confidence))-14)
		p.rule(head, p.paint(color, head), percent(f.Confidence)+" sure")
		p.prose("", f.Title)
		p.line("  where   ", fit(strings.TrimSpace(shortFunc(f.Site.Func)+"  "+f.Site.Where()), p.width-10))
		p.prose("  why     ", c.Why)
		for _, figure := range c.Figures {
			if figure.Old.N > 0 && figure.New.N > 0 && figure.String() != c.Why && figure.Verdict != gate.Same {
				p.prose("          ", fmt.Sprintf("%s: %s", figure.Verdict, figure))
			}
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// DiffMarkdown writes a comparison as a comment on a pull request.
func DiffMarkdown(w io.Writer, d *gate.Diff, opt Options) error {
	d = cleanDiff(d)
	var b strings.Builder
	m := markdown{&b}
	m.para("<!-- tracedoc diff -->")
	m.para("### " + m.text("tracedoc: "+diffVerdict(d)))
	m.para("Old: " + m.text(sideText(d.Old)))
	m.para("New: " + m.text(sideText(d.New)))
	for _, warning := range d.Warnings {
		m.WriteString("- ⚠️ " + m.text(warning) + "\n")
	}
	m.WriteString("\n")
	var rows []string
	for i := range d.Changes {
		c := &d.Changes[i]
		if shownVerdict(c.Verdict) {
			f := &c.Finding
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |\n", c.Verdict, f.Severity, m.text(fit(f.Title, 200)), m.code(f.Site.Where()), m.text(fit(c.Why, 300))))
		}
	}
	if len(rows) > 0 {
		m.WriteString("| change | severity | finding | where | why |\n| --- | --- | --- | --- | --- |\n")
		for i, row := range rows {
			if b.Len()+len(row) > maxComment-200 {
				m.WriteString("\n… and " + count(int64(len(rows)-i), "more change") + ".\n")
				break
			}
			m.WriteString(row)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diffVerdict says the whole in one line.
func diffVerdict(d *gate.Diff) string {
	var parts []string
	for _, v := range []gate.Verdict{gate.New, gate.Worse, gate.Better, gate.Gone} {
		if n := d.Counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	text := "Nothing changed"
	if len(parts) > 0 {
		text = enumerate(parts)
	}
	if n := d.Counts[gate.Noise]; n > 0 {
		text += fmt.Sprintf("; %s within noise", count(int64(n), "difference"))
	}
	if n := d.Counts[gate.Same]; n > 0 {
		text += fmt.Sprintf("; %d the same", n)
	}
	return text + "."
}

// sideText says what was compared.
func sideText(s gate.Side) string {
	const most = 4
	var names []string
	for i := range s.Traces {
		name := s.Traces[i].Source
		if !s.Traces[i].Complete {
			name += " (not complete)"
		}
		names = append(names, name)
	}
	if n := len(names); n > most {
		names = append(names[:most], fmt.Sprintf("%d more", n-most))
	}
	if len(names) == 0 {
		return "no trace"
	}
	return count(int64(len(s.Traces)), "trace") + ": " + strings.Join(names, ", ")
}

// DiffFormatNames returns the names of all formats of comparisons, the default first.
func DiffFormatNames() []string {
	var names []string
	for _, f := range DiffFormats() {
		names = append(names, f.Name)
	}
	return names
}

// DiffFormatByName returns the format of that name.
func DiffFormatByName(name string) (DiffFormat, error) {
	for _, f := range DiffFormats() {
		if f.Name == name {
			return f, nil
		}
	}
	return DiffFormat{}, fmt.Errorf("unknown format %q: use one of %s", name, strings.Join(DiffFormatNames(), ", "))
}
