package redact

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// names gives placeholders to names.
type names struct {
	idents   map[string]string   // a single name → its placeholder
	counts   map[string]int      // how many placeholders begin like that
	bases    map[string]string   // the last element of a package's path → the placeholder of the first such package
	tokens   map[string]string   // what texts call a function or a line of the program → how they shall call it
	public   map[string]bool     // what texts call functions and lines of the standard library
	phrases  map[string][]phrase // names with blanks and the like, by how they begin, the longest first
	expected map[string]string   // all of phrases
}

type phrase struct{ name, placeholder string }

func newNames() *names {
	return &names{
		idents: map[string]string{}, counts: map[string]int{}, bases: map[string]string{}, tokens: map[string]string{},
		public: map[string]bool{}, phrases: map[string][]phrase{}, expected: map[string]string{},
	}
}

// ident returns the placeholder of a name: the kind of the first thing that had
// it, and a number.
func (n *names) ident(name, kind string) string {
	if name == "" || name == "_" {
		return name
	}
	return n.numbered(name, kind)
}

// numbered returns the placeholder that goes by key.
func (n *names) numbered(key, kind string) string {
	p, ok := n.idents[key]
	if !ok {
		n.counts[kind]++
		p = fmt.Sprintf("%s%d", kind, n.counts[kind])
		n.idents[key] = p
	}
	return p
}

// frame redacts a frame.
func (n *names) frame(f detectors.Frame) detectors.Frame {
	if isPublic(f) {
		f.File = inGo(f.File)
		return f
	}
	pkg := ""
	if p := traceload.PackagePath(f.Func); p != "" {
		pkg = n.pkg(p) + "/"
	}
	f.Func = n.fn(f.Func)
	if f.File != "" {
		f.File = pkg + n.file(f.File)
	}
	return f
}

// learnFrame notes what texts call a frame.
func (n *names) learnFrame(f detectors.Frame) {
	if isPublic(f) {
		if f.Func != "" {
			n.public[f.Func], n.public[detectors.Short(f.Func)] = true, true
			n.public[f.Where()], n.public[path.Base(inGo(f.File))] = true, true
		}
		return
	}
	hidden := n.frame(f)
	short := detectors.Short(f.Func)
	for name, placeholder := range map[string]string{
		f.Func: hidden.Func, short: detectors.Short(hidden.Func), f.File: hidden.File,
		f.Where(): hidden.Where(), path.Base(slashed(f.File)): path.Base(hidden.File),
	} {
		if plain(name) {
			continue // a word: texts do not call a function by it alone
		}
		if _, ok := n.tokens[name]; !ok && name != "" {
			n.tokens[name] = placeholder
		}
		n.phrase(name, func() string { return placeholder })
	}
}

// phrase notes a name that texts are not taken apart into.
func (n *names) phrase(name string, placeholder func() string) {
	if n.expected[name] != "" || !strings.ContainsFunc(name, isWord) || plain(name) && vocabulary()[name] {
		return
	}
	p := phrase{name, placeholder()}
	n.expected[name] = p.placeholder
	quoted := strconv.Quote(name)
	forms := []string{name}
	if quoted = quoted[1 : len(quoted)-1]; quoted != name {
		forms = append(forms, quoted)
	}
	for _, form := range forms {
		key := form[:min(phraseKey, len(form))]
		at, _ := slices.BinarySearchFunc(n.phrases[key], form, func(p phrase, form string) int { return len(form) - len(p.name) })
		n.phrases[key] = slices.Insert(n.phrases[key], at, phrase{form, p.placeholder})
	}
}

// phraseKey is how many bytes phrases are looked up by.
const phraseKey = 4

// pkg redacts the path of a package.
func (n *names) pkg(importPath string) string {
	if std()[importPath] || importPath == "main" || importPath == "command-line-arguments" {
		return importPath
	}
	for _, suffix := range []string{"_test", ".test"} { // the external tests of a package, and what runs them
		if of, ok := strings.CutSuffix(importPath, suffix); ok && of != "" {
			return n.pkg(of) + suffix
		}
	}
	p := n.numbered("pkg "+importPath, "pkg") // a type may have the same name
	if base := path.Base(importPath); n.bases[base] == "" {
		n.bases[base] = p
	}
	return p
}

