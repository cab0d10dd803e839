package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is a file found on disk.
type place struct {
	root *root // nil if the file is not at hand
	rel  string
}

func (p place) path() string { return filepath.Join(p.root.dir, filepath.FromSlash(p.rel)) }

// Resolve maps a file as a trace names it to a file on this machine. The name
// may be an absolute path of the machine that built the program, or what
// -trimpath makes of it ("example.com/mod@v1.2.3/pkg/f.go", "net/http/server.go",
// "./f.go"). It is matched by its longest tail; at least the file's folder and
// name must agree, and where two files match equally well there is no answer.
func (t *Tree) Resolve(file string) (string, bool) {
	p := t.resolve(file)
	if p.root == nil {
		return "", false
	}
	return p.path(), true
}

func (t *Tree) resolve(file string) place {
	if p, ok := t.resolved[file]; ok {
		return p
	}
	var p place
	if r, ok := newRecorded(file); ok {
		p = t.match(r)
	}
	t.resolved[file] = p
	return p
}

// recorded is a path as a trace has it, taken apart.
type recorded struct {
	elems []string
	abs   bool
}

func newRecorded(file string) (recorded, bool) {
	if !isGoFile(file) || len(file) > maxPathLen || !utf8.ValidString(file) || strings.IndexFunc(file, unicode.IsControl) >= 0 {
		return recorded{}, false
	}
	windows := len(file) > 2 && file[1] == ':' && (file[2] == '\\' || file[2] == '/')
	if windows || !strings.Contains(file, "/") {
		file = strings.ReplaceAll(file, `\`, "/")
	}
	r := recorded{abs: windows || strings.HasPrefix(file, "/")}
	if windows {
		file = file[2:]
	}
	for e := range strings.SplitSeq(file, "/") {
		switch {
		case e == "" || e == ".":
		case e == ".." || strings.ContainsAny(e, `\:`):
			return recorded{}, false
		default:
			r.elems = append(r.elems, e)
		}
	}
	return r, len(r.elems) > 0 && len(r.elems) < 64
}

// least is how many elements must agree: the file and its folder; of a file in
// a module cache, all from the module on.
func (r recorded) least() int {
	if i := slices.IndexFunc(r.elems, func(e string) bool { return strings.Contains(e, "@") }); i >= 0 {
		return len(r.elems) - i
	}
	return min(2, len(r.elems))
}

// exact outdoes every number of elements that can match.
const exact = 1 << 20

// candidate is a file that may be meant, with how many elements agree.
type candidate struct {
	place
	score int
}

// match finds the one file that agrees with the most elements of the path.
func (t *Tree) match(r recorded) place {
	var found []candidate
	for _, root := range t.roots {
		found = append(found, root.candidates(r)...)
	}
	if len(found) == 0 {
		for _, root := range t.roots {
			if root.kind == kindGiven {
				found = append(found, root.search(r)...)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.score - a.score })
	var best place
	score := 0
	for _, c := range found {
		if c.score < score {
			break
		}
		inside, err := c.root.locate(c.rel)
		if err != nil || !isGoFile(inside) {
			continue
		}
		if info, err := os.Lstat(filepath.Join(c.root.dir, filepath.FromSlash(inside))); err != nil || !info.Mode().IsRegular() {
			continue
		}
		c.rel = inside
		if best.root != nil && best.path() != c.path() {
			return place{} // equally good
		}
		best, score = c.place, c.score
	}
	return best
}

// has tells whether something of that name is below the root, before all the
// checks that reading it makes.
func (r *root) has(elems ...string) bool {
	_, err := os.Lstat(filepath.Join(append([]string{r.dir}, elems...)...))
	return err == nil
}

// candidates looks where the path would lead, without searching.
func (r *root) candidates(rec recorded) []candidate {
	var list []candidate
	add := func(score int, elems ...string) {
		if len(elems) > 0 && r.has(elems...) {
			list = append(list, candidate{place{r, strings.Join(elems, "/")}, score})
		}
	}
	own := splitPath(r.dir)
	if rec.abs && len(rec.elems) > len(own) && slices.Equal(own, rec.elems[:len(own)]) {
		add(exact, rec.elems[len(own):]...)
		if len(list) > 0 {
			return list
		}
	}
	switch r.kind {
	case kindCache:
		r.cached(rec, add)
	case kindGo:
		for i := range rec.elems {
			// src/net/http/server.go below any folder, or net/http/server.go alone.
			if !rec.abs && i == 0 {
				add(len(rec.elems), append([]string{"src"}, rec.elems...)...)
			}
			if rec.elems[i] == "src" {
				add(len(rec.elems)-i, rec.elems[i:]...)
			}
			if len(list) > 0 {
				break
			}
		}
	default:
		if rest, n, ok := afterModule(rec, r.module); ok {
			add(n+len(rest), rest...)
		}
		for i := range rec.elems {
			tail := rec.elems[i:]
			score := len(tail) + commonSuffix(rec.elems[:i], own)
			if score < rec.least() {
				break
			}
			add(score, tail...)
			if len(list) > 0 {
				break
			}
			if i == 0 && !rec.abs { // the dependencies of a program that vendors them
				add(len(tail), append([]string{"vendor"}, tail...)...)
			}
		}
	}
	return list
}

// cached finds module@version in the path: below the module cache that is
// written with escaped capitals.
func (r *root) cached(rec recorded, add func(int, ...string)) {
	at := slices.IndexFunc(rec.elems, func(e string) bool { return strings.Contains(e, "@") })
	if at < 0 || at == len(rec.elems)-1 {
		return
	}
	for start := 0; start <= at; start++ {
		if !rec.abs && start > 0 {
			break
		}
		// The version makes it a better match than a module's checkout.
		score := len(rec.elems) - start + 1
		elems := slices.Clone(rec.elems[start:])
		if !r.has(elems...) {
			for i := range elems[:at-start+1] {
				elems[i] = escape(elems[i])
			}
		}
		if r.has(elems...) {
			add(score, elems...)
			return
		}
	}
}

// escape writes capitals as the module cache does: "!burnt!sushi".
func escape(elem string) string {
	var b strings.Builder
	for _, c := range elem {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// afterModule returns what follows the module's path in the recorded one, and
// how many elements of the module's path agreed: a version counts against it,
// for nothing says that this is that version.
func afterModule(rec recorded, module string) (rest []string, agreed int, ok bool) {
	if module == "" {
		return nil, 0, false
	}
	want := strings.Split(module, "/")
	for i := 0; i+len(want) < len(rec.elems); i++ {
		if i > 0 && !rec.abs {
			break
		}
		got := slices.Clone(rec.elems[i : i+len(want)])
		last, _, versioned := strings.Cut(got[len(got)-1], "@")
		got[len(got)-1] = last
		if slices.Equal(got, want) {
			agreed = len(want)
			if versioned {
				agreed--
			}
			return rec.elems[i+len(want):], agreed, true
		}
	}
	return nil, 0, false
}

// search looks anywhere below the root, for a root that holds several modules
// or only a part of the program.
func (r *root) search(rec recorded) []candidate {
	if len(rec.elems) < 2 {
		return nil
	}
	x := r.indexed()
	var list []candidate
	own := splitPath(r.dir)
	for _, m := range x.modules {
		if rest, n, ok := afterModule(rec, m.path); ok {
			rel := strings.Join(rest, "/")
			if m.dir != "." {
				rel = m.dir + "/" + rel
			}
			if r.has(strings.Split(rel, "/")...) {
				list = append(list, candidate{place{r, rel}, n + len(rest)})
			}
		}
	}
	for _, rel := range x.byName[rec.elems[len(rec.elems)-1]] {
		if n := commonSuffix(rec.elems, append(slices.Clone(own), strings.Split(rel, "/")...)); n >= rec.least() {
			list = append(list, candidate{place{r, rel}, n})
		}
	}
	return list
}

func splitPath(dir string) []string {
	return strings.FieldsFunc(filepath.ToSlash(dir[len(filepath.VolumeName(dir)):]), func(c rune) bool { return c == '/' })
}

func commonSuffix(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
