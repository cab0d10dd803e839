package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Colours, used sparingly: the terminal's own sixteen, so that its theme decides.
const (
	plain  = ""
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	strong = "\x1b[1;31m"
	reset  = "\x1b[0m"
)

// maxProse is the width beyond which running text becomes hard to read.
const maxProse = 120

// minWidth is what a page takes at least; narrower terminals have to break lines.
const minWidth = 72

// page is a piece of terminal output in the making.
type page struct {
	strings.Builder
	width  int
	color  bool
	limits limits
}

func newPage(opt Options) *page {
	w := opt.Width
	if w <= 0 {
		w = DefaultWidth
	}
	return &page{width: max(w, minWidth), color: opt.Color, limits: inReport()}
}

// paint wraps s, which holds no line break, in a colour.
func (p *page) paint(color, s string) string {
	if !p.color || color == plain || s == "" {
		return s
	}
	return color + s + reset
}

// line writes one line as it is.
func (p *page) line(parts ...string) {
	for _, s := range parts {
		p.WriteString(s)
	}
	p.WriteByte('\n')
}

// prose writes text wrapped at words. The first line begins with first, the
// others with as many blanks.
func (p *page) prose(first, text string) { p.painted(plain, first, text) }

func (p *page) painted(color, first, text string) {
	indent := columns(first)
	for i, line := range wrap(text, min(p.width, maxProse)-indent) {
		if i > 0 {
			first = strings.Repeat(" ", indent)
		}
		if line == "" {
			first = strings.TrimRight(first, " ")
		}
		p.line(first, p.paint(color, line))
	}
}

// rule writes a line of dashes with a caption to the left and one to the right.
// painted is the left caption as it is to be shown; left is what it measures.
func (p *page) rule(left, painted, right string) {
	n := p.width - columns(left) - columns(right) - 8
	p.line("── ", painted, " ", strings.Repeat("─", max(n, 1)), " ", right, " ──")
}

// columns is the number of terminal columns that s takes.
func columns(s string) int { return displaywidth.String(s) }

// wrap breaks text at words into lines of at most width columns (but never
// less than 20); words that are longer are broken too, web addresses excepted,
// which only work whole. There is always at least one line.
func wrap(text string, width int) []string {
	width = max(width, 20)
	var lines []string
	line, used := "", 0
	flush := func() {
		if used > 0 {
			lines = append(lines, line)
		}
		line, used = "", 0
	}
	for word := range strings.FieldsSeq(text) {
		n := columns(word)
		if used > 0 && used+1+n > width {
			flush()
		}
		if n > width && !isLink(word) {
			for _, piece := range chop(word, width) {
				flush()
				line, used = piece, columns(piece)
			}
			continue
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	flush()
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

func isLink(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// chop cuts s into pieces of at most width columns.
func chop(s string, width int) []string {
	var pieces []string
	var b strings.Builder
	used := 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		if n := g.Width(); used+n > width && used > 0 {
			pieces = append(pieces, b.String())
			b.Reset()
			used = 0
		}
		b.WriteString(g.Value())
		used += g.Width()
	}
	return append(pieces, b.String())
}

// shortenMiddle keeps the beginning and the end of what is longer than n runes.
func shortenMiddle(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	head, tail := (n-1)*2/3, (n-1)-(n-1)*2/3
	i, j := 0, len(s)
	for range head {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	for range tail {
		_, size := utf8.DecodeLastRuneInString(s[:j])
		j -= size
	}
	return s[:i] + "…" + s[j:]
}

// fit shortens s in the middle until it takes no more than width columns.
func fit(s string, width int) string {
	for n := width; columns(s) > width && n > 1; n-- {
		s = shortenMiddle(s, n)
	}
	return s
}

// cut shortens s at its end until it takes no more than width columns, as is
// best for code.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	return chop(s, width-1)[0] + "…"
}

// fitPath shortens a path from the left, at a slash where there is one: the
// file's name and line are what one needs most.
func fitPath(path string, width int) string {
	if columns(path) <= width {
		return path
	}
	for rest := path; ; {
		_, after, ok := strings.Cut(rest, "/")
		if !ok {
			return fit(rest, width)
		}
		if rest = after; columns(rest)+2 <= width {
			return "…/" + rest
		}
	}
}

// breakName breaks a name at its dashes into lines of at most width columns,
// and shortens what has no dashes.
func breakName(name string, width int) string {
	var b strings.Builder
	used := 0
	for part := range strings.SplitAfterSeq(name, "-") {
		part = fit(part, width)
		n := columns(part)
		if used > 0 && used+n > width {
			b.WriteByte('\n')
			used = 0
		}
		b.WriteString(part)
		used += n
	}
	return b.String()
}

// pad fills s with blanks up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// padLeft is pad with the blanks before s.
func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-columns(s))) + s
}

// grouped writes a number with a comma for each thousand.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		s = "-" + s
	}
	return s
}

// bytesText words a number of bytes: "40.3 MB".
func bytesText(n int64) string {
	const kilo = 1000
	if n < kilo {
		return fmt.Sprintf("%d bytes", n)
	}
	v, units := float64(n)/kilo, []string{"kB", "MB", "GB", "TB"}
	for v >= 999.95 && len(units) > 1 {
		v, units = v/kilo, units[1:]
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

// count words a number of things, with the plural where it is due.
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(n) + " " + thing + "s"
}

// enumerate joins words with commas and a last "and".
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Shorten makes one line of text fit into that many columns, at the expense of
// its middle.
func Shorten(text string, width int) string { return fit(text, width) }
