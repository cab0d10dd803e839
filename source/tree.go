package source

import (
	"fmt"
	"go/build"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on what one Tree reads.
const (
	maxFileSize    = 4 << 20  // bytes of one file, to show
	maxParsedSize  = 1 << 20  // bytes of one file, to parse: people do not write larger ones
	maxPackageSize = 8 << 20  // bytes of one package
	maxTotalSize   = 32 << 20 // bytes of all files
	maxFiles       = 4000     // files in all
	maxPackages    = 600      // packages in all, imported ones included
	maxDirEntries  = 4000     // entries looked at in one folder
	maxIndexed     = 30000    // entries looked at below one given folder to find a file by its tail
	maxPathLen     = 4096     // bytes of a recorded path
)

// Tree answers questions about the source below some folders. Each file is
// read and each package parsed at most once, when first asked for, and a file
// alone at most once before its package is. A Tree is for one goroutine at a time.
type Tree struct {
	roots    []*root
	fset     *token.FileSet
	resolved map[string]place // by recorded path
	texts    map[place][]byte
	folders  map[folder]map[string]*text // see mayReach
	packages map[string]*pkg             // by root, folder and file; by root and folder for imports
	alone    map[place]*file             // parsed without the others of its package
	byTypes  map[*types.Package]*pkg
	modules  map[string]module
	std      map[string]*stdPackage
	empty    map[string]*types.Package // see emptyPackage

	loaded       int // packages so far
	files, bytes int // read so far
	exhausted    bool
	depth        int          // of nested function.net
	active       map[any]bool // see enter
	places       map[Frame]*placed
	trusts       map[string]*trust // by recorded path
}

// kind says how paths are matched with a root.
type kind uint8

const (
	kindGiven kind = iota // named by the user: by module path, or by the longest tail
	kindFound             // the working directory, which is in no module: likewise, but never searched
	kindCache             // the module cache: by module path and version
	kindGo                // GOROOT: by import path
)

// root is a folder that may be read.
type root struct {
	kind   kind
	dir    string // absolute, without symbolic links
	module string // import path of the folder; "" if it is in no module
	index  *index // of kindGiven, built when needed
}

// New returns the source below the given folders, below the module cache and
// GOROOT (both as far as they exist). An error names the first folder that
// cannot be used.
func New(dirs ...string) (*Tree, error) {
	t := newTree()
	for _, dir := range dirs {
		r, err := newRoot(kindGiven, dir)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		t.roots = append(t.roots, r)
	}
	t.addShared()
	return t, nil
}

// Default returns the source below the module that the working directory
// belongs to (the directory itself if it is in no module), the module cache
// and GOROOT.
func Default() *Tree {
	t := newTree()
	if dir, err := os.Getwd(); err == nil {
		k := kindFound
		if top, ok := moduleRoot(dir); ok {
			dir, k = top, kindGiven
		}
		if r, err := newRoot(k, dir); err == nil {
			t.roots = append(t.roots, r)
		}
	}
	t.addShared()
	return t
}

func newTree() *Tree {
	return &Tree{
		fset: token.NewFileSet(), resolved: map[string]place{}, texts: map[place][]byte{}, folders: map[folder]map[string]*text{}, packages: map[string]*pkg{}, alone: map[place]*file{}, byTypes: map[*types.Package]*pkg{}, modules: map[string]module{},
		std: map[string]*stdPackage{}, empty: map[string]*types.Package{}, active: map[any]bool{}, places: map[Frame]*placed{}, trusts: map[string]*trust{},
	}
}

// maxNested bounds how many expressions one leads to.
const maxNested = 400

// enter begins to resolve something. It returns false if that is being
// resolved already: source can lead in circles, x := f(x.next()).
func (t *Tree) enter(what any) bool {
	if t.active[what] || len(t.active) >= maxNested {
		return false
	}
	t.active[what] = true
	return true
}

func (t *Tree) leave(what any) { delete(t.active, what) }

// Warnings says, one sentence each and in a fixed order, which files were not
// used because they are not those of the traced program, and whether a bound
// on reading was reached. It is nil if there is nothing to say.
func (t *Tree) Warnings() []string {
	var list []string
	for file, tr := range t.trusts {
		if tr.stale() {
			list = append(list, fmt.Sprintf("the source of %s does not match the trace and is not used: %s", file, tr.why))
		}
	}
	slices.Sort(list)
	if t.exhausted {
		list = append(list, "not all source was read: there is more of it than one analysis reads")
	}
	return list
}

func newRoot(k kind, dir string) (*root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	r := &root{kind: k, dir: real}
	if k == kindGiven || k == kindFound {
		r.module = modulePathOf(real)
	}
	return r, nil
}

// addShared adds the module cache and GOROOT.
func (t *Tree) addShared() {
	for _, s := range []struct {
		kind kind
		dir  string
	}{{kindCache, moduleCache()}, {kindGo, goRoot()}} {
		if s.dir == "" {
			continue
		}
		if r, err := newRoot(s.kind, s.dir); err == nil {
			t.roots = append(t.roots, r)
		}
	}
}

// moduleCache is where the go command keeps modules; "" if unknown.
func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	if first, _, _ := strings.Cut(build.Default.GOPATH, string(filepath.ListSeparator)); first != "" {
		return filepath.Join(first, "pkg", "mod")
	}
	return ""
}

// goRoot is where the standard library is; "" if unknown. A tracedoc built
// with -trimpath does not know, so the folder of the go command is asked (but
// the command itself is not run).
func goRoot() string {
	for _, dir := range []string{os.Getenv("GOROOT"), build.Default.GOROOT} {
		if dir != "" {
			return dir
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		name, err := filepath.EvalSymlinks(filepath.Join(dir, "go"))
		if err != nil {
			continue
		}
		top := filepath.Dir(filepath.Dir(name))
		if info, err := os.Stat(filepath.Join(top, "src", "runtime")); err == nil && info.IsDir() {
			return top
		}
	}
	return ""
}

// moduleRoot is the nearest folder with a go.mod, dir or one above it.
func moduleRoot(dir string) (string, bool) {
	for {
		if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && info.Mode().IsRegular() {
			return dir, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// modulePathOf is the import path of a folder according to the nearest go.mod;
// "" if there is none.
func modulePathOf(dir string) string {
	top, ok := moduleRoot(dir)
	if !ok {
		return ""
	}
	f, err := os.Open(filepath.Join(top, "go.mod"))
	if err != nil {
		return ""
	}
	defer f.Close()
	path := modulePath(f)
	rel, err := filepath.Rel(top, dir)
	if err != nil || path == "" || rel == "." {
		return path
	}
	return path + "/" + filepath.ToSlash(rel)
}
