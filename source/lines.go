package source

import (
	"bytes"
	"go/ast"
)

// Line is a line of a source file.
type Line struct {
	Number int
	Text   string // without its end; whatever else is in it is as in the file
	Site   bool   // it is the line that was asked for
}

// maxLineLen bounds the text of a Line, in bytes.
const maxLineLen = 400

// Lines returns the line and up to around lines on either side, for showing.
// false means that the file is not at hand, does not match the trace, or has
// no such line.
func (t *Tree) Lines(recorded string, line, around int) ([]Line, bool) {
	p := t.resolve(recorded)
	if t.trusts[recorded].stale() || p.root == nil || line < 1 || around < 0 {
		return nil, false
	}
	src, err := t.read(p.root, p.rel)
	if err != nil {
		return nil, false
	}
	lines := bytes.SplitAfter(src, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 { // what follows the last line's end is none
		lines = lines[:len(lines)-1]
	}
	if line > len(lines) {
		return nil, false
	}
	var list []Line
	for n := max(1, line-min(around, 100)); n <= min(len(lines), line+min(around, 100)); n++ {
		text := bytes.TrimRight(lines[n-1], "\r\n")
		text = text[:min(len(text), maxLineLen)]
		list = append(list, Line{Number: n, Text: string(bytes.ToValidUTF8(text, nil)), Site: n == line})
	}
	// The empty lines at either end show nothing.
	empty := func(l Line) bool { return !l.Site && len(bytes.TrimSpace([]byte(l.Text))) == 0 }
	for len(list) > 0 && empty(list[0]) {
		list = list[1:]
	}
	for len(list) > 0 && empty(list[len(list)-1]) {
		list = list[:len(list)-1]
	}
	return list, true
}

// Function returns the text of the innermost function around a line, a literal or a declared one;
// or else, if whole, of the declaration with all literals in it. false means that the source is
// not at hand, or the line is in none.
func (t *Tree) Function(recorded string, line int, whole bool) (string, bool) {
	f := t.parsed(t.resolve(recorded))
	if f == nil || t.trusts[recorded].stale() {
		return "", false
	}
	var found ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n.(type) {
		case nil:
			return false
		case *ast.File:
			return true
		case *ast.FuncDecl:
			if f.spans(n, line) {
				found = n
			}
		case *ast.FuncLit:
			if f.spans(n, line) && (!whole || found == nil) {
				found = n
			}
		}
		return f.spans(n, line)
	})
	if found == nil {
		return "", false
	}
	return string(f.bytes(found)), true
}
