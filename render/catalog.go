package render

import (
	"fmt"
	"go/doc/comment"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// Explain writes all that is to be said about a detector: its documentation,
// what it can find, and the repairs that it suggests, each in full once.
func Explain(w io.Writer, d *detectors.Detector, opt Options) error {
	p := newPage(opt)
	p.line(p.paint(bold, d.Name), " · ", string(d.Family))
	p.doc(d)
	p.line()
	p.line(p.paint(bold, "Causes and their repairs"))
	shown := map[string]string{} // pattern → cause that showed it
	for _, c := range d.Causes {
		for _, id := range c.Patterns() {
			pat, ok := detectors.PatternByID(id)
			if !ok {
				return fmt.Errorf("detector %s, cause %s: no pattern %q", d.Name, c.Name, id)
			}
			p.line()
			p.line("  ", p.paint(bold, c.Name), ": ", pat.Title, " ", p.paint(dim, "("+pat.ID+")"))
			if first, ok := shown[id]; ok {
				p.line("    as for ", first)
				continue
			}
			shown[id] = c.Name
			pat.Before, pat.After = printableLines(pat.Before), printableLines(pat.After)
			p.pattern(&pat, "    ")
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// doc writes a detector's documentation, a package comment.
func (p *page) doc(d *detectors.Detector) {
	text := d.Text()
	if rest, ok := strings.CutPrefix(text, "Package "); ok { // users know the detector, not the package
		_, rest, _ = strings.Cut(rest, " ")
		text = d.Name + " " + rest
	}
	var parser comment.Parser
	printer := comment.Printer{TextPrefix: "  ", TextWidth: min(p.width, maxProse) - 2}
	for _, block := range parser.Parse(text).Content {
		p.line()
		if h, ok := block.(*comment.Heading); ok {
			p.line(p.paint(bold, strings.TrimPrefix(strings.TrimSpace(string(printer.Text(&comment.Doc{Content: []comment.Block{h}}))), "# ")))
			continue
		}
		p.Write(printer.Text(&comment.Doc{Content: []comment.Block{block}}))
	}
}

// List writes a table of detectors.
func List(w io.Writer, list []*detectors.Detector, opt Options) error {
	p := newPage(opt)
	name, family := len("detector"), len("family")
	for _, d := range list {
		name, family = max(name, columns(d.Name)), max(family, columns(string(d.Family)))
	}
	p.line(p.paint(dim, pad("detector", name)+"  "+pad("family", family)+"  what it does"))
	for _, d := range list {
		p.prose(pad(d.Name, name)+"  "+pad(string(d.Family), family)+"  ", d.Synopsis())
	}
	_, err := io.WriteString(w, p.String())
	return err
}
