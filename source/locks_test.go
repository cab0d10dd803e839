package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cacheSource = `package cache

import "sync"

type Cache struct {
	mu    sync.RWMutex
	other sync.Mutex
	once  sync.Once
}

func (c *Cache) lock(n int) { c.mu.Lock() }

func (c *Cache) Work(other *Cache, f func(*Cache)) {
	c.mu.RLock()
	c.lock(1)
	c.mu.Lock(); c.other.Lock()
	c.once.Do(func() {})
	helper(other, 1, c.mu.RLocker()); f(c)
	c.
		other.
		Lock()
	defer c.mu.Unlock()
	defer c.other.Unlock()
	if f == nil {
		return
	}
	other.lock(
		2,
	)
	c.other.Unlock()
}

func helper(c *Cache, n int, l sync.Locker) {
	for {
		_ = n
		defer c.mu.Unlock()
	}
}

func (c *Cache) two() { go c.lock(1); c.lock(2) }
`

// single puts one file into a folder of its own and returns its tree and path.
func single(t testing.TB, src string) (*Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/cache\n", "cache.go": src} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree, "example.com/cache/cache.go"
}

// lineOf is the number of the first line that has the text.
func lineOf(t testing.TB, src, text string) int {
	t.Helper()
	before, _, ok := strings.Cut(src, text)
	if !ok {
		t.Fatalf("no %q", text)
	}
	return strings.Count(before, "\n") + 1
}

func TestAcquires(t *testing.T) {
	tree, file := single(t, cacheSource)
	for _, c := range []struct{ line, callee, want string }{
		{"c.mu.RLock()", "sync.(*RWMutex).RLock", "Cache.mu RLock c.mu sync.RWMutex"},
		{"c.lock(1)", "example.com/cache.(*Cache).lock", "Cache.mu Lock c.mu sync.RWMutex"},
		{"c.lock(1)", "", "Cache.mu Lock c.mu sync.RWMutex"},
		{"c.mu.Lock(); c.other", "sync.(*RWMutex).Lock", "Cache.mu? Lock c.mu sync.RWMutex"},
		{"c.once.Do", "sync.(*Once).Do", "Cache.once Lock c.once sync.Once"},
		{"\t\tLock()", "sync.(*Mutex).Lock", "Cache.other Lock c.other sync.Mutex"},
		{"other.lock(\n", "example.com/cache.(*Cache).lock", "Cache.mu Lock other.mu sync.RWMutex"},
		{"helper(other", "", "none"},
	} {
		f := Frame{Func: "example.com/cache.(*Cache).Work", File: file, Line: lineOf(t, cacheSource, c.line), Callee: c.callee}
		got := "none"
		if l, ok := tree.Acquires(f); ok {
			may := ""
			if l.May {
				may = "?"
			}
			got = fmt.Sprintf("%s%s %s %s %s", l.Name, may, l.Mode, l.Path, l.Type)
			if l.Class != "example.com/cache."+l.Name || l.File != file || l.Line != f.Line || !l.Path.Exact {
				t.Errorf("%s: %+v", c.line, l)
			}
		}
		if got != c.want {
			t.Errorf("%q calling %q: got %s, want %s", c.line, c.callee, got, c.want)
		}
	}
}

