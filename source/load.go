package source

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"iter"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// importDepth is how many imports away from the package of a frame the
// declarations of a module are still read.
const importDepth = 2

// pkg is a package: the files of one folder that have the same package clause.
type pkg struct {
	tree   *Tree
	root   *root
	dir    string // relative to the root
	path   string // import path; a guess where no module says it
	depth  int    // how many imports away from a frame it was loaded
	files  []*file
	types  *types.Package
	info   *types.Info
	config *types.Config

	funcs     map[token.Pos]*function // declared functions, by the position of their name
	owners    map[token.Pos]*function // see function.owner
	lockish   map[string]bool         // see mayLock
	condLocks map[string]ref          // see condLock
	chanMakes map[string][]chanMake   // see makes; by name
	byName    map[string][]*function  // see named
}

// file is a parsed source file.
type file struct {
	pkg   *pkg
	rel   string // relative to the root
	src   []byte
	ast   *ast.File
	pos   *token.File
	funcs []*function
}

// line is the line of a position in the file, whatever //line comments say.
func (f *file) line(p token.Pos) int {
	if !p.IsValid() {
		return 0
	}
	return f.pos.PositionFor(p, false).Line
}

// bytes is the source of a node, nil if it is none of the file.
func (f *file) bytes(n ast.Node) []byte {
	from, to := int(n.Pos())-f.pos.Base(), int(n.End())-f.pos.Base()
	if from < 0 || to > len(f.src) || from >= to {
		return nil
	}
	return f.src[from:to]
}

// text is the source text of a node on one line.
func (f *file) text(n ast.Node) string {
	text := strings.Join(strings.Fields(string(f.bytes(n))), " ")
	const long = 80
	if len(text) > long {
		text = strings.ToValidUTF8(text[:long], "") + "…"
	}
	return text
}

// file finds and loads the file that a trace names; nil if it is not at hand.
func (t *Tree) file(recorded string) *file { return t.fileIn(recorded, t.load) }

// fileWithoutTypes is file for those who ask for no types in its package.
func (t *Tree) fileWithoutTypes(recorded string) *file {
	return t.fileIn(recorded, t.loadWithoutTypes)
}

func (t *Tree) fileIn(recorded string, load func(r *root, dir, base, importPath string, depth int) *pkg) *file {
	p := t.resolve(recorded)
	if p.root == nil {
		return nil
	}
	return load(p.root, path.Dir(p.rel), path.Base(p.rel), "", 0).file(p.rel)
}

// file returns a file of the package, which may be nil; nil if there is none.
func (p *pkg) file(rel string) *file {
	if p != nil {
		for _, f := range p.files {
			if f.rel == rel {
				return f
			}
		}
	}
	return nil
}

// parsed returns a file of which its package need not be known; nil if it is not at hand.
func (t *Tree) parsed(p place) *file {
	if p.root == nil {
		return nil
	}
	if f := t.packages[packageKey(p.root, path.Dir(p.rel), path.Base(p.rel))].file(p.rel); f != nil {
		return f
	}
	f, ok := t.alone[p]
	if !ok {
		if src, err := t.read(p.root, p.rel); err == nil && len(src) <= maxParsedSize {
			f = &file{rel: p.rel, src: src}
			if f.parse(1); f.ast == nil {
				f = nil
			}
		}
		t.alone[p] = f
	}
	return f
}

// packageKey is for Tree.packages; base is "" for the package that others import.
func packageKey(r *root, dir, base string) string { return r.dir + "\x00" + dir + "\x00" + base }

// load reads the package in a folder: the one of the file named base, or the
// one that is imported as importPath if base is "". nil if there is none.
func (t *Tree) load(r *root, dir, base, importPath string, depth int) *pkg {
	p := t.loadWithoutTypes(r, dir, base, importPath, depth)
	if p != nil && p.types == nil {
		p.check()
		t.byTypes[p.types] = p
	}
	return p
}

