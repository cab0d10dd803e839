package source

import (
	"bytes"
	"go/ast"
	"go/scanner"
	"go/token"
	"path"
	"strings"
)

// reachDepth is how many calls deep Reaches looks.
const reachDepth = 3

// Ending is what ends a wait.
type Ending uint8

const (
	EndsSend      Ending = iota // a receive from the channel
	EndsReceive                 // a send on the channel, or its closing
	EndsWaitGroup               // Done
	EndsCond                    // Signal or Broadcast
	EndsPerhaps                 // any use of the name: it may be passed on to whoever ends the wait
)

// Reaches tells whether the function of a frame, or one of its package that it
// calls, has a statement that ends waits of that kind on a variable or field of
// that name. Calls are followed by name only, so it errs towards true. false
// also means that the source is not at hand.
func (t *Tree) Reaches(f Frame, name string, how Ending) bool {
	if name == "" || !t.mayReach(f.File, wakeup{name, how}) {
		return false
	}
	src := t.fileWithoutTypes(f.File)
	if src == nil || t.trusts[f.File].stale() || src.pkg.foreign(parseSymbol(f.Func)) {
		return false
	}
	list, _ := src.find(f)
	return src.pkg.reaches(list, name, how)
}

// reaches tells that of some functions. It looks at those first to which fewer calls lead.
func (p *pkg) reaches(list []*function, name string, how Ending) bool {
	seen := map[*function]bool{}
	for depth := 0; depth <= reachDepth && len(list) > 0; depth++ {
		var next []*function
		for _, fn := range list {
			if fn.ends(name, how) {
				return true
			}
			if depth == reachDepth {
				continue
			}
			for _, called := range fn.deeds().calls {
				for _, fn := range p.named(called) {
					if !seen[fn] {
						seen[fn] = true
						next = append(next, fn)
					}
				}
			}
		}
		list = next
	}
	return false
}

// named returns the declared functions and methods of a name.
func (p *pkg) named(name string) []*function {
	if p.byName == nil {
		p.byName = map[string][]*function{}
		for _, f := range p.files {
			for _, fn := range f.funcs {
				if fn.decl != nil {
					p.byName[fn.decl.Name.Name] = append(p.byName[fn.decl.Name.Name], fn)
				}
			}
		}
	}
	return p.byName[name]
}

// deeds is what a function does, literals in it included.
type deeds struct {
	calls []string // names of functions, each once
	ends  map[wakeup]bool
}

// wakeup is what a function ends waits by.
type wakeup struct {
	name string
	how  Ending
}

// deeds finds them out once; what EndsPerhaps means is not among them.
func (fn *function) deeds() *deeds {
	if fn.does != nil {
		return fn.does
	}
	d := &deeds{ends: map[wakeup]bool{}}
	called := map[string]bool{}
	ast.Inspect(fn.node(), func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				d.ends[wakeup{lastName(n.X), EndsSend}] = true
			}
		case *ast.RangeStmt:
			d.ends[wakeup{lastName(n.X), EndsSend}] = true
		case *ast.SendStmt:
			d.ends[wakeup{lastName(n.Chan), EndsReceive}] = true
		case *ast.CallExpr:
			if name := lastName(n.Fun); !called[name] {
				called[name] = true
				d.calls = append(d.calls, name)
			}
			if lastName(n.Fun) == "close" && len(n.Args) == 1 {
				d.ends[wakeup{lastName(n.Args[0]), EndsReceive}] = true
			}
			if sel, ok := ast.Unparen(n.Fun).(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "Done":
					d.ends[wakeup{lastName(sel.X), EndsWaitGroup}] = true
				case "Signal", "Broadcast":
					d.ends[wakeup{lastName(sel.X), EndsCond}] = true
				}
			}
		}
		return true
	})
	fn.does = d
	return d
}

// ends tells whether the function has a statement that ends waits of that kind on that name.
func (fn *function) ends(name string, how Ending) bool {
	if how != EndsPerhaps {
		return fn.deeds().ends[wakeup{name, how}]
	}
	found := false
	ast.Inspect(fn.node(), func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// folder is where a package's files are, with its tests or without.
type folder struct {
	root  *root
	dir   string
	tests bool
}

// mayReach tells whether any file that may belong to the package of a file that a trace names
// may have what ends such a wait. To parse the package takes far longer, and most have other
// names, or do other things with them.
func (t *Tree) mayReach(recorded string, end wakeup) bool {
	p := t.resolve(recorded)
	if p.root == nil {
		return false
	}
	at := folder{p.root, path.Dir(p.rel), strings.HasSuffix(p.rel, "_test.go")}
	texts, ok := t.folders[at]
	if !ok {
		texts = map[string]*text{}
		for rel, src := range t.sources(at.root, at.dir, "", at.tests) {
			texts[rel] = &text{src: src, may: map[wakeup]bool{}}
		}
		t.folders[at] = texts
	}
	if texts[p.rel] == nil { // there are more files than are looked at, or this one has other build constraints
		src, err := t.read(p.root, p.rel)
		if err != nil {
			return false
		}
		texts[p.rel] = &text{src: src, may: map[wakeup]bool{}}
	}
	for _, text := range texts {
		if text.mayEnd(end) {
			return true
		}
	}
	return false
}

// text is a file that need not be parsed.
type text struct {
	src []byte
	may map[wakeup]bool // what was asked for
}

func (x *text) mayEnd(end wakeup) bool {
	may, ok := x.may[end]
	if !ok {
		may = hasWord(x.src, end.name) && end.mayBeIn(x.src) && hasIdentifier(x.src, end.name)
		x.may[end] = may
	}
	return may
}

// mayBeIn tells whether a file has the words that such a wake-up is written with.
func (w wakeup) mayBeIn(src []byte) bool {
	switch w.how {
	case EndsReceive:
		return bytes.Contains(src, []byte("<-")) || hasWord(src, "close")
	case EndsWaitGroup:
		return hasWord(src, "Done")
	case EndsCond:
		return hasWord(src, "Signal") || hasWord(src, "Broadcast")
	}
	return true // a receive may be a range
}

// hasWord tells whether a name may be an identifier in a file: it is there, no part of another
// one, and not surely in a comment.
func hasWord(src []byte, name string) bool {
	letter := func(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
	for at := 0; ; {
		i := bytes.Index(src[at:], []byte(name))
		if i < 0 {
			return false
		}
		at += i
		end := at + len(name)
		part := at > 0 && letter(src[at-1]) || end < len(src) && (letter(src[end]) || '0' <= src[end] && src[end] <= '9')
		if !part && !inComment(src[bytes.LastIndexByte(src[:at], '\n')+1:at]) {
			return true
		}
		at = end
	}
}

// inComment tells whether what follows the beginning of a line surely is no code: there is a
// comment before it, which no string pretends to be and nothing ends.
func inComment(line []byte) bool {
	before, after, ok := bytes.Cut(line, []byte("//"))
	return ok && !bytes.ContainsRune(before, '"') && !bytes.ContainsRune(after, '`') && !bytes.Contains(after, []byte("*/"))
}

// hasIdentifier tells whether a name is an identifier in a file.
func hasIdentifier(src []byte, name string) bool {
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(src)), src, func(token.Position, string) {}, 0)
	for {
		switch _, tok, lit := s.Scan(); {
		case tok == token.EOF:
			return false
		case tok == token.IDENT && lit == name:
			return true
		}
	}
}

// lastName is the name at the end of x, a.x or a().x; "" if there is none.
func lastName(e ast.Expr) string {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
