package render

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// pattern writes why a repair helps, the code before and after, and where to
// read on. Lines that go are marked with a minus, lines that come with a plus.
func (p *page) pattern(pat *detectors.Pattern, indent string) {
	if pat.Why != "" {
		p.prose(indent, pat.Why)
	}
	before, after := lines(pat.Before), lines(pat.After)
	goes, comes := differ(before, after)
	if len(before) > 0 {
		p.line()
		p.line(indent, p.paint(dim, "before:"))
		for i, line := range before {
			p.code(indent, "-", red, line, goes[i])
		}
	}
	if len(after) > 0 {
		p.line()
		p.line(indent, p.paint(dim, "after:"))
		head, tail := 0, len(after)
		if len(before) > 0 {
			head, tail = novel(before, after)
		}
		if head > 0 {
			p.line(indent, "    ", p.paint(dim, "… as before"))
		}
		for i := head; i < tail; i++ {
			p.code(indent, "+", cyan, after[i], comes[i])
		}
		if tail < len(after) {
			p.line(indent, "    ", p.paint(dim, "… as before"))
		}
	}
	if len(pat.Links) > 0 {
		p.line()
		for _, link := range pat.Links {
			p.prose(indent, link)
		}
	}
}

// code writes one line of code, cut into several where it is too long.
func (p *page) code(indent, sign, color, line string, marked bool) {
	if !marked {
		sign, color = " ", plain
	}
	for i, piece := range chop(line, p.width-columns(indent)-4) {
		if i > 0 {
			sign = " "
		}
		if text := strings.TrimRight("  "+sign+" "+piece, " "); text == "" {
			p.line()
		} else {
			p.line(indent, p.paint(color, text))
		}
	}
}

func lines(code string) []string {
	code = strings.Trim(code, "\n")
	if code == "" {
		return nil
	}
	return strings.Split(code, "\n")
}

// differ marks the lines of a that are not in b and the other way round, by
// their longest common subsequence. Blank lines are never marked.
func differ(a, b []string) (goes, comes []bool) {
	// longest[i][j] is the length for a[i:] and b[j:].
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i, line := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if line == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	goes, comes = make([]bool, len(a)), make([]bool, len(b))
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			goes[i] = a[i] != ""
			i++
		default:
			comes[j] = b[j] != ""
			j++
		}
	}
	return goes, comes
}

// minCommon is how many unchanged lines are worth replacing by one.
const minCommon = 4

// novel finds the declarations at the beginning and at the end of after that
// stand in before as well: after[head:tail] is left to show. It cuts at blank
// lines only, so that what remains is whole declarations.
func novel(before, after []string) (head, tail int) {
	tail = len(after)
	if slices.Equal(before, after) {
		return 0, tail
	}
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
		if after[same-1] == "" && same >= minCommon {
			head = same
		}
	}
	for same = 0; same < min(len(before), len(after))-head && before[len(before)-1-same] == after[len(after)-1-same]; {
		same++
		if after[len(after)-same] == "" && same >= minCommon {
			tail = len(after) - same
		}
	}
	return head, tail
}
