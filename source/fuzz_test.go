package source

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzTree asks everything about every line of any source.
func FuzzTree(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.go", "*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatal("no seeds: ", err)
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			if len(src) < 20000 {
				f.Add(string(src))
			}
		}
	}
	for _, src := range []string{
		cacheSource,
		"package p\nfunc f() { x := x; x.Lock(); y := z; z := y; z.Lock(); for x = x.next() { x.Lock() } }",
		"package p\nfunc f() (c *T) { c = c.f(); c.mu.Lock(); return c }\nfunc (c *T) f() *T { return c.f() }\ntype T struct { T *T; mu sync.Mutex }",
		"package p\nfunc f() { defer f(); select {}; goto x; y: break y; continue; fallthrough }",
		"package p\nfunc f() func() { return f() }\nfunc g() { f()()()(); defer g()(); go h(h)(h) }",
		"package p\ntype T struct { *T; U }\ntype U struct { *T }\nfunc (t T) f() { t.Lock(); t.U.T.U.RLock(); t.g.h[0][t].Unlock() }",
		"package p\nimport \"sync\"\nvar c = sync.NewCond(c.L)\nfunc f() { c.L.Lock(); c.Wait() }",
		"package p\nimport \"sync\"\nfunc f() { select { case: case <-: default: default: }; for range {}; switch { case x: } }",
		"package p\nfunc (x) f() {}\nfunc (*[]int) g() {}\nfunc () h() {}\nfunc (a, b T) i[T any](x ...T, y int) { x.Lock() }",
		"package p; func f() { func() { func() {}() }(); _ = func }",
		"package", "", "package p\nfunc", "package p\n//line /etc/passwd.go:1\nfunc f() { f() }",
	} {
		f.Add(src)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 40000 {
			return
		}
		name := filepath.Join(dir, "f.go")
		if err := os.WriteFile(name, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		fuzzOne(t, dir, name)
	})
}

// fuzzOne asks everything about a file.
func fuzzOne(t *testing.T, dir, name string) {
	tree, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := tree.file(name)
	tree.Lines(name, 3, 3)
	tree.Function(name, 3, false)
	if file == nil {
		return
	}
	for i, fn := range file.funcs {
		if i > 60 {
			break
		}
		full := file.ast.Name.Name + "." + fn.outermost().name()
		if fn.decl == nil {
			full += ".func1"
		}
		for line := fn.first; line <= min(fn.last, fn.first+60); line++ {
			for _, callee := range []string{"", "sync.(*Mutex).Lock", "runtime.selectgo", full, "p.f.func1"} {
				fr := Frame{Func: full, File: name, Line: line, Callee: callee}
				tree.Held(fr)
				tree.Acquires(fr)
				tree.Releases(fr)
				tree.Calls(fr)
				top := Frame{Func: callee, File: "x.go"}
				h := tree.Walk([]Frame{top, fr, fr, {Func: full, File: name, Line: fn.first + 1}}, []Frame{fr})
				if len(h.Frames) != 4 {
					t.Fatal("frames are missing")
				}
			}
			tree.ChanOps(name, line)
			if uses, ok := tree.ChanUses([]Frame{{Func: "p.F", File: name, Line: line}}, []Frame{{Func: "p.G", File: name, Line: line + 1}}); ok {
				tree.Ends(uses[0], Frame{Func: "p.F", File: name, Line: line})
			}
			at := Frame{Func: full, File: name, Line: line}
			tree.InRow(at, []int{line})
			tree.InRow(at, []int{line, line + 1})
		}
	}
	tree.Warnings()
}
