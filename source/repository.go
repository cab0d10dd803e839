package source

import (
	"os"
	"path/filepath"
)

// Repository is the folder that a team keeps under version control. It tells
// where in it a file of a trace is, as services want to know that show findings
// beside the code.
type Repository struct {
	dir   string // absolute, without symbolic links
	goMod string // the nearest go.mod, from dir on; "" if there is none
	tree  *Tree  // nil if no source is to be read
}

// OpenRepository returns the repository around a folder: the nearest folder
// upwards that holds .git, or else go.mod, or else the folder itself. tree finds
// the files of a trace on this machine; it may be nil.
func OpenRepository(dir string, tree *Tree) *Repository {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	r := &Repository{dir: dir, tree: tree}
	module, inModule := above(dir, "go.mod")
	if top, ok := above(dir, ".git"); ok {
		r.dir = top
	} else if inModule {
		r.dir = module
	}
	if inModule {
		r.goMod = r.rel(filepath.Join(module, "go.mod"))
	}
	return r
}

// above returns the nearest folder upwards from dir that holds name.
func above(dir, name string) (string, bool) {
	for {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return dir, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// Relative returns the path from the root of the repository, with slashes, of
// a file as a trace names it; "" if the file is not in it, or nobody can tell.
func (r *Repository) Relative(file string) string {
	path := file
	if r.tree != nil {
		found, ok := r.tree.Resolve(file)
		if !ok {
			return ""
		}
		path = found
	}
	return r.rel(path)
}

// rel returns a path from dir on, with slashes; "" if it is not below.
func (r *Repository) rel(path string) string {
	rel, err := filepath.Rel(r.dir, path)
	if err != nil || !filepath.IsAbs(path) || !filepath.IsLocal(rel) || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// GoMod returns the path of the nearest go.mod, from the root of the
// repository; "" if there is none in it. It stands for what is in no file of
// the repository.
func (r *Repository) GoMod() string { return r.goMod }