// loadWithoutTypes is load up to where types are checked.
func (t *Tree) loadWithoutTypes(r *root, dir, base, importPath string, depth int) *pkg {
	key := packageKey(r, dir, base)
	if p, ok := t.packages[key]; ok && (p == nil || p.depth <= depth) {
		return p
	}
	var p *pkg
	if t.loaded < maxPackages {
		t.loaded++
		p = t.parse(r, dir, base)
	} else {
		t.exhausted = true
	}
	if p == nil {
		t.packages[key] = nil
		return nil
	}
	p.depth = depth
	switch m := t.moduleOf(r, dir); {
	case importPath != "":
		p.path = importPath
	case m.path == "std":
		p.path = strings.TrimPrefix(dir, m.dir+"/")
	case m.path != "" && m.dir == dir:
		p.path = m.path
	case m.path != "" && m.dir == ".":
		p.path = m.path + "/" + dir
	case m.path != "":
		p.path = m.path + strings.TrimPrefix(dir, m.dir)
	default:
		p.path = path.Base(dir)
	}
	keys := []string{key}
	for _, f := range p.files { // any of its files leads here
		keys = append(keys, packageKey(r, dir, path.Base(f.rel)))
	}
	if !strings.HasSuffix(base, "_test.go") {
		keys = append(keys, packageKey(r, dir, ""))
	}
	for _, k := range keys {
		if old := t.packages[k]; old == nil || old.depth > depth {
			t.packages[k] = p
		}
	}
	return p
}

// parse reads the files of a package, without checking types.
func (t *Tree) parse(r *root, dir, base string) *pkg {
	p := &pkg{tree: t, root: r, dir: dir, funcs: map[token.Pos]*function{}, owners: map[token.Pos]*function{}}
	var files []*file
	var parsing sync.WaitGroup
	atOnce := make(chan struct{}, runtime.GOMAXPROCS(0))
	begin := t.fset.Base()
	for rel, src := range t.sources(r, dir, base, strings.HasSuffix(base, "_test.go")) {
		f, at := &file{pkg: p, rel: rel, src: src}, begin
		files, begin = append(files, f), begin+len(src)+1
		atOnce <- struct{}{}
		parsing.Go(func() {
			f.parse(at)
			<-atOnce
		})
	}
	parsing.Wait()
	for _, f := range files {
		p.add(f)
	}
	if len(p.files) == 0 || base != "" && p.files[0].rel != path.Join(dir, base) {
		return nil
	}
	return p
}

// sources yields the files of a folder that may belong to a package, with tests or without, and
// what they hold: the one named base first, and none at all if that cannot be read. base may be "".
func (t *Tree) sources(r *root, dir, base string, tests bool) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		folder, err := r.openFolder(dir)
		if err != nil {
			return
		}
		defer folder.Close()
		names, err := folder.list()
		if err != nil {
			return
		}
		if base != "" { // its package clause decides which files belong together
			if !slices.Contains(names, base) {
				names = append(names, base)
			}
		}
		slices.SortStableFunc(names, func(a, b string) int { // if not all can be read, rather the tests are left out
			rank := func(name string) int {
				switch {
				case name == base:
					return 0
				case strings.HasSuffix(name, "_test.go"):
					return 2
				}
				return 1
			}
			return rank(a) - rank(b)
		})
		size := 0
		ctx := build.Default
		ctx.CgoEnabled = true
		for _, name := range names {
			if !tests && strings.HasSuffix(name, "_test.go") {
				continue
			}
			// The build constraints in the name are looked at before the file is.
			var src []byte
			ctx.OpenFile = func(string) (io.ReadCloser, error) {
				var err error
				src, err = t.readIn(folder, name)
				return io.NopCloser(bytes.NewReader(src)), err
			}
			if name == base {
				if _, err := ctx.OpenFile(name); err != nil {
					return
				}
			} else if match, err := ctx.MatchFile(dir, name); err != nil || !match || src == nil {
				continue
			}
			if len(src) > maxParsedSize {
				if name == base {
					return
				}
				continue
			}
			if size += len(src); size > maxPackageSize {
				t.exhausted = true
				return
			}
			if !yield(path.Join(dir, name), src) {
				return
			}
		}
	}
}

