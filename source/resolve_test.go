package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a file below dir, and the folders that it lies in.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return full
}

// realTemp is a temporary folder by its real name.
func realTemp(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const goFile = "package p\n\nfunc F() {}\n"

func TestResolve(t *testing.T) {
	top := realTemp(t)
	cache, goroot := filepath.Join(top, "cache"), filepath.Join(top, "goroot")
	t.Setenv("GOMODCACHE", cache)
	t.Setenv("GOROOT", goroot)
	app, other, mono := filepath.Join(top, "app"), filepath.Join(top, "other"), filepath.Join(top, "mono")
	write(t, app, "go.mod", "// comment\nmodule \"github.com/me/app\" // really\n\ngo 1.26\n")
	for _, name := range []string{"main.go", "pkg/f.go", "pkg/deep/x/f.go", "only/here.go", "vendor/example.com/dep/d.go", "main/main.go"} {
		write(t, app, name, goFile)
	}
	write(t, other, "pkg/f.go", goFile)
	write(t, other, "lib/lib.go", goFile)
	write(t, mono, "services/billing/go.mod", "module example.com/billing\n")
	write(t, mono, "services/billing/api/api.go", goFile)
	write(t, mono, "a/util/log.go", goFile)
	write(t, mono, "b/util/log.go", goFile)
	write(t, mono, "b/extra/util/log.go", goFile)
	write(t, mono, ".git/util/hidden.go", goFile)
	write(t, cache, "example.com/mod@v1.2.3/pkg/f.go", goFile)
	write(t, cache, "github.com/!burnt!sushi/toml@v1.4.0/decode.go", goFile)
	write(t, cache, "github.com/me/app@v0.1.0/pkg/f.go", goFile)
	write(t, cache, "example.com/mod/pkg/f.go", goFile) // no version: nothing of the cache
	write(t, goroot, "src/net/http/server.go", goFile)
	write(t, goroot, "src/sort/sort.go", goFile)
	write(t, goroot, "src/vendor/golang.org/x/net/idna/idna.go", goFile)

	for _, c := range []struct {
		dirs []string
		file string
		want string // below top; "" for none
	}{
		// The machine that recorded is this one.
		{[]string{app}, filepath.Join(app, "pkg/f.go"), "app/pkg/f.go"},
		{[]string{app, other}, filepath.Join(other, "pkg/f.go"), "other/pkg/f.go"},
		{[]string{app}, filepath.Join(cache, "example.com/mod@v1.2.3/pkg/f.go"), "cache/example.com/mod@v1.2.3/pkg/f.go"},
		{nil, filepath.Join(goroot, "src/net/http/server.go"), "goroot/src/net/http/server.go"},
		// Another machine.
		{[]string{app}, "/home/bob/src/github.com/me/app/pkg/f.go", "app/pkg/f.go"},
		{[]string{app}, "/build/app/main.go", "app/main.go"},
		{[]string{app}, "/build/app/pkg/deep/x/f.go", "app/pkg/deep/x/f.go"},
		{[]string{app}, "/build/main.go", ""},
		{[]string{app}, "/build/elsewhere/here.go", ""},
		{[]string{app}, `C:\Users\bob\app\only\here.go`, "app/only/here.go"},
		{[]string{app}, "C:/Users/bob/app/only/here.go", "app/only/here.go"},
		{nil, "/home/bob/go/pkg/mod/example.com/mod@v1.2.3/pkg/f.go", "cache/example.com/mod@v1.2.3/pkg/f.go"},
		{nil, "/home/bob/go/pkg/mod/github.com/!burnt!sushi/toml@v1.4.0/decode.go", "cache/github.com/!burnt!sushi/toml@v1.4.0/decode.go"},
		{nil, "/opt/go1.26/src/net/http/server.go", "goroot/src/net/http/server.go"},
		{nil, "/home/bob/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.25.3.linux-amd64/src/sort/sort.go", "goroot/src/sort/sort.go"},
		{nil, "/home/bob/app/sort/sort.go", ""},
		// With -trimpath.
		{[]string{app}, "github.com/me/app/pkg/f.go", "app/pkg/f.go"},
		{[]string{app}, "github.com/me/app/main.go", "app/main.go"},
		{[]string{app}, "github.com/me/app@v0.1.0/pkg/f.go", "cache/github.com/me/app@v0.1.0/pkg/f.go"},
		{[]string{app}, "github.com/me/app@v0.2.0/pkg/f.go", "app/pkg/f.go"},
		{[]string{app}, "github.com/me/application/pkg/f.go", "app/pkg/f.go"}, // the tail alone agrees
		{[]string{app}, "./main.go", "app/main.go"},
		{[]string{app}, "main.go", "app/main.go"},
		{[]string{app}, "example.com/dep/d.go", "app/vendor/example.com/dep/d.go"},
		{nil, "example.com/mod@v1.2.3/pkg/f.go", "cache/example.com/mod@v1.2.3/pkg/f.go"},
		{nil, "example.com/mod@v1.2.4/pkg/f.go", ""},
		{nil, "example.com/mod/pkg/f.go", ""},
		{[]string{app, mono}, "example.com/zz@v1.0.0/only/here.go", ""}, // another module's
		{[]string{app, mono}, "/home/bob/go/pkg/mod/example.com/zz@v1.0.0/only/here.go", ""},
		{[]string{app, mono}, "/home/bob/go/pkg/mod/example.com/zz@v1.0.0/extra/util/log.go", ""},
		{nil, "github.com/BurntSushi/toml@v1.4.0/decode.go", "cache/github.com/!burnt!sushi/toml@v1.4.0/decode.go"},
		{nil, "net/http/server.go", "goroot/src/net/http/server.go"},
		{nil, "vendor/golang.org/x/net/idna/idna.go", "goroot/src/vendor/golang.org/x/net/idna/idna.go"},
		{nil, "http/server.go", ""},
		// Two that agree equally well.
		{[]string{app, other}, "/build/x/pkg/f.go", ""},
		{[]string{app, app}, "/build/x/pkg/f.go", "app/pkg/f.go"},
		{[]string{app, top}, "/build/app/pkg/f.go", "app/pkg/f.go"},
		// A folder of several modules is searched.
		{[]string{mono}, "example.com/billing/api/api.go", "mono/services/billing/api/api.go"},
		{[]string{mono}, "/x/billing/api/api.go", "mono/services/billing/api/api.go"},
		{[]string{mono}, "/x/util/log.go", ""},
		{[]string{mono}, "/x/a/util/log.go", "mono/a/util/log.go"},
		{[]string{mono}, "/x/extra/util/log.go", "mono/b/extra/util/log.go"},
		{[]string{mono}, "/x/util/hidden.go", ""},
		// What is no path of a Go file.
		{[]string{app}, "", ""},
		{[]string{app}, ".go", ""},
		{[]string{app}, "pkg", ""},
		{[]string{app}, "<autogenerated>", ""},
		{[]string{app}, "_cgo_gotypes.go", ""},
		{[]string{app}, "pkg/f.go/", "app/pkg/f.go"},
		{[]string{app}, "pkg/f.go\x00", ""},
	} {
		tree := testTree(t, c.dirs...)
		got, ok := tree.Resolve(c.file)
		want := ""
		if c.want != "" {
			want = filepath.Join(top, filepath.FromSlash(c.want))
		}
		if c.file == "pkg/f.go/" {
			want = "" // it does not end in .go
		}
		if got != want || ok != (want != "") {
			t.Errorf("%q in %v: got %q, want %q", c.file, c.dirs, got, want)
		}
	}
}

// TestStaysInside asks for what must not be read, in all the ways there are.
func TestStaysInside(t *testing.T) {
	top := realTemp(t)
	t.Setenv("GOMODCACHE", filepath.Join(top, "cache"))
	t.Setenv("GOROOT", filepath.Join(top, "goroot"))
	const secret = "package secret // 4711\n"
	outside := filepath.Join(top, "outside")
	write(t, outside, "secret.go", secret)
	write(t, outside, "passwd", secret)
	write(t, outside, "dir/secret.go", secret)
	root := filepath.Join(top, "root")
	write(t, root, "go.mod", "module example.com/root\n")
	write(t, root, "pkg/fine.go", goFile)
	write(t, root, "notes.txt", secret)
	write(t, filepath.Join(top, "cache"), "example.com/m@v1.0.0/ok.go", goFile)
	link := func(to, name string) {
		t.Helper()
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, full); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	link(filepath.Join(outside, "secret.go"), "pkg/absolute.go")
	link("../../outside/secret.go", "pkg/relative.go")
	link("../../outside/passwd", "pkg/passwd.go")
	link("/etc/shadow", "pkg/shadow.go")
	link("/etc/passwd", "etc/passwd.go")
	link("../../outside/dir", "pkg/linked")
	link("../notes.txt", "pkg/notes.go") // inside, but no Go file
	link("fine.go", "pkg/alias.go")      // inside, and a Go file
	link("loop.go", "pkg/loop.go")
	big := write(t, root, "pkg/big.go", goFile)
	if err := os.Truncate(big, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "pkg", "folder.go"), 0o755); err != nil {
		t.Fatal(err)
	}
	pipe(t, filepath.Join(root, "pkg", "pipe.go"))

	tree := testTree(t, root)
	ask := func(file string) {
		t.Helper()
		done := make(chan bool)
		go func() {
			defer close(done)
			if lines, ok := tree.Lines(file, 1, 3); ok {
				t.Errorf("%q: read %v", file, lines)
			}
			f := Frame{Func: "secret.F", File: file, Line: 1}
			if _, ok := tree.Held(f); ok {
				t.Errorf("%q: used", file)
			}
			tree.Walk([]Frame{f}, []Frame{f})
			tree.ChanOps(file, 1)
			if to, ok := tree.Resolve(file); ok && !strings.HasPrefix(to, root+string(filepath.Separator)) {
				t.Errorf("%q: resolved to %s", file, to)
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%q: it takes for ever", file)
		}
	}
	for _, file := range []string{
		"/etc/shadow", "/etc/passwd", "etc/passwd", "/etc/passwd.go", "etc/passwd.go",
		"/tmp/x/../../etc/passwd", "/tmp/x/../../etc/passwd.go", "../outside/secret.go", "pkg/../../outside/secret.go",
		root + "/../outside/secret.go", root + "/pkg/../../outside/secret.go", "example.com/root/../outside/secret.go",
		"example.com/m@v1.0.0/../../../outside/secret.go", `..\outside\secret.go`, `pkg\..\..\outside\secret.go`, `/x/..\..\outside\secret.go`,
		outside + "/secret.go", outside + "/dir/secret.go", "/outside/secret.go", "outside/secret.go", "dir/secret.go",
		root + "/pkg/absolute.go", "example.com/root/pkg/absolute.go", "/x/pkg/relative.go", "/x/pkg/passwd.go", "/x/pkg/shadow.go",
		"/x/pkg/linked/secret.go", "example.com/root/pkg/linked/secret.go", root + "/pkg/linked/secret.go", "/x/linked/secret.go",
		"/x/pkg/notes.go", "/x/pkg/notes.txt", root + "/notes.txt", "/x/pkg/loop.go", "/x/pkg/big.go", "/x/pkg/folder.go", "/x/pkg/pipe.go",
		root + "/go.mod", "/dev/zero", "/dev/zero.go", "/proc/self/environ", "file:///etc/passwd.go", "//etc/passwd.go",
		strings.Repeat("../", 40) + "etc/passwd.go", strings.Repeat("a/", 5000) + "f.go",
	} {
		ask(file)
	}
	// The others can be read all the same.
	for _, file := range []string{"/x/pkg/fine.go", "/x/pkg/alias.go"} {
		if lines, ok := tree.Lines(file, 1, 0); !ok || lines[0].Text != "package p" {
			t.Errorf("%s: %v %v", file, lines, ok)
		}
	}
	for _, data := range tree.texts {
		if strings.Contains(string(data), "4711") {
			t.Error("a secret was read")
		}
	}
	if _, ok := tree.Held(Frame{Func: "p.F", File: "/x/pkg/fine.go", Line: 3}); !ok {
		t.Error("the package next to the traps was not read")
	}
	for _, data := range tree.texts {
		if strings.Contains(string(data), "4711") {
			t.Error("a secret was read with the package")
		}
	}
}

func TestNewNamesBadFolder(t *testing.T) {
	file := write(t, t.TempDir(), "f.go", goFile)
	for _, dir := range []string{file, filepath.Join(t.TempDir(), "missing")} {
		if _, err := New(dir); err == nil || !strings.Contains(err.Error(), filepath.Base(dir)) {
			t.Errorf("New(%s): %v", dir, err)
		}
	}
}

func TestDefault(t *testing.T) {
	top := realTemp(t)
	write(t, top, "go.mod", "module example.com/top\n")
	write(t, top, "a/f.go", goFile)
	if err := os.MkdirAll(filepath.Join(top, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(top, "a", "b"))
	if got, ok := Default().Resolve("example.com/top/a/f.go"); !ok || got != filepath.Join(top, "a", "f.go") {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := Default().Resolve("net/http/server.go"); !ok {
		t.Errorf("no GOROOT: %q", got)
	}
}

func TestBounds(t *testing.T) {
	dir := realTemp(t)
	write(t, dir, "go.mod", "module example.com/m\n")
	write(t, dir, "f.go", goFile)
	tree := testTree(t, dir)
	tree.bytes = maxTotalSize
	if _, ok := tree.Held(Frame{Func: "m.F", File: "example.com/m/f.go", Line: 3}); ok {
		t.Error("read beyond the bound")
	}
	if w := tree.Warnings(); len(w) != 1 || !strings.Contains(w[0], "not all source was read") {
		t.Errorf("warnings: %q", w)
	}
}
