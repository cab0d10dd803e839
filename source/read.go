package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

var (
	errOutside   = errors.New("outside the folders that may be read")
	errNoGoFile  = errors.New("no regular Go file")
	errTooLarge  = errors.New("larger than what is read of a file")
	errExhausted = errors.New("enough was read")
)

// locate returns the path of rel below the root (both with slashes) after
// resolving symbolic links, if that is still below the root.
func (r *root) locate(rel string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(rel)) {
		return "", errOutside
	}
	full, err := filepath.EvalSymlinks(filepath.Join(r.dir, filepath.FromSlash(rel)))
	if err != nil {
		return "", err
	}
	inside, err := filepath.Rel(r.dir, full)
	if err != nil || !filepath.IsLocal(inside) {
		return "", errOutside
	}
	return filepath.ToSlash(inside), nil
}

// readFile reads a file below the root. Its name, with symbolic links
// resolved, must be accepted by named. The last step goes through os.Root, so
// a link that is swapped in meanwhile does not lead outside either, and does
// not block, so a named pipe cannot hold tracedoc up.
func (r *root) readFile(rel string, named func(string) bool) ([]byte, error) {
	inside, err := r.locate(rel)
	if err != nil {
		return nil, err
	}
	if !named(path.Base(inside)) {
		return nil, errNoGoFile
	}
	dir, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return readRegular(dir, filepath.FromSlash(inside))
}

// readRegular reads a file, if it is no link and nothing else but a file.
func readRegular(dir *os.Root, name string) ([]byte, error) {
	if info, err := dir.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errNoGoFile
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoGoFile
	}
	if info.Size() > maxFileSize {
		return nil, errTooLarge
	}
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(f, maxFileSize+1)); err != nil {
		return nil, err
	}
	if data.Len() > maxFileSize {
		return nil, errTooLarge
	}
	return data.Bytes(), nil
}

func isGoFile(name string) bool { return strings.HasSuffix(name, ".go") }

// read is readFile for Go files, each once and within the bounds of the whole Tree.
func (t *Tree) read(r *root, rel string) ([]byte, error) {
	return t.readOnce(r, rel, func() ([]byte, error) { return r.readFile(rel, isGoFile) })
}

// openFolder is a folder below a root of which several files are read.
type openFolder struct {
	root *root
	dir  string // relative to the root
	at   *os.Root
}

// openFolder opens a folder. Close it.
func (r *root) openFolder(dir string) (*openFolder, error) {
	inside, err := r.locate(dir)
	if err != nil {
		return nil, err
	}
	top, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	at, err := top.OpenRoot(filepath.FromSlash(inside))
	if err != nil {
		return nil, err
	}
	return &openFolder{r, dir, at}, nil
}

func (d *openFolder) Close() error { return d.at.Close() }

// list returns the names of the Go files in the folder.
func (d *openFolder) list() ([]string, error) {
	f, err := d.at.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxDirEntries)
	if err != nil && err != io.EOF {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isGoFile(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// readIn is read for a file of an open folder: most are no links, and need not be looked for
// from the root on.
func (t *Tree) readIn(d *openFolder, name string) ([]byte, error) {
	rel := path.Join(d.dir, name)
	return t.readOnce(d.root, rel, func() ([]byte, error) {
		if isGoFile(name) {
			if data, err := readRegular(d.at, name); !errors.Is(err, errNoGoFile) {
				return data, err
			}
		}
		return d.root.readFile(rel, isGoFile)
	})
}

// readOnce reads a file within the bounds of the whole Tree, if that has not been done.
func (t *Tree) readOnce(r *root, rel string, read func() ([]byte, error)) ([]byte, error) {
	key := place{r, rel}
	if data, ok := t.texts[key]; ok {
		return data, nil
	}
	if t.files >= maxFiles || t.bytes >= maxTotalSize {
		t.exhausted = true
		return nil, errExhausted
	}
	data, err := read()
	if err != nil {
		return nil, fmt.Errorf("source: %s: %w", rel, err)
	}
	t.files++
	t.bytes += len(data)
	t.texts[key] = data
	return data, nil
}

// module is a module that was found on disk.
type module struct {
	dir  string // of its go.mod, relative to the root; "." for the root itself
	path string // "" if there is no module
}

// moduleOf finds the module of a folder below the root.
func (t *Tree) moduleOf(r *root, dir string) module {
	key := r.dir + "\x00" + dir
	if m, ok := t.modules[key]; ok {
		return m
	}
	var m module
	if r.kind == kindGo {
		m = module{dir: "src", path: "std"}
	} else if data, err := r.readFile(path.Join(dir, "go.mod"), func(name string) bool { return name == "go.mod" }); err == nil {
		m = module{dir: dir, path: modulePath(strings.NewReader(string(data)))}
	} else if dir != "." {
		m = t.moduleOf(r, path.Dir(dir))
	} else if r.module != "" {
		m = module{dir: ".", path: r.module}
	}
	t.modules[key] = m
	return m
}

// modulePath reads the module line of a go.mod; "" if there is none.
func modulePath(r io.Reader) string {
	lines := bufio.NewScanner(io.LimitReader(r, maxFileSize))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "//")
		words := strings.Fields(line)
		if len(words) != 2 || words[0] != "module" {
			continue
		}
		if name, err := strconv.Unquote(words[1]); err == nil {
			return name
		}
		return words[1]
	}
	return ""
}

// index is the Go files and modules found below a root.
type index struct {
	byName  map[string][]string // base name to paths relative to the root
	modules []module
}

// indexed walks the root once, within bounds, and without following links.
func (r *root) indexed() *index {
	if r.index != nil {
		return r.index
	}
	r.index = &index{byName: map[string][]string{}}
	left := maxIndexed
	filepath.WalkDir(r.dir, func(name string, d fs.DirEntry, err error) error {
		if left--; left < 0 {
			return fs.SkipAll
		}
		if err != nil {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(r.dir, name)
		if err != nil {
			return nil
		}
		rel = filepath.ToSlash(rel)
		base := d.Name()
		switch {
		case d.IsDir():
			if rel != "." && (strings.HasPrefix(base, ".") || base == "node_modules") {
				return fs.SkipDir
			}
		case !d.Type().IsRegular():
		case isGoFile(base):
			r.index.byName[base] = append(r.index.byName[base], rel)
		case base == "go.mod":
			if data, err := r.readFile(rel, func(name string) bool { return name == "go.mod" }); err == nil {
				if p := modulePath(strings.NewReader(string(data))); p != "" {
					r.index.modules = append(r.index.modules, module{dir: path.Dir(rel), path: p})
				}
			}
		}
		return nil
	})
	return r.index
}