// fn redacts the full name of a function.
func (n *names) fn(name string) string {
	pkg := traceload.PackagePath(name)
	if pkg == "" {
		return n.parts(name)
	}
	return n.pkg(pkg) + "." + n.parts(name[len(pkg)+1:])
}

// parts redacts what follows the package in a function's name; receivers, closures
// and wrappers keep their form.
func (n *names) parts(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		if rest, ok := strings.CutPrefix(name, "["); ok { // type arguments
			b.WriteString("[...]")
			name = rest[closing(rest):]
			continue
		}
		end := strings.IndexAny(name, ".()*[")
		if end == 0 {
			b.WriteByte(name[0])
			name = name[1:]
			continue
		}
		if end < 0 {
			end = len(name)
		}
		part, suffix := name[:end], ""
		if at := wrapping.FindStringIndex(part); at != nil {
			part, suffix = part[:at[0]], part[at[0]:]
		}
		name = name[end:]
		switch {
		case ordinal.MatchString(part), part == "main" && b.Len() == 0, part == "init":
			b.WriteString(part)
		case strings.HasSuffix(b.String(), "(*"), b.Len() == 0 && strings.HasPrefix(name, ".") && !strings.HasPrefix(name, ".func"):
			b.WriteString(n.ident(part, "T"))
		default:
			b.WriteString(n.ident(part, kindOf(part)))
		}
		b.WriteString(suffix)
	}
	return b.String()
}

// closing returns where what follows a bracket ends, after its own.
func closing(rest string) int {
	depth := 1
	for i, r := range rest {
		switch r {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(rest)
}

var (
	ordinal  = regexp.MustCompile(`^(func\d+|gowrap\d+|deferwrap\d+|\d+)$`)
	wrapping = regexp.MustCompile(`(-range\d+|-fm)+$`)
)

// kindOf is what the placeholder of a function is called: tests stay recognisable.
func kindOf(fn string) string {
	for _, prefix := range []string{"Test", "Benchmark", "Fuzz", "Example"} {
		if strings.HasPrefix(fn, prefix) {
			return prefix
		}
	}
	return "f"
}

// test redacts the name of a test and of the tests within it.
func (n *names) test(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if kind := "sub"; i > 0 {
			parts[i] = n.ident(part, kind)
		} else {
			parts[i] = n.ident(part, kindOf(part))
		}
	}
	return strings.Join(parts, "/")
}

// file redacts the name of a file, without its folders. What its ending says stays.
func (n *names) file(name string) string {
	base := path.Base(slashed(name))
	if base == "_testmain.go" || base == "_cgo_gotypes.go" || name == autogenerated {
		return base
	}
	ending := ""
	for _, e := range []string{"_test.go", ".go", ".s", ".c", ".trace"} {
		if strings.HasSuffix(base, e) {
			ending = e
			break
		}
	}
	return n.numbered("file "+strings.TrimSuffix(base, ending), "file") + ending // likewise
}

func slashed(file string) string { return strings.ReplaceAll(file, `\`, "/") }

// autogenerated is what the compiler calls the file of a wrapper.
const autogenerated = "<autogenerated>"

// isPublic tells whether a frame is the standard library's, by function and file.
func isPublic(f detectors.Frame) bool {
	if !std()[traceload.PackagePath(f.Func)] || !publicName.MatchString(f.Func) {
		return false
	}
	return f.File == "" || f.File == autogenerated || std()[path.Dir(inGo(f.File))]
}

var publicName = regexp.MustCompile(`^[\w/.()*\[\]-]+$`)

// inGo is a file without the folder that Go is installed in. It is not always
// that of the function's package: time.Sleep is in runtime/time.go.
func inGo(file string) string {
	file = slashed(file)
	if i := strings.LastIndex(file, "/src/"); i >= 0 {
		return file[i+len("/src/"):]
	}
	return file
}