// parse parses the file, whose positions begin at base. Without a package clause there is no
// ast. A panic of the parser on odd source only leaves the file out.
func (f *file) parse(base int) {
	defer func() {
		if recover() != nil {
			f.ast = nil
		}
	}()
	// Files are parsed side by side, each in a set of its own that begins where the file is to
	// lie in the tree's: so positions do not depend on which is parsed first.
	set := token.NewFileSet()
	if base > set.Base() {
		set.AddFile("", set.Base(), base-set.Base()-1)
	}
	tree, _ := parser.ParseFile(set, f.rel, f.src, parser.SkipObjectResolution)
	if tree == nil || tree.Name == nil || !tree.Name.Pos().IsValid() {
		return
	}
	f.ast, f.pos = tree, set.File(tree.Name.Pos())
	f.collect()
}

// add adds a file that was parsed, if it belongs to the package.
func (p *pkg) add(f *file) {
	if f.ast == nil || len(p.files) > 0 && p.files[0].ast.Name.Name != f.ast.Name.Name {
		return
	}
	p.tree.fset.AddExistingFiles(f.pos)
	p.files = append(p.files, f)
	for _, fn := range f.funcs {
		if fn.decl != nil {
			p.funcs[fn.decl.Name.Pos()] = fn
		}
	}
}

// check type-checks the declarations; bodies follow when needed, see function.check.
func (p *pkg) check() {
	p.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Implicits: map[ast.Node]types.Object{},
	}
	p.config = &types.Config{FakeImportC: true, IgnoreFuncBodies: true, Importer: importer{p}, Error: func(error) {}}
	p.types = types.NewPackage(p.path, p.files[0].ast.Name.Name)
	var files []*ast.File
	for _, f := range p.files {
		files = append(files, f.ast)
	}
	p.checkFiles(files)
	p.config.IgnoreFuncBodies = false
}

// checkFiles adds what is known of some files' types. Errors are of no
// interest, and a panic of the type checker on odd source only leaves more
// types unknown.
func (p *pkg) checkFiles(files []*ast.File) {
	defer func() { _ = recover() }()
	_ = types.NewChecker(p.config, p.tree.fset, p.types, p.info).Files(files)
}

// importer follows imports within modules whose source is at hand. All other
// packages are empty.
type importer struct{ p *pkg }

// Import implements types.Importer.
func (im importer) Import(importPath string) (*types.Package, error) {
	t := im.p.tree
	if p := t.stdPackage(importPath); p != nil {
		return p, nil
	}
	if im.p.depth >= importDepth || t.loaded >= maxPackages/2 { // the rest is for frames
		return t.emptyPackage(importPath), nil
	}
	try := func(r *root, m module) *types.Package {
		rest, ok := strings.CutPrefix(importPath, m.path)
		if m.path == "" || m.path == "std" || !ok || rest != "" && rest[0] != '/' {
			return nil
		}
		if q := t.load(r, path.Join(m.dir, rest), "", importPath, im.p.depth+1); q != nil && q != im.p {
			return q.types
		}
		return nil
	}
	if q := try(im.p.root, t.moduleOf(im.p.root, im.p.dir)); q != nil {
		return q, nil
	}
	for _, r := range t.roots {
		if r.kind != kindCache && r.kind != kindGo && r != im.p.root {
			if q := try(r, module{dir: ".", path: r.module}); q != nil {
				return q, nil
			}
		}
	}
	return t.emptyPackage(importPath), nil
}

// emptyPackage stands for a package that is not read.
func (t *Tree) emptyPackage(importPath string) *types.Package {
	p := t.empty[importPath]
	if p == nil {
		p = types.NewPackage(importPath, guessName(importPath))
		p.MarkComplete()
		t.empty[importPath] = p
	}
	return p
}

// guessName guesses the name in a package's clause from its import path, by
// the habits of naming modules: ".../go-redis/v9", "gopkg.in/yaml.v3".
func guessName(importPath string) string {
	dir, name := path.Split(importPath)
	if v, ok := strings.CutPrefix(name, "v"); ok && isNumber(v) && dir != "" {
		name = path.Base(dir)
	}
	if i := strings.LastIndex(name, ".v"); i > 0 && isNumber(name[i+2:]) {
		name = name[:i]
	}
	name = strings.TrimPrefix(name, "go-")
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "-go")
	return strings.Map(func(c rune) rune {
		if c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return -1
	}, name)
}