func TestReleases(t *testing.T) {
	tree, file := single(t, cacheSource)
	for _, c := range []struct{ line, callee, want string }{
		{"return\n", "sync.(*Mutex).Unlock", "Cache.mu, Cache.other"}, // two deferred: nobody can tell
		{"return\n", "", "Cache.mu, Cache.other"},
		{"\tc.other.Unlock()\n}", "sync.(*Mutex).Unlock", "Cache.other"},
		{"c.lock(1)", "", ""},
	} {
		f := Frame{Func: "example.com/cache.(*Cache).Work", File: file, Line: lineOf(t, cacheSource, c.line), Callee: c.callee}
		locks, ok := tree.Releases(f)
		if got := words(locks); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
}

func TestCalls(t *testing.T) {
	tree, file := single(t, cacheSource)
	for _, c := range []struct{ fn, line, callee, want string }{
		{"(*Cache).Work", "helper(other", "example.com/cache.helper", "0 c=other"}, // an RLocker is no path to a lock: it has another mode
		{"(*Cache).Work", "helper(other", "example.com/elsewhere.callback", "0 =c"},
		{"(*Cache).Work", "helper(other", "", "none"}, // two calls
		{"(*Cache).Work", "other.lock(\n", "example.com/cache.(*Cache).lock", "-1 c=other"},
		{"(*Cache).two", "func (c *Cache) two", "example.com/cache.(*Cache).lock", "-1 c=c"},
	} {
		f := Frame{Func: "example.com/cache." + c.fn, File: file, Line: lineOf(t, cacheSource, c.line), Callee: c.callee}
		got := "none"
		if list, ok := tree.Calls(f); ok {
			var words []string
			for _, b := range list {
				words = append(words, fmt.Sprintf("%d %s=%s", b.Index, b.Param, b.Path))
			}
			got = strings.Join(words, ", ")
		}
		if got != c.want {
			t.Errorf("%q calling %s: got %s, want %s", c.line, c.callee, got, c.want)
		}
	}
}

// TestMismatch asks for frames that the file does not have.
func TestMismatch(t *testing.T) {
	line := func(text string) int { return lineOf(t, cacheSource, text) }
	for _, c := range []struct {
		name    string
		f       Frame
		warning string // "" if one frame is no reason to warn
	}{
		{"no such function", Frame{Func: "example.com/cache.(*Cache).Gone", Line: line("c.lock(1)")}, "no cache.(*Cache).Gone at line"},
		{"of another type", Frame{Func: "example.com/cache.(*Index).Work", Line: line("c.lock(1)")}, "no cache.(*Index).Work at line"},
		{"another function's line", Frame{Func: "example.com/cache.(*Cache).Work", Line: line("_ = n")}, "at line"},
		{"beyond the file", Frame{Func: "example.com/cache.(*Cache).Work", Line: 4000}, "at line 4000"},
		{"no literal", Frame{Func: "example.com/cache.(*Cache).Work.func1", Line: line("c.lock(1)")}, "at line"},
		{"no call", Frame{Func: "example.com/cache.helper", Line: line("_ = n"), Callee: "sync.(*Mutex).Lock"}, "no call at line"},
		{"no channel", Frame{Func: "example.com/cache.helper", Line: line("_ = n"), Callee: "runtime.chanrecv1"}, "no call at line"},
		{"another call", Frame{Func: "example.com/cache.(*Cache).Work", Line: line("c.lock(1)"), Callee: "example.com/cache.other"}, ""},
	} {
		tree, file := single(t, cacheSource)
		c.f.File = file
		h := tree.Walk([]Frame{{Func: c.f.Callee, File: "x.go", Line: 1}, c.f}[map[bool]int{true: 0, false: 1}[c.f.Callee != ""]:], nil)
		if got := h.Frames[len(h.Frames)-1].Status; got != StatusMismatch {
			t.Errorf("%s: status %d", c.name, got)
		}
		if _, ok := tree.Held(c.f); ok {
			t.Errorf("%s: used", c.name)
		}
		w := strings.Join(tree.Warnings(), "\n")
		if c.warning == "" && w != "" || c.warning != "" && (!strings.Contains(w, c.warning) || !strings.Contains(w, "cache.go")) {
			t.Errorf("%s: warnings %q, want %q", c.name, w, c.warning)
		}
		_, lines := tree.Lines(file, 3, 1)
		if lines != (c.warning == "") {
			t.Errorf("%s: lines shown: %v", c.name, lines)
		}
		// One line that does not fit is outweighed by those that do.
		for _, text := range []string{"c.lock(1)", "c.mu.RLock()", "helper(other"} {
			tree.Held(Frame{Func: "example.com/cache.(*Cache).Work", File: file, Line: line(text)})
		}
		if w := tree.Warnings(); w != nil {
			t.Errorf("%s: warnings %q", c.name, w)
		}
	}
}

func TestParseSymbol(t *testing.T) {
	for _, c := range []struct {
		name string
		want symbol
	}{
		{"main.main", symbol{pkg: "main", name: "main"}},
		{"net/http.(*conn).serve", symbol{pkg: "net/http", recv: "conn", name: "serve"}},
		{"example.com/a.b/c.T.M", symbol{pkg: "example.com/a.b/c", recv: "T", name: "M"}},
		{"gopkg.in/yaml%2ev3.Marshal", symbol{pkg: "gopkg.in/yaml%2ev3", name: "Marshal"}},
		{"main.F[...]", symbol{pkg: "main", name: "F"}},
		{"main.(*G[...]).M.func1", symbol{pkg: "main", recv: "G", name: "M", literals: 1}},
		{"main.F[go.shape.struct { a/b.X int }].func2.1", symbol{pkg: "main", name: "F", literals: 2}},
		{"main.run.func1.2.3", symbol{pkg: "main", name: "run", literals: 3}},
		{"main.caller.(*T).inlined.func1", symbol{pkg: "main", recv: "T", name: "inlined", literals: 1}},
		{"main.(*T).M-fm", symbol{pkg: "main", recv: "T", name: "M"}},
		{"main.main.gowrap1", symbol{pkg: "main", name: "main", wrapper: true}},
		{"main.main.func1.deferwrap12", symbol{pkg: "main", name: "main", literals: 1, wrapper: true}},
		{"main.each-range1", symbol{pkg: "main", name: "each", body: true}},
		{"main.init.0", symbol{pkg: "main", name: "init"}},
		{"main.init.0.func1", symbol{pkg: "main", name: "init", literals: 1}},
		{"main.init.func1", symbol{pkg: "main", name: "init", literals: 1}},
		{"main.glob..func1.1", symbol{pkg: "main", recv: "glob", literals: 2}},
		{"x", symbol{name: "x"}},
		{"", symbol{}},
	} {
		if got := parseSymbol(c.name); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestRelate(t *testing.T) {
	lock := func(id, class string, opts ...func(*Lock)) Lock {
		l := Lock{ID: id, Class: class, Path: Path{Exact: true}}
		for _, o := range opts {
			o(&l)
		}
		return l
	}
	inexact := func(l *Lock) { l.Path.Exact = false }
	shared := func(l *Lock) { l.Shared = true }
	own := func(l *Lock) { l.Own = true }
	global := func(l *Lock) { l.Global = true }
	for _, c := range []struct {
		a, b                Lock
		together, elsewhere Relation // in one Holding, in two
	}{
		{lock("1", "A.mu"), lock("1", "A.mu"), Same, Unknown},
		{lock("1", "A.mu", global), lock("1", "A.mu", global), Same, Same},
		{lock("1", "A.mu", global), lock("1", "A.mu"), Same, Unknown},
		{lock("1", "A.mu", inexact), lock("1", "A.mu"), Unknown, Unknown},
		{lock("1", "A.mu"), lock("2", "A.mu"), Unknown, Unknown},
		{lock("1", "A.mu", own), lock("2", "A.mu", own), Distinct, Unknown},
		{lock("1", "A.mu", own, global), lock("2", "A.mu", own, global), Distinct, Distinct},
		{lock("1", "A.mu"), lock("2", "B.mu"), Distinct, Distinct},
		{lock("1", "A.mu"), lock("2", "B.mu", shared), Unknown, Unknown},
		{lock("1", "A.mu"), lock("2", ""), Unknown, Unknown},
		{Lock{Class: "A.mu"}, Lock{Class: "B.mu"}, Distinct, Distinct},
		{Lock{}, Lock{}, Unknown, Unknown},
	} {
		for _, pair := range [][2]Lock{{c.a, c.b}, {c.b, c.a}} {
			if got := Relate(pair[0], pair[1], true); got != c.together {
				t.Errorf("%+v and %+v in one: %d, want %d", pair[0], pair[1], got, c.together)
			}
			if got := Relate(pair[0], pair[1], false); got != c.elsewhere {
				t.Errorf("%+v and %+v in two: %d, want %d", pair[0], pair[1], got, c.elsewhere)
			}
		}
	}
}

func TestLines(t *testing.T) {
	tree, file := single(t, "package p\n\n// long: "+strings.Repeat("ä", 1000)+"\n\x1b[31m\tx\r\n\nlast")
	text := func(line, around int) string {
		lines, ok := tree.Lines(file, line, around)
		if !ok {
			return "none"
		}
		var list []string
		for _, l := range lines {
			mark := ""
			if l.Site {
				mark = "*"
			}
			list = append(list, fmt.Sprintf("%d%s %s", l.Number, mark, l.Text))
		}
		return strings.Join(list, "|")
	}
	for _, c := range []struct {
		line, around int
		want         string
	}{
		{1, 1, "1* package p"},
		{2, 1, "1 package p|2* |3 // long: " + strings.Repeat("ä", 195)},
		{4, 0, "4* \x1b[31m\tx"},
		{6, 3, "3 // long: " + strings.Repeat("ä", 195) + "|4 \x1b[31m\tx|5 |6* last"},
		{6, 1 << 40, "1 package p|2 |3 // long: " + strings.Repeat("ä", 195) + "|4 \x1b[31m\tx|5 |6* last"},
		{7, 3, "none"}, {0, 3, "none"}, {-1, 3, "none"}, {1, -1, "none"},
	} {
		if got := text(c.line, c.around); got != c.want {
			t.Errorf("line %d: got %q, want %q", c.line, got, c.want)
		}
	}
}

// TestStandardLibrary goes over all of some large packages.
func TestStandardLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, name := range []string{"database/sql", "sync", "net/http"} {
		tree := testTree(t)
		first, ok := tree.Resolve(name + "/" + map[string]string{"database/sql": "sql.go", "sync": "cond.go", "net/http": "server.go"}[name])
		if !ok {
			t.Skip("no GOROOT here")
		}
		frames, held, acquired := 0, 0, 0
		f := tree.file(first)
		for _, f := range f.pkg.files {
			file := filepath.Join(f.pkg.root.dir, f.rel)
			for _, fn := range f.funcs {
				if fn.decl == nil {
					fn.analyse()
					continue
				}
				full := name + "." + fn.name()
				step := 1 + len(f.pkg.files)/20 // of the largest, not every line
				for line := fn.first; line <= fn.last; line += step {
					fr := Frame{Func: full, File: file, Line: line}
					if locks, ok := tree.Held(fr); ok {
						frames++
						held += len(locks)
					}
					if _, ok := tree.Acquires(fr); ok {
						acquired++
					}
					tree.Releases(fr)
				}
			}
			for line := 1; line <= f.pos.LineCount(); line += 7 {
				tree.ChanOps(file, line)
			}
		}
		t.Logf("%s: %d lines, %d locks held, %d acquired", name, frames, held, acquired)
		if frames < 200 || held < 10 || acquired < 5 {
			t.Errorf("%s: only %d lines, %d locks held, %d acquired", name, frames, held, acquired)
		}
	}
}
