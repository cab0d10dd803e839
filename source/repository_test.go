package source

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRepository(t *testing.T) {
	dir := t.TempDir()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for path, text := range map[string]string{
		"repo/.git/HEAD":            "ref: refs/heads/main\n",
		"repo/services/shop/go.mod": "module example.com/shop\n\ngo 1.24\n",
		"repo/services/shop/a.go":   "package shop\n",
		"repo/services/shop/q/q.go": "package q\n",
		"outside/q/x.go":            "package q\n",
		"bare/go.mod":               "module example.com/bare\n",
		"bare/b.go":                 "package bare\n",
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	shop := filepath.Join(dir, "repo", "services", "shop")
	tree, err := New(shop)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, from, file, want string }{
		{"trimmed", shop, "example.com/shop/q/q.go", "services/shop/q/q.go"},
		{"from below", filepath.Join(shop, "q"), "example.com/shop/q/q.go", "services/shop/q/q.go"},
		{"absolute", shop, filepath.Join(shop, "a.go"), "services/shop/a.go"},
		{"of another machine", shop, "/home/runner/work/services/shop/q/q.go", "services/shop/q/q.go"},
		{"another module", shop, "example.com/other/q/x.go", ""},
		{"elsewhere", shop, filepath.Join(dir, "outside", "q", "x.go"), ""},
		{"the standard library", shop, "net/http/server.go", ""},
		{"upwards", shop, "example.com/shop/../../../outside/q/x.go", ""},
		{"no file", shop, "", ""},
		{"no Go file", shop, "_cgo_gotypes.go:1", ""},
	}
	for _, test := range tests {
		if got := OpenRepository(test.from, tree).Relative(test.file); got != test.want {
			t.Errorf("%s: %q is at %q, want %q", test.name, test.file, got, test.want)
		}
	}
	blind := OpenRepository(shop, nil)
	if got := blind.Relative(filepath.Join(shop, "a.go")); got != "services/shop/a.go" {
		t.Errorf("without source: %q", got)
	}
	if got := blind.Relative("example.com/shop/a.go"); got != "" {
		t.Errorf("without source, a trimmed path: %q, want none", got)
	}
	bare := OpenRepository(filepath.Join(dir, "bare"), nil)
	if got := bare.Relative(filepath.Join(dir, "bare", "b.go")); got != "b.go" || bare.GoMod() != "go.mod" || blind.GoMod() != "services/shop/go.mod" {
		t.Errorf("without .git: %q, go.mod %q and %q", got, bare.GoMod(), blind.GoMod())
	}
}
